//! One text to a finished result in one call: what a server does most. Each step of it in Python would take as long as the
//! text itself.

use std::sync::Arc;

use penstock::tokenizer::{EncodeOptions, Input};
use pyo3::basic::CompareOp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PySet, PyString, PyType};

use crate::encoding::Encoding;
use crate::errors::to_py;
use crate::tokenizer::{Tokenizer, fill_lists};

/// Calls tokenizers with one text and no option, as far as nothing stands between such a call and the engine.
#[pyclass(frozen, module = "penstock._native")]
pub struct OneText {
    /// The class of results, and what makes an empty one.
    result: Py<PyType>,
    make: Py<PyAny>,
    /// The class of backends.
    backend: Py<PyType>,
    /// The method that a tokenizer's class must not have overridden.
    encode_plus: Py<PyAny>,
    /// Classes of tokenizers of which all else is known to be plain.
    plain: Py<PySet>,
}

#[pymethods]
impl OneText {
    #[new]
    fn new(result: Bound<'_, PyType>, backend: Py<PyType>, encode_plus: Py<PyAny>, plain: Py<PySet>) -> PyResult<Self> {
        let make = result.getattr("__new__")?.unbind();
        Ok(Self { result: result.unbind(), make, backend, encode_plus, plain })
    }

    #[pyo3(signature = (tokenizer, text, /))]
    fn encode<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        text: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = tokenizer.py();
        let class = tokenizer.get_type();
        if !class.getattr(intern!(py, "_encode_plus"))?.is(&self.encode_plus)
            || !self.plain.bind(py).contains(&class)?
        {
            return Ok(None);
        }
        let own = tokenizer.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let Some(backend) = own.get_item(intern!(py, "_tokenizer"))? else { return Ok(None) };
        if !backend.get_type().is(&self.backend) {
            return Ok(None);
        }
        let state = backend.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let Some(native) = state.get_item(intern!(py, "_native"))? else { return Ok(None) };
        let Ok(native) = native.cast_into::<Tokenizer>() else { return Ok(None) };
        let Some(split) = own.get_item(intern!(py, "split_special_tokens"))? else { return Ok(None) };
        let exposed = state.get_item(intern!(py, "_exposed"))?;
        if !split.is(PyBool::new(py, native.get().core().encode_special_tokens()))
            || !exposed.is_some_and(|exposed| exposed.is(PyBool::new(py, false)))
        {
            return Ok(None);
        }
        let Some(limit) = own.get_item(intern!(py, "model_max_length"))? else { return Ok(None) };
        let names = match own.get_item(intern!(py, "model_input_names"))? {
            Some(names) => names,
            None => class.getattr(intern!(py, "model_input_names"))?,
        };
        let Ok(names) = names.cast_into::<PyList>() else { return Ok(None) };
        let type_ids = names.contains(intern!(py, "token_type_ids"))?;
        let attention_mask = names.contains(intern!(py, "attention_mask"))?;
        let data = PyDict::new(py);
        let count = fill_lists(&data, native.get().core(), text, type_ids, attention_mask)?;
        if PyInt::new(py, count).rich_compare(&limit, CompareOp::Gt)?.is_truthy()? {
            let ids = data.get_item(intern!(py, "input_ids"))?;
            tokenizer.call_method1("_eventual_warn_about_too_long_sequence", (ids, py.None(), true))?;
        }
        // What stock leaves set on its tokenizer.
        for name in [intern!(py, "_truncation"), intern!(py, "_padding")] {
            if !state.get_item(name)?.is_some_and(|value| value.is_none()) {
                state.set_item(name, py.None())?;
            }
        }
        let name = intern!(py, "_split_special");
        if !state.get_item(name)?.is_some_and(|value| value.is(&split)) {
            state.set_item(name, split)?;
        }
        let calls = state.get_item(intern!(py, "_texts"))?.map_or(Ok(0), |calls| calls.extract::<u64>())?;
        state.set_item(intern!(py, "_texts"), calls + 1)?;
        let made = self.make.bind(py).call1((&self.result,))?;
        let encodings =
            OneEncoding { tokenizer: native.unbind(), text: text.clone().unbind(), made: PyOnceLock::new() };
        made.setattr(intern!(py, "data"), data)?;
        made.setattr(intern!(py, "_encodings"), Py::new(py, encodings)?)?;
        made.setattr(intern!(py, "_n_sequences"), 1)?;
        Ok(Some(made))
    }
}

/// The encodings of one text, a list of one: made on the first look.
#[pyclass(frozen, sequence, module = "penstock._native")]
pub struct OneEncoding {
    tokenizer: Py<Tokenizer>,
    text: Py<PyString>,
    made: PyOnceLock<Py<PyList>>,
}

impl OneEncoding {
    fn list<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyList>> {
        let make = || {
            let text = crate::inputs::text(self.text.bind(py).as_any(), None)?;
            let tokenizer = self.tokenizer.get().shared();
            let options = EncodeOptions::plain(true);
            let encoded = py.detach(|| tokenizer.encode(&Input::Text(&text), None, &options));
            let encoding = encoded.map_err(|error| to_py(error, None))?;
            Ok::<_, PyErr>(PyList::new(py, [Py::new(py, Encoding::new(encoding, Arc::clone(tokenizer)))?])?.unbind())
        };
        Ok(self.made.get_or_try_init(py, make)?.bind(py))
    }
}

#[pymethods]
impl OneEncoding {
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
