//! Long segments in parts that encode to what the whole encodes to.

use super::Tokenizer;
use crate::{Result, added_vocabulary::Segment};

impl Tokenizer {
    /// The text of a segment in parts of about `bytes` or a little more, each with the byte at which it begins; in one part
    /// where parts would encode to something else.
    ///
    /// # Errors
    /// Those of a normalizer that has to look at the text's beginning.
    pub(super) fn parts_of<'s, const LEVEL: u8>(
        &self,
        segment: &'s Segment<'_>,
        bytes: usize,
    ) -> Result<impl Iterator<Item = (usize, &'s str)>> {
        let text = segment.text.as_ref();
        let is_long = text.len() > bytes;
        let bytes = if is_long && self.has_parts::<LEVEL>(segment)? { bytes } else { text.len() };
        let mut next = Some(0);
        Ok(std::iter::from_fn(move || {
            let start = next?;
            let end = safe_cut(text.as_bytes(), start + bytes);
            next = (end < text.len()).then_some(end);
            Some((start, &text[start..end]))
        }))
    }

    fn has_parts<const LEVEL: u8>(&self, segment: &Segment<'_>) -> Result<bool> {
        if segment.token.is_some() || segment.starts_inserted() {
            return Ok(false);
        }
        match self.raw_words() {
            Some(raw) => raw.has_parts::<LEVEL>(&segment.text),
            None => Ok(self.inner.scanner.is_some()),
        }
    }
}

/// The first position from `from` on where every scanner ends a piece and every [`Cut`](crate::pre_tokenizers::scanners::cuts::Cut)
/// has a place: before a space between two ASCII letters.
fn safe_cut(text: &[u8], from: usize) -> usize {
    let is_cut = |at: &usize| {
        text[*at] == b' ' && text[at - 1].is_ascii_alphabetic() && text.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
    };
    (from.max(1)..text.len()).find(is_cut).unwrap_or(text.len())
}
