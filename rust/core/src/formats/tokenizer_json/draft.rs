//! A file whose vocabulary is put under other components than its own.

use std::path::Path;

use serde_json::Value;

use super::{AddedTokenFields, File, Numbers, missing_model, parts_of, read_all, read_file};
use crate::added_vocabulary::AddedToken;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::tokenizer::{Tokenizer, TokenizerParts};

/// A tokenizer.json of which everything is read and nothing is built.
///
/// Classes of transformers take the vocabulary and the merges of a file, and bring the components themselves.
pub struct Draft(File);

impl Draft {
    /// Reads a file: scores to the last bit if `exact`, otherwise as the reference reads them.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Json`] and [`Error::Schema`], as [`super::parse`].
    pub fn from_file(path: impl AsRef<Path>, exact: bool) -> Result<Self> {
        read_file(path.as_ref(), if exact { Numbers::Exact } else { Numbers::AsReference }).map(Self)
    }

    /// The tokenizer that the file describes.
    ///
    /// # Errors
    /// As [`super::parse`].
    pub fn build(self) -> Result<Tokenizer> {
        Tokenizer::new(parts_of(self.0, AddedTokenFields::into_token)?)
    }

    /// The type of the model: as the file has it, otherwise what its fields allow.
    ///
    /// # Errors
    /// [`Error::Schema`] for a file without a model.
    pub fn model(&self) -> Result<&'static str> {
        self.0.model.as_ref().map(super::ModelFields::kind_name).ok_or_else(missing_model)
    }

    /// The value of one of the file's keys beside the model and the added tokens; null without it.
    pub fn value(&self, key: &str) -> Option<&Value> {
        Some(match key {
            "truncation" => &self.0.truncation,
            "padding" => &self.0.padding,
            "normalizer" => &self.0.normalizer,
            "pre_tokenizer" => &self.0.pre_tokenizer,
            "post_processor" => &self.0.post_processor,
            "decoder" => &self.0.decoder,
            _ => return None,
        })
    }

    /// The tokens and scores of a list; empty for a vocabulary of another form.
    pub fn scores(&self) -> &[(String, f64)] {
        self.0.model.as_ref().map_or(&[], super::ModelFields::scores)
    }

    /// The added tokens with the ids that stand in the file.
    pub fn added_tokens(&self) -> impl Iterator<Item = (TokenId, AddedToken)> {
        self.0.added_tokens.iter().map(|fields| (fields.id, fields.clone().into_token().1))
    }

    /// The tokenizer that `frame`, the content of a tokenizer.json, is with this file's vocabulary and merges.
    ///
    /// # Errors
    /// [`Error::Schema`] if the models are of different types, or cut different prefixes out of merges; as [`super::parse`].
    pub fn finish(self, frame: &str) -> Result<Tokenizer> {
        let mut file = read_all(frame.as_bytes(), Numbers::Exact)?;
        let ours = self.0.model.ok_or_else(missing_model)?;
        let theirs = file.model.as_mut().ok_or_else(missing_model)?;
        if !theirs.take_tables(ours) {
            let message = "the vocabulary belongs to a model of another kind".to_owned();
            return Err(Error::Schema { path: "model".to_owned(), message });
        }
        let parts: TokenizerParts = parts_of(file, |fields| (Some(fields.id), fields.into_token().1))?;
        Tokenizer::new(parts)
    }
}
