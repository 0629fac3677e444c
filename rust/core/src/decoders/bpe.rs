use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The suffix that ends a word becomes a space, and nothing in the last token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct BpeDecoder {
    /// What marks the end of a word.
    pub suffix: String,
}

impl BpeDecoder {
    pub(super) fn decode<'t>(&self, token: Cow<'t, str>, is_last: bool) -> Cow<'t, str> {
        if token.contains(&self.suffix) {
            Cow::Owned(token.replace(&self.suffix, if is_last { "" } else { " " }))
        } else {
            token
        }
    }
}
