//! Lowercase, by the mappings of the standard library that the reference was built with.

use std::sync::OnceLock;

use super::code_points::CodePoints;
use crate::{alignment::Edit, once::once, unicode::lowercase as lower};

/// Lowercases each character by itself; what a mapping adds (`İ` becomes two characters) counts as inserted.
pub(super) fn lowercase(edit: &mut Edit<'_>) {
    static CHANGED: OnceLock<CodePoints> = OnceLock::new();
    let changed = once(&CHANGED, || CodePoints::new(|c| u8::from(lower(c) != (c, None))));
    for (i, c) in edit.source().char_indices() {
        if c.is_ascii_uppercase() || !c.is_ascii() && changed.get(c) != 0 {
            edit.copy_to(i);
            let (first, second) = lower(c);
            edit.put(first, 0);
            if let Some(second) = second {
                edit.put(second, 1);
            }
        }
    }
}
