//! The encodings of a call, made when somebody looks: most callers want nothing but ids and masks.

use std::sync::Arc;

use penstock::tokenizer::{EncodeOptions, Input};
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString, PyTuple, PyType};

use crate::encoding::Encoding;
use crate::errors::interruptible;
use crate::tokenizer::Tokenizer;

/// The texts of a call.
pub enum Texts {
    /// One.
    One(Py<PyString>),
    /// A batch.
    Many(Py<PyTuple>),
}

/// A list of encodings, made on the first look.
#[pyclass(frozen, sequence, module = "penstock._native")]
pub struct LazyEncodings {
    tokenizer: Py<Tokenizer>,
    texts: Texts,
    /// Whatever differs from texts with their special tokens.
    options: Option<Box<EncodeOptions>>,
    made: PyOnceLock<Py<PyList>>,
}

impl LazyEncodings {
    /// What the encodings are made of.
    pub fn new(tokenizer: Py<Tokenizer>, texts: Texts, options: EncodeOptions) -> Self {
        let plain = options.add_special_tokens && options.truncation.is_none() && options.padding.is_none();
        Self { tokenizer, texts, options: (!plain).then(|| Box::new(options)), made: PyOnceLock::new() }
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyList>> {
        Ok(self.made.get_or_try_init(py, || self.make(py))?.bind(py))
    }

    fn make(&self, py: Python<'_>) -> PyResult<Py<PyList>> {
        let texts = match &self.texts {
            Texts::One(text) => vec![crate::inputs::text(text.bind(py).as_any(), None)?],
            Texts::Many(texts) => {
                let texts = texts.bind(py).iter().enumerate();
                texts.map(|(row, text)| crate::inputs::text(&text, Some(row))).collect::<PyResult<_>>()?
            }
        };
        let inputs: Vec<_> = texts.iter().map(|text| (Input::Text(text), None)).collect();
        let tokenizer = self.tokenizer.get().shared();
        let plain = EncodeOptions::plain(true);
        let options = self.options.as_deref().unwrap_or(&plain);
        let encodings = interruptible(py, |stop| tokenizer.encode_batch(&inputs, options, stop))?;
        let wrap = |encoding| Py::new(py, Encoding::new(encoding, Arc::clone(tokenizer)));
        let encodings = encodings.into_iter().map(wrap).collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, encodings)?.unbind())
    }
}

#[pymethods]
impl LazyEncodings {
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.list(py)?.len())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.list(py)?.as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.list(py)?.as_any().try_iter()?.into_any())
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let own = self.list(py)?.as_any();
        match other.cast::<Self>() {
            Ok(other) => own.rich_compare(other.get().list(py)?, CompareOp::Eq),
            Err(_) => own.rich_compare(other, CompareOp::Eq),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.list(py)?.repr()?.to_string())
    }

    /// Pickled as the list.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyList>,))> {
        Ok((py.get_type::<PyList>(), (self.list(py)?.clone(),)))
    }
}
