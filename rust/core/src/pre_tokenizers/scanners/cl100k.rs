//! The pattern of cl100k, which Llama-3 took over, and Qwen2's variant with one digit a piece.

use super::{Seen, after_space, blanks, contraction, peek, run};
use crate::unicode::{LETTER, NEWLINE, NUMBER};

/// Up to three digits a piece.
pub const PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// One digit a piece.
pub const PATTERN_SINGLE_DIGITS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// End of the piece that starts at `start`, with at most `DIGITS` numbers in one.
pub fn token_end<const DIGITS: usize>(text: &str, start: usize) -> usize {
    if let Some(end) = contraction(text, start) {
        return end;
    }
    // [^\r\n\p{L}\p{N}]?\p{L}+
    let first = peek(text, start);
    let word = if first.is_lead() { start + first.width } else { start };
    if peek(text, word).is(LETTER) {
        return run(text, word, |seen| seen.is(LETTER));
    }
    // \p{N}{1,3}
    if first.is(NUMBER) {
        return digits::<DIGITS>(text, start);
    }
    //  ?[^\s\p{L}\p{N}]+[\r\n]*
    let body = after_space(text, start);
    if peek(text, body).is_other() {
        return run(text, run(text, body, Seen::is_other), |seen| seen.is(NEWLINE));
    }
    blanks(start, |at| peek(text, at))
}

/// End of the run of at most `MAX` numbers at `at`.
pub(super) fn digits<const MAX: usize>(text: &str, mut at: usize) -> usize {
    for _ in 0..MAX {
        let seen = peek(text, at);
        if !seen.is(NUMBER) {
            break;
        }
        at += seen.width;
    }
    at
}
