//! Incremental decoding.

use std::sync::{Arc, Mutex, PoisonError};

use penstock::{TokenId, tokenizer};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::arrays::{Ids, id_at};
use crate::errors::detached;
use crate::tokenizer::Tokenizer;

/// Decodes ids as they come and never emits a broken character.
#[pyclass(frozen, module = "penstock")]
pub struct DecodeStream {
    /// None for a stream that is given a tokenizer with every id.
    tokenizer: Option<Arc<tokenizer::Tokenizer>>,
    /// A stream is the one object here that changes; the lock makes a shared one slow, not wrong.
    state: Mutex<tokenizer::DecodeStream>,
}

impl DecodeStream {
    /// A stream over a tokenizer.
    pub fn new(tokenizer: Arc<tokenizer::Tokenizer>, skip_special_tokens: bool) -> Self {
        Self { tokenizer: Some(tokenizer), state: Mutex::new(tokenizer::DecodeStream::new(skip_special_tokens)) }
    }

    fn advance(&self, py: Python<'_>, tokenizer: &tokenizer::Tokenizer, ids: &[TokenId]) -> PyResult<Option<String>> {
        detached(py, || self.state.lock().unwrap_or_else(PoisonError::into_inner).step(tokenizer, ids))
    }
}

#[pymethods]
impl DecodeStream {
    #[new]
    #[pyo3(signature = (ids=None, skip_special_tokens=false))]
    fn unbound(ids: Option<Ids<'_>>, skip_special_tokens: bool) -> Self {
        let ids = ids.map_or_else(Vec::new, |ids| ids.as_slice().to_vec());
        Self { tokenizer: None, state: Mutex::new(tokenizer::DecodeStream::with_ids(ids, skip_special_tokens)) }
    }

    #[pyo3(signature = (id, /))]
    fn step(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let Some(tokenizer) = &self.tokenizer else {
            return Err(PyTypeError::new_err("this stream has no tokenizer: use penstock.decoders.DecodeStream"));
        };
        self.advance(py, tokenizer, &[id_at(id, None)?])
    }

    #[pyo3(signature = (tokenizer, ids, /))]
    fn step_with(&self, py: Python<'_>, tokenizer: &Bound<'_, Tokenizer>, ids: Ids<'_>) -> PyResult<Option<String>> {
        self.advance(py, tokenizer.get().core(), ids.as_slice())
    }

    fn __copy__(&self) -> Self {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { tokenizer: self.tokenizer.clone(), state: Mutex::new(state) }
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.__copy__()
    }
}
