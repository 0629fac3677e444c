//! The pattern of o200k, which gpt-oss uses: words end where a lower-case part meets an upper-case one.

use super::cl100k::digits;
use super::{Seen, after_space, blanks, contraction, peek, run};
use crate::unicode::{LETTER, LOWER, MARK, NUMBER, UPPER};

/// The pattern.
pub const PATTERN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// End of the piece that starts at `start`.
pub fn token_end(text: &str, start: usize) -> usize {
    let first = peek(text, start);
    if let Some(end) = word(text, start, first) {
        return contraction(text, end).unwrap_or(end);
    }
    // \p{N}{1,3}
    if first.is(NUMBER) {
        return digits::<3>(text, start);
    }
    //  ?[^\s\p{L}\p{N}]+[\r\n/]*
    let body = after_space(text, start);
    if peek(text, body).is_other() {
        let end = run(text, body, Seen::is_other);
        return end + text.as_bytes()[end..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'/')).count();
    }
    blanks(start, |at| peek(text, at))
}

/// End of a word at `start`, without the contraction; `first` is the character there.
///
/// The two alternatives for words are tried in order, each first with a leading character and then without:
///
/// 1. lead, word with a lower-case part; 2. the same without lead; 3. lead, upper-case word; 4. the same without lead.
///
/// Only a mark can both lead and be part of the word. There, 2 matches whenever 1 does not: it ends behind the mark, the
/// only character that fits the lower-case part. Everywhere else either 1 and 3 or 2 and 4 are out.
fn word(text: &str, start: usize, first: Seen) -> Option<usize> {
    let at = if first.is_lead() { start + first.width } else { start };
    let word = Word::at(text, at);
    word.lower.or(first.is(MARK).then_some(at)).or(word.upper)
}

/// What the two alternatives match from one position on, after the lead and before the contraction.
///
/// Let U be the upper-case class and L the lower-case one; `\p{Lm}`, `\p{Lo}` and `\p{M}` are in both.
struct Word {
    /// End of `U*L+`: if an L that is no U follows the run of U, the end of the run of L from there. Otherwise `U*` gives
    /// back characters until the last one of both classes is left to `L+`, which ends behind it.
    lower: Option<usize>,
    /// End of `U+L*`, where `lower` is none: `L*` is empty then.
    upper: Option<usize>,
}

impl Word {
    fn at(text: &str, start: usize) -> Self {
        let (mut at, mut after_both) = (start, None);
        loop {
            let seen = peek(text, at);
            if !seen.is(LETTER | MARK) || seen.is(LOWER) {
                let lower = if seen.is(LOWER) {
                    Some(run(text, at, |seen| seen.is(LETTER | MARK) && !seen.is(UPPER)))
                } else {
                    after_both
                };
                return Self { lower, upper: (at > start).then_some(at) };
            }
            at += seen.width;
            if !seen.is(UPPER) {
                after_both = Some(at);
            }
        }
    }
}
