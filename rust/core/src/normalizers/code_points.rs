//! Sets of code points that are found in UTF-8 text without decoding most of it.

/// A set of code points above U+007F.
pub(super) struct CodePoints {
    /// One bit per code point, 64 to a word: the last byte of a UTF-8 sequence numbers the bit, the others the word.
    words: Vec<u64>,
    /// For each byte, whether it begins the encoding of a member.
    leads: [bool; 256],
}

/// Bytes looked at together.
const CHUNK: usize = 32;

/// Where code points with a decomposition, a combining class or the property Mark are: 60,000 instead of 1,100,000 to
/// ask about. The tests check that there are none outside.
const RANGES: [std::ops::Range<u32>; 8] = [
    0x80..0x3400,
    0xA000..0xAC00,
    0xAC00..0xD7A4,
    0xF900..0x1_2000,
    0x1_6000..0x1_7000,
    0x1_B000..0x2_0000,
    0x2_F800..0x2_FC00,
    0xE_0100..0xE_01F0,
];

impl CodePoints {
    /// The code points above U+007F, out of the ranges that concern normalization, for which `member` is true.
    pub(super) fn new(member: impl Fn(char) -> bool) -> Self {
        let mut set = Self { words: vec![0; 0x11_0000 / 64], leads: [false; 256] };
        for c in RANGES.into_iter().flatten().filter_map(char::from_u32).filter(|&c| member(c)) {
            set.words[c as usize / 64] |= 1 << (c as usize % 64);
            set.leads[c.encode_utf8(&mut [0; 4]).as_bytes()[0] as usize] = true;
        }
        set
    }

    pub(super) fn contains(&self, c: char) -> bool {
        self.words[c as usize / 64] >> (c as usize % 64) & 1 != 0
    }

    /// Position of the first member at or after `from`, a character boundary.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = from;
        while at < bytes.len() {
            let end = bytes.len().min(at + CHUNK);
            let chunk = &bytes[at..end];
            // Continuation bytes are never leads, so no decoding is needed to know that a chunk has no member.
            if !chunk.is_ascii() && chunk.iter().fold(false, |any, &b| any | self.leads[b as usize]) {
                for (i, &b) in chunk.iter().enumerate() {
                    if self.leads[b as usize] && self.begins_at(bytes, at + i) {
                        return Some(at + i);
                    }
                }
            }
            at = end;
        }
        None
    }

    /// Whether the character that begins at `at`, and is not ASCII, is a member.
    fn begins_at(&self, bytes: &[u8], at: usize) -> bool {
        let tail = |i: usize| (bytes[at + i] & 0x3F) as usize;
        let lead = bytes[at] as usize;
        let (word, bit) = match lead {
            ..0xE0 => (lead & 0x1F, tail(1)),
            0xE0..0xF0 => ((lead & 0x0F) << 6 | tail(1), tail(2)),
            _ => ((lead & 0x07) << 12 | tail(1) << 6 | tail(2), tail(3)),
        };
        self.words[word] >> bit & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization_alignments::char::{canonical_combining_class, is_combining_mark};
    use unicode_normalization_alignments::{IsNormalized, is_nfd_quick, is_nfkc_quick, is_nfkd_quick};

    #[test]
    fn nothing_of_concern_lies_outside_the_ranges() {
        let yes = IsNormalized::Yes;
        for c in (0x80..=0x10_FFFF).filter(|c| !RANGES.iter().any(|range| range.contains(c))).filter_map(char::from_u32)
        {
            let one = || std::iter::once(c);
            assert!(canonical_combining_class(c) == 0 && !is_combining_mark(c), "{c:?}");
            assert!(is_nfd_quick(one()) == yes && is_nfkd_quick(one()) == yes && is_nfkc_quick(one()) == yes, "{c:?}");
        }
    }

    #[test]
    fn finds_each_member_at_each_place_of_a_chunk() {
        let set = CodePoints::new(|c| matches!(c, 'é' | '\u{301}' | '\u{3099}' | '\u{1D15E}'));
        for c in ['é', '\u{301}', '\u{3099}', '\u{1D15E}'] {
            assert!(set.contains(c));
            for before in 0..80 {
                for filler in ["a", "è", "か", "𝄞"] {
                    let text = format!("{}{c}{filler}", filler.repeat(before));
                    assert_eq!(set.find(&text, 0), Some(filler.len() * before));
                    assert_eq!(set.find(&text, filler.len() * before + c.len_utf8()), None);
                }
            }
        }
    }
}
