//! `Digits`: numbers apart from everything else.

use serde::Deserialize;

use super::behavior::Behavior;

/// Configuration of `Digits`. A digit is what [`char::is_numeric`] accepts, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Digits {
    /// Each digit is a piece; otherwise runs of digits are.
    pub individual_digits: bool,
}

impl Digits {
    pub(super) fn behavior(self) -> Behavior {
        if self.individual_digits { Behavior::Isolated } else { Behavior::Contiguous }
    }
}
