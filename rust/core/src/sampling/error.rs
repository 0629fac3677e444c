//! What can go wrong between logits and a token.

/// Result of the fallible calls of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of sampling.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row has no distribution: a NaN, positive infinity, or nothing but negative infinity.
    #[error("row {row}: {what}")]
    Row {
        /// Index of the row in its batch.
        row: usize,
        /// What is wrong with it.
        what: RowFault,
    },
    /// A token id outside the vocabulary.
    #[error("{what} {id} lies outside the vocabulary of {vocabulary} tokens")]
    TokenId {
        /// What holds the id.
        what: &'static str,
        /// The id.
        id: i64,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// Two lengths that must agree.
    #[error("{what} has {found}, expected {expected}")]
    Length {
        /// What was measured.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// An option outside its range.
    #[error("{option} must be {expected}, but is {found}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its range.
        expected: &'static str,
        /// The value.
        found: f64,
    },
    /// A row that was not drawn, because one before it failed; calls return the error of that one.
    #[error("a row before it failed")]
    Skipped,
    /// Bytes that are no state of torch's CPU generator.
    #[error("not a state of torch's CPU generator: {0}")]
    State(&'static str),
}

/// Why a row has no distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// The row has no values.
    #[error("the row is empty")]
    Empty,
    /// A value is NaN.
    #[error("the logits hold NaN")]
    Nan,
    /// The largest value is positive infinity.
    #[error("the logits hold positive infinity")]
    Infinite,
    /// Every token is at negative infinity.
    #[error("every token is masked out (all logits are -inf)")]
    AllMasked,
}
