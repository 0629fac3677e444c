//! One text to a finished result in one call: what a server does most. Each step of it in Python would take as long as the
//! text itself.

use numpy::PyArray2;
use numpy::ndarray::Array2;
use penstock::encoding::{Direction, Truncation};
use penstock::models::Model;
use penstock::tokenizer::{EncodeOptions, Fields, Input};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PySet, PyString, PyTuple, PyType};

use crate::engine_state::Ready;
use crate::errors::{detached, detached_if, to_py};
use crate::id_rows;
use crate::lazy_encodings::{LazyEncodings, Texts};
use crate::lists::{list, ones};
use crate::one_call::Form;
use crate::prepared::{Outcome, Prepared};
use crate::tokenizer::{SHORT_TEXT, Tokenizer};

/// Calls tokenizers with one text and common options, as far as nothing stands between such a call and the engine.
#[pyclass(frozen, module = "penstock._native")]
pub struct OneText {
    /// The method that a tokenizer's class must not have overridden.
    pub(crate) encode_plus: Py<PyAny>,
    /// The same of `_decode`.
    decode: Py<PyAny>,
    /// Classes of tokenizers of which all else is known to be plain.
    pub(crate) plain: Py<PySet>,
    /// Classes of tokenizers of which stock has said that cleaning up does nothing to their model's text.
    unclean: Py<PySet>,
    /// Makes a tensor of an array.
    pub(crate) tensor: Py<PyAny>,
    /// A tokenizer whose texts may be longer has no limit.
    pub(crate) unlimited: Py<PyAny>,
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
        text: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
        native: Option<Bound<'py, Tokenizer>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tokenizer.py();
        if let Ok(texts) = text.cast::<PyList>() {
            return self.many(tokenizer, texts, options, native)?.answer(py, |(columns, encodings)| {
                Ok(PyTuple::new(py, [columns, Bound::new(py, encodings)?.into_any()])?.into_any())
            });
        }
        self.run(tokenizer, text.cast()?, options, native, false)?.answer(py, |(columns, encodings)| {
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
        self.run(tokenizer, text, options, native, true)?.answer(py, |(columns, _)| Ok(columns.ids))
    }

    #[pyo3(signature = (tokenizer, ids, skip_special_tokens, /))]
    fn decode<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        ids: &Bound<'py, PyAny>,
        skip_special_tokens: bool,
    ) -> PyResult<Option<String>> {
        let py = tokenizer.py();
        let Some(ids) = id_rows::one(ids).map(|id| vec![id]).or_else(|| id_rows::row(ids)) else { return Ok(None) };
        let class = tokenizer.get_type();
        if !class.getattr(intern!(py, "_decode"))?.is(&self.decode) || !self.plain.bind(py).contains(&class)? {
            return Ok(None);
        }
        let Some(Ready { own, state, native, .. }) = Ready::new(tokenizer)? else { return Ok(None) };
        if own.contains(intern!(py, "_decode"))? {
            return Ok(None);
        }
        let cleans = own.get_item(intern!(py, "clean_up_tokenization_spaces"))?;
        let cleans = !cleans.is_some_and(|cleans| cleans.is(PyBool::new(py, false)));
        if cleans && !self.leaves_unclean(&own, &class, native.get())? || state.get().has_own_decode(py)? {
            return Ok(None);
        }
        let core = native.get().shared();
        let text = detached_if(ids.len() > SHORT_ROW, py, || core.decode(&ids, skip_special_tokens))?;
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
    ) -> PyResult<Outcome<(Columns<'py>, LazyEncodings)>> {
        let py = tokenizer.py();
        let call = match self.prepare(tokenizer, options, native, only_ids)? {
            Outcome::Done(call) => call,
            Outcome::Unprepared => return Ok(Outcome::Unprepared),
            Outcome::Refused => return Ok(Outcome::Refused),
        };
        let take = |ids: &[u32], types: Option<&[u32]>| self.columns(py, ids, types, &call);
        let columns = encoded(call.native.get(), text, &call.options, call.types, take)?;
        if columns.count == 0 && call.form != Form::List {
            return Ok(Outcome::Refused);
        }
        call.rest.finish(std::iter::once(columns.count))?;
        let text = Texts::One(text.clone().unbind());
        Ok(Outcome::Done((columns, LazyEncodings::new(call.native.unbind(), text, call.options))))
    }

    fn columns<'py>(
        &self,
        py: Python<'py>,
        ids: &[u32],
        types: Option<&[u32]>,
        call: &Prepared<'py>,
    ) -> PyResult<Columns<'py>> {
        let (form, padding) = (call.form, call.options.padding.as_ref());
        let count = padding.map_or(0, |padding| padding.length(ids.len())).max(ids.len());
        let is_left = padding.is_some_and(|padding| padding.direction == Direction::Left);
        let place = Place { before: if is_left { count - ids.len() } else { 0 }, count };
        let is_filled = count > ids.len();
        let matrix = |values: Vec<i64>| {
            let row = row(py, values);
            if form == Form::Tensor { self.tensor.bind(py).call1((row,)) } else { Ok(row) }
        };
        let column = |values: &[u32], fill: u32| match form {
            Form::List if is_filled => list(py, &place.fill(values.iter().copied(), fill)).map(Bound::into_any),
            Form::List => list(py, values).map(Bound::into_any),
            Form::Array | Form::Tensor => matrix(place.fill(values.iter().map(|&value| value.into()), fill.into())),
        };
        let ids_column = column(ids, padding.map_or(0, |padding| padding.pad_id))?;
        let types = types.map(|types| column(types, padding.map_or(0, |padding| padding.pad_type_id))).transpose()?;
        let mask = call.mask.then(|| match form {
            Form::List if is_filled => list(py, &place.fill(std::iter::repeat_n(1, ids.len()), 0)).map(Bound::into_any),
            Form::List => ones(py, count).map(Bound::into_any),
            Form::Array | Form::Tensor => matrix(place.fill(std::iter::repeat_n(1, ids.len()), 0)),
        });
        Ok(Columns { ids: ids_column, types, mask: mask.transpose()?, count })
    }
}

/// Where the tokens of a row lie in it.
struct Place {
    before: usize,
    count: usize,
}

impl Place {
    /// A row, filled up around its values.
    fn fill<T: Copy>(&self, values: impl Iterator<Item = T>, fill: T) -> Vec<T> {
        let mut row = Vec::with_capacity(self.count);
        row.extend(std::iter::repeat_n(fill, self.before));
        row.extend(values);
        row.resize(self.count, fill);
        row
    }
}

/// A matrix of one row.
fn row(py: Python<'_>, values: Vec<i64>) -> Bound<'_, PyAny> {
    let matrix = Array2::from_shape_vec((1, values.len()), values).expect("one row holds them all");
    PyArray2::from_owned_array(py, matrix).into_any()
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
