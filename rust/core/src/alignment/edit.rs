//! Rewriting a text from left to right while remembering where each byte came from.

use super::Alignment;
use super::literal::Recorder;
use crate::error::Result;
use crate::ids::Span;

/// One pass over a text: every part is copied, skipped or replaced, in order.
///
/// Nothing is allocated until the first change. The rules for alignments are those of the reference's
/// `NormalizedString::transform`: a character that replaces another takes its range, and an inserted one takes the
/// range of the character before it.
pub struct Edit<'s> {
    source: &'s str,
    /// Alignment of `source`; `None` when its characters stand for themselves.
    alignment: Option<&'s Alignment>,
    track: bool,
    /// Everything before this byte of `source` is done.
    position: usize,
    out: Option<Output>,
    /// Of the runs of `alignment`.
    cursor: usize,
    /// Set where the reference's own bookkeeping goes astray, and its steps have to be taken one by one.
    recorder: Option<Recorder>,
}

#[derive(Default)]
struct Output {
    text: String,
    /// Empty unless tracked.
    alignment: Alignment,
    inserted_at_start: bool,
}

/// The outcome of an [`Edit`] that changed something.
pub struct Edited {
    /// The new text.
    pub text: String,
    /// `None` when not tracked, or when the characters of `text` stand for the same bytes of the original.
    pub alignment: Option<Alignment>,
    /// Text was inserted before the first character. It stands for no bytes of the original, which later steps notice.
    pub inserted_at_start: bool,
}

impl<'s> Edit<'s> {
    /// An edit of `source`, whose alignment is `alignment`, or one to one.
    pub fn new(source: &'s str, alignment: Option<&'s Alignment>, track: bool) -> Self {
        Self { source, alignment, track, position: 0, out: None, cursor: 0, recorder: None }
    }

    /// As [`Edit::new`], for a step that rewrites the whole text character by character (`transform` in the reference).
    /// It counts wrong when the text begins with characters that stand for nothing, and this edit then counts the same.
    /// `of_nothing` says that the source is a piece that was cut out and stands for nothing at all.
    pub fn transform(source: &'s str, alignment: Option<&'s Alignment>, of_nothing: bool, track: bool) -> Self {
        let inserted = alignment.is_some_and(Alignment::starts_inserted);
        let recorder = inserted.then(|| Recorder::new(of_nothing));
        Self { recorder, ..Self::new(source, alignment, track) }
    }

    /// The text being edited.
    pub fn source(&self) -> &'s str {
        self.source
    }

    /// Everything before this byte is done.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether the reference loses count of this edit, so that every step of it matters.
    pub fn is_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    /// Length of the new text so far.
    pub fn written(&self) -> usize {
        self.out.as_ref().map_or(self.position, |out| out.text.len())
    }

    /// Keeps the text up to `end`.
    pub fn copy_to(&mut self, end: usize) {
        let start = std::mem::replace(&mut self.position, end);
        let part = &self.source[start..end];
        if let Some(recorder) = &mut self.recorder {
            recorder.copy(part);
        } else if let Some(out) = &mut self.out {
            out.text.push_str(part);
            if self.track {
                match self.alignment {
                    Some(alignment) => out.alignment.extend(alignment, start..end, &mut self.cursor),
                    None => out.alignment.push_one_to_one(part.len(), start as u32),
                }
            }
        }
    }

    /// Removes the text up to `end`.
    pub fn skip_to(&mut self, end: usize) {
        if end > self.position {
            if let Some(recorder) = &mut self.recorder {
                recorder.skip(&self.source[self.position..end]);
            } else {
                self.start();
            }
            self.position = end;
        }
    }

    /// Writes `text`; each byte takes the range of the character before it in the source.
    pub fn insert(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            text.chars().for_each(|c| recorder.put(c, 1));
            return;
        }
        let at_start = self.position == 0;
        let span = if at_start || !self.track { Span::default() } else { self.span_before(self.position) };
        let track = self.track;
        let out = self.start();
        out.inserted_at_start |= at_start;
        out.push(text, span, track);
    }

    /// Writes a character that, as the reference counts it, is an insertion (`change` 1) or takes the place of the next
    /// `1 - change` characters.
    pub fn put(&mut self, c: char, change: isize) {
        let encoded = &mut [0; 4];
        let encoded: &str = c.encode_utf8(encoded);
        let rest = &self.source[self.position..];
        if change > 0 {
            return self.insert(encoded);
        }
        if self.recorder.is_none() && change == 0 && self.out.is_none() && rest.starts_with(encoded) {
            self.position += encoded.len();
            return;
        }
        let mut replaced = rest.chars().map(char::len_utf8);
        let first = replaced.next().unwrap_or(0);
        let removed: usize = replaced.take(change.unsigned_abs()).sum();
        if let Some(recorder) = &mut self.recorder {
            recorder.put(c, change);
        } else {
            let span = match self.alignment {
                _ if !self.track => Span::default(),
                Some(alignment) => {
                    alignment.original(self.source, self.position, self.position + first, &mut self.cursor)
                }
                None => Span::new(self.position, self.position + first),
            };
            let track = self.track;
            self.start().push(encoded, span, track);
        }
        self.position += first + removed;
    }

    /// The new text, the rest of the source included; `None` when nothing was changed.
    ///
    /// # Errors
    /// [`Error::NormalizerOrder`](crate::Error::NormalizerOrder) where the reference loses count and fails.
    pub fn finish(mut self, step: &'static str) -> Result<Option<Edited>> {
        self.copy_to(self.source.len());
        if let (Some(recorder), Some(alignment)) = (self.recorder, self.alignment) {
            return recorder.replay(self.source, alignment, self.track, step).map(Some);
        }
        Ok(self.out.map(|Output { text, alignment, inserted_at_start }| {
            let alignment = (self.track && !alignment.is_identity()).then_some(alignment);
            Edited { text, alignment, inserted_at_start }
        }))
    }

    /// The range of the last character before byte `end` of the source.
    fn span_before(&mut self, end: usize) -> Span {
        let last = self.source[..end].chars().next_back().map_or(0, char::len_utf8);
        match self.alignment {
            Some(alignment) => alignment.original(self.source, end - last, end, &mut self.cursor),
            None => Span::new(end - last, end),
        }
    }

    /// The output, begun with the unchanged text so far.
    fn start(&mut self) -> &mut Output {
        if self.out.is_none() {
            let end = std::mem::take(&mut self.position);
            let mut out = Output::default();
            out.text.reserve(self.source.len() + self.source.len() / 8);
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
            if span.len() == text.len() && text.chars().nth(1).is_none() {
                // A character that takes as many bytes as before joins the run of those that did not change.
                self.alignment.push_one_to_one(text.len(), span.start);
            } else {
                self.alignment.push(text.len(), span);
            }
        }
    }
}
