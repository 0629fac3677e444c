use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Takes a character off both ends of every token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Strip {
    /// The character.
    pub content: char,
    /// At most so many times at the start,
    pub start: usize,
    /// and at the end.
    pub stop: usize,
}

impl Strip {
    /// The token without what is stripped. Where a token is shorter than what may be stripped the reference panics; here
    /// each side takes what the other has left.
    pub(super) fn decode<'t>(&self, token: Cow<'t, str>) -> Cow<'t, str> {
        let rest = self.trimmed(&token);
        if rest.len() == token.len() { token } else { Cow::Owned(rest.to_owned()) }
    }

    /// As a slice.
    pub fn trimmed<'t>(&self, token: &'t str) -> &'t str {
        let mut rest = token;
        for _ in 0..self.start {
            rest = match rest.strip_prefix(self.content) {
                Some(shorter) => shorter,
                None => break,
            };
        }
        for _ in 0..self.stop {
            rest = match rest.strip_suffix(self.content) {
                Some(shorter) => shorter,
                None => break,
            };
        }
        rest
    }
}
