//! Texts in: Python strings as UTF-8, alone, in lists, in pairs and already split into words.

use penstock::tokenizer::Input;
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::arrays::type_name;
use crate::columns::{StringColumn, is_arrow};
use crate::errors::TextError;
use crate::text::Text;

/// The UTF-8 of a Python string.
///
/// # Errors
/// `TypeError` if it is no string, `TextError` if it holds a lone surrogate.
pub fn text(object: &Bound<'_, PyAny>, row: Option<usize>) -> PyResult<Text> {
    let string = object.cast::<PyString>().map_err(|_| not_text(object, row))?;
    Text::try_from(string).map_err(|error| lone_surrogate(object.py(), error, row))
}

fn not_text(object: &Bound<'_, PyAny>, row: Option<usize>) -> PyErr {
    let place = row.map_or_else(String::new, |row| format!(" in row {row}"));
    PyTypeError::new_err(format!("text must be str, not {}{place}", type_name(object)))
}

/// Turns Python's own error, which does not say which row it met, into a `TextError`.
fn lone_surrogate(py: Python<'_>, error: PyErr, row: Option<usize>) -> PyErr {
    if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return error;
    }
    let position: Option<usize> = error.value(py).getattr("start").and_then(|start| start.extract()).ok();
    let at = position.map_or_else(String::new, |position| format!(", at character {position}"));
    let of = row.map_or_else(String::new, |row| format!(" of row {row}"));
    let message = format!("text holds a lone surrogate, which UTF-8 cannot carry{at}{of}");
    let raised = TextError::new_err((message, position, row));
    raised.set_cause(py, Some(error));
    raised
}

/// A batch of single texts.
pub enum Texts<'py> {
    /// From a list, a tuple or any other iterable of `str`.
    Strings(Vec<Text>),
    /// From an Arrow string column.
    Column(StringColumn<'py>),
}

impl Texts<'_> {
    /// The texts, borrowed.
    ///
    /// # Errors
    /// `TextError` for an Arrow row that is not UTF-8.
    pub fn rows(&self) -> PyResult<Vec<&str>> {
        match self {
            Self::Strings(strings) => Ok(strings.iter().map(|text| &**text).collect()),
            Self::Column(column) => column.rows(),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Texts<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let strings = if let Ok(list) = object.cast::<PyList>() {
            list.iter().enumerate().map(|(row, item)| text(&item, Some(row))).collect::<PyResult<_>>()?
        } else if let Ok(tuple) = object.cast::<PyTuple>() {
            tuple.iter().enumerate().map(|(row, item)| text(&item, Some(row))).collect::<PyResult<_>>()?
        } else if object.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("texts must be a list of str, not a single str"));
        } else if is_arrow(&object)? {
            return StringColumn::new(&object).map(Self::Column);
        } else {
            let items = object.try_iter()?;
            items.enumerate().map(|(row, item)| text(&item?, Some(row))).collect::<PyResult<_>>()?
        };
        Ok(Self::Strings(strings))
    }
}

/// One sequence of an encode call, kept alive while the core reads it.
pub enum Sequence {
    /// A text.
    Text(Text),
    /// A text that the caller has split into words.
    Words(Vec<Text>),
}

impl Sequence {
    /// A text, or words if the caller says so.
    ///
    /// # Errors
    /// `TypeError` for another type, `TextError` for a lone surrogate.
    pub fn new(object: &Bound<'_, PyAny>, is_pretokenized: bool, row: Option<usize>) -> PyResult<Self> {
        if !is_pretokenized {
            return text(object, row).map(Self::Text);
        }
        if object.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("a pretokenized sequence must be a list of str, not a single str"));
        }
        let words = object.try_iter()?.map(|word| text(&word?, row));
        words.collect::<PyResult<_>>().map(Self::Words)
    }

    /// The sequence, borrowed.
    pub fn as_input(&self) -> Input<'_> {
        match self {
            Self::Text(text) => Input::Text(text),
            Self::Words(words) => Input::Words(words.iter().map(|word| &**word).collect()),
        }
    }
}

/// A batch of single texts, or of texts that the caller has split into words.
pub enum Rows<'py> {
    /// Texts.
    Texts(Texts<'py>),
    /// Lists of words.
    Words(Vec<Sequence>),
}

impl<'py> Rows<'py> {
    /// Texts, or lists of words if the caller says so.
    ///
    /// # Errors
    /// `TypeError` for another type, `TextError` for a lone surrogate.
    pub fn new(object: &Bound<'py, PyAny>, is_pretokenized: bool) -> PyResult<Self> {
        if !is_pretokenized {
            return object.extract::<Texts<'py>>().map(Self::Texts);
        }
        let rows = object.try_iter()?.enumerate().map(|(row, words)| Sequence::new(&words?, true, Some(row)));
        rows.collect::<PyResult<_>>().map(Self::Words)
    }

    /// The rows, borrowed.
    ///
    /// # Errors
    /// `TextError` for an Arrow row that is not UTF-8.
    pub fn inputs(&self) -> PyResult<Vec<Input<'_>>> {
        match self {
            Self::Texts(texts) => Ok(texts.rows()?.into_iter().map(Input::Text).collect()),
            Self::Words(rows) => Ok(rows.iter().map(Sequence::as_input).collect()),
        }
    }
}

/// One item of a batch: a sequence, or a pair of them.
pub struct Item(Sequence, Option<Sequence>);

impl Item {
    /// Reads an item as the reference does: a sequence if it can be one, else a tuple or list of two.
    ///
    /// # Errors
    /// `TypeError` for another shape, `TextError` for a lone surrogate.
    pub fn new(object: &Bound<'_, PyAny>, is_pretokenized: bool, row: usize) -> PyResult<Self> {
        if object.is_instance_of::<PyString>() {
            return Ok(Self(Sequence::new(object, is_pretokenized, Some(row))?, None));
        }
        let parts: Vec<Bound<'_, PyAny>> =
            object.try_iter().map_err(|_| not_text(object, Some(row)))?.collect::<PyResult<_>>()?;
        if is_pretokenized && parts.iter().all(PyAnyMethods::is_instance_of::<PyString>) {
            let words = parts.iter().map(|word| text(word, Some(row))).collect::<PyResult<_>>()?;
            return Ok(Self(Sequence::Words(words), None));
        }
        match parts.as_slice() {
            [first, second] => Ok(Self(
                Sequence::new(first, is_pretokenized, Some(row))?,
                Some(Sequence::new(second, is_pretokenized, Some(row))?),
            )),
            _ => Err(PyTypeError::new_err(format!(
                "row {row} must be a sequence or a pair of sequences, not {} of {} items",
                type_name(object),
                parts.len()
            ))),
        }
    }

    /// The sequences, borrowed.
    pub fn as_inputs(&self) -> (Input<'_>, Option<Input<'_>>) {
        (self.0.as_input(), self.1.as_ref().map(Sequence::as_input))
    }
}
