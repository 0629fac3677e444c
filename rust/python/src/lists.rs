//! Lists of ids out: one integer object for each id, made when it is first needed and then shared.
//!
//! A list of Python integers costs more to make than the ids it holds: an allocation for each. Texts use the same few
//! thousand ids again and again, and integers do not change, so all lists may hold the same objects.

use std::sync::OnceLock;

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
pub fn integer(py: Python<'_>, value: u64) -> Bound<'_, PyInt> {
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

/// Ids of a call up to which all are made anew: the table has long left the caches when a call comes between other work.
/// A call with 8 texts of 512 tokens took a fifth less time so, one with a text of 512 tokens a quarter. A large batch brings
/// the table back.
pub const FEW: usize = 1 << 13;

/// A list of ids, made anew if the call has few.
///
/// # Errors
/// `MemoryError`.
pub fn list<'py>(py: Python<'py>, ids: &[u32], is_few: bool) -> PyResult<Bound<'py, PyList>> {
    if is_few {
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
