//! Files that hold a tokenizer.

mod json;
pub mod tiktoken;
pub mod tokenizer_json;
