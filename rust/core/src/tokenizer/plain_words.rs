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
    normalizers::{OneChar, one_char},
    pre_tokenizers::PrependScheme,
    unicode::{PUNCTUATION, WHITE_SPACE, property},
};

/// No plain character.
const NONE: u8 = 0;

/// Rules that make a plain part pieces.
pub(super) struct PlainWords {
    /// What each ASCII character of a word becomes, or [`NONE`].
    map: [u8; 128],
    /// What others become, but for blanks; without it they stay as they are.
    others: Option<CharTable>,
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

/// The pieces of a part.
#[derive(Default)]
pub(super) struct PlainPieces {
    text: String,
    /// Where each piece ends in `text`.
    ends: Vec<usize>,
    /// For each byte of `text` the bytes of the part that it stands for, where they were asked for.
    origins: Vec<[u32; 2]>,
    track: bool,
}

impl PlainPieces {
    fn begin(&mut self, track: bool) {
        self.text.clear();
        self.ends.clear();
        self.origins.clear();
        self.track = track;
    }

    #[inline(always)]
    fn push(&mut self, c: char, from: usize, to: usize) {
        self.text.push(c);
        if self.track {
            self.origins.resize(self.text.len(), [from as u32, to as u32]);
        }
    }

    /// Ends a piece, unless nothing is in it.
    #[inline(always)]
    fn end(&mut self) {
        if self.ends.last().copied().unwrap_or(0) < self.text.len() {
            self.ends.push(self.text.len());
        }
    }

    /// The pieces and where they begin in the text.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (usize, &str)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| (start, &self.text[start..end]))
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
    pub(super) fn bert(normalizers: &[&Normalizer]) -> Self {
        Self::new(normalizers, Splitter::Bert, Blanks::Dropped, None)
    }

    /// The rules for words that `WhitespaceSplit` cuts and these steps rewrite, if there are any.
    pub(super) fn white_space(normalizers: &[&Normalizer], rest: &[&PreTokenizer]) -> Option<Self> {
        let mark = match rest {
            [] => None,
            [PreTokenizer::Metaspace(metaspace)]
                if metaspace.prepend_scheme == PrependScheme::Always && !metaspace.replacement.is_ascii() =>
            {
                Some(metaspace.replacement)
            }
            _ => return None,
        };
        Some(Self::new(normalizers, Splitter::WhiteSpace(mark), Blanks::Dropped, mark))
    }

    /// The rules for words that `Metaspace` cuts.
    pub(super) fn metaspace(normalizers: &[&Normalizer], mark: char) -> Self {
        Self::new(normalizers, Splitter::Spaces(mark), Blanks::One, Some(mark))
    }

    /// The rules for text of which only the spaces change.
    pub(super) fn marks(mark: char) -> Self {
        let map = std::array::from_fn(|byte| byte as u8);
        Self { map, others: None, blanks: Blanks::Marked, mark: Some(mark) }
    }

    fn new(normalizers: &[&Normalizer], splitter: Splitter, blanks: Blanks, mark: Option<char>) -> Self {
        let steps = normalizers.iter().map(|&step| step.clone()).collect();
        Self { map: letters(normalizers), others: Some(CharTable::new(steps, splitter)), blanks, mark }
    }

    /// Writes the pieces of a part, if it is plain. A `first` part gets a mark that is not there.
    #[inline]
    pub(super) fn write(&self, part: &str, first: bool, track: bool, out: &mut PlainPieces) -> bool {
        out.begin(track);
        let Some(others) = &self.others else {
            self.write_marked(part, first, out);
            return true;
        };
        let blank = |&byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' ');
        let skipped = part.bytes().take_while(blank).count();
        let expected = if first { skipped == 0 } else { skipped == 1 && part.starts_with(' ') };
        if self.blanks == Blanks::One && !expected || skipped == part.len() {
            return false;
        }
        let mut wide = false;
        let mut in_piece = false;
        for (at, c) in part[skipped..].char_indices() {
            let (from, to) = (skipped + at, skipped + at + c.len_utf8());
            let rule = match self.map.get(c as usize) {
                Some(&byte) if byte != NONE => Rule::ascii(byte),
                // Blanks are left to whoever knows what stands beside them.
                _ if matches!(c, '\t' | '\n' | '\r' | ' ') => return false,
                _ => others.get(c),
            };
            if rule.has(DEPENDS) || rule.has(AFTER_WIDE) && !wide {
                return false;
            }
            wide = rule.has(WIDE);
            if rule.has(BREAKS | ALONE) {
                out.end();
                in_piece = false;
                if rule.has(BREAKS) {
                    continue;
                }
            }
            if rule.count() > 0 && !std::mem::replace(&mut in_piece, true) {
                // The mark stands for the space, or takes the place of the character.
                if let Some(mark) = self.mark {
                    let of_space = self.blanks == Blanks::One && !first;
                    let (from, to) = if of_space { (skipped - 1, skipped) } else { (from, to) };
                    out.push(mark, from, to);
                }
            }
            rule.each(|c| out.push(c, from, to));
            if rule.has(ALONE) {
                out.end();
                in_piece = false;
            }
        }
        out.end();
        // A space whose word vanishes is a mark still.
        self.blanks != Blanks::One || !out.text.is_empty()
    }

    fn write_marked(&self, part: &str, first: bool, out: &mut PlainPieces) {
        let mark = self.mark.expect("given with the rule");
        if first {
            out.push(mark, 0, part.chars().next().map_or(0, char::len_utf8));
        }
        if out.track {
            for (at, c) in part.char_indices() {
                out.push(if c == ' ' { mark } else { c }, at, at + c.len_utf8());
            }
        } else {
            let mut from = 0;
            for space in memchr::memchr_iter(b' ', part.as_bytes()) {
                out.text.push_str(&part[from..space]);
                out.text.push(mark);
                from = space + 1;
            }
            out.text.push_str(&part[from..]);
        }
        out.end();
    }
}

/// What normalizers make of each visible ASCII character, whatever visible ASCII stands beside it.
fn letters(normalizers: &[&Normalizer]) -> [u8; 128] {
    let mut in_patterns = [false; 128];
    for step in normalizers {
        if let Normalizer::Replace(replace) = step
            && let Some(literal) = replace.as_literal()
        {
            literal.bytes().filter(u8::is_ascii).for_each(|byte| in_patterns[usize::from(byte)] = true);
        }
    }
    std::array::from_fn(|byte| {
        let c = byte as u8;
        if !c.is_ascii_graphic() || in_patterns[byte] {
            return NONE;
        }
        let mut text = char::from(c).to_string();
        for step in normalizers {
            match step.normalize(&text) {
                Ok(next) => text = next.into_owned(),
                Err(_) => return NONE,
            }
        }
        match text.as_bytes() {
            &[new] if new.is_ascii_graphic() => new,
            _ => NONE,
        }
    })
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

/// What becomes of a character: up to three others of 17 to 21 bits, their number, and flags.
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
/// Bits of the first, the second and the third character.
const BITS: [u32; 3] = [21, 17, 17];

impl Rule {
    #[inline(always)]
    fn ascii(byte: u8) -> Self {
        Self(KNOWN | 1 << COUNT_SHIFT | u64::from(byte))
    }

    #[inline(always)]
    fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    #[inline(always)]
    fn count(self) -> u64 {
        self.0 >> COUNT_SHIFT & 3
    }

    /// The characters.
    #[inline(always)]
    fn each(self, mut take: impl FnMut(char)) {
        let mut rest = self.0;
        for bits in BITS.into_iter().take(self.count() as usize) {
            take(char::from_u32(rest as u32 & ((1 << bits) - 1)).unwrap_or_default());
            rest >>= bits;
        }
    }

    /// Null when the characters do not fit.
    fn new(flags: u64, chars: &[char]) -> Self {
        let fits = chars.len() <= 3 && chars.iter().zip(BITS).all(|(&c, bits)| u32::from(c) >> bits == 0);
        if !fits {
            return Self(KNOWN | DEPENDS);
        }
        let packed = chars.iter().zip([0, BITS[0], BITS[0] + BITS[1]]);
        let packed = packed.fold(0, |all, (&c, shift)| all | u64::from(u32::from(c)) << shift);
        Self(KNOWN | flags | (chars.len() as u64) << COUNT_SHIFT | packed)
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
    fn get(&self, c: char) -> Rule {
        let rule = match self.pages[c as usize / PAGE].get() {
            Some(page) => Rule(page[c as usize % PAGE].load(Ordering::Relaxed)),
            None => Rule(0),
        };
        if rule.has(KNOWN) { rule } else { self.find(c) }
    }

    #[cold]
    fn find(&self, c: char) -> Rule {
        let rule = self.rule(c);
        let page = self.pages[c as usize / PAGE].get_or_init(|| Box::new([const { AtomicU64::new(0) }; PAGE]));
        page[c as usize % PAGE].store(rule.0, Ordering::Relaxed);
        rule
    }

    fn rule(&self, c: char) -> Rule {
        let Some(OneChar { text, after_wide, wide }) = one_char(&self.steps, c) else {
            return Rule(KNOWN | DEPENDS);
        };
        let flags = if after_wide { AFTER_WIDE } else { 0 } | if wide { WIDE } else { 0 };
        let is_blank = |c: &char| property(*c) & WHITE_SPACE != 0;
        let chars: Vec<char> = text.chars().collect();
        let words: Vec<&[char]> = chars.split(is_blank).filter(|word| !word.is_empty()).collect();
        let blanks = chars.iter().any(is_blank);
        match &self.splitter {
            Splitter::Spaces(mark) if chars.contains(&' ') || chars.contains(mark) => Rule(KNOWN | DEPENDS),
            Splitter::Spaces(_) => Rule::new(flags, &chars),
            Splitter::WhiteSpace(Some(mark)) if chars.contains(mark) => Rule(KNOWN | DEPENDS),
            _ if blanks && words.is_empty() => Rule::new(flags | BREAKS, &[]),
            Splitter::WhiteSpace(_) if blanks => Rule(KNOWN | DEPENDS),
            Splitter::WhiteSpace(_) => Rule::new(flags, &chars),
            Splitter::Bert => match (words.as_slice(), blanks) {
                ([[one]], _) if property(*one) & PUNCTUATION != 0 => Rule::new(flags | ALONE, &[*one]),
                _ if chars.iter().any(|&c| property(c) & PUNCTUATION != 0) => Rule(KNOWN | DEPENDS),
                (_, false) => Rule::new(flags, &chars),
                // Set apart on both sides.
                ([word], true) if is_blank(&chars[0]) && is_blank(&chars[chars.len() - 1]) => {
                    Rule::new(flags | ALONE, word)
                }
                _ => Rule(KNOWN | DEPENDS),
            },
        }
    }
}
