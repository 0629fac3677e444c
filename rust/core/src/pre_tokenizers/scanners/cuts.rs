//! Places where a text may be cut before it is normalized, so that its parts encode to what the whole encodes to.
//!
//! These are no patterns of pre-tokenizers: a cut may be left out anywhere, and a part may hold several words. Whoever uses
//! a [`Cut`] has to know why its places are safe for his pipeline (`tokenizer/words.rs`).

use crate::kernels::{self, Block, Boundaries, Grammar, Isa, Starts};

/// A set of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before a run of tab, newline, carriage return and space.
    Blanks,
    /// Before a run of spaces.
    Spaces,
    /// Before a run of spaces and U+2581.
    Marks,
    /// As [`Cut::Marks`], and before and behind every newline.
    MarksLines,
    /// As [`Cut::MarksLines`], and between an ASCII letter or digit and one of `.,;:!?)]"`.
    MarksLinesPunctuation,
    /// As [`Cut::Blanks`], and before and behind ASCII punctuation and CJK ideographs, but for blanks in front of them.
    Bert,
}

const BLANK: u8 = 1;
const SPACE: u8 = 2;
const NEWLINE: u8 = 4;
const ALPHANUMERIC: u8 = 8;
const CLOSING: u8 = 16;
/// ASCII punctuation, CJK ideographs.
const SINGLE: u8 = 32;
/// U+2581.
const MARK: u8 = 64;
/// What a grapheme goes on after whatever follows (`Prepend` of UAX #29).
const PREPEND: u8 = 128;

const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        table[byte] = match c {
            b' ' => BLANK | SPACE,
            b'\n' => BLANK | NEWLINE,
            b'\t' | b'\r' => BLANK,
            b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'"' => SINGLE | CLOSING,
            _ if c.is_ascii_punctuation() => SINGLE,
            _ if c.is_ascii_alphanumeric() => ALPHANUMERIC,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The bytes between which and an ASCII letter or digit [`Cut::MarksLinesPunctuation`] cuts.
pub const CLOSING_BYTES: &[u8] = b".,;:!?)]\"";

fn class_of(code_point: u32) -> u8 {
    match code_point {
        0x2581 => MARK,
        // The ideographs that `BertNormalizer` puts spaces around.
        0x4E00..=0x9FFF
        | 0x3400..=0x4DBF
        | 0x2_0000..=0x2_A6DF
        | 0x2_A700..=0x2_B73F
        | 0x2_B740..=0x2_B81F
        | 0x2_B920..=0x2_CEAF
        | 0xF900..=0xFAFF
        | 0x2_F800..=0x2_FA1F => SINGLE,
        0x0600..=0x0605
        | 0x06DD
        | 0x070F
        | 0x0890..=0x0891
        | 0x08E2
        | 0x0D4E
        | 0x1_10BD
        | 0x1_10CD
        | 0x1_11C2..=0x1_11C3
        | 0x1_13D1
        | 0x1_193F
        | 0x1_1941
        | 0x1_1A3A
        | 0x1_1A84..=0x1_1A89
        | 0x1_1D46
        | 0x1_1F02 => PREPEND,
        _ => 0,
    }
}

/// What a set of places asks of neighbours: a cut before a character that has `run`, behind one that has neither `run` nor
/// `never`; around one that has `alone`, but not between a `run` and it; between `left` and `right`.
struct Rule {
    run: u8,
    never: u8,
    alone: u8,
    left: u8,
    right: u8,
}

impl Rule {
    const fn runs(run: u8) -> Self {
        Self { run, never: PREPEND, alone: 0, left: 0, right: 0 }
    }

    /// Cuts before the character with class `now`, after one with class `before`.
    #[inline(always)]
    fn cuts(&self, before: u8, now: u8) -> bool {
        now & self.run != 0 && before & (self.run | self.never) == 0
            || now & self.alone != 0 && before & self.run == 0
            || before & self.alone != 0
            || before & self.left != 0 && now & self.right != 0
    }

    #[inline(always)]
    fn starts<B: Block>(&self, block: &B) -> Starts {
        let run = block.has(self.run);
        let mut starts = run & !((run | block.has(self.never)) << 1);
        if self.alone != 0 {
            let alone = block.has(self.alone);
            starts |= alone & !(run << 1) | alone << 1;
        }
        if self.left != 0 {
            starts |= (block.has(self.left) << 1) & block.has(self.right);
        }
        // A cut depends on nothing behind it.
        Starts { bits: starts & block.valid(), settled: block.is_last() }
    }

    fn piece_end(&self, text: &str, start: usize) -> usize {
        let mut classes = text[start..].char_indices().map(|(at, c)| {
            let class = if c.is_ascii() { ASCII[c as usize] } else { class_of(u32::from(c)) };
            (start + at, class)
        });
        let mut before = classes.next().map_or(0, |(_, class)| class);
        for (at, class) in classes {
            if self.cuts(before, class) {
                return at;
            }
            before = class;
        }
        text.len()
    }
}

const MARKS: u8 = SPACE | MARK;

macro_rules! grammar {
    ($name:ident, $rule:expr) => {
        struct $name;

        impl $name {
            const RULE: Rule = $rule;
        }

        impl Grammar for $name {
            const ASCII: &'static [u8; 128] = &ASCII;
            #[inline(always)]
            fn class_of(code_point: u32) -> u8 {
                class_of(code_point)
            }
            #[inline(always)]
            fn starts<B: Block>(block: &B) -> Starts {
                Self::RULE.starts(block)
            }
            fn piece_end(text: &str, start: usize) -> usize {
                Self::RULE.piece_end(text, start)
            }
        }
    };
}

grammar!(Blanks, Rule::runs(BLANK));
grammar!(Spaces, Rule::runs(SPACE));
grammar!(Marks, Rule { never: 0, ..Rule::runs(MARKS) });
grammar!(MarksLines, Rule { never: 0, alone: NEWLINE, ..Rule::runs(MARKS) });
grammar!(MarksLinesPunctuation, Rule { run: MARKS, never: 0, alone: NEWLINE, left: ALPHANUMERIC, right: CLOSING });
grammar!(Bert, Rule { never: 0, alone: SINGLE, ..Rule::runs(BLANK) });

impl Cut {
    /// Harvests the ends of parts from the start `from` of one on; see [`kernels::scan`].
    pub fn harvest(self, isa: Isa, text: &str, from: usize, out: &mut Boundaries) -> usize {
        match self {
            Self::Blanks => kernels::scan::<Blanks>(isa, text, from, out),
            Self::Spaces => kernels::scan::<Spaces>(isa, text, from, out),
            Self::Marks => kernels::scan::<Marks>(isa, text, from, out),
            Self::MarksLines => kernels::scan::<MarksLines>(isa, text, from, out),
            Self::MarksLinesPunctuation => kernels::scan::<MarksLinesPunctuation>(isa, text, from, out),
            Self::Bert => kernels::scan::<Bert>(isa, text, from, out),
        }
    }

    /// End of the part that starts at byte `start`.
    pub fn part_end(self, text: &str, start: usize) -> usize {
        match self {
            Self::Blanks => Blanks::RULE,
            Self::Spaces => Spaces::RULE,
            Self::Marks => Marks::RULE,
            Self::MarksLines => MarksLines::RULE,
            Self::MarksLinesPunctuation => MarksLinesPunctuation::RULE,
            Self::Bert => Bert::RULE,
        }
        .piece_end(text, start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_instruction_set_finds_the_same_parts(
            words in prop::collection::vec(
                prop_oneof!["[ \n\t\r]{1,3}", "[a-z]{1,9}", "[.,!#)]{1,3}", "[中文é▁\u{600}\u{301}]{1,4}", ".{0,3}", "[a-z]{60,70}"],
                0..60,
            ),
        ) {
            let text = words.concat();
            for cut in [Cut::Blanks, Cut::Spaces, Cut::Marks, Cut::MarksLines, Cut::MarksLinesPunctuation, Cut::Bert] {
                let mut expected = Vec::new();
                let mut at = 0;
                while at < text.len() {
                    at = cut.part_end(&text, at);
                    expected.push(at as u32);
                }
                for isa in [Isa::Scalar, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.is_available()) {
                    let (mut found, mut at, mut boundaries) = (Vec::new(), 0, Boundaries::new());
                    while at < text.len() {
                        at = cut.harvest(isa, &text, at, &mut boundaries);
                        found.extend_from_slice(boundaries.ends());
                    }
                    prop_assert_eq!(&found, &expected, "{:?} {:?}", cut, isa);
                }
            }
        }
    }
}
