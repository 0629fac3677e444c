//! `Encoding`: fields become Python objects when they are asked for.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use penstock::TokenId;
use penstock::encoding::{self, NO_WORD};
use penstock::tokenizer;
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::errors::to_py;
use crate::options::direction;

/// The result of encoding one text or pair, as in the reference.
#[pyclass(frozen, module = "penstock")]
pub struct Encoding {
    /// `pad`, `truncate` and `set_sequence_id` change it.
    encoding: RwLock<encoding::Encoding>,
    /// Knows the tokens' strings; none for an encoding that brings its own.
    tokenizer: Option<Arc<tokenizer::Tokenizer>>,
}

impl Encoding {
    /// Wraps an encoding made by `tokenizer`.
    pub fn new(encoding: encoding::Encoding, tokenizer: Arc<tokenizer::Tokenizer>) -> Self {
        Self { encoding: RwLock::new(encoding), tokenizer: Some(tokenizer) }
    }

    /// An encoding that brings the strings of its tokens along.
    pub fn own(encoding: encoding::Encoding) -> Self {
        Self { encoding: RwLock::new(encoding), tokenizer: None }
    }

    fn read(&self) -> RwLockReadGuard<'_, encoding::Encoding> {
        self.encoding.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, encoding::Encoding> {
        self.encoding.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model's own string: the added vocabulary may know the id by a normalized one.
    fn token(&self, id: TokenId) -> Option<&str> {
        self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.model().id_to_token(id))
    }

    fn shares_tokens(&self, other: &Self) -> bool {
        match (&self.tokenizer, &other.tokenizer) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }

    /// A copy that needs no tokenizer.
    pub fn detached(&self) -> encoding::Encoding {
        let mut encoding = self.read().clone();
        if self.tokenizer.is_some() {
            encoding.own_texts(&|id| self.token(id));
        }
        encoding
    }

    fn word_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.read().words.iter().map(|&word| (word != NO_WORD).then_some(word)))
    }
}

#[pymethods]
impl Encoding {
    #[new]
    fn empty() -> Self {
        Self::own(encoding::Encoding::default())
    }

    #[staticmethod]
    #[pyo3(signature = (encodings, growing_offsets=true))]
    fn merge(encodings: Vec<Bound<'_, Self>>, growing_offsets: bool) -> Self {
        let Some(first) = encodings.first().map(Bound::get) else { return Self::empty() };
        if encodings.iter().all(|other| first.shares_tokens(other.get())) {
            let parts: Vec<_> = encodings.iter().map(|encoding| encoding.get().read().clone()).collect();
            let merged = encoding::Encoding::merge(parts, growing_offsets);
            return Self { encoding: RwLock::new(merged), tokenizer: first.tokenizer.clone() };
        }
        let parts: Vec<_> = encodings.iter().map(|encoding| encoding.get().detached()).collect();
        Self::own(encoding::Encoding::merge(parts, growing_offsets))
    }

    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.read().ids)
    }

    #[getter]
    fn type_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.read().type_ids)
    }

    #[getter]
    fn tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let encoding = self.read();
        let mut own = encoding.token_texts.iter().peekable();
        let tokens =
            encoding.ids.iter().enumerate().map(|(index, &id)| match own.next_if(|(at, _)| *at as usize == index) {
                Some((_, text)) => text,
                None => self.token(id).unwrap_or_default(),
            });
        PyList::new(py, tokens)
    }

    #[getter]
    fn offsets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.read().offsets)
    }

    #[getter]
    fn attention_mask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.read().attention_mask)
    }

    #[getter]
    fn special_tokens_mask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.read().special_tokens_mask)
    }

    #[getter]
    fn word_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.word_list(py)
    }

    /// The reference's older name of `word_ids`.
    #[getter]
    fn words<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let message = c"Encoding.words is deprecated, please use Encoding.word_ids instead.";
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), message, 1)?;
        self.word_list(py)
    }

    #[getter]
    fn sequence_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.read().sequence_ids())
    }

    #[getter]
    fn n_sequences(&self) -> usize {
        self.read().n_sequences()
    }

    #[getter]
    fn overflowing(&self) -> Vec<Self> {
        let wrap = |encoding: &encoding::Encoding| Self {
            encoding: RwLock::new(encoding.clone()),
            tokenizer: self.tokenizer.clone(),
        };
        self.read().overflowing.iter().map(wrap).collect()
    }

    fn set_sequence_id(&self, sequence_id: usize) {
        self.write().set_sequence_id(sequence_id);
    }

    #[pyo3(signature = (length, direction="right", pad_id=0, pad_type_id=0, pad_token="[PAD]"))]
    fn pad(&self, length: usize, direction: &str, pad_id: TokenId, pad_type_id: u32, pad_token: &str) -> PyResult<()> {
        let direction = self::direction(direction)?;
        let text = (self.token(pad_id) != Some(pad_token)).then_some(pad_token);
        self.write().pad(length, pad_id, pad_type_id, text, direction);
        Ok(())
    }

    #[pyo3(signature = (max_length, stride=0, direction="right"))]
    fn truncate(&self, max_length: usize, stride: usize, direction: &str) -> PyResult<()> {
        let direction = self::direction(direction)?;
        self.write().truncate(max_length, stride, direction).map_err(|error| to_py(error, None))
    }

    #[pyo3(signature = (char_pos, sequence_index=0))]
    fn char_to_token(&self, char_pos: usize, sequence_index: usize) -> Option<usize> {
        self.read().char_to_token(char_pos, sequence_index)
    }

    #[pyo3(signature = (char_pos, sequence_index=0))]
    fn char_to_word(&self, char_pos: usize, sequence_index: usize) -> Option<u32> {
        self.read().char_to_word(char_pos, sequence_index)
    }

    fn token_to_chars(&self, token_index: usize) -> Option<(u32, u32)> {
        self.read().token_to_chars(token_index).map(|(_, chars)| chars)
    }

    fn token_to_sequence(&self, token_index: usize) -> Option<usize> {
        self.read().token_to_sequence(token_index)
    }

    fn token_to_word(&self, token_index: usize) -> Option<u32> {
        self.read().token_to_word(token_index).map(|(_, word)| word)
    }

    #[pyo3(signature = (word_index, sequence_index=0))]
    fn word_to_chars(&self, word_index: u32, sequence_index: usize) -> Option<(u32, u32)> {
        self.read().word_to_chars(word_index, sequence_index)
    }

    #[pyo3(signature = (word_index, sequence_index=0))]
    fn word_to_tokens(&self, word_index: u32, sequence_index: usize) -> Option<(usize, usize)> {
        self.read().word_to_tokens(word_index, sequence_index)
    }

    fn __len__(&self) -> usize {
        self.read().ids.len()
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> Py<PyAny> {
        let Ok(other) = other.cast::<Self>() else { return py.NotImplemented() };
        let other = other.get();
        let equal = std::ptr::eq(self, other)
            || if self.shares_tokens(other) {
                let other = other.read().clone();
                *self.read() == other
            } else {
                self.detached() == other.detached()
            };
        pyo3::types::PyBool::new(py, equal).to_owned().into_any().unbind()
    }

    /// The constructor's arguments, none, and the state: JSON that needs no tokenizer.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let py = slf.py();
        let this = slf.get();
        let json = this.read().to_json(&|id| this.token(id));
        Ok((slf.get_type().getattr("_from_state")?, (PyBytes::new(py, json.as_bytes()),)))
    }

    #[staticmethod]
    #[pyo3(signature = (state, /))]
    fn _from_state(state: &Bound<'_, PyBytes>) -> PyResult<Self> {
        encoding::Encoding::from_json(state.as_bytes()).map(Self::own).map_err(|error| to_py(error, None))
    }

    fn __repr__(&self) -> String {
        format!(
            "Encoding(num_tokens={}, attributes=[ids, type_ids, tokens, offsets, attention_mask, special_tokens_mask, overflowing])",
            self.read().ids.len()
        )
    }
}
