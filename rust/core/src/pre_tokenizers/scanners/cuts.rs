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
    /// As [`Cut::Blanks`], and between an ASCII letter and one of [`TAIL_BYTES`] that ends a word.
    BlanksTails,
    /// Before a run of spaces.
    Spaces,
    /// Before a run of spaces and U+2581.
    Marks,
    /// As [`Cut::Marks`], but not behind characters of [`is_guarded`].
    GuardedMarks,
    /// As [`Cut::Marks`], and before and behind every newline.
    MarksLines,
    /// As [`Cut::MarksLines`], and between an ASCII letter or digit and ASCII punctuation, whichever comes first.
    MarksLinesPunctuation,
    /// As [`Cut::MarksLinesPunctuation`], with the punctuation of [`is_punctuation`], around every character of
    /// [`is_of_small_script`], and between ideographs and others.
    MarksScripts,
    /// As [`Cut::MarksScripts`], and around every ideograph.
    MarksIdeographs,
    /// As [`Cut::Blanks`], and before and behind punctuation and CJK ideographs, but for blanks in front of them.
    Bert,
}

/// Characters of which `SentencePiece` vocabularies made of Western text have no merges: Armenian and Hebrew, the scripts of
/// South and Southeast Asia and Africa, Japanese and Korean letters, East Asian punctuation.
pub fn is_of_small_script(c: char) -> bool {
    matches!(
        c,
        '\u{530}'..='\u{5FF}'
            | '\u{700}'..='\u{1CFF}'
            | '\u{3000}'..='\u{30FF}'
            | '\u{AC00}'..='\u{D7A3}'
            | '\u{FF00}'..='\u{FFEF}'
    )
}

/// The ideographs of the block that nearly all text is written with.
pub fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}')
}

/// Newlines, ASCII punctuation and what else may stand before a mark inside of a token.
pub fn is_guarded(c: char) -> bool {
    let class = if c.is_ascii() { ASCII[c as usize] } else { class_of(u32::from(c)) };
    class & GUARDED != 0
}

const BLANK: u8 = 1;
const SPACE: u8 = 2;
const NEWLINE: u8 = 4;
const ALPHANUMERIC: u8 = 8;
/// Punctuation to cut words from.
const POINT: u8 = 16;
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
            _ if c.is_ascii_punctuation() => SINGLE | POINT,
            _ if c.is_ascii_alphanumeric() => ALPHANUMERIC,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The punctuation that words are cut from: that of ASCII, and quotation marks and dashes.
pub fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || matches!(c, '\u{2010}'..='\u{2027}')
}

/// The bytes between which and an ASCII letter [`Cut::BlanksTails`] cuts, if a blank follows or nothing.
pub const TAIL_BYTES: &[u8] = b".,;:!?)\"";

/// Of ASCII characters for [`Cut::BlanksTails`].
const TAILS_ASCII: [u8; 128] = {
    let mut table = ASCII;
    let mut byte = 0;
    while byte < 128 {
        table[byte] &= BLANK;
        if (byte as u8).is_ascii_alphabetic() {
            table[byte] = ALPHANUMERIC;
        }
        byte += 1;
    }
    let mut i = 0;
    while i < TAIL_BYTES.len() {
        table[TAIL_BYTES[i] as usize] = POINT;
        i += 1;
    }
    table
};

/// Of ASCII characters for [`Cut::MarksScripts`] and [`Cut::MarksIdeographs`].
const MARKS_ASCII: [u8; 128] = {
    let mut table = ASCII;
    let mut byte = 0;
    while byte < 128 {
        table[byte] &= SPACE | NEWLINE | ALPHANUMERIC | POINT;
        byte += 1;
    }
    table
};

/// The classes of the characters below, of nearly all scripts but the East Asian ones.
static LOW_CLASSES: [u8; 0x3100] = {
    let mut table = [0; 0x3100];
    let mut code_point = 0;
    while code_point < table.len() {
        table[code_point] = rare_class_of(code_point as u32);
        code_point += 1;
    }
    table
};

#[inline(always)]
fn class_of(code_point: u32) -> u8 {
    match code_point {
        // Comparing instead of looking up took a sixth of the time of multilingual text.
        0..0x3100 => LOW_CLASSES[code_point as usize],
        // The ideographs that `BertNormalizer` puts spaces around.
        0x4E00..=0x9FFF => SINGLE,
        0xA000..=0xF8FF => 0,
        _ => rare_class_of(code_point),
    }
}

const fn rare_class_of(code_point: u32) -> u8 {
    match code_point {
        0x2581 => MARK,
        // Of punctuation the commonest, all that normalizers leave alone.
        0x3400..=0x4DBF
        | 0x2_0000..=0x2_A6DF
        | 0x2_A700..=0x2_B73F
        | 0x2_B740..=0x2_B81F
        | 0x2_B920..=0x2_CEAF
        | 0xF900..=0xFAFF
        | 0x2_F800..=0x2_FA1F
        | 0xA1
        | 0xAB
        | 0xB7
        | 0xBB
        | 0xBF
        | 0x2010..=0x2027
        | 0x2030..=0x2043
        | 0x2045..=0x2051
        | 0x3001..=0x3003
        | 0x3008..=0x3011
        | 0x3014..=0x301F
        | 0xFF01..=0xFF03
        | 0xFF05..=0xFF0A
        | 0xFF0C..=0xFF0F
        | 0xFF1A..=0xFF1B
        | 0xFF1F..=0xFF20
        | 0xFF3B..=0xFF3D
        | 0xFF5F..=0xFF65 => SINGLE,
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

/// Characters of [`is_of_small_script`], in the place of a flag that these rules do not ask for.
const SYLLABLE: u8 = PREPEND;

#[inline(always)]
fn script_of(code_point: u32) -> u8 {
    match char::from_u32(code_point) {
        Some('\u{2581}') => MARK,
        Some(c) if is_ideograph(c) => SINGLE,
        Some(c) if is_of_small_script(c) => SYLLABLE,
        Some(c) if is_punctuation(c) => POINT,
        _ => 0,
    }
}

/// What a set of places asks of neighbours: a cut before a character that has `run`, behind one that has neither `run` nor
/// `never`; around one that has `alone`, but not between a `run` and it; between `left` and `right` in any order; between
/// one that has `group` and one that has not.
struct Rule {
    run: u8,
    never: u8,
    alone: u8,
    left: u8,
    right: u8,
    group: u8,
}

impl Rule {
    const fn runs(run: u8) -> Self {
        Self { run, never: PREPEND, alone: 0, left: 0, right: 0, group: 0 }
    }

    /// Cuts before the character with class `now`, after one with class `before`.
    #[inline(always)]
    fn cuts(&self, before: u8, now: u8) -> bool {
        now & self.run != 0 && before & (self.run | self.never) == 0
            || now & self.alone != 0 && before & self.run == 0
            || before & self.alone != 0
            || before & self.left != 0 && now & self.right != 0
            || before & self.right != 0 && now & self.left != 0
            || (before ^ now) & self.group != 0 && before & self.run == 0
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
            let (left, right) = (block.has(self.left), block.has(self.right));
            starts |= left << 1 & right | right << 1 & left;
        }
        if self.group != 0 {
            let group = block.has(self.group);
            starts |= (group ^ group << 1) & !(run << 1);
        }
        // A cut depends on nothing behind it.
        Starts { bits: starts & block.valid(), settled: block.is_last() }
    }

    fn piece_end<G: Grammar>(&self, text: &str, start: usize) -> usize {
        let mut classes = text[start..].char_indices().map(|(at, c)| {
            let class = if c.is_ascii() { G::ASCII[c as usize] } else { G::class_of(u32::from(c)) };
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
const GUARDED: u8 = SINGLE | NEWLINE;
const PUNCTUATION: Rule = Rule { run: MARKS, never: 0, alone: NEWLINE, left: ALPHANUMERIC, right: POINT, group: 0 };

macro_rules! grammar {
    ($name:ident, $rule:expr) => {
        grammar!($name, $rule, ASCII, class_of);
    };
    ($name:ident, $rule:expr, $ascii:ident, $class_of:ident) => {
        struct $name;

        impl $name {
            const RULE: Rule = $rule;
        }

        impl Grammar for $name {
            const ASCII: &'static [u8; 128] = &$ascii;
            #[inline(always)]
            fn class_of(code_point: u32) -> u8 {
                $class_of(code_point)
            }
            #[inline(always)]
            fn starts<B: Block>(block: &B) -> Starts {
                Self::RULE.starts(block)
            }
            fn piece_end(text: &str, start: usize) -> usize {
                Self::RULE.piece_end::<Self>(text, start)
            }
        }
    };
}

grammar!(Blanks, Rule::runs(BLANK));
grammar!(Spaces, Rule::runs(SPACE));
grammar!(Marks, Rule { never: 0, ..Rule::runs(MARKS) });
grammar!(GuardedMarks, Rule { never: GUARDED, ..Rule::runs(MARKS) });
grammar!(MarksLines, Rule { never: 0, alone: NEWLINE, ..Rule::runs(MARKS) });
grammar!(MarksLinesPunctuation, PUNCTUATION);
grammar!(MarksScripts, Rule { alone: NEWLINE | SYLLABLE, group: SINGLE, ..PUNCTUATION }, MARKS_ASCII, script_of);
grammar!(MarksIdeographs, Rule { alone: NEWLINE | SYLLABLE | SINGLE, ..PUNCTUATION }, MARKS_ASCII, script_of);
grammar!(Bert, Rule { never: 0, alone: SINGLE, ..Rule::runs(BLANK) });

struct BlanksTails;

impl Grammar for BlanksTails {
    const ASCII: &'static [u8; 128] = &TAILS_ASCII;

    #[inline(always)]
    fn class_of(code_point: u32) -> u8 {
        class_of(code_point) & PREPEND
    }

    #[inline(always)]
    fn starts<B: Block>(block: &B) -> Starts {
        let blank = block.has(BLANK);
        // Whether a blank follows the last character of a block is seen when the next block begins, at the last cut before.
        let end = if block.is_last() { 1 << (block.count().max(1) - 1) } else { 0 };
        let tails = block.has(POINT) & block.has(ALPHANUMERIC) << 1 & (blank >> 1 | end);
        let words = blank & !((blank | block.has(PREPEND)) << 1);
        Starts { bits: (words | tails) & block.valid(), settled: block.is_last() }
    }

    fn piece_end(text: &str, start: usize) -> usize {
        let mut before = 0;
        for (at, c) in text[start..].char_indices().map(|(at, c)| (start + at, c)) {
            let class = if c.is_ascii() { TAILS_ASCII[c as usize] } else { Self::class_of(u32::from(c)) };
            let is_blank = |byte: &u8| TAILS_ASCII.get(usize::from(*byte)).is_some_and(|class| class & BLANK != 0);
            let is_tail = class & POINT != 0 && before & ALPHANUMERIC != 0;
            if at > start && class & BLANK != 0 && before & (BLANK | PREPEND) == 0
                || is_tail && text.as_bytes().get(at + 1).is_none_or(is_blank)
            {
                return at;
            }
            before = class;
        }
        text.len()
    }
}

impl Cut {
    /// Harvests the ends of parts from the start `from` of one on; see [`kernels::scan`].
    pub fn harvest(self, isa: Isa, text: &str, from: usize, out: &mut Boundaries) -> usize {
        match self {
            Self::Blanks => kernels::scan::<Blanks>(isa, text, from, out),
            Self::BlanksTails => kernels::scan::<BlanksTails>(isa, text, from, out),
            Self::Spaces => kernels::scan::<Spaces>(isa, text, from, out),
            Self::Marks => kernels::scan::<Marks>(isa, text, from, out),
            Self::GuardedMarks => kernels::scan::<GuardedMarks>(isa, text, from, out),
            Self::MarksLines => kernels::scan::<MarksLines>(isa, text, from, out),
            Self::MarksLinesPunctuation => kernels::scan::<MarksLinesPunctuation>(isa, text, from, out),
            Self::MarksScripts => kernels::scan::<MarksScripts>(isa, text, from, out),
            Self::MarksIdeographs => kernels::scan::<MarksIdeographs>(isa, text, from, out),
            Self::Bert => kernels::scan::<Bert>(isa, text, from, out),
        }
    }

    /// End of the part that starts at byte `start`.
    pub fn part_end(self, text: &str, start: usize) -> usize {
        match self {
            Self::Blanks => Blanks::piece_end(text, start),
            Self::BlanksTails => BlanksTails::piece_end(text, start),
            Self::Spaces => Spaces::piece_end(text, start),
            Self::Marks => Marks::piece_end(text, start),
            Self::GuardedMarks => GuardedMarks::piece_end(text, start),
            Self::MarksLines => MarksLines::piece_end(text, start),
            Self::MarksLinesPunctuation => MarksLinesPunctuation::piece_end(text, start),
            Self::MarksScripts => MarksScripts::piece_end(text, start),
            Self::MarksIdeographs => MarksIdeographs::piece_end(text, start),
            Self::Bert => Bert::piece_end(text, start),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::unicode::{PUNCTUATION, property};

    #[test]
    fn what_stands_alone_is_punctuation_or_set_apart() {
        for c in '\u{80}'..=char::MAX {
            let single = class_of(u32::from(c)) & SINGLE != 0;
            let apart = crate::normalizers::bert::is_chinese(c);
            assert_eq!(single, apart || single && property(c) & PUNCTUATION != 0, "{c:?}");
            let mut parts = 0;
            unicode_normalization_alignments::char::decompose_canonical(c, |_| parts += 1);
            assert!(!single || parts == 1, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_finds_the_same_parts(
            words in prop::collection::vec(
                prop_oneof!["[ \n\t\r]{1,3}", "[a-z]{1,9}", "[.,!#)]{1,3}", "[中文é▁\u{600}\u{301}]{1,4}", "[中文あ한、“สअእ]{1,4}", ".{0,3}", "[a-z]{60,70}"],
                0..60,
            ),
        ) {
            let text = words.concat();
            for cut in [
                Cut::Blanks,
                Cut::BlanksTails,
                Cut::Spaces,
                Cut::Marks,
                Cut::GuardedMarks,
                Cut::MarksLines,
                Cut::MarksLinesPunctuation,
                Cut::MarksScripts,
                Cut::MarksIdeographs,
                Cut::Bert,
            ] {
                let mut expected = Vec::new();
                let mut at = 0;
                while at < text.len() {
                    at = cut.part_end(&text, at);
                    expected.push(at as u32);
                }
                for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
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
