//! `Punctuation`: cut at punctuation.

use serde::Deserialize;

use super::behavior::Behavior;

/// Configuration of `Punctuation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Punctuation {
    /// What becomes of it.
    #[serde(default = "isolated")]
    pub behavior: Behavior,
}

fn isolated() -> Behavior {
    Behavior::Isolated
}
