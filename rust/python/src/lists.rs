//! Lists of ids out: one integer object for each id, made when it is first needed and then shared.
//!
//! A list of Python integers costs more to make than the ids it holds: an allocation for each. Texts use the same few
//! thousand ids again and again, and integers do not change, so all lists may hold the same objects.

use std::sync::OnceLock;

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// Ids of one segment of the table: what is never used takes no memory.
const SEGMENT: usize = 1 << 12;
/// Segments: every vocabulary in use has fewer ids. Larger ones get objects of their own.
const SEGMENTS: usize = 1 << 6;

type Segment = Box<[OnceLock<Py<PyInt>>]>;

static INTEGERS: [OnceLock<Segment>; SEGMENTS] = [const { OnceLock::new() }; SEGMENTS];

/// The object of a number.
#[inline]
fn integer(py: Python<'_>, value: u64) -> Bound<'_, PyInt> {
    let place = value as usize;
    if let Some(segment) = INTEGERS.get(place / SEGMENT).filter(|_| value < (SEGMENT * SEGMENTS) as u64)
        && let Some(segment) = segment.get()
        && let Some(known) = segment[place % SEGMENT].get()
    {
        return known.bind(py).clone();
    }
    new_integer(py, value)
}

#[cold]
fn new_integer(py: Python<'_>, value: u64) -> Bound<'_, PyInt> {
    let made = PyInt::new(py, value);
    if value < (SEGMENT * SEGMENTS) as u64 {
        let place = value as usize;
        let segment = INTEGERS[place / SEGMENT].get_or_init(|| (0..SEGMENT).map(|_| OnceLock::new()).collect());
        // Another thread may have been faster; either object is right.
        let _ = segment[place % SEGMENT].set(made.clone().unbind());
    }
    made
}

/// Ids of a list that are made anew: a call with one text of 20 tokens took 4.1 microseconds instead of 4.4.
const FEW: usize = 1 << 6;

/// A list of ids.
///
/// # Errors
/// `MemoryError`.
pub fn list<'py>(py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
    if ids.len() <= FEW {
        return PyList::new(py, ids.iter().map(|&id| PyInt::new(py, id)));
    }
    PyList::new(py, ids.iter().map(|&id| integer(py, u64::from(id))))
}

/// A list of ones.
///
/// # Errors
/// `MemoryError`.
pub fn ones(py: Python<'_>, count: usize) -> PyResult<Bound<'_, PyList>> {
    let one = integer(py, 1);
    PyList::new(py, (0..count).map(|_| one.clone()))
}

/// A list for each row of ids that lie behind one another; row `i` ends at `ends[i + 1]`.
#[pyfunction]
#[pyo3(signature = (values, ends, /))]
pub fn row_lists<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, u32>,
    ends: PyReadonlyArray1<'py, i64>,
) -> PyResult<Bound<'py, PyList>> {
    let (values, ends) = (values.as_slice()?, ends.as_slice()?);
    let rows = PyList::empty(py);
    for row in ends.windows(2) {
        let ids = values.get(row[0] as usize..row[1] as usize);
        rows.append(list(py, ids.ok_or_else(|| PyValueError::new_err("a row ends outside the values"))?)?)?;
    }
    Ok(rows)
}

/// A list of ones for each row, as long as the row.
#[pyfunction]
#[pyo3(signature = (ends, /))]
pub fn row_ones<'py>(py: Python<'py>, ends: PyReadonlyArray1<'py, i64>) -> PyResult<Bound<'py, PyList>> {
    let rows = PyList::empty(py);
    for row in ends.as_slice()?.windows(2) {
        rows.append(ones(py, (row[1] - row[0]).try_into()?)?)?;
    }
    Ok(rows)
}

/// A list for each row of a matrix: all of it, or its first `lengths[i]` values.
#[pyfunction]
#[pyo3(signature = (matrix, lengths=None, /))]
pub fn matrix_lists<'py>(
    py: Python<'py>,
    matrix: PyReadonlyArray2<'py, i64>,
    lengths: Option<Vec<usize>>,
) -> PyResult<Bound<'py, PyList>> {
    let values = matrix.as_slice()?;
    let array = matrix.as_array();
    let (count, width) = (array.nrows(), array.ncols());
    let lists = PyList::empty(py);
    for row in 0..count {
        let length = lengths.as_ref().map_or(Some(width), |lengths| lengths.get(row).copied());
        let length = length.filter(|&length| length <= width);
        let length = length.ok_or_else(|| PyValueError::new_err("a row is longer than the matrix is wide"))?;
        let numbers = &values[row * width..row * width + length];
        let integer = |&number: &i64| match u64::try_from(number) {
            Ok(number) => integer(py, number),
            Err(_) => PyInt::new(py, number),
        };
        lists.append(PyList::new(py, numbers.iter().map(integer))?)?;
    }
    Ok(lists)
}
