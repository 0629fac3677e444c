//! NFC, NFD, NFKC and NFKD, by the tables and the algorithm of the crate that the reference uses.
//!
//! A text is searched for the stretches that a form may change (UAX #15, section 9, "Detecting Normalization Forms").
//! Each stretch lies between two characters that neither decompose, nor reorder, nor compose with what stands before
//! them, so the full algorithm runs on it alone and gives what it would give on the whole text.

use std::ops::Range;
use std::sync::OnceLock;

use unicode_normalization_alignments::char::{
    canonical_combining_class, compose, decompose_canonical, decompose_compatible,
};
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::code_points::CodePoints;
use crate::{alignment::Edit, once::once};

/// What the quick check needs to know about one form: for each code point 0 (neither it nor what stands before it
/// changes), the combining class of a mark that changes nothing in canonical order, or one of the following.
struct Form(CodePoints);

/// `Maybe` in the quick check, and a starter.
const MAYBE_STARTER: u8 = 253;
/// `Maybe` in the quick check, and a mark.
const MAYBE_MARK: u8 = 254;
/// `No` in the quick check.
const NO: u8 = 255;

impl Form {
    fn new(quick_check: fn(char) -> IsNormalized) -> Self {
        Self(CodePoints::new(|c| match (quick_check(c), canonical_combining_class(c)) {
            (IsNormalized::Yes, class) => class,
            (IsNormalized::Maybe, 0) => MAYBE_STARTER,
            (IsNormalized::Maybe, _) => MAYBE_MARK,
            (IsNormalized::No, _) => NO,
        }))
    }

    /// The first stretch at or after `from` that the form may change, from the stable character before it to the one
    /// after it; `from` is the start of the text or of a stable character.
    fn next_stretch(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let mut last_class = 0;
        let found = self.0.find(text, from, |value, at| {
            if value < MAYBE_STARTER {
                let out_of_order = value != 0 && value < last_class;
                last_class = value;
                return out_of_order;
            }
            let class = match value {
                MAYBE_STARTER if !composes(&text[from..at], &text[at..], false) => 0,
                MAYBE_MARK if last_class == 0 && !composes(&text[from..at], &text[at..], true) => {
                    text[at..].chars().next().map_or(0, canonical_combining_class)
                }
                class => class,
            };
            last_class = class;
            class >= MAYBE_STARTER
        })?;
        let unstable = |c: &char| self.0.get(*c) != 0;
        let mut before = text[from..found].char_indices().rev();
        let start = before.find(|(_, c)| !unstable(c)).map_or(from, |(i, _)| from + i);
        let end = found + text[found..].chars().take_while(unstable).map(char::len_utf8).sum::<usize>();
        Some(start..end)
    }

    /// Rewrites the stretches; `normalize` is the form's full algorithm.
    fn apply<'s, I>(&self, edit: &mut Edit<'s>, normalize: impl Fn(&'s str) -> I)
    where
        I: Iterator<Item = (char, isize)>,
    {
        let text = edit.source();
        let mut done = 0;
        while let Some(stretch) = self.next_stretch(text, done) {
            done = stretch.end;
            edit.copy_to(stretch.start);
            for (c, change) in normalize(&text[stretch]) {
                edit.put(c, change);
            }
        }
    }
}

/// Whether the character that begins `rest`, for which the quick check says `Maybe`, may compose with the one before it.
///
/// A mark may also compose with a part of that character, when that has parts.
fn composes(before: &str, rest: &str, is_mark: bool) -> bool {
    match (before.chars().next_back(), rest.chars().next()) {
        (Some(a), Some(b)) => compose(a, b).is_some() || is_mark && quick_nfd(a) == IsNormalized::No,
        _ => false,
    }
}

pub(super) fn nfc(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, quick_nfc, UnicodeNormalization::nfc);
}

pub(super) fn nfd(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, quick_nfd, UnicodeNormalization::nfd);
}

pub(super) fn nfkc(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, quick_nfkc, UnicodeNormalization::nfkc);
}

pub(super) fn nfkd(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, quick_nfkd, UnicodeNormalization::nfkd);
}

// The quick checks of single characters. Those of the crate for the other three forms are chains of comparisons that
// take ten times as long as a decomposition; the tests compare them.

fn quick_nfc(c: char) -> IsNormalized {
    is_nfc_quick(std::iter::once(c))
}

fn quick_nfd(c: char) -> IsNormalized {
    if decomposition(c, false).eq([c]) { IsNormalized::Yes } else { IsNormalized::No }
}

fn quick_nfkd(c: char) -> IsNormalized {
    if decomposition(c, true).eq([c]) { IsNormalized::Yes } else { IsNormalized::No }
}

fn quick_nfkc(c: char) -> IsNormalized {
    if decomposition(c, true).eq(decomposition(c, false)) { quick_nfc(c) } else { IsNormalized::No }
}

/// Whether a character stays as it is beside all others of which this is true, in NFC or NFKC.
pub(super) fn is_stable(c: char, compatible: bool) -> bool {
    let quick = if compatible { quick_nfkc(c) } else { quick_nfc(c) };
    quick == IsNormalized::Yes && canonical_combining_class(c) == 0
}

/// NFC or NFKC of one character.
pub(super) fn composed(c: char, compatible: bool, mut emit: impl FnMut(char)) {
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    if compatible {
        text.nfkc().for_each(|(c, _)| emit(c));
    } else {
        text.nfc().for_each(|(c, _)| emit(c));
    }
}

/// The full decomposition of a character.
pub(super) fn decomposition(c: char, compatible: bool) -> impl Iterator<Item = char> + use<> {
    // U+FDFA, the longest, becomes 18 characters.
    let (mut characters, mut len) = (['\0'; 18], 0);
    let mut push = |d| {
        characters[len] = d;
        len += 1;
    };
    if compatible {
        decompose_compatible(c, &mut push);
    } else {
        decompose_canonical(c, &mut push);
    }
    characters.into_iter().take(len)
}

/// Runs one form; its map (a few milliseconds to build) waits for the first text that is not ASCII.
fn rewrite<'s, I>(
    edit: &mut Edit<'s>,
    form: &OnceLock<Form>,
    quick_check: fn(char) -> IsNormalized,
    normalize: impl Fn(&'s str) -> I,
) where
    I: Iterator<Item = (char, isize)>,
{
    if !edit.source().is_ascii() {
        once(form, || Form::new(quick_check)).apply(edit, normalize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization_alignments::{is_nfd_quick, is_nfkc_quick, is_nfkd_quick};

    #[test]
    fn quick_checks_are_those_of_the_crate() {
        for c in '\0'..=char::MAX {
            let one = || std::iter::once(c);
            assert_eq!(quick_nfd(c), is_nfd_quick(one()), "{c:?}");
            assert_eq!(quick_nfkd(c), is_nfkd_quick(one()), "{c:?}");
            assert_eq!(quick_nfkc(c), is_nfkc_quick(one()), "{c:?}");
        }
    }
}
