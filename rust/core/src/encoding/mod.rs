//! What encoding gives back.

pub mod tokens;

pub use tokens::{IDS, NO_WORD, SPANS, Tokens, WORDS};
