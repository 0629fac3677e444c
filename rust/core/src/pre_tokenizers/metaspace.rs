//! `Metaspace`: spaces as a visible character, which begins the word behind it.

use serde::Deserialize;

/// Configuration of `Metaspace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Metaspace {
    /// What stands for a space.
    pub replacement: char,
    /// Where to put one that is not there.
    pub prepend_scheme: PrependScheme,
    /// Cut before each.
    pub split: bool,
}

/// When a text that does not begin with the replacement gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrependScheme {
    /// When it is the beginning of the input.
    First,
    /// Never.
    Never,
    /// Always.
    Always,
}

/// The object as it stands in a file; `str_rep` of old files follows from `replacement`.
#[derive(Deserialize)]
struct Fields {
    replacement: char,
    add_prefix_space: Option<bool>,
    #[serde(default = "always")]
    prepend_scheme: PrependScheme,
    split: Option<bool>,
}

fn always() -> PrependScheme {
    PrependScheme::Always
}

impl TryFrom<Fields> for Metaspace {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { replacement, add_prefix_space, prepend_scheme, split } = fields;
        if add_prefix_space == Some(false) && prepend_scheme != PrependScheme::Never {
            return Err("add_prefix_space does not match declared prepend_scheme");
        }
        Ok(Self { replacement, prepend_scheme, split: split.unwrap_or(true) })
    }
}
