//! Byte positions of a text to character positions.

use crate::kernels::{self, Work};

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
        kernels::specialize(kernels::isa(), Conversion { index: self, spans });
    }

    #[inline(always)]
    fn convert_seamless(&self, spans: &mut [[u32; 2]; RUN]) {
        let (low, high) = (spans[0][0], spans[RUN - 1][1]);
        let (before, starts) = self.place(low);
        if self.place(high).0 - before == high - low {
            let more = low - before;
            for span in spans {
                *span = span.map(|at| at - more);
            }
            return;
        }
        let mut first = before - u32::from(!starts);
        for span in spans {
            let (before, starts) = self.place(span[1]);
            *span = [first, before];
            first = before - u32::from(!starts);
        }
    }

    #[inline(always)]
    fn convert_each(&self, spans: &mut [[u32; 2]]) {
        for span in spans {
            *span = self.span(*span);
        }
    }

    /// A span of bytes as one of characters.
    #[inline(always)]
    pub(super) fn span(&self, [start, end]: [u32; 2]) -> [u32; 2] {
        let (first, starts) = self.place(start);
        // An empty span stays empty.
        let is_cut = !starts && end > start;
        [first - u32::from(is_cut), self.place(end).0]
    }

    /// Characters that start before the byte `at`, and whether one starts there.
    #[inline(always)]
    pub(super) fn place(&self, at: u32) -> (u32, bool) {
        let (before, starts) = self.blocks[at as usize / 64];
        let bit = 1 << (at % 64);
        (before + (starts & (bit - 1)).count_ones(), starts & bit != 0)
    }
}

/// Spans that are looked at together. Where they lie one behind the other, as those of byte-level tokens do, each end is
/// looked up once, and without a wide character among them two look-ups do for all: a half and a quarter of the time on
/// English text with typographic quotes and on code, where 8 and 32 together took longer.
const RUN: usize = 16;

struct Conversion<'c> {
    index: &'c CharIndex,
    spans: &'c mut [[u32; 2]],
}

impl Work for Conversion<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { index, spans } = self;
        let (runs, rest) = spans.as_chunks_mut::<RUN>();
        for run in runs {
            if are_seamless(run) {
                index.convert_seamless(run);
            } else {
                index.convert_each(run);
            }
        }
        index.convert_each(rest);
    }
}

/// Whether each span begins where the one before ends, and none is empty.
#[inline(always)]
fn are_seamless(spans: &[[u32; 2]; RUN]) -> bool {
    let mut are_seamless = spans[0][0] < spans[0][1];
    for i in 1..RUN {
        are_seamless &= spans[i][0] == spans[i - 1][1];
        are_seamless &= spans[i][0] < spans[i][1];
    }
    are_seamless
}

#[cfg(test)]
mod tests {
    use super::*;

    impl CharIndex {
        fn alone(&self, span: [u32; 2]) -> [u32; 2] {
            let mut spans = [span];
            self.convert(&mut spans);
            spans[0]
        }
    }

    #[test]
    fn spans_of_cut_characters_cover_them() {
        let text = "aé漢😀".repeat(40);
        let index = CharIndex::new(&text).expect("not ASCII");
        for start in 0..text.len() {
            for end in start + 1..=(start + 12).min(text.len()) {
                let first = text.char_indices().filter(|(at, _)| *at <= start).count() - 1;
                let last = text.char_indices().filter(|(at, _)| *at < end).count();
                assert_eq!(index.alone([start as u32, end as u32]), [first as u32, last as u32], "{start}..{end}");
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
        assert_eq!(converted, spans.iter().map(|&span| index.alone(span)).collect::<Vec<_>>());
    }

    #[test]
    fn spans_between_two_wide_characters_convert_alike() {
        let text = format!("{}é{}漢{}", "a".repeat(99), "b".repeat(150), "c".repeat(70));
        let index = CharIndex::new(&text).expect("not ASCII");
        let mut spans: Vec<_> = (0..text.len() as u32).step_by(2).map(|at| [at, at + 2]).collect();
        spans.extend([[100, 100], [101, 101], [text.len() as u32; 2]]);
        let alone: Vec<_> = spans.iter().map(|&span| index.alone(span)).collect();
        index.convert(&mut spans);
        assert_eq!(spans, alone);
    }

    #[test]
    fn ascii_needs_no_index() {
        assert!(CharIndex::new("plain").is_none());
    }
}
