//! A component by itself, described by its JSON.

use penstock::formats;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;

use crate::encoding::Encoding;
use crate::errors::{detached, to_py};
use crate::inputs::text;

/// A piece of a text and the characters that it stands for.
type Piece = (String, (u32, u32));

/// A normalizer, pre-tokenizer, post-processor or decoder that belongs to no tokenizer.
#[pyclass(frozen, module = "penstock._native")]
pub struct Component(formats::Component);

#[pymethods]
impl Component {
    #[new]
    #[pyo3(signature = (stage, json, /))]
    fn new(py: Python<'_>, stage: &str, json: &str) -> PyResult<Self> {
        detached(py, || formats::Component::parse(stage, json)).map(Self)
    }

    #[pyo3(signature = (text, /))]
    fn normalize(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<String> {
        let text = self::text(text, None)?;
        detached(py, || self.0.normalize(&text))
    }

    #[pyo3(signature = (text, /))]
    fn pre_tokenize(&self, py: Python<'_>, text: &Bound<'_, PyAny>) -> PyResult<Vec<Piece>> {
        let text = self::text(text, None)?;
        let pieces = detached(py, || self.0.pre_tokenize(&text))?;
        Ok(pieces.into_iter().map(|(piece, [start, end])| (piece, (start, end))).collect())
    }

    #[pyo3(signature = (tokens, /))]
    fn decode(&self, py: Python<'_>, tokens: Vec<PyBackedStr>) -> PyResult<String> {
        let tokens: Vec<&str> = tokens.iter().map(PyBackedStr::as_str).collect();
        detached(py, || self.0.decode(&tokens))
    }

    #[pyo3(signature = (encoding, pair=None, /, add_special_tokens=true))]
    fn process(
        &self,
        encoding: &Bound<'_, Encoding>,
        pair: Option<&Bound<'_, Encoding>>,
        add_special_tokens: bool,
    ) -> PyResult<Encoding> {
        let pair = pair.map(|pair| pair.get().detached());
        let processed = self.0.process(encoding.get().detached(), pair, add_special_tokens, &|_| None);
        processed.map(Encoding::own).map_err(|error| to_py(error, None))
    }

    #[pyo3(signature = (is_pair, /))]
    fn num_special_tokens_to_add(&self, is_pair: bool) -> PyResult<usize> {
        self.0.added_tokens(is_pair).map_err(|error| to_py(error, None))
    }
}
