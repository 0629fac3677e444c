//! The pattern of CLIP, which keeps what it matches and drops the blanks between.

use super::{Seen, peek, run};
use crate::unicode::{LETTER, NUMBER, SPACE};

/// The pattern, as tokenizer.json files have it.
pub const PATTERN: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The first match at or behind byte `from`: every character but blanks is part of one.
pub fn find(text: &str, from: usize) -> Option<(usize, usize)> {
    let start = run(text, from, |seen| seen.is(SPACE));
    (start < text.len()).then(|| (start, token_end(text, start)))
}

/// End of the match that starts at `start`, where no blank is.
fn token_end(text: &str, start: usize) -> usize {
    match &text.as_bytes()[start..] {
        [b'<', rest @ ..] => {
            for token in ["|startoftext|>", "|endoftext|>"] {
                if rest.starts_with(token.as_bytes()) {
                    return start + 1 + token.len();
                }
            }
        }
        [b'\'', b's' | b't' | b'm' | b'd', ..] => return start + 2,
        [b'\'', b'r' | b'v', b'e', ..] | [b'\'', b'l', b'l', ..] => return start + 3,
        _ => {}
    }
    let first = peek(text, start);
    if first.is(LETTER) {
        return run(text, start, |seen| seen.is(LETTER));
    }
    if first.is(NUMBER) {
        return start + first.width;
    }
    run(text, start, Seen::is_other)
}
