//! A text on its way through the pre-tokenizers: cut into pieces, and rewritten by those that do.
//!
//! Follows the reference's `PreTokenizedString` without its copies: all pieces lie in one text with one alignment, a cut
//! only makes spans, and a rewrite goes over all pieces in one pass.

use std::borrow::Cow;

use super::Step;
use super::behavior::{Behavior, Part, character_parts};
use super::byte_level::ByteLevel;
use super::metaspace::{Metaspace, PrependScheme};
use super::scanners::Scanner;
use crate::alignment::{Alignment, Edit, prepend, spell};
use crate::error::Result;
use crate::ids::Span;

/// A text, its alignment and its pieces.
#[derive(Debug)]
pub struct Pieces<'t> {
    text: Cow<'t, str>,
    /// To the input; `None` when each character stands for itself from `base` on, or nobody asks.
    alignment: Option<Alignment>,
    base: u32,
    /// Keep the alignment.
    track: bool,
    cut: Vec<Piece>,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes in the text.
    pub text: Span,
    /// The bytes of the input that it was cut from. What a later step puts into the piece does not change them.
    pub original: Span,
}

/// Buffers that cuts use.
#[derive(Debug, Default)]
pub struct CutScratch {
    parts: Vec<Part>,
    spans: Vec<Span>,
}

impl<'t> Pieces<'t> {
    /// A text that is one piece. `original` is what it stands for, and `alignment` says where in the input its characters
    /// come from; without one, they are those from `original.start` on.
    pub fn new(text: Cow<'t, str>, original: Span, alignment: Option<Alignment>, track: bool) -> Self {
        let piece = Piece { text: Span::new(0, text.len()), original };
        let cut = if text.is_empty() { Vec::new() } else { vec![piece] };
        Self { text, alignment, base: original.start, track, cut }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pieces, in order, none of them empty.
    pub fn pieces(&self) -> &[Piece] {
        &self.cut
    }

    /// The bytes of the input that bytes `start..end` of a piece stand for, by the reference's rules for tokens.
    ///
    /// # Errors
    /// The span itself for an empty token, which stands where its number says, counted from where the piece began, and
    /// for one that lies beyond the piece, whose own numbers are left alone. Neither need be in the input.
    pub fn original(&self, piece: Piece, span: [u32; 2], cursor: &mut usize) -> Result<[u32; 2], [u32; 2]> {
        let [start, end] = span;
        if start == end {
            return Err([piece.original.start + start, piece.original.start + end]);
        }
        if start > end || end as usize > piece.text.len() {
            return Err(span);
        }
        let (start, end) = (piece.text.start + start, piece.text.start + end);
        if let Some(alignment) = &self.alignment {
            let Span { start, end } = alignment.original(&self.text, start as usize, end as usize, cursor);
            return Ok([start, end]);
        }
        let (mut start, mut end) = (start as usize, end as usize);
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        Ok([self.base + start as u32, self.base + end as u32])
    }

    /// One pre-tokenizer.
    ///
    /// # Errors
    /// [`Error::RegexSearch`](crate::Error::RegexSearch) when the regex engine gives up on the text,
    /// [`Error::NormalizerOrder`](crate::Error::NormalizerOrder) where the reference loses count.
    pub fn run(&mut self, step: &Step, scratch: &mut CutScratch) -> Result<()> {
        match step {
            Step::Metaspace(metaspace) => self.metaspace(*metaspace, scratch),
            Step::ByteLevel(byte_level) => self.byte_level(*byte_level, scratch),
            cut => {
                self.cut_by(scratch, |text, span, scratch| cut.cut(text, span, &mut scratch.parts, &mut scratch.spans))
            }
        }
    }

    /// Replaces each piece by the spans that `cut` appends to `scratch.spans` for it.
    fn cut_by(
        &mut self,
        scratch: &mut CutScratch,
        cut: impl Fn(&str, Span, &mut CutScratch) -> Result<()>,
    ) -> Result<()> {
        let mut pieces = Vec::with_capacity(self.cut.len());
        let mut cursor = 0;
        for piece in &self.cut {
            scratch.spans.clear();
            cut(&self.text, piece.text, scratch)?;
            for &span in &scratch.spans {
                let original = match &self.alignment {
                    Some(alignment) => {
                        alignment.original(&self.text, span.start as usize, span.end as usize, &mut cursor)
                    }
                    None => Span { start: self.base + span.start, end: self.base + span.end },
                };
                pieces.push(Piece { text: span, original });
            }
        }
        self.cut = pieces;
        Ok(())
    }

    fn metaspace(&mut self, metaspace: Metaspace, scratch: &mut CutScratch) -> Result<()> {
        let Metaspace { replacement, prepend_scheme, split } = metaspace;
        let utf8 = &mut [0; 4];
        let mark: &str = replacement.encode_utf8(utf8);
        self.rewrite("Metaspace", false, |edit, text, piece| {
            let start = edit.position();
            let prepended = match prepend_scheme {
                PrependScheme::Always => true,
                PrependScheme::First => piece.original.start == 0,
                PrependScheme::Never => false,
            };
            if prepended && !text.starts_with(' ') && !text.starts_with(replacement) {
                prepend(edit, mark);
            }
            for at in memchr::memchr_iter(b' ', text.as_bytes()) {
                edit.copy_to(start + at);
                edit.skip_to(start + at + 1);
                edit.insert(mark);
            }
        })?;
        if !split {
            return Ok(());
        }
        self.cut_by(scratch, |text, span, CutScratch { parts, spans, .. }| {
            character_parts(&text[span.range()], span.start as usize, |c| c == replacement, parts);
            Behavior::MergedWithNext.pieces(parts, spans);
            Ok(())
        })
    }

    fn byte_level(&mut self, byte_level: ByteLevel, scratch: &mut CutScratch) -> Result<()> {
        if byte_level.add_prefix_space {
            self.rewrite("ByteLevel", false, |edit, text, _| {
                if !text.starts_with(' ') {
                    prepend(edit, " ");
                }
            })?;
        }
        if byte_level.use_regex {
            let scanner = Step::Scanner(Scanner::Gpt2);
            self.cut_by(scratch, |text, span, scratch| {
                scanner.cut(text, span, &mut scratch.parts, &mut scratch.spans)
            })?;
        }
        self.rewrite("ByteLevel", true, |edit, text, _| spell(edit, text))
    }

    /// Rewrites every piece; what lies between them goes. `write` is given an edit that stands at the piece, and the
    /// piece's text. With `whole`, the step is one that the reference does by its `transform`.
    fn rewrite(&mut self, step: &'static str, whole: bool, write: impl Fn(&mut Edit<'_>, &str, Piece)) -> Result<()> {
        if whole && self.alignment.as_ref().is_some_and(Alignment::starts_inserted) {
            return self.rewrite_apart(step, write);
        }
        let mut edit = Edit::new(&self.text, self.alignment.as_ref(), self.track);
        for piece in &mut self.cut {
            edit.skip_to(piece.text.start as usize);
            let from = edit.written();
            write(&mut edit, &self.text[piece.text.range()], *piece);
            edit.copy_to(piece.text.end as usize);
            piece.text = Span::new(from, edit.written());
        }
        edit.skip_to(self.text.len());
        let Some(edited) = edit.finish(step)? else { return Ok(()) };
        self.text = Cow::Owned(edited.text);
        match (&mut self.alignment, edited.alignment) {
            (None, Some(mut alignment)) => {
                alignment.shift(self.base);
                self.alignment = Some(alignment);
            }
            (None, None) => {}
            (alignment, new) => {
                *alignment = new;
                self.base = 0;
            }
        }
        Ok(())
    }

    /// As [`rewrite`](Self::rewrite), one piece after the other: the first ones stand for nothing, and the reference goes
    /// its own ways with those.
    fn rewrite_apart(&mut self, step: &'static str, write: impl Fn(&mut Edit<'_>, &str, Piece)) -> Result<()> {
        let Some(alignment) = &self.alignment else { return Ok(()) };
        let (mut text, mut new, mut cursor) = (String::new(), Alignment::new(), 0);
        for piece in &mut self.cut {
            let source = &self.text[piece.text.range()];
            let mut of_piece = Alignment::new();
            of_piece.extend(alignment, piece.text.range(), &mut cursor);
            let mut edit = Edit::transform(source, Some(&of_piece), piece.original.is_empty(), true);
            write(&mut edit, source, *piece);
            let from = text.len();
            if let Some(edited) = edit.finish(step)? {
                let of_piece = edited.alignment.unwrap_or_else(|| Alignment::one_to_one(edited.text.len(), 0));
                text.push_str(&edited.text);
                new.extend(&of_piece, 0..of_piece.len(), &mut 0);
            } else {
                text.push_str(source);
                new.extend(&of_piece, 0..of_piece.len(), &mut 0);
            }
            piece.text = Span::new(from, text.len());
        }
        self.text = Cow::Owned(text);
        self.alignment = Some(new);
        Ok(())
    }
}
