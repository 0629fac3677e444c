//! Learns a Unigram model: pieces with the probabilities under which the corpus is most likely, pruned to a vocabulary.
//!
//! ```text
//! pieces: every character, and the frequent substrings of words (seeds.rs)
//! until the pieces are few enough:
//!     a few times: expected count of each piece over all segmentations of all words; new probabilities from the counts
//!     drop the pieces that cost the corpus the least likelihood, some of them at a time
//! cut to the size asked for, and fit the probabilities once more
//! ```
//!
//! This is the method of Kudo (2018) as `SentencePiece` and the reference carry it out. Numbers cannot be the reference's, which
//! depend on the order of its hash maps and on its threads; the aim is a likelihood at least as high, with the same result for
//! any number of threads. What differs, each for that aim: substrings are counted as often as their words occur; a piece that
//! only ever ends words is a candidate, too; characters stay in the model while it is trained; the last pieces are chosen by what
//! they are worth, and their probabilities fit the final vocabulary. Sums over paths are kept as mantissa and exponent, so that a
//! word may have any length; the reference's underflow to NaN there.

// Sums of counts beyond 2^53 need not be exact.
#![allow(clippy::cast_precision_loss)]

mod corpus;
mod lattice;
mod seeds;

use super::{Watch, Words, check_vocab_size};
use crate::{Error, Result};

use corpus::Corpus;

/// Learns a Unigram model.
#[derive(Clone, Debug)]
pub struct UnigramTrainer {
    /// Tokens that the vocabulary may have, special ones included.
    pub vocab_size: usize,
    /// The first tokens of the vocabulary, in order; one that comes twice counts once.
    pub special_tokens: Vec<String>,
    /// Characters of the alphabet that the corpus need not have.
    pub initial_alphabet: Vec<char>,
    /// What share of the pieces stays when some are dropped, between 0 and 1.
    pub shrinking_factor: f64,
    /// The token for characters that the vocabulary lacks: one of the special tokens, or else a token before them.
    pub unk_token: Option<String>,
    /// Characters that a piece may have.
    pub max_piece_length: usize,
    /// Rounds of expectation and maximization before pieces are dropped.
    pub n_sub_iterations: usize,
    /// Pieces to start with.
    pub seed_size: usize,
}

impl Default for UnigramTrainer {
    fn default() -> Self {
        Self {
            vocab_size: 8000,
            special_tokens: Vec::new(),
            initial_alphabet: Vec::new(),
            shrinking_factor: 0.75,
            unk_token: None,
            max_piece_length: 16,
            n_sub_iterations: 2,
            seed_size: 1_000_000,
        }
    }
}

/// What [`UnigramTrainer`] learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainedUnigram {
    /// Special tokens with score 0, then pieces with their log probabilities, the likeliest first.
    pub vocab: Vec<(String, f64)>,
    /// Where the token for unknown characters is.
    pub unk_id: Option<usize>,
}

/// A piece expected less often than this is dropped when probabilities are fitted.
const RARE: f64 = 0.5;
/// How much larger than the vocabulary the pieces may be when fitting ends and the last are chosen.
const SLACK: f64 = 1.1;
/// Rounds of fitting the final vocabulary.
const LAST_ROUNDS: usize = 4;
/// What a character counts at least, so that every text that has only characters of the corpus can be segmented.
const LEAST_COUNT: f64 = 0.1;

impl UnigramTrainer {
    /// Learns from the words of a corpus.
    ///
    /// # Errors
    /// [`Error::TrainerOption`] for an option out of range, or a vocabulary too small for the characters;
    /// [`Error::Limit`] as for the other trainers, [`Error::Interrupted`] when `watch` says so.
    pub fn train(&self, words: &Words, watch: &mut Watch<'_>) -> Result<TrainedUnigram> {
        const STAGE: &str = "EM training";
        self.check()?;
        let (special, unk_id) = self.special();
        let corpus = Corpus::new(words, &self.initial_alphabet);
        let chars = corpus.alphabet.len();
        let needed = special.len() + chars;
        if needed > self.vocab_size {
            let message =
                format!("{} is too small for {chars} characters and {} special tokens", self.vocab_size, special.len());
            return Err(Error::TrainerOption { option: "vocab_size", message });
        }
        // Pieces that are special tokens would have two ids.
        let specials: std::collections::HashSet<&str> = special.iter().map(String::as_str).collect();
        let shared = corpus.alphabet.iter().filter(|c| specials.contains(&*c.to_string())).count();
        let room = self.vocab_size - special.len() + shared;

        watch.step("Find seeds", 0, 1)?;
        let mut pieces = seeds::seeds(&corpus, self.max_piece_length, self.seed_size, &specials);
        watch.step("Find seeds", 1, 1)?;

        let enough = ((room as f64 * SLACK) as usize).max(chars);
        let rounds = self.rounds(pieces.len(), enough);
        let mut round = 0;
        loop {
            for _ in 0..self.n_sub_iterations {
                let expected = pieces.expect(&corpus);
                pieces.fit_sparse(&expected, RARE, LEAST_COUNT);
                round += 1;
                watch.step(STAGE, round.min(rounds - 1), rounds)?;
            }
            if pieces.len() <= enough {
                break;
            }
            let keep = ((pieces.len() as f64 * self.shrinking_factor) as usize).max(enough);
            pieces.prune(&corpus, keep);
        }
        pieces.prune(&corpus, room);
        for _ in 0..LAST_ROUNDS {
            let expected = pieces.expect(&corpus);
            pieces.fit(&expected, LEAST_COUNT);
        }
        watch.step(STAGE, rounds, rounds)?;

        let learned = pieces.into_strings(&corpus).into_iter().filter(|(piece, _)| !specials.contains(piece.as_str()));
        let vocab = special.iter().map(|token| (token.clone(), 0.0)).chain(learned).collect();
        Ok(TrainedUnigram { vocab, unk_id })
    }

    fn check(&self) -> Result<()> {
        check_vocab_size(self.vocab_size)?;
        let fail = |option, message: &str| Err(Error::TrainerOption { option, message: message.to_owned() });
        if !(self.shrinking_factor > 0.0 && self.shrinking_factor < 1.0) {
            return fail("shrinking_factor", &format!("{} is not between 0 and 1", self.shrinking_factor));
        }
        if self.n_sub_iterations == 0 {
            return fail("n_sub_iterations", "0 rounds fit nothing");
        }
        if self.max_piece_length == 0 {
            return fail("max_piece_length", "a piece has at least one character");
        }
        Ok(())
    }

    /// The special tokens without repeats, and where the token for unknown characters is among them.
    fn special(&self) -> (Vec<String>, Option<usize>) {
        let mut special: Vec<String> = Vec::new();
        for token in &self.special_tokens {
            if !special.contains(token) {
                special.push(token.clone());
            }
        }
        let Some(unk) = &self.unk_token else { return (special, None) };
        if let Some(at) = special.iter().position(|token| token == unk) {
            return (special, Some(at));
        }
        special.insert(0, unk.clone());
        (special, Some(0))
    }

    /// Rounds of fitting that it takes to come down to `enough` pieces, about.
    fn rounds(&self, pieces: usize, enough: usize) -> usize {
        let steps = (enough.max(1) as f64 / pieces.max(1) as f64).ln() / self.shrinking_factor.ln();
        (steps.max(0.0) as usize + 1) * self.n_sub_iterations + 1
    }
}

/// The logarithmic derivative of the gamma function, for positive numbers.
///
/// Raised to at least 7 by the recurrence, then the asymptotic series around `x - 1/2`; good to about twelve digits.
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 7.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    x -= 0.5;
    let square = 1.0 / (x * x);
    let series = square * (1.0 / 24.0 - square * (7.0 / 960.0 - square * (31.0 / 8064.0 - square * (127.0 / 30720.0))));
    x.ln() + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(trainer: &UnigramTrainer, words: &[(&str, u64)]) -> Result<TrainedUnigram> {
        let words = Words::new(words.iter().map(|&(word, count)| (word.to_owned(), count)));
        trainer.train(&words, &mut Watch::new(&mut |_| false))
    }

    #[test]
    fn digamma_has_its_known_values() {
        const GAMMA: f64 = 0.577_215_664_901_532_9;
        for (x, expected) in
            [(1.0, -GAMMA), (0.5, -GAMMA - 2.0 * 2f64.ln()), (2.0, 1.0 - GAMMA), (10.0, 2.251_752_589_066_721)]
        {
            assert!((digamma(x) - expected).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn frequent_words_become_pieces() {
        let trainer = UnigramTrainer { vocab_size: 14, unk_token: Some("<unk>".into()), ..UnigramTrainer::default() };
        let trained = train(&trainer, &[("water", 50), ("river", 40), ("waterway", 3), ("driver", 2)]).unwrap();
        assert_eq!((trained.unk_id, trained.vocab.len()), (Some(0), 14));
        let pieces: Vec<&str> = trained.vocab[1..3].iter().map(|(piece, _)| piece.as_str()).collect();
        assert_eq!(pieces, ["water", "river"]);
    }

    #[test]
    fn options_out_of_range_are_named() {
        let too_small = UnigramTrainer { vocab_size: 3, ..UnigramTrainer::default() };
        let option = |result| match result {
            Err(Error::TrainerOption { option, .. }) => option,
            other => panic!("{other:?}"),
        };
        assert_eq!(option(train(&too_small, &[("abcd", 1)])), "vocab_size");
        for factor in [0.0, 1.0, -1.0, f64::NAN] {
            let trainer = UnigramTrainer { shrinking_factor: factor, ..UnigramTrainer::default() };
            assert_eq!(option(train(&trainer, &[])), "shrinking_factor");
        }
    }

    #[test]
    fn no_words_leave_the_alphabet() {
        let trainer = UnigramTrainer { initial_alphabet: vec!['b', 'a'], ..UnigramTrainer::default() };
        let trained = train(&trainer, &[]).unwrap();
        assert_eq!(trained.vocab.iter().map(|(piece, _)| piece.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(trained.vocab.iter().all(|(_, score)| score.is_finite()));
        assert_eq!(train(&UnigramTrainer::default(), &[]).unwrap(), TrainedUnigram::default());
    }

    #[test]
    fn a_word_may_have_any_length() {
        let word: String = (0..100_000u64).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
        let trained =
            train(&UnigramTrainer { vocab_size: 100, ..UnigramTrainer::default() }, &[(&word, 1 << 40)]).unwrap();
        assert!(trained.vocab.iter().all(|(_, score)| score.is_finite() && *score < 0.0));
    }
}
