//! What can go wrong, as data that a caller can act on.

use std::path::PathBuf;

use crate::ids::TokenId;

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of loading a tokenizer or of encoding with one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The text is not JSON, or ends early.
    #[error("invalid JSON at line {line}, column {column}: {message}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's reason.
        message: String,
    },
    /// The bytes are no protobuf message, or end early.
    #[error("no protobuf message: at byte {position}: {message}")]
    Protobuf {
        /// Byte of the file.
        position: usize,
        /// What is wrong there.
        message: String,
    },
    /// The JSON is well formed, but a value has the wrong type, range or shape.
    #[error("{path}: {message}")]
    Schema {
        /// Keys that lead to the value, joined by dots (`model.merges[3]`).
        path: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A component that this version does not run.
    #[error("unsupported {stage}: {name}")]
    UnsupportedComponent {
        /// Key of tokenizer.json (`normalizer`, `pre_tokenizer`, ...).
        stage: &'static str,
        /// The component's `type`, or the option that is not supported.
        name: String,
    },
    /// A merge names a token that the vocabulary lacks.
    #[error("model.merges[{index}] names token {token:?}, which the vocabulary lacks")]
    UnknownMergeToken {
        /// Position of the merge.
        index: usize,
        /// The token.
        token: String,
    },
    /// An input is larger than a documented limit.
    #[error("{what} is {found}, the limit is {limit}")]
    Limit {
        /// What was measured.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The largest size accepted.
        limit: usize,
    },
    /// A pattern does not compile.
    #[error("regex {pattern:?} does not compile: {message}")]
    Regex {
        /// The pattern.
        pattern: String,
        /// The engine's reason.
        message: String,
    },
    /// A pattern gave up on a text (stack or retry limit of the engine).
    #[error("regex {pattern:?} failed on the text: {message}")]
    RegexSearch {
        /// The pattern.
        pattern: String,
        /// The engine's reason.
        message: String,
    },
    /// A normalizer inserted text before the first character, and the step after it rewrites the whole text: an order
    /// that the reference fails on as well.
    #[error("{step} cannot follow a normalizer that inserts text before the first character")]
    NormalizerOrder {
        /// The later step.
        step: &'static str,
    },
    /// The normalizer leaves nothing of an added token, which would then match everywhere.
    #[error("added token {token:?} is empty once normalized")]
    EmptyAddedToken {
        /// The token's content.
        token: String,
    },
    /// An added token that strips the blanks on its left lies inside the blanks that the token before it took on its
    /// right: a text that the reference fails on as well.
    #[error("added token {token:?} at byte {position} lies inside the blanks that the token before it took")]
    AddedTokenOverlap {
        /// The token's content.
        token: String,
        /// Where it begins in the text searched (the normalized text for a token that is matched there).
        position: usize,
    },
    /// A text has something that the model does not know, and the model has no token for that.
    #[error("the text is unknown to the {model} model, and {}", match token {
        Some(token) => format!("its vocabulary lacks the unk_token {token:?}"),
        None => "it has no unk_id".to_owned(),
    })]
    MissingUnkToken {
        /// `type` of the model.
        model: &'static str,
        /// `unk_token`, where the model names one.
        token: Option<String>,
    },
    /// Text that a decode stream gave out is no longer how the text begins.
    #[error("a decode stream gave out {expected:?}, but its ids decode to {found:?}")]
    DecodePrefix {
        /// What was given out.
        expected: String,
        /// What the ids decode to now.
        found: String,
    },
    /// A tokenizer.json cannot say which id an added token has.
    #[error("added token {token:?} has the id {id}, and a tokenizer.json would give it another one")]
    AddedTokenId {
        /// The token's content.
        token: String,
        /// Its id.
        id: TokenId,
    },
    /// `only_second` was asked for, and there is no second text.
    #[error("truncation \"only_second\" needs a pair of texts")]
    TruncationWithoutPair,
    /// The one text that may be cut has no token to spare.
    #[error("truncation {strategy:?}: a text of {length} tokens cannot give way by {excess}")]
    TruncationTooShort {
        /// Name of the strategy.
        strategy: &'static str,
        /// Tokens of the text that may be cut.
        length: usize,
        /// Tokens too many.
        excess: usize,
    },
    /// Parts that share `stride` tokens would not advance.
    #[error(
        "stride {stride} must be less than the {max_length} tokens that a text is cut to (special tokens not counted)"
    )]
    TruncationStride {
        /// The stride.
        stride: usize,
        /// What the text is cut to.
        max_length: usize,
    },
    /// Rows of a matrix differ in length.
    #[error("row {row} has {found} tokens, others have {expected}: ask for padding and truncation")]
    RowLength {
        /// Row of the result.
        row: usize,
        /// Its tokens.
        found: usize,
        /// Tokens of a row of the matrix.
        expected: usize,
    },
    /// A trainer's option, or an option and the corpus together, allow no vocabulary.
    #[error("{option}: {message}")]
    TrainerOption {
        /// The option.
        option: &'static str,
        /// What is wrong with its value.
        message: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}
