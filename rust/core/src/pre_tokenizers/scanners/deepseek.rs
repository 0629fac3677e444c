//! The three splits of DeepSeek-V3, each of which sees only a piece that the one before cut.
//!
//! The first isolates numbers, three at most; the second runs of ideographs and kana; the third splits what it gets, so its
//! look-ahead takes the end of that piece for the end of the text. Rather than find that end first, which would take
//! quadratic time, `peek_within` ends the text at the first character that lies in another piece.

use super::cl100k::digits;
use super::{Seen, blanks};
use crate::unicode::{ASCII, LETTER, MARK, NEWLINE, NUMBER, PUNCT, SPACE, class};

/// The patterns of the splits, in order.
pub const PATTERNS: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];

/// End of the piece that starts at `start`.
pub fn token_end(text: &str, start: usize) -> usize {
    let first = text[start..].chars().next().expect("a piece is not empty");
    if class(first) & NUMBER != 0 {
        // The third split matches nothing in a piece of numbers and leaves it whole.
        return digits::<3>(text, start);
    }
    let within = is_kana_or_ideograph(first);
    let peek = |at| peek_within(text, at, within);
    third_split(text.as_bytes(), start, peek)
}

/// `[一-龥぀-ゟ゠-ヿ]`
fn is_kana_or_ideograph(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FA5}' | '\u{3040}'..='\u{309F}' | '\u{30A0}'..='\u{30FF}')
}

/// The character at `at`, or the end of the text if it is a number or not on the `ideographs` side of the second split.
#[inline(always)]
fn peek_within(text: &str, at: usize, ideographs: bool) -> Seen {
    let (seen, ideograph) = match text.as_bytes().get(at) {
        None => return Seen::END,
        Some(&byte) if byte < 0x80 => (Seen { class: ASCII[byte as usize], width: 1 }, false),
        Some(_) => {
            let c = text[at..].chars().next().expect("a text does not end inside a character");
            (Seen { class: class(c), width: c.len_utf8() }, is_kana_or_ideograph(c))
        }
    };
    if seen.is(NUMBER) || ideograph != ideographs { Seen::END } else { seen }
}

/// End of the piece of the third split at `start`; `peek` ends where the piece of the second does.
fn third_split(bytes: &[u8], start: usize, peek: impl Fn(usize) -> Seen) -> usize {
    let run = |mut at, flags| {
        loop {
            let seen = peek(at);
            if !seen.is(flags) {
                return at;
            }
            at += seen.width;
        }
    };
    // [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+
    if bytes[start].is_ascii_punctuation() {
        let letters = bytes[start + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        if letters > 0 {
            return start + 1 + letters;
        }
    }
    // [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
    let first = peek(start);
    let word = if first.is(LETTER | PUNCT | NEWLINE) { start } else { start + first.width };
    if peek(word).is(LETTER | MARK) {
        return run(word, LETTER | MARK);
    }
    if first.is(MARK) {
        return word;
    }
    //  ?[\p{P}\p{S}]+[\r\n]*
    let body = start + usize::from(bytes[start] == b' ');
    if peek(body).is(PUNCT) {
        return run(run(body, PUNCT), NEWLINE);
    }
    if first.is(SPACE) {
        return blanks(start, peek);
    }
    // Characters of no class match nothing and form one piece, up to one that leads a word or is of some class.
    let mut at = word;
    loop {
        let seen = peek(at);
        if seen.width == 0 || seen.class != 0 || peek(at + seen.width).is(LETTER | MARK) {
            return at;
        }
        at += seen.width;
    }
}
