//! Files to tokenizers.

mod components;
mod encoding_json;
mod json;
mod protobuf;
pub mod sentencepiece;
pub mod tiktoken;
pub mod tokenizer_json;
pub mod trained;

pub use components::Component;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{Error, Result, TokenId, Tokenizer, kernels::pages};

impl Tokenizer {
    /// Reads a tokenizer.json.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Tokenizer::from_bytes`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(tokenizer_json::parse_file(path.as_ref())?)
    }

    /// Reads the content of a tokenizer.json.
    ///
    /// # Errors
    /// [`Error::Json`] when it is no JSON, [`Error::Schema`] when a value has the wrong shape,
    /// [`Error::UnsupportedComponent`] for what this version does not run, and what building the components may raise.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::new(tokenizer_json::parse(bytes)?)
    }

    /// Reads what [`Tokenizer::to_json`] has written: added tokens keep the ids that stand there, where [`from_bytes`]
    /// numbers them as the reference does.
    ///
    /// [`from_bytes`]: Tokenizer::from_bytes
    ///
    /// # Errors
    /// As [`Tokenizer::from_bytes`].
    pub fn from_own_json(bytes: &[u8]) -> Result<Self> {
        Self::new(tokenizer_json::parse_exact(bytes)?)
    }

    /// Reads a `SentencePiece` model, as transformers does for a tokenizer without a class of its own.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`sentencepiece::parse`].
    pub fn from_sentencepiece(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(sentencepiece::parse(&read(path.as_ref())?)?)
    }

    /// Reads a tiktoken rank file, with the pattern and special tokens that such a file does not hold.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`tiktoken::parse`].
    pub fn from_tiktoken(path: impl AsRef<Path>, pattern: &str, special_tokens: &[(String, TokenId)]) -> Result<Self> {
        Self::new(tiktoken::parse(&read(path.as_ref())?, pattern, special_tokens)?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let whole = || {
        let mut file = File::open(path)?;
        let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |data| data.len() as usize + 1));
        pages::advise_huge(bytes.spare_capacity_mut());
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    whole().map_err(|source| Error::Io { path: path.to_owned(), source })
}
