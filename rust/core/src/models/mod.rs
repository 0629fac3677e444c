//! `model`: pieces of text to token ids.

pub mod bpe;

use crate::{TokenId, Vocab};
pub use bpe::{Bpe, BpeConfig, Merge};

/// The `model` of a tokenizer.json.
pub enum Model {
    /// Byte-pair encoding.
    Bpe(Bpe),
}

impl Model {
    /// The tokens of the model, without added ones.
    pub fn vocab(&self) -> &Vocab {
        match self {
            Self::Bpe(bpe) => bpe.vocab(),
        }
    }

    /// The value of `type` in tokenizer.json.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bpe(_) => "BPE",
        }
    }

    /// The id of a token.
    pub fn token_to_id(&self, token: &str) -> Option<TokenId> {
        self.vocab().id(token)
    }

    /// The token of an id.
    pub fn id_to_token(&self, id: TokenId) -> Option<&str> {
        self.vocab().token(id)
    }
}
