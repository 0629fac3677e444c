//! The part of a tokenizer's engine that every call reads: in Rust, where a look at it costs nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::tokenizer::Tokenizer;

/// Base of `penstock.transformers._backend.Backend`, which says what the attributes mean.
#[pyclass(frozen, subclass, module = "penstock._native")]
pub struct EngineState {
    now: Mutex<Now>,
    /// Single texts that were encoded natively.
    texts: AtomicU64,
    /// Single rows of ids that were decoded natively.
    rows: AtomicU64,
    /// Single texts that were cut into tokens natively.
    tokenized: AtomicU64,
}

/// What changes; nothing of Python runs while it is locked.
pub struct Now {
    native: Option<Py<Tokenizer>>,
    /// The stock tokenizer, if it has been built.
    real: Option<Py<PyAny>>,
    /// What a class puts in place of the stock tokenizer's `decode`.
    decode: Option<Py<PyAny>>,
    /// Somebody else holds the stock tokenizer and may edit it.
    exposed: bool,
    left: Left,
}

/// What stock leaves set on its tokenizer from call to call.
pub struct Left {
    /// The truncation of the last call.
    pub truncation: Py<PyAny>,
    /// Its padding.
    pub padding: Py<PyAny>,
    /// Whether it took special tokens for text.
    pub split_special: Py<PyAny>,
}

impl Left {
    fn is(&self, other: &Self) -> bool {
        self.truncation.is(&other.truncation)
            && self.padding.is(&other.padding)
            && self.split_special.is(&other.split_special)
    }
}

impl EngineState {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The native tokenizer, unless the stock one has to be looked at first.
    pub fn ready<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Tokenizer>> {
        let now = self.now();
        if now.exposed { None } else { now.native.as_ref().map(|native| native.bind(py).clone()) }
    }

    /// True if a class has a `decode` of its own in the tokenizer.
    ///
    /// # Errors
    /// Those of an object without attributes of its own.
    pub fn has_own_decode(&self, py: Python<'_>) -> PyResult<bool> {
        let now = self.now();
        if now.decode.is_some() {
            return Ok(true);
        }
        let Some(real) = now.real.as_ref().map(|real| real.clone_ref(py)) else { return Ok(false) };
        drop(now);
        real.bind(py).getattr(intern!(py, "__dict__"))?.contains(intern!(py, "decode"))
    }

    /// Counts a text, and notes what stock would have left set.
    pub fn count(&self, left: Left) {
        self.texts.fetch_add(1, Ordering::Relaxed);
        self.leave(left);
    }

    /// As [`Self::count`], of a text whose tokens were asked for.
    pub fn count_tokenized(&self, left: Left) {
        self.tokenized.fetch_add(1, Ordering::Relaxed);
        self.leave(left);
    }

    fn leave(&self, left: Left) {
        let mut now = self.now();
        let before = if now.left.is(&left) { left } else { std::mem::replace(&mut now.left, left) };
        drop(now);
        drop(before);
    }

    /// Counts a row of ids.
    pub fn count_row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    fn set(&self, change: impl FnOnce(&mut Now) -> Option<Py<PyAny>>) {
        let before = change(&mut self.now());
        drop(before);
    }
}

/// A tokenizer whose engine is ready.
pub struct Ready<'py> {
    /// The tokenizer of transformers.
    pub tokenizer: Bound<'py, PyAny>,
    /// Its own attributes.
    pub own: Bound<'py, PyDict>,
    /// Its engine.
    pub state: Bound<'py, EngineState>,
    /// What that runs.
    pub native: Bound<'py, Tokenizer>,
}

impl<'py> Ready<'py> {
    /// None for a tokenizer without an engine, and where the stock tokenizer has to be looked at first.
    ///
    /// # Errors
    /// Those of an object without attributes of its own.
    #[inline]
    pub fn new(tokenizer: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = tokenizer.py();
        let own = tokenizer.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let Some(backend) = own.get_item(intern!(py, "_tokenizer"))? else { return Ok(None) };
        let Ok(state) = backend.cast_into::<EngineState>() else { return Ok(None) };
        let Some(native) = state.get().ready(py) else { return Ok(None) };
        Ok(Some(Self { tokenizer: tokenizer.clone(), own, state, native }))
    }
}

#[pymethods]
impl EngineState {
    #[new]
    #[pyo3(signature = (*_arguments, **_options))]
    fn new(py: Python<'_>, _arguments: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        let left = Left { truncation: py.None(), padding: py.None(), split_special: py.None() };
        Self {
            now: Mutex::new(Now { native: None, real: None, decode: None, exposed: false, left }),
            texts: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            tokenized: AtomicU64::new(0),
        }
    }

    #[getter(_native)]
    fn native(&self, py: Python<'_>) -> Option<Py<Tokenizer>> {
        self.now().native.as_ref().map(|native| native.clone_ref(py))
    }

    #[setter(_native)]
    fn set_native(&self, value: Option<Py<Tokenizer>>) {
        self.set(|now| std::mem::replace(&mut now.native, value).map(Py::into_any));
    }

    #[getter(_real)]
    fn real(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.now().real.as_ref().map(|real| real.clone_ref(py))
    }

    #[setter(_real)]
    fn set_real(&self, value: Option<Py<PyAny>>) {
        self.set(|now| std::mem::replace(&mut now.real, value));
    }

    #[getter(_decode)]
    fn decode(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.now().decode.as_ref().map(|decode| decode.clone_ref(py))
    }

    #[setter(_decode)]
    fn set_decode(&self, value: Option<Py<PyAny>>) {
        self.set(|now| std::mem::replace(&mut now.decode, value));
    }

    #[getter(_exposed)]
    fn exposed(&self) -> bool {
        self.now().exposed
    }

    #[setter(_exposed)]
    fn set_exposed(&self, value: bool) {
        self.now().exposed = value;
    }

    #[getter(_truncation)]
    fn truncation(&self, py: Python<'_>) -> Py<PyAny> {
        self.now().left.truncation.clone_ref(py)
    }

    #[setter(_truncation)]
    fn set_truncation(&self, value: Py<PyAny>) {
        self.set(|now| Some(std::mem::replace(&mut now.left.truncation, value)));
    }

    #[getter(_padding)]
    fn padding(&self, py: Python<'_>) -> Py<PyAny> {
        self.now().left.padding.clone_ref(py)
    }

    #[setter(_padding)]
    fn set_padding(&self, value: Py<PyAny>) {
        self.set(|now| Some(std::mem::replace(&mut now.left.padding, value)));
    }

    #[getter(_split_special)]
    fn split_special(&self, py: Python<'_>) -> Py<PyAny> {
        self.now().left.split_special.clone_ref(py)
    }

    #[setter(_split_special)]
    fn set_split_special(&self, value: Py<PyAny>) {
        self.set(|now| Some(std::mem::replace(&mut now.left.split_special, value)));
    }

    #[getter(_texts)]
    fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }

    #[getter(_rows)]
    fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    #[getter(_tokenized)]
    fn tokenized(&self) -> u64 {
        self.tokenized.load(Ordering::Relaxed)
    }
}
