//! A tokenizer.json that is read, and built under components from elsewhere.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use penstock::formats::tokenizer_json;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::added_token::AddedToken;
use crate::errors::{detached, to_py};
use crate::tokenizer::Tokenizer;

/// A file of which everything is read and nothing is built; `finish` builds it, or takes it apart.
#[pyclass(frozen, module = "penstock._native")]
pub struct Draft(Mutex<Option<tokenizer_json::Draft>>);

impl Draft {
    fn with<T>(&self, look: impl FnOnce(&tokenizer_json::Draft) -> PyResult<T>) -> PyResult<T> {
        let draft = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(draft.as_ref().ok_or_else(finished)?)
    }
}

fn finished() -> PyErr {
    PyValueError::new_err("the draft is finished")
}

#[pymethods]
impl Draft {
    #[new]
    #[pyo3(signature = (path, /, exact=true))]
    fn new(py: Python<'_>, path: PathBuf, exact: bool) -> PyResult<Self> {
        let draft =
            py.detach(|| tokenizer_json::Draft::from_file(&path, exact)).map_err(|error| to_py(error, Some(&path)))?;
        Ok(Self(Mutex::new(Some(draft))))
    }

    #[getter]
    fn model(&self) -> PyResult<&'static str> {
        self.with(|draft| draft.model().map_err(|error| to_py(error, None)))
    }

    #[pyo3(signature = (key, /))]
    fn value(&self, key: &str) -> PyResult<Option<String>> {
        self.with(|draft| Ok(draft.value(key).map(ToString::to_string)))
    }

    fn scores(&self) -> PyResult<Vec<(String, f64)>> {
        self.with(|draft| Ok(draft.scores().to_vec()))
    }

    fn added_tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.with(|draft| {
            let tokens = PyDict::new(py);
            for (id, token) in draft.added_tokens() {
                tokens.set_item(id, AddedToken::from(token))?;
            }
            Ok(tokens)
        })
    }

    #[pyo3(signature = (frame=None, /))]
    fn finish(&self, py: Python<'_>, frame: Option<&str>) -> PyResult<Tokenizer> {
        let draft = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(finished)?;
        let build = || match frame {
            Some(frame) => draft.finish(frame),
            None => draft.build(),
        };
        detached(py, build).map(Tokenizer::new)
    }
}
