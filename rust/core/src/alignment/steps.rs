//! Steps that normalizers and pre-tokenizers share.

use super::Edit;
use crate::unicode::byte_chars::BYTE_CHARS;

/// Puts `prefix` before the text, which is not empty. As in the reference, `prefix` takes the place of the first
/// character, which is then inserted after it, so that all of them share that character's range.
pub fn prepend(edit: &mut Edit<'_>, prefix: &str) {
    let Some(first) = edit.source()[edit.position()..].chars().next() else { return };
    let end = edit.position() + first.len_utf8();
    let mut prefix = prefix.chars();
    if let Some(c) = prefix.next() {
        edit.put(c, 0);
    }
    edit.insert(prefix.as_str());
    edit.insert(first.encode_utf8(&mut [0; 4]));
    edit.skip_to(end);
}

/// Spells `text`, the part of the source that comes next: the first byte of a character takes its place, the others
/// count as inserted.
pub fn spell(edit: &mut Edit<'_>, text: &str) {
    for c in text.chars() {
        let mut utf8 = [0; 4];
        for (i, &byte) in c.encode_utf8(&mut utf8).as_bytes().iter().enumerate() {
            edit.put(BYTE_CHARS[usize::from(byte)], isize::from(i > 0));
        }
    }
}
