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

use super::trie::{NO_VALUE, Trie};
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
    trie: Trie,
    /// Score of each token.
    scores: Vec<f64>,
    unknown_score: f64,
    unk: Option<TokenId>,
    /// `<0x00>` to `<0xFF>`, where the vocabulary has them.
    bytes: Option<Box<[Option<TokenId>; 256]>>,
}

/// The best way to a position: the score of the text up to here, where the last token begins, and which it is.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    start: u32,
    token: TokenId,
}

/// No way leads here yet.
const UNREACHED: Best = Best { score: 0.0, start: u32::MAX, token: 0 };

/// Buffers of [`Unigram::encode`].
#[derive(Default)]
pub struct UnigramScratch {
    best: Vec<Best>,
    /// Tokens from the right: where each begins and ends, and whether it is made of unknown characters.
    path: Vec<(u32, u32, bool)>,
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
        let trie = Trie::new(vocab.iter().map(|(token, id)| (token.as_bytes(), id)));
        let scores: Vec<f64> = pieces.iter().map(|&(_, score)| score).collect();
        // Not `f64::min`: what is not less than the least so far is passed over.
        let least = scores.iter().fold(f64::INFINITY, |least, &score| if score < least { score } else { least });
        let byte = |byte: usize| vocab.id(&format!("<0x{byte:02X}>"));
        let bytes = byte_fallback.then(|| Box::new(std::array::from_fn(byte)));
        let unk = unk_id.map(|unk| unk as TokenId);
        Ok(Self { vocab, trie, scores, unknown_score: least - UNKNOWN_PENALTY, unk, bytes })
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

    /// Gives `emit` the tokens of a piece, where they begin and end in it, and whether they stand for unknown text. The tokens
    /// of the bytes of unknown text all have the span of the whole of it, and do not count as unknown.
    ///
    /// # Errors
    /// [`Error::MissingUnkToken`] for an unknown character when there is no `unk_id`.
    pub fn encode(
        &self,
        piece: &str,
        scratch: &mut UnigramScratch,
        mut emit: impl FnMut(TokenId, u32, u32, bool),
    ) -> Result<()> {
        let UnigramScratch { best, path } = scratch;
        self.search(piece, best)?;
        path.clear();
        let mut end = piece.len() as u32;
        while end > 0 {
            let Best { start, token, .. } = best[end as usize];
            let unknown = Some(token) == self.unk;
            match path.last_mut() {
                Some((first, _, true)) if unknown => *first = start,
                _ => path.push((start, end, unknown)),
            }
            end = start;
        }
        for &(start, end, unknown) in path.iter().rev() {
            let text = &piece[start as usize..end as usize];
            if !unknown {
                emit(best[end as usize].token, start, end, false);
                continue;
            }
            // Also what is unknown may be the text of a token, of one with a score that nothing can want.
            if let Some(id) = self.token(text.as_bytes()) {
                emit(id, start, end, false);
            } else if let Some(bytes) = &self.bytes
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
    fn token(&self, text: &[u8]) -> Option<TokenId> {
        let end = text.iter().try_fold(self.trie.root(), |node, &byte| self.trie.next(node, byte))?;
        Some(end.value()).filter(|&token| token != NO_VALUE)
    }

    /// Finds the best way to every position.
    fn search(&self, piece: &str, best: &mut Vec<Best>) -> Result<()> {
        let text = piece.as_bytes();
        best.clear();
        best.resize(text.len() + 1, UNREACHED);
        let mut at = 0;
        while at < text.len() {
            let so_far = best[at].score;
            let character = at + char_len(text[at]);
            let mut alone = false;
            let mut node = self.trie.root();
            for (end, &byte) in (at + 1..).zip(&text[at..]) {
                let Some(next) = self.trie.next(node, byte) else { break };
                node = next;
                let token = node.value();
                if token != NO_VALUE {
                    let score = self.scores[token as usize] + so_far;
                    let target = &mut best[end];
                    if target.start == u32::MAX || score > target.score {
                        *target = Best { score, start: at as u32, token };
                    }
                    alone |= end == character;
                }
            }
            if !alone {
                let score = self.unknown_score + so_far;
                let target = &mut best[character];
                if target.start == u32::MAX || score > target.score {
                    *target = Best { score, start: at as u32, token: self.unk.ok_or_else(missing_unk)? };
                }
            }
            at = character;
        }
        Ok(())
    }
}

fn missing_unk() -> Error {
    Error::MissingUnkToken { model: "Unigram", token: None }
}

/// Bytes of a character, by its first.
#[inline(always)]
fn char_len(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}
