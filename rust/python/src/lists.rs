//! Lists of ids out. Of the ids that most of a text consists of there is one integer object each, which all lists share.
//!
//! A list of Python integers costs more to make than the ids it holds: an allocation for each. Integers do not change, so
//! lists may hold the same objects. To find one in memory costs as much as to make it, though, where the table of them has
//! left the caches: so it ends with the ids that come often, and the others are made anew.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// Numbers below this have shared objects: the oldest merges of a vocabulary, nine tenths of the tokens of most texts, in
/// 640 KB. With all of Llama 3's ids shared a call with a text of 512 tokens between other work took a tenth longer, with
/// none one among its like a quarter; from 2^13 to 2^15 there was no difference.
const SHARED: u32 = 1 << 14;

/// The shared objects.
pub struct Integers(&'static [Py<PyInt>]);

impl Integers {
    /// The objects, which are all made the first time: neighbours then lie side by side.
    pub fn get(py: Python<'_>) -> Self {
        static INTEGERS: OnceLock<Box<[Py<PyInt>]>> = OnceLock::new();
        Self(INTEGERS.get_or_init(|| (0..SHARED).map(|value| PyInt::new(py, value).unbind()).collect()))
    }

    /// The object of a number.
    #[inline(always)]
    pub fn of<'py>(&self, py: Python<'py>, value: u32) -> Bound<'py, PyInt> {
        match self.0.get(value as usize) {
            Some(shared) => shared.bind(py).clone(),
            None => PyInt::new(py, value),
        }
    }
}

/// A list of ids.
///
/// # Errors
/// `MemoryError`.
pub fn list<'py>(py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
    let integers = Integers::get(py);
    PyList::new(py, ids.iter().map(|&id| integers.of(py, id)))
}

/// A list of ones.
///
/// # Errors
/// `MemoryError`.
pub fn ones(py: Python<'_>, count: usize) -> PyResult<Bound<'_, PyList>> {
    let one = Integers::get(py).of(py, 1);
    PyList::new(py, (0..count).map(|_| one.clone()))
}
