//! `Nmt`: drops control characters and makes a space of what else `SentencePiece` takes for one.

use super::bert::{filter, map};
use super::{Normalized, rewrite};
use crate::error::Result;

const STEP: &str = "Nmt";

pub(super) fn apply(state: &mut Normalized<'_>, track: bool) -> Result<()> {
    rewrite(state, track, STEP, |edit| filter(edit, is_removed))?;
    rewrite(state, track, STEP, |edit| map(edit, |c| if is_space(c) { ' ' } else { c }))
}

/// What becomes of a character.
pub(super) fn of_char(c: char) -> Option<char> {
    (!is_removed(c)).then_some(if is_space(c) { ' ' } else { c })
}

fn is_removed(c: char) -> bool {
    matches!(c as u32, 0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0x8F | 0x9F)
}

fn is_space(c: char) -> bool {
    matches!(
        c as u32,
        0x09 | 0x0A | 0x0C | 0x0D | 0x1680 | 0x200B..=0x200F | 0x2028 | 0x2029 | 0x2581 | 0xFEFF | 0xFFFD
    )
}
