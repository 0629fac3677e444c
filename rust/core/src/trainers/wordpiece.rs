//! Learns the vocabulary of a `WordPiece` model: that of BPE, without its merges.

use super::{BpeTrainer, Watch, Words};
use crate::{Result, Vocab};

/// Learns a `WordPiece` vocabulary.
#[derive(Clone, Debug)]
pub struct WordPieceTrainer {
    /// The options, those of BPE.
    pub bpe: BpeTrainer,
}

impl Default for WordPieceTrainer {
    /// The defaults of BPE, and the prefix `##`.
    fn default() -> Self {
        Self { bpe: BpeTrainer { continuing_subword_prefix: Some("##".into()), ..BpeTrainer::default() } }
    }
}

impl WordPieceTrainer {
    /// Learns from the words of a corpus.
    ///
    /// # Errors
    /// As [`BpeTrainer::train`].
    pub fn train(&self, words: &Words, watch: &mut Watch<'_>) -> Result<Vocab> {
        Ok(self.bpe.train(words, watch)?.vocab)
    }
}
