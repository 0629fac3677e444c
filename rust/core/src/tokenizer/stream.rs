//! Ids to text, one at a time.

use super::Tokenizer;
use crate::{Error, Result, TokenId};

/// Decodes ids as they come, holding back what the next one may still change: half a character, or a token whose text
/// depends on its neighbour. Follows the reference's `DecodeStream`.
#[derive(Clone, Debug, Default)]
pub struct DecodeStream {
    skip_special_tokens: bool,
    /// Ids whose text the next one may depend on.
    ids: Vec<TokenId>,
    /// What these decoded to when text was last given out, and how many of them there were.
    prefix: String,
    prefix_ids: usize,
}

impl DecodeStream {
    /// A stream at its beginning.
    pub fn new(skip_special_tokens: bool) -> Self {
        Self { skip_special_tokens, ..Self::default() }
    }

    /// A stream that continues after `ids`.
    pub fn with_ids(ids: Vec<TokenId>, skip_special_tokens: bool) -> Self {
        Self { skip_special_tokens, ids, ..Self::default() }
    }

    /// Takes ids and returns the text that they complete, if any.
    ///
    /// # Errors
    /// [`Error::DecodePrefix`] when the text given out before is no longer how the text begins.
    pub fn step(&mut self, tokenizer: &Tokenizer, ids: &[TokenId]) -> Result<Option<String>> {
        let decode = |ids: &[TokenId]| tokenizer.decode(ids, self.skip_special_tokens);
        if self.prefix.is_empty() && !self.ids.is_empty() {
            let prefix = decode(&self.ids)?;
            if !prefix.ends_with('\u{FFFD}') {
                self.prefix = prefix;
                self.prefix_ids = self.ids.len();
            }
        }
        self.ids.extend_from_slice(ids);
        let text = decode(&self.ids)?;
        if text.len() <= self.prefix.len() || text.ends_with('\u{FFFD}') {
            return Ok(None);
        }
        let Some(new) = text.strip_prefix(&self.prefix) else {
            return Err(Error::DecodePrefix { expected: self.prefix.clone(), found: text });
        };
        let new = new.to_owned();
        self.ids.drain(..self.prefix_ids);
        self.prefix = decode(&self.ids)?;
        self.prefix_ids = self.ids.len();
        Ok(Some(new))
    }
}
