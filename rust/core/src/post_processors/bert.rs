use serde::{Deserialize, Serialize};

use super::surround;
use crate::encoding::Encoding;
use crate::ids::TokenId;

/// `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`; type ids are 0, and 1 from the second sequence on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct BertProcessing {
    /// The separator, as text and id.
    pub sep: (String, TokenId),
    /// The token that opens the first sequence.
    pub cls: (String, TokenId),
}

impl BertProcessing {
    pub(super) fn process<'v>(
        &self,
        encodings: Vec<Encoding>,
        add_special_tokens: bool,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Vec<Encoding> {
        if !add_special_tokens {
            return encodings;
        }
        let surround_one = |(index, encoding): (usize, Encoding)| match index {
            0 => surround(encoding, 0, Some(&self.cls), (&self.sep, 0), token),
            _ => surround(encoding, 1, None, (&self.sep, 1), token),
        };
        encodings.into_iter().enumerate().map(surround_one).collect()
    }
}
