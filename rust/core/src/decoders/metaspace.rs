use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// When the pre-tokenizer puts the replacement before a text; here it says whether the first one goes away again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrependScheme {
    /// Before the first text.
    First,
    /// Never.
    Never,
    /// Before every text.
    #[default]
    Always,
}

/// The replacement back to spaces; all of them vanish in the first token, unless nothing was ever put before a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metaspace {
    /// What stands for a space.
    pub replacement: char,
    /// Whether the first token begins with one that was not in the text.
    pub prepend_scheme: PrependScheme,
    /// Of no effect here; the component is the same as the pre-tokenizer in the file format.
    pub split: bool,
}

/// The fields with those of older files.
#[derive(Deserialize)]
pub(super) struct Fields {
    replacement: char,
    add_prefix_space: Option<bool>,
    #[serde(default)]
    prepend_scheme: PrependScheme,
    split: Option<bool>,
}

impl TryFrom<Fields> for Metaspace {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { replacement, add_prefix_space, mut prepend_scheme, split } = fields;
        if add_prefix_space == Some(false) {
            if prepend_scheme != PrependScheme::Never {
                return Err("add_prefix_space does not match prepend_scheme");
            }
            prepend_scheme = PrependScheme::Never;
        }
        Ok(Self { replacement, prepend_scheme, split: split.unwrap_or(true) })
    }
}

impl Metaspace {
    pub(super) fn decode<'t>(&self, token: Cow<'t, str>, is_first: bool) -> Cow<'t, str> {
        if !token.contains(self.replacement) {
            return token;
        }
        let space = if is_first && self.prepend_scheme != PrependScheme::Never { "" } else { " " };
        Cow::Owned(token.replace(self.replacement, space))
    }
}
