use std::borrow::Cow;

/// The text of byte-level tokens: the bytes that their characters stand for, what is not UTF-8 replaced. A token with a
/// character outside the alphabet (an added token) stands for its own bytes.
pub(super) fn decode(tokens: &[Cow<'_, str>]) -> String {
    let mut bytes = Vec::with_capacity(tokens.iter().map(|token| token.len()).sum());
    for token in tokens {
        let start = bytes.len();
        for character in token.chars() {
            if let Some(byte) = byte_of(character) {
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

/// The byte that a character of the byte-level alphabet stands for.
///
/// The alphabet is GPT-2's `bytes_to_unicode`: the printable characters of Latin-1 stand for themselves, and the other
/// 68 bytes, in order, for the characters from U+0100 on.
pub(crate) fn byte_of(character: char) -> Option<u8> {
    match character as u32 {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The character of the byte-level alphabet that stands for a byte.
pub(crate) fn char_of(byte: u8) -> char {
    match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => byte as char,
        0x00..=0x20 => char::from_u32(0x100 + u32::from(byte)).unwrap_or_default(),
        0x7f..=0xa0 => char::from_u32(0x121 + u32::from(byte - 0x7f)).unwrap_or_default(),
        0xad => '\u{143}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_one_to_one() {
        for byte in 0..=255 {
            assert_eq!(byte_of(char_of(byte)), Some(byte));
        }
        assert_eq!(
            (char_of(b' '), char_of(b'\n'), char_of(0x7f), char_of(0xa0), char_of(0xad)),
            ('Ġ', 'Ċ', 'ġ', 'ł', 'Ń')
        );
        assert_eq!((0..=char::MAX as u32).filter_map(char::from_u32).filter_map(byte_of).count(), 256);
    }
}
