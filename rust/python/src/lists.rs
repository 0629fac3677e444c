//! Lists of ids out. Of the ids that most of a text consists of there is one integer object each, which all lists share.
//!
//! A list of Python integers costs more to make than the ids it holds: an allocation for each. Integers do not change, so
//! lists may hold the same objects. To find one in memory costs as much as to make it, though, where the table of them has
//! left the caches: so the objects are asked for ahead of their turn, and those of rare ids are made anew.

use std::ops::Range;
use std::sync::OnceLock;

use penstock::kernels::prefetch_at;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// Numbers below this have shared objects: the oldest merges of a vocabulary, nine tenths of the tokens of most texts, in
/// 640 KB. With all of Llama 3's ids shared a call with a text of 512 tokens between other work took a tenth longer, with
/// none one among its like a quarter; from 2^13 to 2^15 there was no difference.
const SHARED: u32 = 1 << 14;

/// Objects are asked for so many ids before they are needed, and their places in the table twice as early. Between other work
/// lists took half the time so, among their like a fifth more; with 16 or 64 ids ahead the gain was a tenth smaller.
const AHEAD: usize = 32;

/// The shared objects.
#[derive(Clone, Copy)]
pub struct Integers(&'static [Py<PyInt>]);

impl Integers {
    /// The objects, which are all made the first time: neighbours then lie side by side.
    pub fn get(py: Python<'_>) -> Self {
        static INTEGERS: OnceLock<Box<[Py<PyInt>]>> = OnceLock::new();
        Self(INTEGERS.get_or_init(|| (0..SHARED).map(|value| PyInt::new(py, value).unbind()).collect()))
    }

    /// The object of a number.
    #[inline(always)]
    pub fn of(self, py: Python<'_>, value: u32) -> Bound<'_, PyInt> {
        match self.0.get(value as usize) {
            Some(shared) => shared.bind(py).clone(),
            None => PyInt::new(py, value),
        }
    }

    /// Asks for the object of a number.
    #[inline(always)]
    fn prefetch(self, value: u32) {
        let value = if value < SHARED { value as usize } else { 0 };
        prefetch_at(self.0[value].as_ptr());
    }
}

/// A list of ids.
///
/// # Errors
/// `MemoryError`.
pub fn list<'py>(py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
    list_of(py, ids, 0..ids.len())
}

/// A list of some ids of many, of which the next ones are likely to follow.
///
/// # Errors
/// `MemoryError`.
pub fn list_of<'py>(py: Python<'py>, ids: &[u32], range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
    let integers = Integers::get(py);
    let id_at = |at: usize| ids.get(at).copied().unwrap_or(0);
    if range.start == 0 {
        ids.iter().take(AHEAD).for_each(|&id| integers.prefetch(id));
    }
    PyList::new(
        py,
        range.map(|at| {
            prefetch_at(integers.0.as_ptr().wrapping_add(id_at(at + 2 * AHEAD) as usize));
            integers.prefetch(id_at(at + AHEAD));
            integers.of(py, ids[at])
        }),
    )
}

/// A list of ones.
///
/// # Errors
/// `MemoryError`.
pub fn ones(py: Python<'_>, count: usize) -> PyResult<Bound<'_, PyList>> {
    let one = Integers::get(py).of(py, 1);
    PyList::new(py, (0..count).map(|_| one.clone()))
}
