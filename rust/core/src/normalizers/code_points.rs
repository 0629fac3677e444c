//! A small number for each code point, looked up in UTF-8 text without decoding most of it.

/// A map from code points to `u8`. Those below U+0080, and those that have nothing to do with normalization, map to 0.
pub(super) struct CodePoints {
    /// For each 64 code points, their block: the last byte of a UTF-8 sequence numbers the value in its block, the
    /// others number the block.
    index: Vec<u16>,
    /// The distinct blocks.
    blocks: Vec<[u8; 64]>,
    /// For each byte that begins a sequence, a bit of its own.
    firsts: [u64; 256],
    /// For each byte, the bits of those it may follow as the second byte of a code point that does not map to 0.
    seconds: [u64; 256],
}

/// Bytes looked at together.
const CHUNK: usize = 32;

/// Where code points with a decomposition, a combining class, a lowercase mapping or the property Mark are: 60,000
/// instead of 1,100,000 to ask about. The tests check that there are none outside.
const RANGES: [std::ops::Range<u32>; 7] = [
    0x80..0x3400,
    0xA000..0xD7C0,
    0xF900..0x1_2000,
    0x1_6000..0x1_7000,
    0x1_B000..0x2_0000,
    0x2_F800..0x2_FC00,
    0xE_0100..0xE_0200,
];

impl CodePoints {
    /// The map of the code points in [`RANGES`] to what `value` says.
    pub(super) fn new(value: impl Fn(char) -> u8) -> Self {
        let mut map = Self {
            index: vec![0; 0x11_0000 / 64],
            blocks: vec![[0; 64]],
            firsts: std::array::from_fn(|byte| if (0xC0..0xF8).contains(&byte) { 1 << (byte - 0xC0) } else { 0 }),
            seconds: [0; 256],
        };
        for number in RANGES.into_iter().flat_map(|range| range.start / 64..range.end / 64) {
            let mut block = [0; 64];
            for (c, slot) in code_points_of(number).zip(&mut block) {
                *slot = char::from_u32(c).map_or(0, &value);
            }
            if block == [0; 64] {
                continue;
            }
            let known = map.blocks.iter().position(|other| *other == block);
            map.index[number as usize] = known.unwrap_or(map.blocks.len()) as u16;
            if known.is_none() {
                map.blocks.push(block);
            }
            let members = code_points_of(number).zip(block).filter(|(_, value)| *value != 0);
            for c in members.filter_map(|(c, _)| char::from_u32(c)) {
                let mut utf8 = [0; 4];
                c.encode_utf8(&mut utf8);
                map.seconds[utf8[1] as usize] |= map.firsts[utf8[0] as usize];
            }
        }
        map
    }

    /// The number of `c`.
    pub(super) fn get(&self, c: char) -> u8 {
        self.value(c as usize / 64, c as usize % 64)
    }

    fn value(&self, block: usize, place: usize) -> u8 {
        self.blocks[self.index[block] as usize][place]
    }

    /// Whether the two bytes that begin each sequence say that all of the code points that begin in the chunk map to 0.
    fn is_zero(&self, chunk: &[u8; CHUNK + 1]) -> bool {
        (0..CHUNK).fold(0, |any, i| any | self.firsts[chunk[i] as usize] & self.seconds[chunk[i + 1] as usize]) == 0
    }

    /// Goes through `text` from `from`, a character boundary, and gives the first position where `stop` is true of the
    /// number there. `stop` sees every number that is not 0, in order, and at least one 0 between two that are apart.
    pub(super) fn find(&self, text: &str, from: usize, mut stop: impl FnMut(u8, usize) -> bool) -> Option<usize> {
        let bytes = text.as_bytes();
        let (mut at, mut dense) = (from, false);
        while at < bytes.len() {
            let end = bytes.len().min(at + CHUNK);
            // Continuation bytes are never first, so no decoding is needed to know that a chunk is all 0.
            if bytes[at..end].is_ascii() || bytes[at..].first_chunk().is_some_and(|chunk| self.is_zero(chunk)) {
                stop(0, at);
                (at, dense) = (end, false);
                continue;
            }
            // In scripts where every chunk has some, asking again for each is a third of the work.
            let end = if dense { bytes.len().min(at + 4 * CHUNK) } else { end };
            dense = true;
            while at < end {
                let tail = |i: usize| (bytes[at + i] & 0x3F) as usize;
                let lead = bytes[at] as usize;
                let (value, len) = match lead {
                    // ASCII, or the rest of a character that the chunk before ended in.
                    ..0xC0 => (0, 1),
                    0xC0..0xE0 => (self.value(lead & 0x1F, tail(1)), 2),
                    0xE0..0xF0 => (self.value((lead & 0x0F) << 6 | tail(1), tail(2)), 3),
                    _ => (self.value((lead & 0x07) << 12 | tail(1) << 6 | tail(2), tail(3)), 4),
                };
                if stop(value, at) {
                    return Some(at);
                }
                at += len;
            }
        }
        None
    }
}

/// The code points of a block.
fn code_points_of(block: u32) -> std::ops::Range<u32> {
    block * 64..(block + 1) * 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization_alignments::char::{canonical_combining_class, is_combining_mark};
    use unicode_normalization_alignments::{IsNormalized, is_nfd_quick, is_nfkc_quick, is_nfkd_quick};

    #[test]
    fn nothing_of_concern_lies_outside_the_ranges() {
        let yes = IsNormalized::Yes;
        let outside = |c: &u32| !RANGES.iter().any(|range| range.contains(c));
        for c in (0x80..=0x10_FFFF).filter(outside).filter_map(char::from_u32) {
            let one = || std::iter::once(c);
            assert!(canonical_combining_class(c) == 0 && !is_combining_mark(c), "{c:?}");
            assert!(is_nfd_quick(one()) == yes && is_nfkd_quick(one()) == yes && is_nfkc_quick(one()) == yes, "{c:?}");
            assert!(c.to_lowercase().eq(one()), "{c:?}");
        }
    }

    #[test]
    fn finds_each_member_at_each_place_of_a_chunk() {
        let map = CodePoints::new(|c| u8::from(matches!(c, 'é' | '\u{301}' | '\u{3099}' | '\u{1D15E}')));
        for c in ['é', '\u{301}', '\u{3099}', '\u{1D15E}'] {
            assert_eq!(map.get(c), 1);
            for before in 0..80 {
                for filler in ["a", "è", "か", "𝄞"] {
                    let text = format!("{}{c}{filler}", filler.repeat(before));
                    let start = filler.len() * before;
                    assert_eq!(map.find(&text, 0, |value, _| value != 0), Some(start));
                    assert_eq!(map.find(&text, start + c.len_utf8(), |value, _| value != 0), None);
                }
            }
        }
    }
}
