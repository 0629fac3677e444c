//! Compiled tokenization: the exact ids of Hugging Face `tokenizers`, at the speed of the hardware.
//!
//! # The way to the hot loop
//!
//! `Tokenizer::encode_ragged` (`tokenizer/batch.rs`) → `Tokenizer::encode_segment` (`tokenizer/encode.rs`)
//! → `kernels::scan` harvests piece boundaries → `Bpe::encode_pieces` (`models/bpe/mod.rs`) probes the word cache
//! (`models/bpe/cache.rs`) → on a miss, `models/bpe/merge.rs`.

pub mod added_vocabulary;
pub mod error;
pub mod ids;
pub mod normalizers;
pub mod vocab;

pub use error::{Error, Result};
pub use ids::{Span, TokenId};
