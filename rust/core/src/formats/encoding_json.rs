//! An encoding as JSON, self-contained: the form in which the reference pickles one, with the sequences, which it loses.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::encoding::{Encoding, NO_WORD};
use crate::error::{Error, Result};
use crate::ids::TokenId;

#[derive(Deserialize, Serialize)]
struct Fields {
    ids: Vec<TokenId>,
    type_ids: Vec<u32>,
    tokens: Vec<String>,
    words: Vec<Option<u32>>,
    offsets: Vec<(u32, u32)>,
    special_tokens_mask: Vec<u8>,
    attention_mask: Vec<u8>,
    overflowing: Vec<Fields>,
    #[serde(default)]
    sequence_ranges: BTreeMap<usize, Range<usize>>,
}

impl Encoding {
    /// The encoding as JSON. `token` gives the vocabulary's string of an id.
    pub fn to_json<'v>(&self, token: &dyn Fn(TokenId) -> Option<&'v str>) -> String {
        serde_json::to_string(&Fields::new(self, token)).expect("numbers, strings and lists are JSON")
    }

    /// Reads what [`to_json`](Self::to_json) wrote; all tokens are then among the encoding's own
    /// [`token_texts`](Self::token_texts).
    ///
    /// # Errors
    /// [`Error::Json`] when it is no such JSON, [`Error::Schema`] when the lists differ in length.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let fields: Fields = serde_json::from_slice(json).map_err(|error| Error::Json {
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })?;
        fields.into_encoding()
    }
}

impl Fields {
    fn new<'v>(encoding: &Encoding, token: &dyn Fn(TokenId) -> Option<&'v str>) -> Self {
        let text =
            |(at, &id): (usize, &TokenId)| encoding.token_text(at).or_else(|| token(id)).unwrap_or_default().to_owned();
        Self {
            ids: encoding.ids.clone(),
            type_ids: encoding.type_ids.clone(),
            tokens: encoding.ids.iter().enumerate().map(text).collect(),
            words: encoding.words.iter().map(|&word| (word != NO_WORD).then_some(word)).collect(),
            offsets: encoding.offsets.clone(),
            special_tokens_mask: encoding.special_tokens_mask.clone(),
            attention_mask: encoding.attention_mask.clone(),
            overflowing: encoding.overflowing.iter().map(|part| Self::new(part, token)).collect(),
            sequence_ranges: encoding.sequence_ranges.iter().cloned().collect(),
        }
    }

    fn into_encoding(self) -> Result<Encoding> {
        let len = self.ids.len();
        let lengths = [
            self.type_ids.len(),
            self.tokens.len(),
            self.words.len(),
            self.offsets.len(),
            self.special_tokens_mask.len(),
            self.attention_mask.len(),
        ];
        let in_range = |range: &Range<usize>| range.start <= range.end && range.end <= len;
        if lengths.iter().any(|&other| other != len) || !self.sequence_ranges.values().all(in_range) {
            let message = "the lists of an encoding differ in length".to_owned();
            return Err(Error::Schema { path: "encoding".to_owned(), message });
        }
        let texts = self.tokens.into_iter().enumerate();
        Ok(Encoding {
            ids: self.ids,
            type_ids: self.type_ids,
            offsets: self.offsets,
            words: self.words.into_iter().map(|word| word.unwrap_or(NO_WORD)).collect(),
            special_tokens_mask: self.special_tokens_mask,
            attention_mask: self.attention_mask,
            sequence_ranges: self.sequence_ranges.into_iter().collect(),
            token_texts: texts.map(|(at, text)| (at as u32, text.into())).collect(),
            overflowing: self.overflowing.into_iter().map(Self::into_encoding).collect::<Result<_>>()?,
        })
    }
}
