//! Prepend: a string before the text.

use super::edit::Edit;

/// Puts `prefix` before the text, which is not empty. As in the reference, `prefix` takes the place of the first
/// character, which is then inserted after it, so that all of them share that character's range.
pub(super) fn prepend(edit: &mut Edit<'_>, prefix: &str) {
    let Some(first) = edit.source().chars().next() else { return };
    let mut prefix = prefix.chars();
    if let Some(c) = prefix.next() {
        edit.put(c, 0);
    }
    edit.insert(prefix.as_str());
    edit.insert(first.encode_utf8(&mut [0; 4]));
    edit.skip_to(first.len_utf8());
}
