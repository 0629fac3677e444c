//! NFC, NFD, NFKC and NFKD, by the tables and the algorithm of the crate that the reference uses.
//!
//! A text is searched for the stretches that a form may change (UAX #15, section 9, "Detecting Normalization Forms").
//! Each stretch lies between two characters that neither decompose, nor reorder, nor compose with what stands before
//! them, so the full algorithm runs on it alone and gives what it would give on the whole text.

use std::ops::Range;
use std::sync::OnceLock;

use unicode_normalization_alignments::char::canonical_combining_class;
use unicode_normalization_alignments::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use super::code_points::CodePoints;
use super::edit::Edit;

/// What the quick check needs to know about one form.
struct Form {
    /// Not a starter, or not `Yes` in the form's quick check. Any other character begins a stretch of its own.
    unstable: CodePoints,
    /// Not `Yes` in the form's quick check.
    unsure: CodePoints,
}

impl Form {
    fn new(quick_check: fn(std::iter::Once<char>) -> IsNormalized) -> Self {
        let unsure = |c| quick_check(std::iter::once(c)) != IsNormalized::Yes;
        Self {
            unstable: CodePoints::new(|c| canonical_combining_class(c) != 0 || unsure(c)),
            unsure: CodePoints::new(unsure),
        }
    }

    /// The first stretch at or after `from` that the form may change, begun at the stable character before it.
    fn next_stretch(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let mut at = from;
        while let Some(start) = self.unstable.find(text, at) {
            let (mut end, mut last_class, mut normalized) = (start, 0, true);
            for c in text[start..].chars().take_while(|&c| self.unstable.contains(c)) {
                let class = canonical_combining_class(c);
                normalized &= !self.unsure.contains(c) && (class == 0 || last_class <= class);
                last_class = class;
                end += c.len_utf8();
            }
            if !normalized {
                let before = text[from..start].chars().next_back().map_or(0, char::len_utf8);
                return Some(start - before..end);
            }
            at = end;
        }
        None
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

pub(super) fn nfc(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, is_nfc_quick, UnicodeNormalization::nfc);
}

pub(super) fn nfd(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, is_nfd_quick, UnicodeNormalization::nfd);
}

pub(super) fn nfkc(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, is_nfkc_quick, UnicodeNormalization::nfkc);
}

pub(super) fn nfkd(edit: &mut Edit<'_>) {
    static FORM: OnceLock<Form> = OnceLock::new();
    rewrite(edit, &FORM, is_nfkd_quick, UnicodeNormalization::nfkd);
}

/// Runs one form; its sets (1 ms to build) wait for the first text that is not ASCII.
fn rewrite<'s, I>(
    edit: &mut Edit<'s>,
    form: &OnceLock<Form>,
    quick_check: fn(std::iter::Once<char>) -> IsNormalized,
    normalize: impl Fn(&'s str) -> I,
) where
    I: Iterator<Item = (char, isize)>,
{
    if !edit.source().is_ascii() {
        form.get_or_init(|| Form::new(quick_check)).apply(edit, normalize);
    }
}
