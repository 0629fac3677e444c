//! The Python module `penstock._native`: converts arguments, releases the GIL, calls the core, maps its errors.
//!
//! No algorithm lives here. Classes are frozen over immutable core values, so threads share them without a lock.

// PyO3 converts an argument and hands it over by value, whether the function keeps it or not.
#![allow(clippy::needless_pass_by_value)]

mod added_token;
mod arrays;
mod columns;
mod components;
mod decode_stream;
mod draft;
mod encoding;
mod engine_state;
mod errors;
mod id_rows;
mod inputs;
mod lazy_encodings;
mod lazy_lists;
mod lists;
mod many_texts;
mod one_call;
mod one_text;
mod options;
mod padded;
mod prepared;
mod sampling;
mod special_steps;
mod text;
mod token_tables;
mod tokenizer;
mod training;
mod vocabulary;

/// Outputs and texts of megabytes come and go with every call.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: penstock::kernels::LargeBlocks = penstock::kernels::LargeBlocks;

/// Compiled part of penstock; use it through the package `penstock`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        added_token::AddedToken,
        components::Component,
        decode_stream::DecodeStream,
        draft::Draft,
        encoding::Encoding,
        engine_state::EngineState,
        lazy_encodings::LazyEncodings,
        lazy_lists::LazyLists,
        one_text::OneText,
        sampling::{Sampler, sampling_softmax, torch_multinomial, torch_state, torch_total, torch_uniform},
        tokenizer::{Tokenizer, tiktoken_encodings},
        training::{WordCounter, byte_level_alphabet},
        vocabulary::Vocabulary,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
