//! Hand-written equivalents of the split patterns that published tokenizers share.
//!
//! Each file follows one pattern, alternative by alternative, over the class table of [`crate::unicode`]; none backtracks,
//! so a text takes time linear in its length. They are also the oracle of the vector kernels. `tests/scanners.rs` compares
//! them with the regex engine over all of Unicode.

mod blocks;
pub mod cl100k;
pub mod clip;
pub mod cuts;
pub mod deepseek;
pub mod gpt2;
pub mod o200k;

use crate::ids::Span;
use crate::unicode::{ASCII, LETTER, NEWLINE, NUMBER, SPACE, class};

/// A pattern that has a scanner of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scanner {
    /// The pattern of `ByteLevel`: GPT-2, `RoBERTa`, GPT-NeoX, whisper, r50k, p50k.
    Gpt2,
    /// cl100k: Llama-3, GPT-4.
    Cl100k,
    /// cl100k with one digit a piece: Qwen2, Qwen2.5, Qwen3.
    Qwen2,
    /// o200k: gpt-oss, GPT-4o.
    O200k,
    /// The three nested splits of DeepSeek-V3.
    DeepSeekV3,
}

/// Single patterns, as tokenizer.json files and rank files spell them.
const PATTERNS: [(&str, Scanner); 5] = [
    (gpt2::PATTERN, Scanner::Gpt2),
    (gpt2::PATTERN_GROUPED, Scanner::Gpt2),
    (cl100k::PATTERN, Scanner::Cl100k),
    (cl100k::PATTERN_SINGLE_DIGITS, Scanner::Qwen2),
    (o200k::PATTERN, Scanner::O200k),
];

impl Scanner {
    /// The scanner that splits exactly like the regex `pattern` with behavior `Isolated`.
    pub fn for_pattern(pattern: &str) -> Option<Self> {
        PATTERNS.iter().find(|(known, _)| *known == pattern).map(|&(_, scanner)| scanner)
    }

    /// The scanner that splits exactly like these regexes one after another, all `Isolated`.
    pub fn for_patterns(patterns: &[&str]) -> Option<Self> {
        match patterns {
            [pattern] => Self::for_pattern(pattern),
            patterns if patterns == deepseek::PATTERNS => Some(Self::DeepSeekV3),
            _ => None,
        }
    }

    /// End of the piece that starts at `start`.
    ///
    /// `start` is where a piece of `text` begins; the pieces of a text do not depend on what lies before that point.
    ///
    /// # Panics
    ///
    /// If `start` is not before the end of `text`, or not on a character boundary.
    #[inline]
    pub fn token_end(self, text: &str, start: usize) -> usize {
        match self {
            Self::Gpt2 => gpt2::token_end(text, start),
            Self::Cl100k => cl100k::token_end::<3>(text, start),
            Self::Qwen2 => cl100k::token_end::<1>(text, start),
            Self::O200k => o200k::token_end(text, start),
            Self::DeepSeekV3 => deepseek::token_end(text, start),
        }
    }

    /// Appends the pieces of `text` to `out`; together they cover it.
    pub fn split(self, text: &str, out: &mut Vec<Span>) {
        let mut start = 0;
        while start < text.len() {
            let end = self.token_end(text, start);
            out.push(Span::new(start, end));
            start = end;
        }
    }
}

/// A character as the scanners see it.
#[derive(Clone, Copy)]
struct Seen {
    /// Its flags; 0 at the end of the text.
    class: u8,
    /// Its bytes; 0 at the end of the text.
    width: usize,
}

impl Seen {
    /// What stands behind the last character: no class, no width.
    const END: Self = Self { class: 0, width: 0 };

    fn is(self, flags: u8) -> bool {
        self.class & flags != 0
    }

    /// `[^\s\p{L}\p{N}]`
    fn is_other(self) -> bool {
        self.width != 0 && !self.is(SPACE | LETTER | NUMBER)
    }

    /// `[^\r\n\p{L}\p{N}]`, the character that may lead a word.
    fn is_lead(self) -> bool {
        self.width != 0 && !self.is(NEWLINE | LETTER | NUMBER)
    }
}

/// The character at `at`.
#[inline(always)]
fn peek(text: &str, at: usize) -> Seen {
    match text.as_bytes().get(at) {
        None => Seen::END,
        Some(&byte) if byte < 0x80 => Seen { class: ASCII[byte as usize], width: 1 },
        Some(_) => text[at..].chars().next().map_or(Seen::END, |c| Seen { class: class(c), width: c.len_utf8() }),
    }
}

/// End of the run of characters from `at` on that `accept` accepts.
#[inline(always)]
fn run(text: &str, mut at: usize, accept: impl Fn(Seen) -> bool) -> usize {
    loop {
        let seen = peek(text, at);
        if seen.width == 0 || !accept(seen) {
            return at;
        }
        at += seen.width;
    }
}

/// `at`, or one further over U+0020: the ` ?` that opens a run of digits or punctuation.
///
/// The caller tries what follows and, if it does not match, goes on to the alternatives for blanks: without the optional
/// space, the rest of such an alternative cannot match a space either.
fn after_space(text: &str, at: usize) -> usize {
    at + usize::from(text.as_bytes()[at] == b' ')
}

/// End of `\s*[\r\n]+|\s+(?!\S)|\s+` at a blank; `peek` reads the text.
///
/// - A run of blanks with a line break in it ends behind the last one: `\s*` takes the run, then gives back up to there.
/// - At the end of the text the whole run is one piece.
/// - Else the last blank is left to what follows, unless it is the only one.
#[inline(always)]
fn blanks(start: usize, peek: impl Fn(usize) -> Seen) -> usize {
    let (mut at, mut last, mut after_newline) = (start, start, None);
    loop {
        let seen = peek(at);
        if !seen.is(SPACE) {
            return match after_newline {
                Some(end) => end,
                None if seen.width == 0 || last == start => at,
                None => last,
            };
        }
        last = at;
        at += seen.width;
        if seen.is(NEWLINE) {
            after_newline = Some(at);
        }
    }
}

/// End of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at `at`, if it matches.
///
/// Case folding adds U+017F, the long s, and no other character.
fn contraction(text: &str, at: usize) -> Option<usize> {
    let [b'\'', rest @ ..] = &text.as_bytes()[at..] else { return None };
    match rest {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => Some(at + 2),
        [b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] | [0xC5, 0xBF, ..] => {
            Some(at + 3)
        }
        _ => None,
    }
}
