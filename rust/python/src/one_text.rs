//! One text to a finished result in one call: what a server does most. Each step of it in Python would take as long as the
//! text itself.

use std::sync::Arc;

use numpy::PyArray2;
use numpy::ndarray::Array2;
use penstock::encoding::Truncation;
use penstock::models::Model;
use penstock::tokenizer::{EncodeOptions, Fields, Input};
use pyo3::basic::CompareOp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PySet, PyString, PyTuple, PyType};

use crate::encoding::Encoding;
use crate::engine_state::{EngineState, Left};
use crate::errors::{detached, detached_if, to_py};
use crate::lists::{list, ones};
use crate::one_call::{Form, OneCall, Truncate};
use crate::options;
use crate::tokenizer::{SHORT_TEXT, Tokenizer};

/// Calls tokenizers with one text and common options, as far as nothing stands between such a call and the engine.
#[pyclass(frozen, module = "penstock._native")]
pub struct OneText {
    /// The method that a tokenizer's class must not have overridden.
    encode_plus: Py<PyAny>,
    /// The same of `_decode`.
    decode: Py<PyAny>,
    /// Classes of tokenizers of which all else is known to be plain.
    plain: Py<PySet>,
    /// Classes of tokenizers of which stock has said that cleaning up does nothing to their model's text.
    unclean: Py<PySet>,
    /// Makes a tensor of an array.
    tensor: Py<PyAny>,
    /// A tokenizer whose texts may be longer has no limit.
    unlimited: Py<PyAny>,
}

/// What became of a call.
enum Outcome<'py> {
    /// The native tokenizer has to be handed in.
    Unprepared,
    /// The options are for others.
    Refused,
    /// The columns, and what their encodings are made of.
    Done(Columns<'py>, OneEncoding),
}

impl<'py> Outcome<'py> {
    /// What Python gets: None, False, or what `done` makes.
    fn answer(
        self,
        py: Python<'py>,
        done: impl FnOnce(Columns<'py>, OneEncoding) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Unprepared => Ok(py.None().into_bound(py)),
            Self::Refused => Ok(PyBool::new(py, false).to_owned().into_any()),
            Self::Done(columns, encodings) => done(columns, encodings),
        }
    }
}

/// The columns of one text.
struct Columns<'py> {
    ids: Bound<'py, PyAny>,
    types: Option<Bound<'py, PyAny>>,
    mask: Option<Bound<'py, PyAny>>,
    count: usize,
}

#[pymethods]
impl OneText {
    #[new]
    fn new(
        encode_plus: Py<PyAny>,
        decode: Py<PyAny>,
        plain: Py<PySet>,
        unclean: Py<PySet>,
        tensor: Py<PyAny>,
        unlimited: Py<PyAny>,
    ) -> Self {
        Self { encode_plus, decode, plain, unclean, tensor, unlimited }
    }

    #[pyo3(signature = (tokenizer, text, options, native=None, /))]
    fn encode<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        text: &Bound<'py, PyString>,
        options: &Bound<'py, PyDict>,
        native: Option<Bound<'py, Tokenizer>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tokenizer.py();
        self.run(tokenizer, text, options, native, false)?.answer(py, |columns, encodings| {
            let data = PyDict::new(py);
            data.set_item(intern!(py, "input_ids"), columns.ids)?;
            if let Some(types) = columns.types {
                data.set_item(intern!(py, "token_type_ids"), types)?;
            }
            if let Some(mask) = columns.mask {
                data.set_item(intern!(py, "attention_mask"), mask)?;
            }
            Ok(PyTuple::new(py, [data.into_any(), Bound::new(py, encodings)?.into_any()])?.into_any())
        })
    }

    #[pyo3(signature = (tokenizer, text, options, native=None, /))]
    fn ids<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        text: &Bound<'py, PyString>,
        options: &Bound<'py, PyDict>,
        native: Option<Bound<'py, Tokenizer>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tokenizer.py();
        self.run(tokenizer, text, options, native, true)?.answer(py, |columns, _| Ok(columns.ids))
    }

    #[pyo3(signature = (tokenizer, ids, skip_special_tokens, /))]
    fn decode<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        ids: &Bound<'py, PyList>,
        skip_special_tokens: bool,
    ) -> PyResult<Option<String>> {
        let py = tokenizer.py();
        let class = tokenizer.get_type();
        if !class.getattr(intern!(py, "_decode"))?.is(&self.decode) || !self.plain.bind(py).contains(&class)? {
            return Ok(None);
        }
        let own = tokenizer.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        if own.contains(intern!(py, "_decode"))? {
            return Ok(None);
        }
        let Some(backend) = own.get_item(intern!(py, "_tokenizer"))? else { return Ok(None) };
        let Ok(state) = backend.cast::<EngineState>() else { return Ok(None) };
        let Some(native) = state.get().ready(py) else { return Ok(None) };
        let cleans = own.get_item(intern!(py, "clean_up_tokenization_spaces"))?;
        let cleans = !cleans.is_some_and(|cleans| cleans.is(PyBool::new(py, false)));
        if cleans && !self.leaves_unclean(&own, &class, native.get())? || state.get().has_own_decode(py)? {
            return Ok(None);
        }
        let mut numbers = Vec::with_capacity(ids.len());
        for id in ids.iter() {
            let Ok(id) = id.cast_exact::<PyInt>() else { return Ok(None) };
            numbers.push(id.extract()?);
        }
        let core = native.get().shared();
        let text = detached_if(numbers.len() > SHORT_ROW, py, || core.decode(&numbers, skip_special_tokens))?;
        state.get().count_row();
        Ok(Some(text))
    }
}

/// Ids up to which a row is decoded without letting other threads run.
const SHORT_ROW: usize = 1 << 9;

impl OneText {
    /// True if cleaning up would damage the model's text, so that stock leaves it alone, and has said so.
    fn leaves_unclean<'py>(
        &self,
        own: &Bound<'py, PyDict>,
        class: &Bound<'py, PyType>,
        native: &Tokenizer,
    ) -> PyResult<bool> {
        let py = own.py();
        let forced =
            own.get_item(intern!(py, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"))?;
        Ok(matches!(native.core().model(), Model::Bpe(_))
            && forced.is_some_and(|forced| forced.is(PyBool::new(py, false)))
            && self.unclean.bind(py).contains(class)?)
    }

    fn run<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        text: &Bound<'py, PyString>,
        options: &Bound<'py, PyDict>,
        native: Option<Bound<'py, Tokenizer>>,
        only_ids: bool,
    ) -> PyResult<Outcome<'py>> {
        let py = tokenizer.py();
        let Some(call) = OneCall::read(options)? else { return Ok(Outcome::Refused) };
        let class = tokenizer.get_type();
        let own = tokenizer.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let Some(backend) = own.get_item(intern!(py, "_tokenizer"))? else { return Ok(Outcome::Unprepared) };
        let Ok(state) = backend.cast::<EngineState>() else { return Ok(Outcome::Unprepared) };
        let (name, strategies) = (intern!(py, "_encode_plus"), intern!(py, "_get_padding_truncation_strategies"));
        if own.contains(name)? || !options.is_empty() && own.contains(strategies)? {
            return Ok(Outcome::Refused);
        }
        let plain = class.getattr(name)?.is(&self.encode_plus) && self.plain.bind(py).contains(&class)?;
        let attributes = Attributes { tokenizer, own: plain.then_some(&own) };
        let split = attributes.get(intern!(py, "split_special_tokens"))?;
        let native = match native {
            Some(native) => native,
            None => match state.get().ready(py).filter(|_| plain) {
                Some(native) if split.is(PyBool::new(py, native.get().core().encode_special_tokens())) => native,
                _ => return Ok(Outcome::Unprepared),
            },
        };

        let limit = attributes.get(intern!(py, "model_max_length"))?;
        let max_length = match &call.truncate {
            Truncate::No => None,
            Truncate::To(length) => Some(*length),
            Truncate::ToLimit if limit.gt(&self.unlimited)? => None,
            Truncate::ToLimit => match limit.extract::<usize>() {
                Ok(length) => Some(length),
                Err(_) => return Ok(Outcome::Refused),
            },
        };
        let mut left = Left { truncation: py.None(), padding: py.None(), split_special: split.unbind() };
        let mut options = EncodeOptions::plain(call.special);
        if let Some(length) = max_length {
            let side = attributes.get(intern!(py, "truncation_side"))?;
            let Ok(name) = side.cast::<PyString>() else { return Ok(Outcome::Refused) };
            options.truncation = Some(options::truncation((length, 0, "longest_first".into(), name.to_string()))?);
            left.truncation = (length, 0, intern!(py, "longest_first"), side).into_pyobject(py)?.into_any().unbind();
        }
        if call.pads {
            let Some(padding) = padding(&attributes, native.get())? else { return Ok(Outcome::Refused) };
            options.padding = Some(options::padding(padding.extract()?)?);
            left.padding = padding.into_any().unbind();
        }
        let (mut types, mut mask) = (!only_ids && call.types == Some(true), !only_ids && call.mask == Some(true));
        if !only_ids && (call.types.is_none() || call.mask.is_none()) {
            let names = attributes.get(intern!(py, "model_input_names"))?;
            types |= call.types.is_none() && names.contains(intern!(py, "token_type_ids"))?;
            mask |= call.mask.is_none() && names.contains(intern!(py, "attention_mask"))?;
        }

        let take = |ids: &[u32], types: Option<&[u32]>| self.columns(py, ids, types, mask, call.form);
        let columns = encoded(native.get(), text, &options, types, take)?;
        if columns.count == 0 && call.form != Form::List {
            return Ok(Outcome::Refused);
        }
        if max_length.is_none() && columns.count.into_pyobject(py)?.rich_compare(&limit, CompareOp::Gt)?.is_truthy()? {
            let name = intern!(py, "_eventual_warn_about_too_long_sequence");
            tokenizer.call_method1(name, (ones(py, columns.count)?, py.None(), true))?;
        }
        state.get().count(left);
        let plain = options.add_special_tokens && max_length.is_none() && !call.pads;
        let encodings = OneEncoding {
            tokenizer: native.unbind(),
            text: text.clone().unbind(),
            options: (!plain).then(|| Box::new(options)),
            made: PyOnceLock::new(),
        };
        Ok(Outcome::Done(columns, encodings))
    }

    fn columns<'py>(
        &self,
        py: Python<'py>,
        ids: &[u32],
        types: Option<&[u32]>,
        mask: bool,
        form: Form,
    ) -> PyResult<Columns<'py>> {
        let count = ids.len();
        let matrix = |values: Vec<i64>| {
            let row = row(py, values);
            if form == Form::Tensor { self.tensor.bind(py).call1((row,)) } else { Ok(row) }
        };
        let column = |values: &[u32]| match form {
            Form::List => list(py, values).map(Bound::into_any),
            Form::Array | Form::Tensor => matrix(values.iter().map(|&value| i64::from(value)).collect()),
        };
        let mask = mask.then(|| match form {
            Form::List => ones(py, count).map(Bound::into_any),
            Form::Array | Form::Tensor => matrix(vec![1; count]),
        });
        Ok(Columns { ids: column(ids)?, types: types.map(column).transpose()?, mask: mask.transpose()?, count })
    }
}

/// A matrix of one row.
fn row(py: Python<'_>, values: Vec<i64>) -> Bound<'_, PyAny> {
    let matrix = Array2::from_shape_vec((1, values.len()), values).expect("one row holds them all");
    PyArray2::from_owned_array(py, matrix).into_any()
}

/// Attributes of a tokenizer: its own dictionary's, if all of them are plain.
struct Attributes<'a, 'py> {
    tokenizer: &'a Bound<'py, PyAny>,
    own: Option<&'a Bound<'py, PyDict>>,
}

impl<'py> Attributes<'_, 'py> {
    fn get(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match self.own.map(|own| own.get_item(name)).transpose()?.flatten() {
            Some(value) => Ok(value),
            None => self.tokenizer.getattr(name),
        }
    }
}

/// The padding of a call that fills rows up to the longest one; None where stock has to say what is wrong.
fn padding<'py>(attributes: &Attributes<'_, 'py>, native: &Tokenizer) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = attributes.tokenizer.py();
    let special = attributes.get(intern!(py, "_special_tokens_map"))?;
    let token = special.cast::<PyDict>()?.get_item(intern!(py, "pad_token"))?;
    let Some(token) = token.filter(|token| !token.is_none()) else { return Ok(None) };
    let token = token.str()?;
    let Some(id) = native.core().token_to_id(token.to_str()?) else { return Ok(None) };
    let side = attributes.get(intern!(py, "padding_side"))?;
    let type_id = attributes.tokenizer.getattr(intern!(py, "pad_token_type_id"))?;
    (py.None(), side, py.None(), id, type_id, token).into_pyobject(py).map(Some)
}

/// Encodes a text; `take` gets to see its ids, and its type ids if they are wanted.
fn encoded<R>(
    native: &Tokenizer,
    text: &Bound<'_, PyString>,
    options: &EncodeOptions,
    types: bool,
    take: impl Fn(&[u32], Option<&[u32]>) -> PyResult<R>,
) -> PyResult<R> {
    let py = text.py();
    let text = crate::inputs::text(text.as_any(), None)?;
    let (core, special) = (native.core(), options.add_special_tokens);
    let room = options.truncation.as_ref().map_or(usize::MAX, |truncation: &Truncation| truncation.max_length);
    if !types && text.len() <= SHORT_TEXT {
        let fits = |ids: &[u32]| (ids.len() <= room).then(|| take(ids, None));
        if let Some(taken) = core.with_ids(&text, special, fits).map_err(|error| to_py(error, None))? {
            return taken;
        }
    } else if !types && room == usize::MAX {
        return take(&detached(py, || core.encode_ids(&text, special))?, None);
    }
    let fields = Fields { type_ids: types, ..Fields::default() };
    let options = EncodeOptions { padding: None, ..options.clone() };
    let encode = || core.encode_padded::<u32>(&[(Input::Text(&text), None)], &options, fields, &|| false);
    let row = detached_if(text.len() > SHORT_TEXT, py, encode)?;
    take(&row.input_ids, types.then_some(&row.type_ids))
}

/// The encodings of one text, a list of one: made on the first look.
#[pyclass(frozen, sequence, module = "penstock._native")]
pub struct OneEncoding {
    tokenizer: Py<Tokenizer>,
    text: Py<PyString>,
    /// Whatever differs from a text with its special tokens.
    options: Option<Box<EncodeOptions>>,
    made: PyOnceLock<Py<PyList>>,
}

impl OneEncoding {
    fn list<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyList>> {
        let make = || {
            let text = crate::inputs::text(self.text.bind(py).as_any(), None)?;
            let tokenizer = self.tokenizer.get().shared();
            let plain = EncodeOptions::plain(true);
            let options = self.options.as_deref().unwrap_or(&plain);
            let encoded = py.detach(|| tokenizer.encode(&Input::Text(&text), None, options));
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
