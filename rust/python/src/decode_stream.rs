//! Incremental decoding.

use std::sync::{Arc, Mutex, PoisonError};

use penstock::tokenizer;
use pyo3::prelude::*;

use crate::arrays::id_at;
use crate::errors::detached;

/// Decodes one id at a time and never emits a broken character.
#[pyclass(frozen, module = "penstock")]
pub struct DecodeStream {
    tokenizer: Arc<tokenizer::Tokenizer>,
    /// A stream is the one object here that changes; the lock makes a shared one slow, not wrong.
    state: Mutex<tokenizer::DecodeStream>,
}

impl DecodeStream {
    /// A stream over a tokenizer.
    pub fn new(tokenizer: Arc<tokenizer::Tokenizer>, skip_special_tokens: bool) -> Self {
        Self { tokenizer, state: Mutex::new(tokenizer::DecodeStream::new(skip_special_tokens)) }
    }
}

#[pymethods]
impl DecodeStream {
    #[pyo3(signature = (id, /))]
    fn step(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let id = id_at(id, None)?;
        detached(py, || {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.step(&self.tokenizer, &[id])
        })
    }
}
