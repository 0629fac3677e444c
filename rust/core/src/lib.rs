//! Compiled tokenization and sampling: the exact ids of Hugging Face `tokenizers` and the tokens that torch draws, at the
//! speed of the hardware.
//!
//! # The way to the hot loops
//!
//! Byte-level BPE: `Tokenizer::encode_ragged` (`tokenizer/batch.rs`) → `Tokenizer::encode_text` (`tokenizer/encode.rs`)
//! → `encode_bytes` (`tokenizer/bytes.rs`): `kernels::scan` harvests piece boundaries → `Words::encode` (`models/words/mod.rs`)
//! looks the pieces up in the word cache → a new one is merged in `models/bpe/merge.rs`.
//!
//! Every other model: `encode_text` → `RawWords` (`tokenizer/raw_words/`) cuts the text as it came → `Words::encode` → a new
//! word runs the whole pipeline (`tokenizer/general.rs`) and `Model::encode_piece`.

pub mod added_vocabulary;
pub mod alignment;
pub mod decoders;
pub mod encoding;
pub mod error;
mod folded;
pub mod formats;
pub mod ids;
pub mod kernels;
pub mod models;
pub mod normalizers;
mod once;
pub mod post_processors;
pub mod pre_tokenizers;
pub mod sampling;
mod threads;
pub mod tokenizer;
pub mod trainers;
pub mod unicode;
pub mod vocab;

pub use added_vocabulary::{AddedToken, AddedVocabulary};
pub use alignment::Alignment;
pub use decoders::Decoder;
pub use encoding::Encoding;
pub use error::{Error, Result};
pub use ids::{Span, TokenId};
pub use models::Model;
pub use normalizers::Normalizer;
pub use post_processors::PostProcessor;
pub use pre_tokenizers::PreTokenizer;
pub use tokenizer::{DecodeStream, Input, Ragged, Tokenizer, TokenizerParts};
pub use vocab::Vocab;
