//! Lowercase, by the standard library's mappings.

use std::sync::OnceLock;

use super::code_points::CodePoints;
use super::edit::Edit;

/// Lowercases each character by itself; what a mapping adds (`İ` becomes two characters) counts as inserted.
pub(super) fn lowercase(edit: &mut Edit<'_>) {
    static CHANGED: OnceLock<CodePoints> = OnceLock::new();
    let changed = CHANGED.get_or_init(|| CodePoints::new(|c| u8::from(!c.to_lowercase().eq(std::iter::once(c)))));
    for (i, c) in edit.source().char_indices() {
        if c.is_ascii_uppercase() || !c.is_ascii() && changed.get(c) != 0 {
            edit.copy_to(i);
            for (i, lower) in c.to_lowercase().enumerate() {
                edit.put(lower, isize::from(i > 0));
            }
        }
    }
}
