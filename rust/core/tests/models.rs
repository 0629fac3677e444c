//! Models against oracles that read like their definitions.

use std::collections::HashMap;

use penstock::encoding::{Tokens, WORDS};
use penstock::models::{
    Model, ModelScratch, Unigram, UnigramConfig, WordLevel, WordLevelConfig, WordPiece, WordPieceConfig,
};
use penstock::{TokenId, Vocab};
use proptest::prelude::*;

fn vocab(tokens: &[String]) -> Vocab {
    let mut vocab = Vocab::default();
    for (token, id) in tokens.iter().zip(0..) {
        if vocab.id(token).is_none() {
            vocab.insert(token, id);
        }
    }
    vocab
}

/// Ids and spans, or nothing for an error.
fn encode(model: &Model, piece: &str) -> Option<(Vec<TokenId>, Vec<[u32; 2]>)> {
    let mut out = Tokens::default();
    model.encode_piece::<WORDS>(piece, 0, &mut ModelScratch::default(), &mut out).ok()?;
    assert_eq!((out.next_word, out.words.len()), (1, out.len()));
    Some((out.ids().to_vec(), out.spans))
}

fn naive_word_piece(
    vocab: &Vocab,
    prefix: &str,
    max_chars: usize,
    word: &str,
) -> Option<(Vec<TokenId>, Vec<[u32; 2]>)> {
    let unknown = || vocab.id("?").map(|id| (vec![id], vec![[0, word.len() as u32]]));
    if word.chars().count() > max_chars {
        return unknown();
    }
    let (mut ids, mut spans, mut start) = (Vec::new(), Vec::new(), 0);
    while start < word.len() {
        let prefix = if start > 0 { prefix } else { "" };
        let mut ends = (start + 1..=word.len()).rev().filter(|&end| word.is_char_boundary(end));
        let longest = ends.find_map(|end| Some((vocab.id(&format!("{prefix}{}", &word[start..end]))?, end)));
        let Some((id, end)) = longest else { return unknown() };
        ids.push(id);
        spans.push([start as u32, end as u32]);
        start = end;
    }
    Some((ids, spans))
}

/// The best of all segmentations by brute force over ends, sums from the left, the first of equals.
fn naive_unigram(pieces: &[(String, f64)], unk: Option<usize>, text: &str) -> Option<Vec<TokenId>> {
    let ids: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, (token, _))| (token.as_str(), id)).collect();
    let unknown = pieces.iter().fold(f64::INFINITY, |least, (_, score)| least.min(*score)) - 10.0;
    let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut best: Vec<Option<(f64, usize, Option<usize>)>> = vec![None; text.len() + 1];
    best[0] = Some((0.0, 0, None));
    for (i, &start) in bounds.iter().enumerate().take(bounds.len() - 1) {
        let so_far = best[start]?.0;
        let mut ways: Vec<(f64, usize, Option<usize>)> = Vec::new();
        for &end in &bounds[i + 1..] {
            if let Some(&id) = ids.get(&text[start..end]) {
                ways.push((pieces[id].1, end, Some(id)));
            }
        }
        if ways.first().is_none_or(|way| way.1 != bounds[i + 1]) {
            ways.push((unknown, bounds[i + 1], unk));
        }
        for (score, end, id) in ways {
            let sum = score + so_far;
            if best[end].is_none_or(|(known, ..)| sum > known) {
                id?;
                best[end] = Some((sum, start, id));
            }
        }
    }
    let (mut parts, mut end) = (Vec::<(usize, usize, bool)>::new(), text.len());
    while end > 0 {
        let (_, start, id) = best[end]?;
        let is_unknown = id.is_some() && id == unk;
        match parts.last_mut() {
            Some((first, _, true)) if is_unknown => *first = start,
            _ => parts.push((start, end, is_unknown)),
        }
        end = start;
    }
    parts.reverse();
    let id = |&(start, end, _): &(usize, usize, bool)| ids.get(&text[start..end]).copied().or(unk);
    parts.iter().map(|part| id(part).map(|id| id as TokenId)).collect()
}

proptest! {
    #[test]
    fn word_piece_is_the_longest_match(
        tokens in prop::collection::vec("(##|#)?[abé中]{0,4}", 0..60),
        unk in any::<bool>(),
        prefix in prop::sample::select(vec!["##", "#", "", "a"]),
        max_chars in prop::sample::select(vec![0usize, 4, 100]),
        words in prop::collection::vec("[abé中#x]{0,12}", 1..20),
    ) {
        let mut tokens = tokens;
        tokens.extend(unk.then(|| "?".to_owned()));
        let vocab = vocab(&tokens);
        let model = Model::WordPiece(Box::new(WordPiece::new(WordPieceConfig {
            vocab: vocab.clone(),
            unk_token: "?".to_owned(),
            continuing_subword_prefix: prefix.to_owned(),
            max_input_chars_per_word: max_chars,
        })));
        for word in &words {
            prop_assert_eq!(encode(&model, word), naive_word_piece(&vocab, prefix, max_chars, word), "{}", word);
        }
    }

    #[test]
    fn unigram_is_the_best_sum(
        pieces in prop::collection::vec(("[abé中]{0,4}", prop::sample::select(vec![-1.0, -2.0, -0.1, -1.0 / 3.0, 0.7, 1e308])), 0..40),
        unk in prop::option::of(0..40usize),
        texts in prop::collection::vec("[abé中x]{0,16}", 1..20),
    ) {
        let unk = unk.filter(|&unk| unk < pieces.len());
        let config = UnigramConfig { vocab: pieces.clone(), unk_id: unk, byte_fallback: false };
        let model = Model::Unigram(Box::new(Unigram::new(config).unwrap()));
        for text in &texts {
            prop_assert_eq!(encode(&model, text).map(|(ids, _)| ids), naive_unigram(&pieces, unk, text), "{}", text);
        }
    }

    #[test]
    fn word_level_is_a_look_up(tokens in prop::collection::vec("[abé?]{0,2}", 0..12), word in "[abé?]{0,2}") {
        let vocab = vocab(&tokens);
        let config = WordLevelConfig { vocab: vocab.clone(), unk_token: "?".to_owned() };
        let model = Model::WordLevel(Box::new(WordLevel::new(config)));
        let expected = vocab.id(&word).or(vocab.id("?")).map(|id| (vec![id], vec![[0, word.len() as u32]]));
        prop_assert_eq!(encode(&model, &word), expected);
    }
}

#[test]
fn a_unigram_needs_its_unknown_token_in_range() {
    let config =
        |len: usize, unk| UnigramConfig { vocab: vec![("a".to_owned(), 0.0); len], unk_id: unk, byte_fallback: false };
    assert!(Unigram::new(config(0, None)).is_ok());
    assert!(Unigram::new(config(2, Some(1))).is_ok());
    for (len, unk) in [(0, 0), (2, 2), (2, usize::MAX)] {
        assert!(Unigram::new(config(len, Some(unk))).is_err());
    }
}
