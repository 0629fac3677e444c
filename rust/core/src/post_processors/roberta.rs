use serde::{Deserialize, Serialize};

use super::byte_level::trim_offsets;
use super::surround;
use crate::encoding::Encoding;
use crate::ids::TokenId;

/// `<s> A </s>`, or `<s> A </s> </s> B </s>`; all type ids are 0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RobertaProcessing {
    /// The separator, as text and id.
    pub sep: (String, TokenId),
    /// The token that opens the first sequence.
    pub cls: (String, TokenId),
    /// Take blanks out of the offsets first, as [`ByteLevel`](super::ByteLevel) does.
    pub trim_offsets: bool,
    /// The pre-tokenizer may have put a blank before the first word.
    pub add_prefix_space: bool,
}

impl RobertaProcessing {
    pub(super) fn process<'v>(
        &self,
        mut encodings: Vec<Encoding>,
        add_special_tokens: bool,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Vec<Encoding> {
        for encoding in &mut encodings {
            if self.trim_offsets {
                trim_offsets(encoding, self.add_prefix_space, token);
            }
            encoding.type_ids.fill(0);
        }
        if !add_special_tokens {
            return encodings;
        }
        let surround_one = |(index, mut encoding): (usize, Encoding)| {
            encoding.overflowing.iter_mut().for_each(|part| part.type_ids.fill(0));
            let before = if index == 0 { &self.cls } else { &self.sep };
            surround(encoding, index.min(1), Some(before), (&self.sep, 0), token)
        };
        encodings.into_iter().enumerate().map(surround_one).collect()
    }
}
