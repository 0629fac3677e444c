//! What a caller may ask of one encode call, and what a tokenizer.json asks by default.

use super::Tokenizer;
use crate::{
    Error, Result,
    encoding::{Padding, Truncation},
};

/// Options of a call. They are arguments, never state: threads with different lengths share one tokenizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Let the post-processor add its tokens.
    pub add_special_tokens: bool,
    /// Cut texts that are too long.
    pub truncation: Option<Truncation>,
    /// Fill up texts that are too short.
    pub padding: Option<Padding>,
}

impl EncodeOptions {
    /// Neither truncation nor padding.
    pub fn plain(add_special_tokens: bool) -> Self {
        Self { add_special_tokens, ..Self::default() }
    }
}

impl Tokenizer {
    /// The options of a call that does not choose for itself.
    pub fn default_options(&self, add_special_tokens: bool) -> EncodeOptions {
        EncodeOptions { add_special_tokens, truncation: self.truncation.clone(), padding: self.padding.clone() }
    }

    /// The default truncation.
    pub fn truncation(&self) -> Option<&Truncation> {
        self.truncation.as_ref()
    }

    /// The default padding.
    pub fn padding(&self) -> Option<&Padding> {
        self.padding.as_ref()
    }

    /// The same tokenizer with another default truncation.
    ///
    /// # Errors
    /// [`Error::TruncationStride`] when the stride leaves no room.
    pub fn with_truncation(&self, truncation: Option<Truncation>) -> Result<Self> {
        if let Some(truncation) = &truncation {
            let max_length = truncation.beside(self.num_special_tokens_to_add(false)).max_length;
            if max_length < truncation.stride {
                return Err(Error::TruncationStride { stride: truncation.stride, max_length });
            }
        }
        Ok(Self { truncation, ..self.clone() })
    }

    /// The same tokenizer with another default padding.
    #[must_use]
    pub fn with_padding(&self, padding: Option<Padding>) -> Self {
        Self { padding, ..self.clone() }
    }

    /// The truncation of a call once special tokens have their room.
    pub(super) fn room(&self, options: &EncodeOptions, is_pair: bool) -> Option<Truncation> {
        let added = if options.add_special_tokens { self.num_special_tokens_to_add(is_pair) } else { 0 };
        options.truncation.as_ref().map(|truncation| truncation.beside(added))
    }
}
