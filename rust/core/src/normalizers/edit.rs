//! Rewriting a text from left to right while remembering where each byte came from.

use crate::error::{Error, Result};
use crate::ids::Span;

/// One pass over a text: every part is copied, skipped or replaced, in order.
///
/// Nothing is allocated until the first change. The rules for alignments are those of the reference's
/// `NormalizedString::transform`: a character that replaces another takes its range, and an inserted one takes the
/// range of the character before it.
pub(super) struct Edit<'s> {
    source: &'s str,
    /// Alignments of `source`; `None` when its characters stand for themselves.
    alignments: Option<&'s [Span]>,
    track: bool,
    /// Everything before this byte of `source` is done.
    position: usize,
    out: Option<Output>,
}

#[derive(Default)]
struct Output {
    text: String,
    /// Per byte of `text`; empty unless tracked.
    alignments: Vec<Span>,
    inserted_at_start: bool,
}

/// The outcome of an [`Edit`] that changed something.
pub(super) struct Edited {
    pub(super) text: String,
    /// `None` when not tracked, or when the characters of `text` stand for the same bytes of the original.
    pub(super) alignments: Option<Vec<Span>>,
    /// Text was inserted before the first character. It stands for no bytes of the original, which later steps notice.
    pub(super) inserted_at_start: bool,
}

impl<'s> Edit<'s> {
    pub(super) fn new(source: &'s str, alignments: Option<&'s [Span]>, track: bool) -> Self {
        Self { source, alignments, track, position: 0, out: None }
    }

    /// The text being edited.
    pub(super) fn source(&self) -> &'s str {
        self.source
    }

    /// Keeps the text up to `end`.
    pub(super) fn copy_to(&mut self, end: usize) {
        let start = std::mem::replace(&mut self.position, end);
        if let Some(out) = &mut self.out {
            out.text.push_str(&self.source[start..end]);
            if self.track {
                match self.alignments {
                    Some(alignments) => out.alignments.extend_from_slice(&alignments[start..end]),
                    None => out.alignments.extend(one_to_one(&self.source[start..end], start)),
                }
            }
        }
    }

    /// Removes the text up to `end`.
    pub(super) fn skip_to(&mut self, end: usize) {
        if end > self.position {
            self.start();
            self.position = end;
        }
    }

    /// Writes `text`; each byte takes the range of the character before it in the source.
    pub(super) fn insert(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let span = match (self.position, self.alignments) {
            (0, _) => Span::default(),
            (position, Some(alignments)) => alignments[position - 1],
            (position, None) => {
                let last = self.source[..position].chars().next_back().map_or(0, char::len_utf8);
                Span::new(position - last, position)
            }
        };
        let at_start = self.position == 0;
        let track = self.track;
        let out = self.start();
        out.inserted_at_start |= at_start;
        out.push(text, span, track);
    }

    /// Writes a character that, as the reference counts it, is an insertion (`change` 1) or takes the place of the next
    /// `1 - change` characters.
    pub(super) fn put(&mut self, c: char, change: isize) {
        let encoded = &mut [0; 4];
        let encoded: &str = c.encode_utf8(encoded);
        if change > 0 {
            return self.insert(encoded);
        }
        let rest = &self.source[self.position..];
        if change == 0 && self.out.is_none() && rest.starts_with(encoded) {
            self.position += encoded.len();
            return;
        }
        let mut replaced = rest.chars().map(char::len_utf8);
        let first = replaced.next().unwrap_or(0);
        let span = match self.alignments {
            Some(alignments) => alignments[self.position],
            None => Span::new(self.position, self.position + first),
        };
        let removed: usize = replaced.take(change.unsigned_abs()).sum();
        let track = self.track;
        self.start().push(encoded, span, track);
        self.position += first + removed;
    }

    /// The new text, the rest of the source included; `None` when nothing was changed.
    pub(super) fn finish(mut self) -> Option<Edited> {
        self.copy_to(self.source.len());
        let Output { text, alignments, inserted_at_start } = self.out?;
        // The last range tells most texts apart without a look at the others.
        let same = alignments.last().is_none_or(|last| last.end as usize == text.len())
            && one_to_one(&text, 0).eq(alignments.iter().copied());
        let alignments = (self.track && !same).then_some(alignments);
        Some(Edited { text, alignments, inserted_at_start })
    }

    /// The output, begun with the unchanged text so far.
    fn start(&mut self) -> &mut Output {
        if self.out.is_none() {
            let end = std::mem::take(&mut self.position);
            let mut out = Output::default();
            out.text.reserve(self.source.len());
            out.alignments.reserve(if self.track { self.source.len() } else { 0 });
            self.out = Some(out);
            self.copy_to(end);
        }
        self.out.as_mut().expect("just set")
    }
}

impl Output {
    fn push(&mut self, text: &str, span: Span, track: bool) {
        self.text.push_str(text);
        if track {
            self.alignments.extend(std::iter::repeat_n(span, text.len()));
        }
    }
}

/// For each byte of `text`, which starts at byte `offset` of the original, the range of its character.
pub(super) fn one_to_one(text: &str, offset: usize) -> impl Iterator<Item = Span> {
    text.char_indices().flat_map(move |(i, c)| {
        let start = offset + i;
        std::iter::repeat_n(Span::new(start, start + c.len_utf8()), c.len_utf8())
    })
}

/// Refuses a step that rewrites the whole text when the text begins with characters that stand for no bytes of the
/// original: the reference leaves those out of the range it replaces but not of what it puts there, and then panics on
/// nearly every text.
///
/// # Errors
/// [`Error::NormalizerOrder`].
pub(super) fn check_start(alignments: Option<&[Span]>, step: &'static str) -> Result<()> {
    match alignments.and_then(<[Span]>::first) {
        Some(first) if first.is_empty() => Err(Error::NormalizerOrder { step }),
        _ => Ok(()),
    }
}
