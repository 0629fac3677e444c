//! What the stages before the model make of a plain part of a text, known without running them.
//!
//! Nearly all parts that the cache has not met are ASCII words. Of these every stage does something simple, so the model's
//! piece is written down at once; anything else goes through the pipeline (general.rs).

use crate::{Normalizer, PreTokenizer};

/// No plain character.
const NONE: u8 = 0;

/// Rules that make a plain part a piece.
pub(super) struct PlainWords {
    /// What each ASCII character of a word becomes, or [`NONE`].
    map: [u8; 128],
    /// What may stand before the word.
    blanks: Blanks,
    /// What the piece begins with.
    mark: Option<char>,
    /// A part may have characters that are not ASCII, which stay as they are.
    any_character: bool,
}

/// What stands before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanks {
    /// Any number of tabs, newlines, carriage returns and spaces.
    Dropped,
    /// One space.
    One,
    /// Every space of the part becomes the mark.
    Marked,
}

/// A plain part as the model sees it.
pub(super) struct Plain {
    /// Bytes of the part before the word; the mark stands for the last of them, or for nothing.
    pub(super) skipped: usize,
    /// Bytes of the piece before the word.
    pub(super) mark: usize,
    /// Whether spans of the piece are those of the part but for what stands before the word.
    pub(super) one_to_one: bool,
}

impl PlainWords {
    /// The rules for BERT's pipeline.
    pub(super) fn bert(normalizer: &Normalizer) -> Self {
        Self { map: letters(&[normalizer]), blanks: Blanks::Dropped, mark: None, any_character: false }
    }

    /// The rules for words that `WhitespaceSplit` cuts and these steps rewrite, if there are any.
    pub(super) fn white_space(normalizers: &[&Normalizer], rest: &[&PreTokenizer]) -> Option<Self> {
        let mark = match rest {
            [] => None,
            [PreTokenizer::Metaspace(metaspace)] if !metaspace.replacement.is_ascii() => match metaspace.prepend_scheme
            {
                crate::pre_tokenizers::PrependScheme::Always => Some(metaspace.replacement),
                _ => None,
            },
            _ => return None,
        };
        Some(Self { map: letters(normalizers), blanks: Blanks::Dropped, mark, any_character: false })
    }

    /// The rules for words that `Metaspace` cuts.
    pub(super) fn metaspace(normalizers: &[&Normalizer], mark: char) -> Self {
        Self { map: letters(normalizers), blanks: Blanks::One, mark: Some(mark), any_character: false }
    }

    /// The rules for text of which only the spaces change.
    pub(super) fn marks(mark: char) -> Self {
        let map = std::array::from_fn(|byte| byte as u8);
        Self { map, blanks: Blanks::Marked, mark: Some(mark), any_character: true }
    }

    /// Writes the piece of a part to `piece`, if the part is plain. A `first` part gets a mark that is not there.
    #[inline]
    pub(super) fn write(&self, part: &str, first: bool, piece: &mut String) -> Option<Plain> {
        piece.clear();
        if self.any_character {
            return self.write_marked(part, first, piece);
        }
        let blank = |&byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' ');
        let skipped = part.bytes().take_while(blank).count();
        let word = &part.as_bytes()[skipped..];
        let fits = match self.blanks {
            Blanks::One => !first && skipped == 1 && part.starts_with(' '),
            _ => true,
        };
        if !fits || word.is_empty() {
            return None;
        }
        piece.extend(self.mark);
        let mark = piece.len();
        for &byte in word {
            let c = *self.map.get(usize::from(byte))?;
            if c == NONE {
                return None;
            }
            piece.push(char::from(c));
        }
        Some(Plain { skipped, mark, one_to_one: true })
    }

    fn write_marked(&self, part: &str, first: bool, piece: &mut String) -> Option<Plain> {
        let mark = self.mark?;
        if first {
            piece.push(mark);
        }
        let prefix = piece.len();
        let skipped = usize::from(!first && part.starts_with(' '));
        let mut from = 0;
        for space in memchr::memchr_iter(b' ', part.as_bytes()) {
            piece.push_str(&part[from..space]);
            piece.push(mark);
            from = space + 1;
        }
        piece.push_str(&part[from..]);
        let spaces_inside = part.len() - skipped + prefix.max(skipped * mark.len_utf8()) != piece.len();
        let one_to_one = !spaces_inside && part.is_ascii();
        Some(Plain { skipped, mark: if first { prefix } else { skipped * mark.len_utf8() }, one_to_one })
    }
}

/// What normalizers make of each visible ASCII character, whatever visible ASCII stands beside it.
fn letters(normalizers: &[&Normalizer]) -> [u8; 128] {
    let mut in_patterns = [false; 128];
    for step in normalizers {
        if let Normalizer::Replace(replace) = step
            && let Some(literal) = replace.as_literal()
        {
            literal.bytes().filter(u8::is_ascii).for_each(|byte| in_patterns[usize::from(byte)] = true);
        }
    }
    std::array::from_fn(|byte| {
        let c = byte as u8;
        if !c.is_ascii_graphic() || in_patterns[byte] {
            return NONE;
        }
        let mut text = char::from(c).to_string();
        for step in normalizers {
            match step.normalize(&text) {
                Ok(next) => text = next.into_owned(),
                Err(_) => return NONE,
            }
        }
        match text.as_bytes() {
            &[new] if new.is_ascii_graphic() => new,
            _ => NONE,
        }
    })
}
