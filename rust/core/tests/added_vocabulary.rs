//! Added tokens against the behaviour of tokenizers 0.23.3.

use penstock::added_vocabulary::{AddedToken, AddedVocabulary};
use penstock::normalizers::Normalizer;
use penstock::vocab::Vocab;
use penstock::{Error, TokenId};

/// A token with the flags among `s`ingle word, `l`strip, `r`strip, `n`ormalized and special (`!`).
fn token(content: &str, flags: &str) -> AddedToken {
    let flag = |name| flags.contains(name);
    AddedToken {
        single_word: flag('s'),
        lstrip: flag('l'),
        rstrip: flag('r'),
        normalized: flag('n'),
        ..AddedToken::new(content, flag('!'))
    }
}

fn model(tokens: &[(&str, TokenId)]) -> Vocab {
    let mut vocab = Vocab::with_capacity(tokens.len(), 16);
    for (token, id) in tokens {
        vocab.insert(token, *id);
    }
    vocab
}

fn added(tokens: &[AddedToken], normalizer: Option<&Normalizer>) -> AddedVocabulary {
    AddedVocabulary::new().with_tokens(tokens, &model(&[]), normalizer).expect("valid tokens").0
}

/// The segments as text, id, start and end in the input.
fn split(
    vocabulary: &AddedVocabulary,
    normalizer: Option<&Normalizer>,
    text: &str,
) -> Vec<(String, Option<u32>, u32, u32)> {
    let mut segments = Vec::new();
    vocabulary.split(text, normalizer, false, true, &mut segments).expect("a text the reference accepts");
    segments.into_iter().map(|s| (s.text.into_owned(), s.token, s.original.start, s.original.end)).collect()
}

fn texts(vocabulary: &AddedVocabulary, text: &str) -> Vec<String> {
    split(vocabulary, None, text).into_iter().map(|segment| segment.0).collect()
}

#[test]
fn ids_are_those_of_the_reference() {
    let model = model(&[("a", 0), ("b", 7)]);
    let tokens = ["x", "", "b", "x"].map(|content| AddedToken::new(content, false));
    let (first, count) = AddedVocabulary::new().with_tokens(&tokens, &model, None).expect("valid");
    assert_eq!((count, first.token_to_id("x"), first.token_to_id("b"), first.len()), (2, Some(2), Some(7), 2));
    // Behind the highest added id, and a known token with other flags counts again.
    let tokens = ["y", "x"].map(|content| AddedToken::new(content, true));
    let (second, count) = first.with_tokens(&tokens, &model, None).expect("valid");
    assert_eq!((count, second.token_to_id("y"), second.token_to_id("x")), (2, Some(8), Some(2)));
    assert!(second.is_special(2) && !first.is_special(2) && !second.is_special(7));
    assert_eq!(
        second.iter().map(|(id, token)| (id, token.content.as_str())).collect::<Vec<_>>(),
        [(2, "x"), (7, "b"), (8, "y")]
    );
}

#[test]
fn the_longest_of_the_leftmost_matches() {
    let spaces: Vec<_> = (2..25).map(|n| token(&" ".repeat(n), "n")).collect();
    let vocabulary = added(&spaces, None);
    let text = format!("a b{}c  ", " ".repeat(30));
    assert_eq!(
        split(&vocabulary, None, &text).iter().map(|s| s.1).collect::<Vec<_>>(),
        [None, Some(22), Some(4), None, Some(0)]
    );
    assert!(texts(&vocabulary, "").is_empty());
}

#[test]
fn flags_act_as_in_the_reference() {
    assert_eq!(texts(&added(&[token("ab", "s")], None), "ab xab ab."), ["ab", " xab ", "ab", "."]);
    assert_eq!(texts(&added(&[token("<m>", "l")], None), "a \n<m> b"), ["a", " \n<m>", " b"]);
    assert_eq!(texts(&added(&[token("<m>", "r")], None), "a <m>\u{3000} b"), ["a ", "<m>\u{3000} ", "b"]);
    // Blanks taken on the right are searched again.
    assert_eq!(texts(&added(&[token("x", "r"), token(" y", "")], None), "x yz"), ["x ", " y", "z"]);
    let mut segments = Vec::new();
    let overlapping = added(&[token("x", "r"), token(" ", "l")], None);
    let outcome = overlapping.split("x   ", None, false, false, &mut segments);
    assert!(matches!(outcome, Err(Error::AddedTokenOverlap { .. })));
}

#[test]
fn special_tokens_can_be_text() {
    let vocabulary = added(&[token("<s>", "!"), token("<t>", "")], None);
    let mut segments = Vec::new();
    vocabulary.split("<s><t>", None, true, false, &mut segments).expect("total");
    assert_eq!(segments.iter().map(|s| (&*s.text, s.token)).collect::<Vec<_>>(), [("<s>", None), ("<t>", Some(1))]);
}

#[test]
fn normalized_tokens_match_in_normalized_text() {
    let lowercase = Normalizer::Lowercase;
    let vocabulary = added(&[token("Day", "n!"), token("[X]", "")], Some(&lowercase));
    let expected = [("a ", None, 0, 2), ("day", Some(0), 2, 5), ("[X]", Some(1), 5, 8), ("i\u{307} [x]", None, 8, 14)];
    let expected = expected.map(|(text, id, start, end)| (text.to_owned(), id, start, end));
    assert_eq!(split(&vocabulary, Some(&lowercase), "A DAY[X]İ [x]"), expected);
    // What is decoded is the normalized form, which is not among the special contents.
    assert_eq!((vocabulary.id_to_token(0), vocabulary.is_special(0)), (Some("day"), false));
    let accent =
        AddedVocabulary::new().with_tokens(&[token("\u{301}", "n")], &model(&[]), Some(&Normalizer::StripAccents));
    assert!(matches!(accent, Err(Error::EmptyAddedToken { .. })));
}
