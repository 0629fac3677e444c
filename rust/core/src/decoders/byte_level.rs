use std::borrow::Cow;

use crate::unicode::byte_chars::char_byte;

/// The text of byte-level tokens: the bytes that their characters stand for, what is not UTF-8 replaced. A token with a
/// character outside the alphabet (an added token) stands for its own bytes.
pub(super) fn decode(tokens: &[Cow<'_, str>]) -> String {
    let mut bytes = Vec::with_capacity(tokens.iter().map(|token| token.len()).sum());
    for token in tokens {
        let start = bytes.len();
        for character in token.chars() {
            if let Some(byte) = char_byte(character) {
                bytes.push(byte);
            } else {
                bytes.truncate(start);
                bytes.extend_from_slice(token.as_bytes());
                break;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
