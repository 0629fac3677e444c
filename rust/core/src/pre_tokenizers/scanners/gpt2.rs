//! The pattern of GPT-2, which `ByteLevel` applies with `use_regex`.

use super::{Seen, after_space, peek, run};
use crate::unicode::{LETTER, NUMBER, SPACE};

/// The pattern, as the reference and GPT-2's own code have it.
pub const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The same with the contractions in one group, as the rank files r50k and p50k are used.
pub const PATTERN_GROUPED: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// End of the piece that starts at `start`.
pub fn token_end(text: &str, start: usize) -> usize {
    // 's|'t|'re|'ve|'m|'ll|'d
    match &text.as_bytes()[start..] {
        [b'\'', b's' | b't' | b'm' | b'd', ..] => return start + 2,
        [b'\'', b'r' | b'v', b'e', ..] | [b'\'', b'l', b'l', ..] => return start + 3,
        _ => {}
    }
    //  ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+
    let body = after_space(text, start);
    let first = peek(text, body);
    if first.is(LETTER) {
        return run(text, body, |seen| seen.is(LETTER));
    }
    if first.is(NUMBER) {
        return run(text, body, |seen| seen.is(NUMBER));
    }
    if first.is_other() {
        return run(text, body, Seen::is_other);
    }
    blanks(text, start)
}

/// `\s+(?!\S)|\s+`: the run up to the end of the text, else without its last blank, unless that is the only one.
fn blanks(text: &str, start: usize) -> usize {
    let (mut at, mut last) = (start, start);
    loop {
        let seen = peek(text, at);
        if !seen.is(SPACE) {
            return if seen.width == 0 || last == start { at } else { last };
        }
        last = at;
        at += seen.width;
    }
}
