//! The reference's `transform`, taken literally.
//!
//! A text that begins with characters that stand for nothing (a `Replace` inserted them) makes the reference leave those
//! out of the range it replaces, but not of what it puts there. Mostly it then runs over the end and panics; where it
//! does not, this is what comes out.

use super::{Alignment, Edited};
use crate::error::{Error, Result};
use crate::ids::Span;

/// The characters that a step writes, each with the reference's count of what it replaces.
pub(super) struct Recorder {
    written: Vec<(char, isize)>,
    /// Characters removed before the first one written.
    removed: usize,
    /// The text is a piece that stands for nothing at all.
    of_nothing: bool,
}

impl Recorder {
    pub(super) fn new(of_nothing: bool) -> Self {
        Self { written: Vec::new(), removed: 0, of_nothing }
    }

    pub(super) fn copy(&mut self, part: &str) {
        self.written.extend(part.chars().map(|c| (c, 0)));
    }

    pub(super) fn skip(&mut self, part: &str) {
        let count = part.chars().count();
        match self.written.last_mut() {
            Some((_, change)) => *change -= count as isize,
            None => self.removed += count,
        }
    }

    pub(super) fn put(&mut self, c: char, change: isize) {
        self.written.push((c, change));
    }

    /// What the reference makes of it.
    ///
    /// # Errors
    /// [`Error::NormalizerOrder`] where it panics.
    pub(super) fn replay(self, text: &str, alignment: &Alignment, track: bool, step: &'static str) -> Result<Edited> {
        let spans = alignment.to_spans(text);
        // The whole original, as the reference finds it in the text.
        let found = match spans.iter().position(|span| !span.is_empty()) {
            Some(first) => first..text.len(),
            None if self.of_nothing => 0..0,
            None => text.len()..text.len(),
        };
        let (from, to) = (found.start, found.end);
        let mut replaced = text[from..to].chars().map(char::len_utf8);
        let mut at = from + replaced.by_ref().take(self.removed).sum::<usize>();
        let (mut out, mut out_spans) = (text[..from].to_owned(), spans[..from].to_vec());
        for (c, change) in self.written {
            let span = match (change > 0, at) {
                // Nothing, at the place where the text begins.
                (true, 0) => spans.first().map(|first| Span { start: first.start, end: first.start }),
                (true, at) => spans.get(at - 1).copied(),
                (false, at) => spans.get(at).copied(),
            };
            let span = span.ok_or(Error::NormalizerOrder { step })?;
            if change <= 0 {
                at += replaced.by_ref().take(1 + change.unsigned_abs()).sum::<usize>();
            }
            out.push(c);
            out_spans.extend(std::iter::repeat_n(span, c.len_utf8()));
        }
        out.push_str(&text[to..]);
        out_spans.extend_from_slice(&spans[to..]);
        let alignment = Alignment::from_spans(&out, &out_spans);
        let inserted_at_start = alignment.starts_inserted();
        Ok(Edited { text: out, alignment: track.then_some(alignment), inserted_at_start })
    }
}
