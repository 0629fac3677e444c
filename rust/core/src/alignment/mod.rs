//! Where a rewritten text came from, as runs: a text in which one character in a thousand changed costs a few runs, not
//! one entry a byte.

mod edit;
mod literal;
mod steps;

pub use edit::{Edit, Edited};
pub use steps::{prepend, spell};

use crate::ids::Span;

/// For each byte of a rewritten text, the bytes of the original that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alignment {
    runs: Vec<Run>,
    len: u32,
}

/// Neighbouring bytes of the rewritten text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The first of them.
    at: u32,
    /// Each character stands for the same character of the original, from `original.start` on; `original.end` is not
    /// used. Otherwise every byte stands for all of `original`.
    one_to_one: bool,
    original: Span,
}

impl Alignment {
    /// No bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Each character of a text of `len` bytes stands for itself, from byte `start` of the original on.
    pub fn one_to_one(len: usize, start: u32) -> Self {
        let mut alignment = Self::new();
        alignment.push_one_to_one(len, start);
        alignment
    }

    /// Length of the rewritten text.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// True for an empty text.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `len` bytes whose characters stand for those from `start` on.
    pub fn push_one_to_one(&mut self, len: usize, start: u32) {
        if len == 0 {
            return;
        }
        let continues = |run: &Run| run.one_to_one && run.original.start + (self.len - run.at) == start;
        if !self.runs.last().is_some_and(continues) {
            self.runs.push(Run { at: self.len, one_to_one: true, original: Span { start, end: start } });
        }
        self.len += len as u32;
    }

    /// Appends `len` bytes that all stand for `original`.
    pub fn push(&mut self, len: usize, original: Span) {
        if len == 0 {
            return;
        }
        if !self.runs.last().is_some_and(|run| !run.one_to_one && run.original == original) {
            self.runs.push(Run { at: self.len, one_to_one: false, original });
        }
        self.len += len as u32;
    }

    /// Appends bytes `range` of another alignment. Calls with rising ranges share a `cursor`, which starts at 0.
    pub fn extend(&mut self, other: &Self, range: std::ops::Range<usize>, cursor: &mut usize) {
        let (mut at, end) = (range.start as u32, range.end as u32);
        let mut run = other.run_at(at, cursor);
        while at < end {
            let Run { at: start, one_to_one, original } = other.runs[run];
            let stop = other.end_of(run).min(end);
            if one_to_one {
                self.push_one_to_one((stop - at) as usize, original.start + (at - start));
            } else {
                self.push((stop - at) as usize, original);
            }
            at = stop;
            run += 1;
        }
    }

    /// Bytes `range` of this alignment, moved by `shift` in the original.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>, shift: u32) -> Self {
        let mut slice = Self::new();
        slice.extend(self, range, &mut 0);
        slice.shift(shift);
        slice
    }

    /// Moves the original by `shift` bytes.
    pub fn shift(&mut self, shift: u32) {
        for Run { original, .. } in &mut self.runs {
            *original = Span { start: original.start + shift, end: original.end + shift };
        }
    }

    /// The original of bytes `start..end`, which are not none. `cursor` makes rising calls quick; it starts at 0.
    ///
    /// A byte inside a character counts for the whole character, so `text`, the rewritten text, is asked where it is.
    pub fn original(&self, text: &str, mut start: usize, mut end: usize, cursor: &mut usize) -> Span {
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let (start, end) = (start as u32, end as u32);
        let first = self.run_at(start, cursor);
        let last = if self.end_of(first) >= end { first } else { self.run_at(end - 1, cursor) };
        let (first, last) = (self.runs[first], self.runs[last]);
        let from = if first.one_to_one { first.original.start + (start - first.at) } else { first.original.start };
        let to = if last.one_to_one { last.original.start + (end - last.at) } else { last.original.end };
        Span { start: from, end: to }
    }

    /// The first bytes stand for nothing: text was put before the first character.
    pub fn starts_inserted(&self) -> bool {
        self.runs.first().is_some_and(|run| !run.one_to_one && run.original.is_empty())
    }

    /// Each character of the text stands for the same bytes of the original.
    pub fn is_identity(&self) -> bool {
        match self.runs.as_slice() {
            [] => true,
            [run] => run.one_to_one && run.original.start == 0,
            _ => false,
        }
    }

    /// One span a byte.
    pub fn to_spans(&self, text: &str) -> Vec<Span> {
        let mut cursor = 0;
        let of_char = |(at, c): (usize, char)| {
            let span = self.original(text, at, at + c.len_utf8(), &mut cursor);
            std::iter::repeat_n(span, c.len_utf8())
        };
        text.char_indices().flat_map(of_char).collect()
    }

    /// From one span a byte of `text`.
    pub fn from_spans(text: &str, spans: &[Span]) -> Self {
        let mut alignment = Self::new();
        for (at, c) in text.char_indices() {
            // A character that takes as many bytes as it stands for is counted as one that did not change.
            let (span, len) = (spans[at], c.len_utf8());
            if span.len() == len {
                alignment.push_one_to_one(len, span.start);
            } else {
                alignment.push(len, span);
            }
        }
        alignment
    }

    fn end_of(&self, run: usize) -> u32 {
        self.runs.get(run + 1).map_or(self.len, |next| next.at)
    }

    /// The run of a byte.
    fn run_at(&self, at: u32, cursor: &mut usize) -> usize {
        /// Runs looked at before the search begins anew.
        const NEAR: usize = 8;

        let near = *cursor..(*cursor + NEAR).min(self.runs.len());
        let found = near.into_iter().find(|&run| self.runs[run].at <= at && at < self.end_of(run));
        *cursor = found.unwrap_or_else(|| self.runs.partition_point(|run| run.at <= at).saturating_sub(1));
        *cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_say_what_one_span_a_byte_says(parts in prop::collection::vec((0u8..3, "[aé漢]{1,4}", 0u32..9), 0..12)) {
            let (mut text, mut spans, mut alignment, mut at) = (String::new(), Vec::new(), Alignment::new(), 0);
            for (kind, part, gap) in parts {
                at += gap;
                text.push_str(&part);
                if kind == 0 {
                    alignment.push_one_to_one(part.len(), at);
                    for (i, c) in part.char_indices() {
                        let start = at as usize + i;
                        spans.extend(std::iter::repeat_n(Span::new(start, start + c.len_utf8()), c.len_utf8()));
                    }
                    at += part.len() as u32;
                } else {
                    let span = Span { start: at, end: at + gap };
                    alignment.push(part.len(), span);
                    spans.extend(std::iter::repeat_n(span, part.len()));
                    at += gap;
                }
            }
            prop_assert_eq!(alignment.len(), text.len());
            prop_assert_eq!(alignment.to_spans(&text), spans.clone());
            prop_assert_eq!(Alignment::from_spans(&text, &spans).to_spans(&text), spans.clone());
            for start in 0..text.len() {
                for end in start + 1..=text.len() {
                    let found = alignment.original(&text, start, end, &mut 0);
                    prop_assert_eq!((found.start, found.end), (spans[start].start, spans[end - 1].end));
                    if text.is_char_boundary(start) && text.is_char_boundary(end) {
                        let slice = alignment.slice(start..end, 3);
                        let moved: Vec<_> =
                            spans[start..end].iter().map(|s| Span { start: s.start + 3, end: s.end + 3 }).collect();
                        prop_assert_eq!(slice.to_spans(&text[start..end]), moved);
                    }
                }
            }
        }
    }
}
