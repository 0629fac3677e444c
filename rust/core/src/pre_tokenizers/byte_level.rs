//! `ByteLevel`: bytes as printable characters, and the split of GPT-2.

use serde::Deserialize;

/// Configuration of `ByteLevel`, as a pre-tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ByteLevel {
    /// Put a space before a text that does not start with one.
    pub add_prefix_space: bool,
    /// Of use to the post-processor of the same name only.
    pub trim_offsets: bool,
    /// Split with the pattern of GPT-2.
    #[serde(default = "yes")]
    pub use_regex: bool,
}

fn yes() -> bool {
    true
}
