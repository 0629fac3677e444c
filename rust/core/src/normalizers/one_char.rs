//! What normalizers make of single characters, where that does not depend on what stands beside them.

use unicode_normalization_alignments::char::{canonical_combining_class, is_combining_mark};

use super::{Normalizer, bert, nmt, precompiled::joins, unicode};
use crate::unicode::{NONSPACING, lowercase, property};

/// What becomes of a character.
pub(crate) struct OneChar {
    /// Nothing, the character itself, or others.
    pub(crate) text: String,
    /// The answer holds behind a character that is [`wide`](Self::wide) only.
    pub(crate) after_wide: bool,
    /// Where graphemes are looked up, there are characters of three bytes or more.
    pub(crate) wide: bool,
}

/// What the steps make of `c` among characters that all have an answer; none where neighbours decide.
///
/// 1. Decompositions that begin with a starter stay in canonical order side by side. Compositions are taken only where the
///    quick check says yes to every character of the result: such characters are normal in any order.
/// 2. A charsmap looks up whole graphemes of fewer than six bytes, and longer ones character by character: also those that
///    begin with two characters of three bytes. What joins any character has to stand behind such a one; what joins its own
///    kind only (the parts of Hangul syllables, the letters of flags) does.
pub(crate) fn one_char(steps: &[Normalizer], c: char) -> Option<OneChar> {
    let (mut after_wide, mut wide) = (false, true);
    let mut text = c.to_string();
    let mut next = String::new();
    for step in steps {
        if let Normalizer::Precompiled(charsmap) = step {
            let mut before = None;
            for d in text.chars() {
                let len = d.len_utf8();
                if joins(d)? {
                    if len < WIDE || before.is_some_and(|before| before < WIDE) {
                        return None;
                    }
                    after_wide |= before.is_none();
                }
                wide &= len >= WIDE;
                before = Some(len);
                let first = next.len();
                charsmap.of_char(d, &mut next);
                // What is left of a character that it takes away counts for the one before, in a way of its own behind one
                // that it spelled out.
                if next.len() == first {
                    return None;
                }
            }
            wide &= before.is_some();
        } else {
            text.chars().try_for_each(|d| step.of_char(d, &mut next))?;
        }
        text.clear();
        std::mem::swap(&mut text, &mut next);
    }
    Some(OneChar { text, after_wide, wide })
}

/// Bytes of a character that is wide.
const WIDE: usize = 3;

impl Normalizer {
    /// Appends what becomes of a character; none where neighbours decide.
    fn of_char(&self, c: char, out: &mut String) -> Option<()> {
        let in_order = |c| canonical_combining_class(c) == 0;
        match self {
            Self::Sequence(steps) => {
                let one = one_char(steps, c).filter(|one| !one.after_wide)?;
                out.push_str(&one.text);
            }
            Self::Bert(bert) => return of_bert(*bert, c, out),
            Self::Nmt => out.extend(nmt::of_char(c)),
            Self::Nfc | Self::Nfkc => {
                let compatible = matches!(self, Self::Nfkc);
                let first = out.len();
                unicode::composed(c, compatible, |d| out.push(d));
                if !out[first..].chars().all(|d| unicode::is_stable(d, compatible)) {
                    return None;
                }
            }
            Self::Nfd | Self::Nfkd => {
                let first = out.len();
                out.extend(unicode::decomposition(c, matches!(self, Self::Nfkd)));
                out[first..].chars().next().filter(|&d| in_order(d))?;
            }
            Self::Lowercase => {
                let (first, second) = lowercase(c);
                out.push(first);
                out.extend(second);
            }
            Self::StripAccents => out.extend(Some(c).filter(|&c| !is_combining_mark(c))),
            Self::Strip { .. } if !c.is_whitespace() => out.push(c),
            Self::Replace(replace) => match (replace.as_literal(), replace.as_regex()) {
                (Some(literal), _) if !literal.contains(c) => out.push(c),
                (_, Some(" {2,}")) if c != ' ' => out.push(c),
                _ => return None,
            },
            Self::Strip { .. } | Self::Precompiled(_) | Self::ByteLevel | Self::Prepend(_) => return None,
        }
        Some(())
    }
}

fn of_bert(bert: bert::Bert, c: char, out: &mut String) -> Option<()> {
    let c = match c {
        _ if bert.clean_text && bert::is_removed(c) => return Some(()),
        _ if bert.clean_text && bert::is_blank(c) => ' ',
        _ => c,
    };
    let apart = bert.handle_chinese_chars && bert::is_chinese(c);
    let mut push = |c| {
        let (first, second) = if bert.lowercase { lowercase(c) } else { (c, None) };
        out.push(first);
        out.extend(second);
    };
    if apart {
        push(' ');
    }
    if bert.strips_accents() {
        for d in unicode::decomposition(c, false) {
            if property(d) & NONSPACING == 0 {
                // A mark that stays might change places with another.
                if canonical_combining_class(d) != 0 {
                    return None;
                }
                push(d);
            }
        }
    } else {
        push(c);
    }
    if apart {
        push(' ');
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    fn steps() -> impl Strategy<Value = Vec<Normalizer>> {
        let bert = |flags: u8| {
            let strip_accents = [None, Some(true), Some(false)][usize::from(flags >> 3) % 3];
            let [clean_text, handle_chinese_chars, lowercase] = [1, 2, 4].map(|flag| flags & flag != 0);
            Normalizer::Bert(bert::Bert { clean_text, handle_chinese_chars, strip_accents, lowercase })
        };
        let one = prop_oneof![
            any::<u8>().prop_map(bert),
            Just(Normalizer::Nmt),
            Just(Normalizer::Nfc),
            Just(Normalizer::Nfd),
            Just(Normalizer::Nfkc),
            Just(Normalizer::Nfkd),
            Just(Normalizer::Lowercase),
            Just(Normalizer::StripAccents),
            Just(Normalizer::Strip { strip_left: true, strip_right: true }),
        ];
        prop::collection::vec(one, 1..4)
    }

    proptest! {
        #[test]
        fn answers_hold_side_by_side(
            steps in steps(),
            text in "[a-zÀ-ʯ\u{300}-\u{345}\u{5B0}-\u{5EA}\u{620}-\u{652}\u{915}-\u{94D}\u{1100}-\u{11FF}\u{1E00}-\u{1FFF}\u{3040}-\u{309F}\u{4E00}-\u{4E20}\u{AC00}-\u{AC80}\u{F900}-\u{F910}\u{FF00}-\u{FFEF} ]{0,12}|\\PC{0,12}",
        ) {
            let answers: Vec<_> = text.chars().map(|c| one_char(&steps, c)).collect();
            if answers.iter().all(|answer| answer.as_ref().is_some_and(|answer| !answer.after_wide)) {
                let side_by_side: String = answers.iter().flatten().map(|answer| answer.text.as_str()).collect();
                let whole = Normalizer::Sequence(steps).normalize(&text).expect("these do not fail").into_owned();
                prop_assert_eq!(side_by_side, whole);
            } else {
                // Not to throw half of the texts away.
                for (c, answer) in text.chars().zip(answers) {
                    if let Some(OneChar { text, after_wide: false, .. }) = answer {
                        let alone = c.to_string();
                        let whole = Normalizer::Sequence(steps.clone()).normalize(&alone).map(Cow::into_owned);
                        prop_assert_eq!(Ok(text), whole.map_err(|error| error.to_string()));
                    }
                }
            }
        }
    }
}
