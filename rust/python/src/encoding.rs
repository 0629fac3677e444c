//! `Encoding`: fields become Python objects when they are asked for.

use std::sync::Arc;

use penstock::encoding::{self, NO_WORD};
use penstock::tokenizer;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// The result of encoding one text or pair, as in the reference.
#[pyclass(frozen, module = "penstock")]
pub struct Encoding {
    encoding: encoding::Encoding,
    /// Knows the tokens' strings.
    tokenizer: Arc<tokenizer::Tokenizer>,
}

impl Encoding {
    /// Wraps an encoding made by `tokenizer`.
    pub fn new(encoding: encoding::Encoding, tokenizer: Arc<tokenizer::Tokenizer>) -> Self {
        Self { encoding, tokenizer }
    }

    fn word_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.encoding.words.iter().map(|&word| (word != NO_WORD).then_some(word)))
    }
}

#[pymethods]
impl Encoding {
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.encoding.ids)
    }

    #[getter]
    fn type_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.encoding.type_ids)
    }

    #[getter]
    fn tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut matched = self.encoding.token_texts.iter().peekable();
        let tokens = self.encoding.ids.iter().enumerate().map(|(index, &id)| {
            match matched.next_if(|(at, _)| *at as usize == index) {
                Some((_, text)) => text,
                // The model's own string: the added vocabulary may know the id by a normalized one.
                None => self.tokenizer.model().id_to_token(id).unwrap_or_default(),
            }
        });
        PyList::new(py, tokens)
    }

    #[getter]
    fn offsets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.encoding.offsets)
    }

    #[getter]
    fn attention_mask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.encoding.attention_mask)
    }

    #[getter]
    fn special_tokens_mask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.encoding.special_tokens_mask)
    }

    #[getter]
    fn word_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.word_list(py)
    }

    /// The reference's older name of `word_ids`.
    #[getter]
    fn words<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.word_list(py)
    }

    #[getter]
    fn sequence_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.encoding.sequence_ids())
    }

    #[getter]
    fn n_sequences(&self) -> usize {
        self.encoding.n_sequences()
    }

    #[getter]
    fn overflowing(&self) -> Vec<Self> {
        let wrap = |encoding: &encoding::Encoding| Self::new(encoding.clone(), Arc::clone(&self.tokenizer));
        self.encoding.overflowing.iter().map(wrap).collect()
    }

    #[pyo3(signature = (char_pos, sequence_index=0))]
    fn char_to_token(&self, char_pos: usize, sequence_index: usize) -> Option<usize> {
        self.encoding.char_to_token(char_pos, sequence_index)
    }

    #[pyo3(signature = (char_pos, sequence_index=0))]
    fn char_to_word(&self, char_pos: usize, sequence_index: usize) -> Option<u32> {
        self.encoding.char_to_word(char_pos, sequence_index)
    }

    fn token_to_chars(&self, token_index: usize) -> Option<(u32, u32)> {
        self.encoding.token_to_chars(token_index).map(|(_, chars)| chars)
    }

    fn token_to_sequence(&self, token_index: usize) -> Option<usize> {
        self.encoding.token_to_sequence(token_index)
    }

    fn token_to_word(&self, token_index: usize) -> Option<u32> {
        self.encoding.token_to_word(token_index).map(|(_, word)| word)
    }

    #[pyo3(signature = (word_index, sequence_index=0))]
    fn word_to_chars(&self, word_index: u32, sequence_index: usize) -> Option<(u32, u32)> {
        self.encoding.word_to_chars(word_index, sequence_index)
    }

    #[pyo3(signature = (word_index, sequence_index=0))]
    fn word_to_tokens(&self, word_index: u32, sequence_index: usize) -> Option<(usize, usize)> {
        self.encoding.word_to_tokens(word_index, sequence_index)
    }

    fn __len__(&self) -> usize {
        self.encoding.ids.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "Encoding(num_tokens={}, attributes=[ids, type_ids, tokens, offsets, attention_mask, special_tokens_mask, overflowing])",
            self.encoding.ids.len()
        )
    }
}
