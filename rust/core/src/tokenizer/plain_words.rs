//! What the stages before the model make of a plain part of a text, known without running them.
//!
//! Of nearly all characters every stage makes something that does not depend on what stands beside them. A part of such
//! characters is written down at once as the model's pieces; anything else goes through the pipeline (general.rs).

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    Normalizer, PreTokenizer,
    models::alphabet::{Alphabet, Letter},
    normalizers::{OneChar, one_char},
    once::once,
    pre_tokenizers::PrependScheme,
    unicode::{PUNCTUATION, WHITE_SPACE, property},
};

/// Rules that make a plain part pieces.
pub(super) struct PlainWords {
    /// What each character becomes; without it only spaces change.
    rules: Option<CharTable>,
    /// What may stand before the word.
    blanks: Blanks,
    /// What each piece begins with.
    mark: Option<char>,
}

/// What stands before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanks {
    /// Any number of tabs, newlines, carriage returns and spaces.
    Dropped,
    /// One space, for which the mark stands.
    One,
    /// Every space of the part becomes the mark.
    Marked,
}

/// The pieces of a part, in the letters of the model.
#[derive(Default)]
pub(super) struct PlainPieces {
    letters: Vec<Letter>,
    /// Where each piece ends in `letters`.
    ends: Vec<usize>,
    /// Where each letter begins in `origins`, and where the last one ends, if spans were asked for.
    starts: Vec<u32>,
    /// For each letter the bytes of the part that it stands for, if spans were asked for: once for each of its bytes where
    /// the model counts these.
    origins: Vec<[u32; 2]>,
    track: bool,
    /// Whether each letter stands for one character with as many bytes, but for marks, and some token has it.
    aligned: bool,
}

impl PlainPieces {
    fn begin(&mut self, track: bool) {
        self.letters.clear();
        self.ends.clear();
        self.starts.clear();
        self.origins.clear();
        self.track = track;
        self.aligned = true;
        if track {
            self.starts.push(0);
        }
    }

    #[inline(always)]
    fn push(&mut self, alphabet: &Alphabet, letter: Letter, from: usize, to: usize) {
        self.letters.push(letter);
        if self.track {
            let count = if alphabet.is_any() { alphabet.char(letter).len_utf8() } else { 1 };
            self.origins.extend(std::iter::repeat_n([from as u32, to as u32], count));
            self.starts.push(self.origins.len() as u32);
        }
    }

    /// Ends a piece, unless nothing is in it.
    #[inline(always)]
    fn end(&mut self) {
        if self.ends.last().copied().unwrap_or(0) < self.letters.len() {
            self.ends.push(self.letters.len());
        }
    }

    /// The only piece, if each of its letters is known and stands for one character of the part with as many bytes; its mark
    /// stands for a space or for nothing.
    pub(super) fn aligned(&self) -> Option<&[Letter]> {
        (self.aligned && self.ends.len() == 1).then_some(&self.letters)
    }

    /// The pieces, and where their letters begin and end if spans were asked for.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&[Letter], &[u32])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| (&self.letters[start..end], if self.track { &self.starts[start..=end] } else { &[] }))
    }

    /// The bytes of the part that a span of the pieces stands for.
    #[inline(always)]
    pub(super) fn original(&self, [start, end]: [u32; 2]) -> [u32; 2] {
        let end_of_part = self.origins.last().map_or(0, |origin| origin[1]);
        let from = self.origins.get(start as usize).map_or(end_of_part, |origin| origin[0]);
        [from, if end > start { self.origins[end as usize - 1][1] } else { from }]
    }
}

impl PlainWords {
    /// The rules for BERT's pipeline.
    pub(super) fn bert(normalizers: &[&Normalizer], alphabet: &Alphabet) -> Self {
        Self::new(normalizers, Splitter::Bert, Blanks::Dropped, None, alphabet)
    }

    /// The rules for words that `WhitespaceSplit` cuts and these steps rewrite, if there are any.
    pub(super) fn white_space(
        normalizers: &[&Normalizer],
        rest: &[&PreTokenizer],
        alphabet: &Alphabet,
    ) -> Option<Self> {
        let mark = match rest {
            [] => None,
            [PreTokenizer::Metaspace(metaspace)]
                if metaspace.prepend_scheme == PrependScheme::Always && !metaspace.replacement.is_ascii() =>
            {
                Some(metaspace.replacement)
            }
            _ => return None,
        };
        Some(Self::new(normalizers, Splitter::WhiteSpace(mark), Blanks::Dropped, mark, alphabet))
    }

    /// The rules for words that `Metaspace` cuts.
    pub(super) fn metaspace(normalizers: &[&Normalizer], mark: char, alphabet: &Alphabet) -> Self {
        Self::new(normalizers, Splitter::Spaces(mark), Blanks::One, Some(mark), alphabet)
    }

    /// The rules for text of which only the spaces change.
    pub(super) fn marks(mark: char) -> Self {
        Self { rules: None, blanks: Blanks::Marked, mark: Some(mark) }
    }

    /// What each piece begins with.
    pub(super) fn mark(&self) -> Option<char> {
        self.mark
    }

    fn new(
        normalizers: &[&Normalizer],
        splitter: Splitter,
        blanks: Blanks,
        mark: Option<char>,
        alphabet: &Alphabet,
    ) -> Self {
        let steps = normalizers.iter().map(|&step| step.clone()).collect();
        let rules = CharTable::new(steps, splitter);
        for (c, becomes) in letters(normalizers) {
            rules.set(c, Rule::new(c, 0, &[becomes], alphabet));
        }
        Self { rules: Some(rules), blanks, mark }
    }

    /// Writes the pieces of a part, if it is plain. A `first` part gets a mark that is not there.
    #[inline]
    pub(super) fn write(
        &self,
        alphabet: &Alphabet,
        part: &[u8],
        first: bool,
        track: bool,
        out: &mut PlainPieces,
    ) -> bool {
        out.begin(track);
        let Some(rules) = &self.rules else {
            self.write_marked(alphabet, part, first, out);
            return true;
        };
        let blank = |&&byte: &&u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' ');
        let skipped = part.iter().take_while(blank).count();
        let expected = if first { skipped == 0 } else { skipped == 1 && part[0] == b' ' };
        if self.blanks == Blanks::One && !expected || skipped == part.len() {
            return false;
        }
        // The mark stands for the space, or takes the place of the character.
        let of_space = (self.blanks == Blanks::One && !first).then(|| (skipped - 1, skipped));
        let mut wide = false;
        let mut in_piece = false;
        let mut to = skipped;
        while to < part.len() {
            let from = to;
            let (c, len) = decode(&part[from..]);
            to += len;
            let rule = rules.get(c, alphabet);
            if rule.has(SPECIAL) {
                if rule.has(DEPENDS) || rule.has(AFTER_WIDE) && !wide {
                    return false;
                }
                if rule.has(BREAKS | ALONE) {
                    out.end();
                    in_piece = false;
                }
                out.aligned &= !rule.has(UNALIGNED);
                if rule.count() == 0 {
                    wide = rule.has(WIDE);
                    continue;
                }
            }
            wide = rule.has(WIDE);
            if !std::mem::replace(&mut in_piece, true)
                && let Some(mark) = self.mark
            {
                let (from, to) = of_space.unwrap_or((from, to));
                out.push(alphabet, alphabet.letter(mark), from, to);
            }
            if rule.has(SPECIAL) {
                rule.each(|letter| out.push(alphabet, letter, from, to));
                if rule.has(ALONE) {
                    out.end();
                    in_piece = false;
                }
            } else {
                out.push(alphabet, rule.letter(), from, to);
            }
        }
        out.end();
        // A space whose word vanishes is a mark still.
        self.blanks != Blanks::One || !out.letters.is_empty()
    }

    fn write_marked(&self, alphabet: &Alphabet, part: &[u8], first: bool, out: &mut PlainPieces) {
        let mark = alphabet.letter(self.mark.expect("given with the rule"));
        if first {
            out.push(alphabet, mark, 0, if part.is_empty() { 0 } else { decode(part).1 });
        }
        let mut at = 0;
        while at < part.len() {
            let (c, len) = decode(&part[at..]);
            let letter =
                if c == u32::from(b' ') { mark } else { alphabet.letter(char::from_u32(c).unwrap_or_default()) };
            out.push(alphabet, letter, at, at + len);
            at += len;
        }
        out.end();
    }
}

/// What normalizers make of visible ASCII characters, where that is another, whatever visible ASCII stands beside it.
fn letters(normalizers: &[&Normalizer]) -> Vec<(char, char)> {
    let mut in_patterns = [false; 128];
    for step in normalizers {
        if let Normalizer::Replace(replace) = step
            && let Some(literal) = replace.as_literal()
        {
            literal.bytes().filter(u8::is_ascii).for_each(|byte| in_patterns[usize::from(byte)] = true);
        }
    }
    let becomes = |c: char| {
        let mut text = c.to_string();
        for step in normalizers {
            text = step.normalize(&text).ok()?.into_owned();
        }
        match text.as_bytes() {
            &[new] if new.is_ascii_graphic() => Some((c, char::from(new))),
            _ => None,
        }
    };
    ('!'..='~').filter(|&c| !in_patterns[c as usize]).filter_map(becomes).collect()
}

/// What cuts the normalized text into pieces.
enum Splitter {
    /// `BertPreTokenizer`.
    Bert,
    /// `WhitespaceSplit`, and this mark before each word.
    WhiteSpace(Option<char>),
    /// Spaces, which become this mark.
    Spaces(char),
}

/// What becomes of a character: up to three letters of 17 to 21 bits, their number, and flags.
#[derive(Clone, Copy)]
struct Rule(u64);

const COUNT_SHIFT: u32 = 55;
/// The character was looked at.
const KNOWN: u64 = 1 << 63;
/// What becomes of it depends on what stands beside it.
const DEPENDS: u64 = 1 << 62;
/// The rule holds behind a [`WIDE`] character only.
const AFTER_WIDE: u64 = 1 << 61;
const WIDE: u64 = 1 << 60;
/// A piece by itself.
const ALONE: u64 = 1 << 59;
/// Ends a piece and vanishes.
const BREAKS: u64 = 1 << 58;
/// Anything but one letter with as many bytes, of some token, that is added to a piece.
const SPECIAL: u64 = 1 << 57;
/// Anything but one letter with as many bytes, of some token.
const UNALIGNED: u64 = 1 << 54;
/// Bits of the first, the second and the third letter.
const BITS: [u32; 3] = [21, 17, 16];

impl Rule {
    #[inline(always)]
    fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    #[inline(always)]
    fn count(self) -> u64 {
        self.0 >> COUNT_SHIFT & 3
    }

    /// The first letter.
    #[inline(always)]
    fn letter(self) -> Letter {
        self.0 as Letter & ((1 << BITS[0]) - 1)
    }

    /// The letters.
    #[inline(always)]
    fn each(self, mut take: impl FnMut(Letter)) {
        let mut rest = self.0;
        for bits in BITS.into_iter().take(self.count() as usize) {
            take(rest as Letter & ((1 << bits) - 1));
            rest >>= bits;
        }
    }

    /// Of characters whose neighbours decide.
    const OPEN: Self = Self(KNOWN | DEPENDS | SPECIAL);

    /// Of a character that becomes these; open when their letters do not fit.
    fn new(from: char, flags: u64, chars: &[char], alphabet: &Alphabet) -> Self {
        let letters: Vec<Letter> = chars.iter().map(|&c| alphabet.letter(c)).collect();
        if letters.len() > 3 || letters.iter().zip(BITS).any(|(&letter, bits)| letter >> bits != 0) {
            return Self::OPEN;
        }
        let packed = letters.iter().zip([0, BITS[0], BITS[0] + BITS[1]]);
        let packed = packed.fold(0, |all, (&letter, shift)| all | u64::from(letter) << shift);
        let is_aligned = matches!(chars, [c] if c.len_utf8() == from.len_utf8() && alphabet.has(*c));
        let flags = KNOWN | flags | if is_aligned { 0 } else { UNALIGNED };
        let flags = flags | if flags & (AFTER_WIDE | ALONE | BREAKS | UNALIGNED) != 0 { SPECIAL } else { 0 };
        Self(flags | (letters.len() as u64) << COUNT_SHIFT | packed)
    }
}

/// Characters to a page.
const PAGE: usize = 256;

/// The rules of all characters, found when they are first met.
struct CharTable {
    steps: Vec<Normalizer>,
    splitter: Splitter,
    pages: Box<[OnceLock<Box<[AtomicU64; PAGE]>>]>,
}

impl CharTable {
    fn new(steps: Vec<Normalizer>, splitter: Splitter) -> Self {
        let pages = (0..=char::MAX as usize / PAGE).map(|_| OnceLock::new()).collect();
        Self { steps, splitter, pages }
    }

    #[inline(always)]
    fn get(&self, c: u32, alphabet: &Alphabet) -> Rule {
        let rule = match self.pages[c as usize / PAGE].get() {
            Some(page) => Rule(page[c as usize % PAGE].load(Ordering::Relaxed)),
            None => Rule(0),
        };
        if rule.has(KNOWN) { rule } else { self.find(char::from_u32(c).unwrap_or_default(), alphabet) }
    }

    #[cold]
    fn find(&self, c: char, alphabet: &Alphabet) -> Rule {
        let rule = self.rule(c, alphabet);
        self.set(c, rule);
        rule
    }

    fn set(&self, c: char, rule: Rule) {
        let page = once(&self.pages[c as usize / PAGE], || Box::new([const { AtomicU64::new(0) }; PAGE]));
        page[c as usize % PAGE].store(rule.0, Ordering::Relaxed);
    }

    fn rule(&self, c: char, alphabet: &Alphabet) -> Rule {
        // Blanks are left to whoever knows what stands beside them.
        if matches!(c, '\t' | '\n' | '\r' | ' ') {
            return Rule::OPEN;
        }
        let Some(OneChar { text, after_wide, wide }) = one_char(&self.steps, c) else {
            return Rule::OPEN;
        };
        let flags = if after_wide { AFTER_WIDE } else { 0 } | if wide { WIDE } else { 0 };
        let is_blank = |c: &char| property(*c) & WHITE_SPACE != 0;
        let chars: Vec<char> = text.chars().collect();
        let words: Vec<&[char]> = chars.split(is_blank).filter(|word| !word.is_empty()).collect();
        let blanks = chars.iter().any(is_blank);
        let rule = |flags, chars: &[char]| Rule::new(c, flags, chars, alphabet);
        match &self.splitter {
            Splitter::Spaces(mark) if chars.contains(&' ') || chars.contains(mark) => Rule::OPEN,
            Splitter::Spaces(_) => rule(flags, &chars),
            Splitter::WhiteSpace(Some(mark)) if chars.contains(mark) => Rule::OPEN,
            _ if blanks && words.is_empty() => rule(flags | BREAKS, &[]),
            Splitter::WhiteSpace(_) if blanks => Rule::OPEN,
            Splitter::WhiteSpace(_) => rule(flags, &chars),
            Splitter::Bert => match (words.as_slice(), blanks) {
                ([[one]], _) if property(*one) & PUNCTUATION != 0 => rule(flags | ALONE, &[*one]),
                _ if chars.iter().any(|&c| property(c) & PUNCTUATION != 0) => Rule::OPEN,
                (_, false) => rule(flags, &chars),
                // Set apart on both sides.
                ([word], true) if is_blank(&chars[0]) && is_blank(&chars[chars.len() - 1]) => rule(flags | ALONE, word),
                _ => Rule::OPEN,
            },
        }
    }
}

/// The first code point of well-formed UTF-8, and its bytes.
#[inline(always)]
fn decode(text: &[u8]) -> (u32, usize) {
    let low = |byte: u8| u32::from(byte & 0x3F);
    match *text {
        [a @ 0..0x80, ..] => (u32::from(a), 1),
        [a @ 0..0xE0, b, ..] => (u32::from(a & 0x1F) << 6 | low(b), 2),
        [a @ 0..0xF0, b, c, ..] => (u32::from(a & 0x0F) << 12 | low(b) << 6 | low(c), 3),
        [a, b, c, d, ..] => (u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d), 4),
        _ => (0, 1),
    }
}
