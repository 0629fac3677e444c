//! Unigram: the segmentation with the best sum of scores.
//!
//! ```text
//! for each character position, from the left:
//!     for each token that begins here, and the unknown character where no token is just this character:
//!         the position behind it remembers this way if its sum is the first, or greater than the one known
//! walk back from the end; unknown characters side by side are one
//! ```
//!
//! Sums are double precision in this order, and a way of equal sum does not replace the one known: that is what decides
//! between segmentations of equal score in the reference.

use super::{
    alphabet::{Alphabet, Letter},
    trie::{ROOT, Trie},
};
use crate::vocab::{MAX_TOKEN_ID, MAX_VOCAB_BYTES};
use crate::{Error, Result, TokenId, Vocab};

/// How much worse than the worst token an unknown character is.
const UNKNOWN_PENALTY: f64 = 10.0;

/// The `model` object of a tokenizer.json with `"type": "Unigram"`.
pub struct UnigramConfig {
    /// `vocab`: tokens and their scores; the position of a token is its id. A token may be there twice.
    pub vocab: Vec<(String, f64)>,
    /// `unk_id`
    pub unk_id: Option<usize>,
    /// `byte_fallback`
    pub byte_fallback: bool,
}

/// A unigram language model over tokens.
pub struct Unigram {
    vocab: Vocab,
    alphabet: Alphabet,
    /// The tokens and their scores; minus infinity where none ends.
    trie: Trie<f64>,
    /// The token that ends in a slot of the trie.
    tokens: Box<[TokenId]>,
    /// Score of each token.
    scores: Vec<f64>,
    /// Whether no sum of scores is infinite.
    finite: bool,
    unknown_score: f64,
    unk: Option<TokenId>,
    /// `<0x00>` to `<0xFF>`, where the vocabulary has them.
    bytes: Option<Box<[Option<TokenId>; 256]>>,
}

/// The best way to a position: the score of the text up to here, where the last token begins, and its slot in the trie.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    start: u32,
    slot: u32,
}

/// No way leads here yet.
const UNREACHED: Best = Best { score: f64::NEG_INFINITY, start: u32::MAX, slot: UNKNOWN };
/// In place of a slot: an unknown character.
const UNKNOWN: u32 = u32::MAX;

/// Up to this absolute value the sum of as many scores as a text has characters is finite.
const FINITE: f64 = 1e200;

/// Buffers of [`Unigram::encode`].
#[derive(Default)]
pub struct UnigramScratch {
    best: Vec<Best>,
    /// Tokens from the right: where each begins and ends; none for unknown characters.
    path: Vec<(u32, u32, Option<TokenId>)>,
}

impl Unigram {
    /// Builds the trie.
    ///
    /// # Errors
    /// [`Error::Schema`] when `unk_id` is no position of the vocabulary, [`Error::Limit`] when the vocabulary is too large.
    pub fn new(config: UnigramConfig) -> Result<Self> {
        let UnigramConfig { vocab: pieces, unk_id, byte_fallback } = config;
        if let Some(unk) = unk_id
            && unk >= pieces.len()
        {
            let message = format!("{unk} is not the position of one of {} tokens", pieces.len());
            return Err(Error::Schema { path: "model.unk_id".into(), message });
        }
        let bytes = pieces.iter().map(|(token, _)| token.len()).sum();
        for (what, found, limit) in [
            ("number of tokens in model.vocab", pieces.len(), MAX_TOKEN_ID as usize + 1),
            ("bytes of all tokens", bytes, MAX_VOCAB_BYTES),
        ] {
            if found > limit {
                return Err(Error::Limit { what, found, limit });
            }
        }
        let mut vocab = Vocab::with_capacity(pieces.len(), bytes);
        for (id, (token, _)) in pieces.iter().enumerate() {
            vocab.insert_listed(token, id as TokenId);
        }
        let scores: Vec<f64> = pieces.iter().map(|&(_, score)| score).collect();
        let alphabet = Alphabet::new(vocab.iter().map(|(token, _)| token));
        let trie = Trie::new(&alphabet, vocab.iter());
        let tokens = trie.values();
        let trie = trie.map(f64::NEG_INFINITY, |token| scores[token as usize]);
        let finite = scores.iter().all(|score| score.abs() < FINITE);
        // Not `f64::min`: what is not less than the least so far is passed over.
        let least = scores.iter().fold(f64::INFINITY, |least, &score| if score < least { score } else { least });
        let byte = |byte: usize| vocab.id(&format!("<0x{byte:02X}>"));
        let bytes = byte_fallback.then(|| Box::new(std::array::from_fn(byte)));
        let unk = unk_id.map(|unk| unk as TokenId);
        Ok(Self { vocab, alphabet, trie, tokens, scores, finite, unknown_score: least - UNKNOWN_PENALTY, unk, bytes })
    }

    /// The vocabulary. Of a token that is listed twice it knows both ids, and the token the last.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The score of each id.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The id of unknown characters.
    pub fn unk_id(&self) -> Option<TokenId> {
        self.unk
    }

    /// Whether unknown text becomes the tokens of its bytes, where there are such.
    pub fn byte_fallback(&self) -> bool {
        self.bytes.is_some()
    }

    /// The letters that pieces are given in.
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// Gives `emit` the tokens of a piece, where they begin and end in it, in letters, and whether they stand for unknown
    /// text. The tokens of the bytes of unknown text all have the span of the whole of it, and do not count as unknown.
    ///
    /// # Errors
    /// [`Error::MissingUnkToken`] for an unknown character when there is no `unk_id`.
    pub fn encode(
        &self,
        piece: &[Letter],
        scratch: &mut UnigramScratch,
        mut emit: impl FnMut(TokenId, u32, u32, bool),
    ) -> Result<()> {
        let UnigramScratch { best, path } = scratch;
        best.clear();
        best.resize(piece.len() + 1, UNREACHED);
        best[0].score = 0.0;
        if self.finite {
            self.search::<true>(piece, best)?;
        } else {
            self.search::<false>(piece, best)?;
        }
        path.clear();
        let mut end = piece.len() as u32;
        while end > 0 {
            let Best { start, slot, .. } = best[end as usize];
            let token = if slot == UNKNOWN { self.unk } else { Some(self.tokens[slot as usize]) };
            match (path.last_mut(), token == self.unk) {
                (Some((first, _, None)), true) => *first = start,
                (_, unknown) => path.push((start, end, if unknown { None } else { token })),
            }
            end = start;
        }
        for &(start, end, token) in path.iter().rev() {
            if let Some(token) = token {
                emit(token, start, end, false);
                continue;
            }
            let unknown = &piece[start as usize..end as usize];
            // Also what is unknown may be the text of a token, of one with a score that nothing can want.
            if let Some(id) = self.token(unknown) {
                emit(id, start, end, false);
            } else if let Some(bytes) = &self.bytes
                && let text = self.alphabet.spell(unknown)
                && text.bytes().all(|byte| bytes[usize::from(byte)].is_some())
            {
                text.bytes().filter_map(|byte| bytes[usize::from(byte)]).for_each(|id| emit(id, start, end, false));
            } else {
                emit(self.unk.ok_or_else(missing_unk)?, start, end, true);
            }
        }
        Ok(())
    }

    /// The token that is this text.
    fn token(&self, text: &[Letter]) -> Option<TokenId> {
        let (mut base, mut token) = (ROOT, None);
        for &letter in text {
            let (slot, node) = self.trie.next(base, letter)?;
            (base, token) = (node.base(), node.value().map(|_| self.tokens[slot]));
        }
        token
    }

    /// Finds the best way to every position. Where all sums are `FINITE`, a position that nothing leads to yet is worse than
    /// any, as is a token that does not exist: one comparison tells it all.
    #[inline(always)]
    fn search<const FINITE: bool>(&self, piece: &[Letter], best: &mut [Best]) -> Result<()> {
        for at in 0..piece.len() {
            let so_far = best[at].score;
            let mut base = ROOT;
            let mut alone = false;
            for (i, (&letter, target)) in piece[at..].iter().zip(&mut best[at + 1..]).enumerate() {
                let Some((slot, node)) = self.trie.next(base, letter) else { break };
                base = node.base();
                let score = node.value_or_default() + so_far;
                let better = if FINITE {
                    score > target.score
                } else {
                    node.value().is_some() && (target.start == u32::MAX || score > target.score)
                };
                if better {
                    *target = Best { score, start: at as u32, slot: slot as u32 };
                }
                alone |= i == 0 && node.value().is_some();
            }
            if !alone {
                let score = self.unknown_score + so_far;
                let target = &mut best[at + 1];
                if target.start == u32::MAX || score > target.score {
                    self.unk.ok_or_else(missing_unk)?;
                    *target = Best { score, start: at as u32, slot: UNKNOWN };
                }
            }
        }
        Ok(())
    }
}

fn missing_unk() -> Error {
    Error::MissingUnkToken { model: "Unigram", token: None }
}
