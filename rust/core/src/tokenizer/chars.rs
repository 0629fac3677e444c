//! Byte positions of a text to character positions.

use crate::kernels;

/// Character positions of a text: a count of characters before every 64th byte, and a mask of first bytes for the rest.
///
/// A position inside a character (a token may cut one) counts as the start of that character when a span begins there,
/// and as its end when a span ends there: the token is said to cover the whole character, as in the reference.
pub(super) struct CharIndex {
    /// For every 64 bytes: characters that start before them, and which of them start one.
    blocks: Vec<(u32, u64)>,
}

impl CharIndex {
    /// The index of a text, or nothing for one in which bytes and characters are the same.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.is_ascii() {
            return None;
        }
        let mut before = 0;
        let mut blocks = Vec::with_capacity(text.len() / 64 + 2);
        kernels::character_starts(kernels::isa(), text, |starts| {
            blocks.push((before, starts));
            before += starts.count_ones();
        });
        blocks.push((before, 0));
        Some(Self { blocks })
    }

    /// Spans of bytes to spans of characters, in place.
    pub(super) fn convert(&self, spans: &mut [[u32; 2]]) {
        kernels::specialize(kernels::isa(), || {
            // A span mostly begins where the one before ends, or a blank behind it, and that end has been looked up.
            let (mut at, mut first) = (0, 0);
            for span in spans {
                let [start, end] = *span;
                let gap = start.wrapping_sub(at);
                if gap > 1 || end == start || !self.starts(start) {
                    *span = self.span(*span);
                } else {
                    *span = [first + (gap & u32::from(self.starts(at))), self.starts_before(end)];
                }
                (at, first) = (end, span[1]);
            }
        });
    }

    /// Whether a character starts at this byte.
    #[inline(always)]
    fn starts(&self, at: u32) -> bool {
        self.blocks[at as usize / 64].1 >> (at % 64) & 1 != 0
    }

    /// Characters that start before the byte `at`.
    #[inline(always)]
    fn starts_before(&self, at: u32) -> u32 {
        let (before, starts) = self.blocks[at as usize / 64];
        before + (starts & ((1 << (at % 64)) - 1)).count_ones()
    }

    /// A span of bytes as a span of characters.
    #[inline(always)]
    fn span(&self, [start, end]: [u32; 2]) -> [u32; 2] {
        let (block, bit) = (start as usize / 64, start % 64);
        let inside = self.blocks[block].1 >> bit & 1 == 0 && block + 1 < self.blocks.len();
        let first = self.starts_before(start);
        // An empty span stays empty.
        let last = if end == start { first } else { self.starts_before(end) };
        [first - u32::from(inside && end > start), last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_cut_characters_cover_them() {
        let text = "aé漢😀".repeat(40);
        let index = CharIndex::new(&text).expect("not ASCII");
        for start in 0..text.len() {
            for end in start + 1..=(start + 12).min(text.len()) {
                let first = text.char_indices().filter(|(at, _)| *at <= start).count() - 1;
                let last = text.char_indices().filter(|(at, _)| *at < end).count();
                assert_eq!(index.span([start as u32, end as u32]), [first as u32, last as u32], "{start}..{end}");
            }
        }
    }

    #[test]
    fn spans_convert_alike_alone_and_in_a_row() {
        let text = "aé漢😀".repeat(40);
        let index = CharIndex::new(&text).expect("not ASCII");
        // Neighbours, repeats, gaps and steps back, with cuts inside of characters.
        let places = (0..400u32).map(|i| i * 37 % text.len() as u32);
        let rows = (0..text.len() as u32 - 3).step_by(3).map(|at| [at, at + 3]);
        let spans: Vec<_> = rows.chain(places.map(|at| [at, (at + at % 9).min(text.len() as u32)])).collect();
        let mut converted = spans.clone();
        index.convert(&mut converted);
        assert_eq!(converted, spans.iter().map(|&span| index.span(span)).collect::<Vec<_>>());
    }

    #[test]
    fn ascii_needs_no_index() {
        assert!(CharIndex::new("plain").is_none());
    }
}
