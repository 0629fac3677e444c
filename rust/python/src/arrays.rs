//! Token ids in from lists and arrays, arrays out without a copy.

use numpy::{Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyUntypedArrayMethods};
use penstock::TokenId;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::errors::TokenIdError;

/// Hands the buffer of `values` to numpy.
pub fn array<T: Element>(py: Python<'_>, values: Vec<T>) -> Bound<'_, PyArray1<T>> {
    PyArray1::from_vec(py, values)
}

/// Hands pairs to numpy as an array of two columns.
///
/// # Errors
/// Those of numpy's `reshape`; none for a vector of pairs.
pub fn array_of_pairs(py: Python<'_>, values: Vec<[u32; 2]>) -> PyResult<Bound<'_, PyArray2<u32>>> {
    let rows = values.len();
    PyArray1::from_vec(py, values.into_flattened()).reshape([rows, 2])
}

/// Token ids given by a caller.
pub enum Ids<'py> {
    /// A contiguous `uint32` array, read in place.
    Array(PyReadonlyArray1<'py, TokenId>),
    /// Anything else, converted and checked.
    Owned(Vec<TokenId>),
}

impl Ids<'_> {
    /// The ids.
    pub fn as_slice(&self) -> &[TokenId] {
        match self {
            Self::Array(array) => array.as_slice().expect("only contiguous arrays are kept"),
            Self::Owned(ids) => ids,
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Ids<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(list) = object.cast::<PyList>() {
            return checked(list.iter()).map(Self::Owned);
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return checked(tuple.iter()).map(Self::Owned);
        }
        if object.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("ids must be a list or an array of integers, not str"));
        }
        // A tensor or another library's array becomes a numpy one through `__array__`.
        let array = if object.hasattr("__array__")? {
            object.py().import("numpy")?.call_method1("asarray", (object,))?
        } else {
            object.to_owned()
        };
        if let Ok(array) = array.extract::<PyReadonlyArray1<'py, u32>>() {
            return Ok(if array.is_contiguous() { Self::Array(array) } else { Self::Owned(array.as_array().to_vec()) });
        }
        if let Ok(array) = array.extract::<PyReadonlyArray1<'py, i64>>() {
            return checked_integers(array.as_array().iter().copied()).map(Self::Owned);
        }
        if let Ok(array) = array.extract::<PyReadonlyArray1<'py, i32>>() {
            return checked_integers(array.as_array().iter().map(|&id| i64::from(id))).map(Self::Owned);
        }
        let items = array.try_iter().map_err(|_| {
            PyTypeError::new_err(format!("ids must be a list or an array of integers, not {}", type_name(&array)))
        })?;
        checked_results(items).map(Self::Owned)
    }
}

/// Name of an object's class, for messages.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

fn checked<'py>(items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>) -> PyResult<Vec<TokenId>> {
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        ids.push(id_at(&item, Some(ids.len()))?);
    }
    Ok(ids)
}

fn checked_results<'py>(items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>) -> PyResult<Vec<TokenId>> {
    let mut ids = Vec::new();
    for item in items {
        ids.push(id_at(&item?, Some(ids.len()))?);
    }
    Ok(ids)
}

fn checked_integers(items: impl ExactSizeIterator<Item = i64>) -> PyResult<Vec<TokenId>> {
    let mut ids = Vec::with_capacity(items.len());
    for id in items {
        ids.push(TokenId::try_from(id).map_err(|_| out_of_range(&id.to_string(), Some(ids.len())))?);
    }
    Ok(ids)
}

/// One id, with its position when it stands in a sequence.
///
/// # Errors
/// `TokenIdError` for an integer that no token can have, `TypeError` for anything else.
pub fn id_at(item: &Bound<'_, PyAny>, position: Option<usize>) -> PyResult<TokenId> {
    item.extract::<TokenId>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(item.py()) {
            out_of_range(&item.to_string(), position)
        } else {
            error
        }
    })
}

fn out_of_range(id: &str, position: Option<usize>) -> PyErr {
    let place = position.map_or_else(String::new, |position| format!(" at position {position}"));
    TokenIdError::new_err((format!("token id {id}{place} is out of range: ids are 0 to {}", TokenId::MAX), position))
}

/// Raises for the first id that has no token.
///
/// # Errors
/// `TokenIdError` with the id's position.
pub fn require_known(ids: &[TokenId], known: impl Fn(TokenId) -> bool) -> PyResult<()> {
    match ids.iter().position(|&id| !known(id)) {
        None => Ok(()),
        Some(position) => {
            let message = format!("token id {} at position {position} has no token", ids[position]);
            Err(TokenIdError::new_err((message, position)))
        }
    }
}
