//! Strip (white space at the ends) and `StripAccents` (combining marks anywhere).

use std::sync::OnceLock;

use unicode_normalization_alignments::char::is_combining_mark;

use super::code_points::CodePoints;
use crate::{alignment::Edit, once::once};

/// The part of `text` that remains.
fn stripped(text: &str, left: bool, right: bool) -> &str {
    let text = if left { text.trim_start() } else { text };
    if right { text.trim_end() } else { text }
}

/// Whether [`strip`] would remove anything.
pub(super) fn would_strip(text: &str, left: bool, right: bool) -> bool {
    stripped(text, left, right).len() != text.len()
}

/// Removes white space at the start, at the end, or at both.
pub(super) fn strip(edit: &mut Edit<'_>, left: bool, right: bool) {
    let text = edit.source();
    let leading = if left { text.len() - text.trim_start().len() } else { 0 };
    let end = leading + stripped(text, left, right).len();
    edit.skip_to(leading);
    edit.copy_to(end);
    edit.skip_to(text.len());
}

/// Removes combining marks (general category Mark).
pub(super) fn strip_accents(edit: &mut Edit<'_>) {
    static MARKS: OnceLock<CodePoints> = OnceLock::new();
    let text = edit.source();
    if text.is_ascii() {
        return;
    }
    let marks = once(&MARKS, || CodePoints::new(|c| u8::from(is_combining_mark(c))));
    let mut at = 0;
    while let Some(start) = marks.find(text, at, |mark, _| mark != 0) {
        let mark = text[start..].chars().next().map_or(0, char::len_utf8);
        edit.copy_to(start);
        at = start + mark;
        edit.skip_to(at);
    }
}
