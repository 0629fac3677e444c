//! `FixedLength`: pieces of so many characters.

use serde::Deserialize;

use crate::ids::Span;

/// Configuration of `FixedLength`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct FixedLength {
    /// Characters a piece; not 0.
    #[serde(default = "five")]
    pub length: usize,
}

fn five() -> usize {
    5
}

impl FixedLength {
    /// Appends the pieces of `text`, which starts at `base`.
    pub(super) fn cut(self, text: &str, base: usize, out: &mut Vec<Span>) {
        let mut start = 0;
        let ends = text.char_indices().skip(self.length).step_by(self.length.max(1)).map(|(at, _)| at);
        for end in ends.chain([text.len()]) {
            out.push(Span::new(base + start, base + end));
            start = end;
        }
    }
}
