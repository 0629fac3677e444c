//! Learns the vocabulary of a word-level model: the most frequent words.

use std::cmp::Reverse;

use super::{Watch, Words, check_vocab_size};
use crate::{Result, TokenId, Vocab};

/// Keeps the most frequent words.
#[derive(Clone, Debug)]
pub struct WordLevelTrainer {
    /// Tokens that the vocabulary may have.
    pub vocab_size: usize,
    /// A word that occurs less often is left out.
    pub min_frequency: u64,
    /// The first tokens of the vocabulary, in order.
    pub special_tokens: Vec<String>,
}

impl Default for WordLevelTrainer {
    fn default() -> Self {
        Self { vocab_size: 30_000, min_frequency: 0, special_tokens: Vec::new() }
    }
}

impl WordLevelTrainer {
    /// Learns from the words of a corpus: by falling count, and words of the same count in order.
    ///
    /// As in the reference, a special token that comes twice, or is a word as well, takes a place each time and has the
    /// last one as its id.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) for a `vocab_size` beyond [`MAX_TOKEN_ID`](crate::vocab::MAX_TOKEN_ID),
    /// [`Error::Interrupted`](crate::Error::Interrupted) when `watch` says so.
    pub fn train(&self, words: &Words, watch: &mut Watch<'_>) -> Result<Vocab> {
        check_vocab_size(self.vocab_size)?;
        let mut ordered: Vec<(&str, u64)> = words.iter().filter(|&(_, count)| count >= self.min_frequency).collect();
        // Words come sorted, and the sort is stable.
        ordered.sort_by_key(|&(_, count)| Reverse(count));
        let mut vocab = Vocab::with_capacity(self.vocab_size.min(words.len() + self.special_tokens.len()), 0);
        let special = self.special_tokens.iter().map(String::as_str);
        for (id, token) in special.chain(ordered.into_iter().map(|(word, _)| word)).take(self.vocab_size).enumerate() {
            vocab.insert(token, id as TokenId);
        }
        watch.step("Sort words", 1, 1)?;
        Ok(vocab)
    }
}
