//! `BertNormalizer`: cleans a text, sets Chinese characters apart, strips accents, lowercases.

use serde::Deserialize;

use super::{Normalized, lowercase, rewrite, unicode as forms};
use crate::alignment::Edit;
use crate::error::Result;
use crate::unicode::{NONSPACING, UNCLEAN, WHITE_SPACE, property};

/// Configuration of `BertNormalizer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Bert {
    /// Drop control characters, U+0000 and U+FFFD; make white space a space.
    pub clean_text: bool,
    /// Put spaces around Chinese characters.
    pub handle_chinese_chars: bool,
    /// Decompose and drop nonspacing marks; left out, as `lowercase`.
    pub strip_accents: Option<bool>,
    /// Lowercase.
    pub lowercase: bool,
}

impl Bert {
    /// Whether accents go.
    pub fn strips_accents(self) -> bool {
        self.strip_accents.unwrap_or(self.lowercase)
    }

    /// The reference runs every step over the whole text, and so does this: what one leaves is the next one's text.
    pub(super) fn apply(self, state: &mut Normalized<'_>, track: bool) -> Result<()> {
        const STEP: &str = "BertNormalizer";

        if self.clean_text {
            rewrite(state, track, STEP, |edit| filter(edit, is_removed))?;
            rewrite(state, track, STEP, |edit| map(edit, |c| if is_blank(c) { ' ' } else { c }))?;
        }
        if self.handle_chinese_chars {
            rewrite(state, track, STEP, set_chinese_apart)?;
        }
        if self.strips_accents() {
            rewrite(state, track, STEP, forms::nfd)?;
            rewrite(state, track, STEP, |edit| filter(edit, |c| property(c) & NONSPACING != 0))?;
        }
        if self.lowercase {
            rewrite(state, track, STEP, lowercase::lowercase)?;
        }
        Ok(())
    }
}

/// What cleaning drops. Tabs and line breaks are white space here, not control characters.
pub fn is_removed(c: char) -> bool {
    property(c) & UNCLEAN != 0
}

/// What cleaning makes a space.
pub(super) fn is_blank(c: char) -> bool {
    property(c) & WHITE_SPACE != 0
}

/// The blocks of Chinese characters, as BERT's original code lists them (with the gap before U+2B920).
pub fn is_chinese(c: char) -> bool {
    matches!(
        c as u32,
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x2_0000..=0x2_A6DF
            | 0x2_A700..=0x2_B73F
            | 0x2_B740..=0x2_B81F
            | 0x2_B920..=0x2_CEAF
            | 0xF900..=0xFAFF
            | 0x2_F800..=0x2_FA1F
    )
}

/// Removes the characters that `remove` is true of.
pub(super) fn filter(edit: &mut Edit<'_>, remove: impl Fn(char) -> bool) {
    for (i, c) in edit.source().char_indices() {
        if remove(c) {
            edit.copy_to(i);
            edit.skip_to(i + c.len_utf8());
        }
    }
}

/// Replaces each character by another one.
pub(super) fn map(edit: &mut Edit<'_>, to: impl Fn(char) -> char) {
    for (i, c) in edit.source().char_indices() {
        let new = to(c);
        if new != c {
            edit.copy_to(i);
            edit.put(new, 0);
        }
    }
}

/// A space takes the character's place; the character and a second space count as inserted.
fn set_chinese_apart(edit: &mut Edit<'_>) {
    let text = edit.source();
    if text.is_ascii() {
        return;
    }
    for (i, c) in text.char_indices() {
        if is_chinese(c) {
            edit.copy_to(i);
            edit.put(' ', 0);
            edit.put(c, 1);
            edit.put(' ', 1);
        }
    }
}
