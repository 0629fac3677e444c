//! `ByteLevel`: bytes as printable characters, and the split of GPT-2.

use serde::Deserialize;

/// Configuration of `ByteLevel`, as a pre-tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ByteLevel {
    /// Put a space before a text that does not start with one.
    pub add_prefix_space: bool,
    /// Of use to the post-processor of the same name only.
    pub trim_offsets: bool,
    /// Split with the pattern of GPT-2.
    #[serde(default = "yes")]
    pub use_regex: bool,
}

fn yes() -> bool {
    true
}

/// The character that stands for each byte in a byte-level vocabulary.
///
/// Printable characters of Latin-1 stand for themselves; the 68 other bytes take the characters from U+0100 on, in order
/// (`bytes_to_unicode` in GPT-2's `encoder.py`).
pub const BYTE_CHARS: [char; 256] = byte_chars();

/// Number of bytes that do not stand for themselves.
const SHIFTED: usize = 68;

/// The bytes behind U+0100, U+0101, ...
const SHIFTED_BYTES: [u8; SHIFTED] = shifted_bytes();

/// The byte that `c` stands for in a byte-level vocabulary.
#[inline]
pub fn char_byte(c: char) -> Option<u8> {
    let cp = c as u32;
    if cp < 0x100 {
        return is_printable(cp as u8).then_some(cp as u8);
    }
    SHIFTED_BYTES.get(cp as usize - 0x100).copied()
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

const fn shifted_bytes() -> [u8; SHIFTED] {
    let mut bytes = [0; SHIFTED];
    let (mut byte, mut next) = (0, 0);
    while byte < 256 {
        if !is_printable(byte as u8) {
            bytes[next] = byte as u8;
            next += 1;
        }
        byte += 1;
    }
    assert!(next == SHIFTED);
    bytes
}

const fn byte_chars() -> [char; 256] {
    let mut chars = ['\0'; 256];
    let mut byte = 0;
    while byte < 256 {
        chars[byte] = byte as u8 as char;
        byte += 1;
    }
    let mut next = 0;
    while next < SHIFTED {
        chars[SHIFTED_BYTES[next] as usize] = match char::from_u32(0x100 + next as u32) {
            Some(c) => c,
            None => unreachable!(),
        };
        next += 1;
    }
    chars
}
