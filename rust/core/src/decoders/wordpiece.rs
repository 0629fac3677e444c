use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A space before every token that does not continue a word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WordPiece {
    /// What marks a token that continues a word.
    pub prefix: String,
    /// Take spaces before punctuation and English contractions out again.
    pub cleanup: bool,
}

impl WordPiece {
    pub(super) fn decode<'t>(&self, token: Cow<'t, str>, is_first: bool) -> Cow<'t, str> {
        let token = match token.strip_prefix(self.prefix.as_str()) {
            _ if is_first => token,
            Some(rest) => Cow::Owned(rest.to_owned()),
            None => Cow::Owned(format!(" {token}")),
        };
        if self.cleanup { cleanup(token) } else { token }
    }
}

/// What is cleaned up, one after the other. Every pattern begins with a space.
const CLEANUP: [(&str, &str); 11] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

pub(super) fn cleanup(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(' ') {
        return text;
    }
    CLEANUP.iter().fold(
        text,
        |text, (pattern, content)| {
            if text.contains(pattern) { Cow::Owned(text.replace(pattern, content)) } else { text }
        },
    )
}
