//! `WordLevel`: a piece is a token as a whole, or unknown.

use crate::{Error, Result, TokenId, Vocab};

/// The `model` object of a tokenizer.json with `"type": "WordLevel"`.
pub struct WordLevelConfig {
    /// `vocab`
    pub vocab: Vocab,
    /// `unk_token`
    pub unk_token: String,
}

/// A look-up of whole pieces.
pub struct WordLevel {
    vocab: Vocab,
    unk_token: String,
    unk: Option<TokenId>,
}

impl WordLevel {
    /// The model; `unk_token` need not be in the vocabulary as long as no text needs it.
    pub fn new(config: WordLevelConfig) -> Self {
        let WordLevelConfig { vocab, unk_token } = config;
        Self { unk: vocab.id(&unk_token), vocab, unk_token }
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The token for pieces that are no tokens.
    pub fn unk_token(&self) -> &str {
        &self.unk_token
    }

    /// The token of a piece.
    ///
    /// # Errors
    /// [`Error::MissingUnkToken`] for an unknown piece when the vocabulary lacks `unk_token`.
    pub fn encode(&self, piece: &str) -> Result<TokenId> {
        let unknown = || Error::MissingUnkToken { model: "WordLevel", token: Some(self.unk_token.clone()) };
        self.vocab.id(piece).or(self.unk).ok_or_else(unknown)
    }
}
