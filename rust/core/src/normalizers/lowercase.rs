//! Lowercase, by the standard library's mappings.

use super::edit::Edit;

/// Lowercases each character by itself; what a mapping adds (`İ` becomes two characters) counts as inserted.
pub(super) fn lowercase(edit: &mut Edit<'_>) {
    for c in edit.source().chars() {
        for (i, lower) in c.to_lowercase().enumerate() {
            edit.put(lower, isize::from(i > 0));
        }
    }
}
