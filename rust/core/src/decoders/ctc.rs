use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::wordpiece::cleanup;

/// The output of a speech model, one token a frame: repeated tokens count once, blanks vanish.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename = "CTC")]
pub struct Ctc {
    /// The blank, which also separates a letter from itself.
    pub pad_token: String,
    /// What stands for a space between words.
    pub word_delimiter_token: String,
    /// Turn the delimiter into a space, and clean up as [`WordPiece`](super::WordPiece) does.
    pub cleanup: bool,
}

impl Ctc {
    pub(super) fn decode_chain<'t>(&self, mut tokens: Vec<Cow<'t, str>>) -> Vec<Cow<'t, str>> {
        tokens.dedup();
        let decode = |token: Cow<'t, str>| {
            let mut token = replace(token, &self.pad_token, "");
            if self.cleanup {
                token = replace(cleanup(token), &self.word_delimiter_token, " ");
            }
            (!token.is_empty()).then_some(token)
        };
        tokens.into_iter().filter_map(decode).collect()
    }
}

fn replace<'t>(token: Cow<'t, str>, pattern: &str, content: &str) -> Cow<'t, str> {
    if token.contains(pattern) { Cow::Owned(token.replace(pattern, content)) } else { token }
}
