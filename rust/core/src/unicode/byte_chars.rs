//! GPT-2's printable stand-ins for bytes, in which byte-level vocabularies are written.

/// The character of each byte: itself where it is printable, else the next one from U+0100 on.
pub const BYTE_CHARS: [char; 256] = byte_chars();

/// The byte that a character stands for.
#[inline]
pub const fn char_byte(c: char) -> Option<u8> {
    match c as u32 {
        cp @ (33..=126 | 161..=172 | 174..=255) => Some(cp as u8),
        cp @ 256..=323 => Some(OTHERS[cp as usize - 256]),
        _ => None,
    }
}

/// The byte that the character of two UTF-8 bytes stands for; the first is C2 to C5.
#[inline(always)]
pub fn pair_byte(first: u8, second: u8) -> Option<u8> {
    PAIRS[usize::from(first - 0xC2) << 6 | usize::from(second & 0x3F)]
}

const PAIRS: [Option<u8>; 256] = {
    let mut pairs = [None; 256];
    let mut index = 0;
    while index < pairs.len() {
        pairs[index] = match char::from_u32(0x80 + index as u32) {
            Some(c) => char_byte(c),
            None => None,
        };
        index += 1;
    }
    pairs
};

const fn is_printable(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

const fn byte_chars() -> [char; 256] {
    let mut chars = ['\0'; 256];
    let (mut byte, mut others) = (0, 0);
    while byte < 256 {
        let cp = if is_printable(byte as u8) { byte as u32 } else { 256 + others };
        others += !is_printable(byte as u8) as u32;
        chars[byte] = match char::from_u32(cp) {
            Some(c) => c,
            None => unreachable!(),
        };
        byte += 1;
    }
    chars
}

/// The bytes without a printable character of their own, in order.
const OTHERS: [u8; 68] = {
    let mut others = [0; 68];
    let (mut byte, mut n) = (0, 0);
    while byte < 256 {
        if !is_printable(byte as u8) {
            others[n] = byte as u8;
            n += 1;
        }
        byte += 1;
    }
    others
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        for byte in 0..=255 {
            assert_eq!(char_byte(BYTE_CHARS[usize::from(byte)]), Some(byte));
        }
        assert_eq!(BYTE_CHARS[b' ' as usize], 'Ġ');
        assert_eq!(char_byte(' '), None);
        for c in '\u{80}'..='\u{17F}' {
            let mut buffer = [0; 2];
            c.encode_utf8(&mut buffer);
            assert_eq!(pair_byte(buffer[0], buffer[1]), char_byte(c), "{c}");
        }
        assert_eq!(char_byte('\u{144}'), None);
    }
}
