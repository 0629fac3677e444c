//! Arrow string columns in, read where they lie.

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::errors::TextError;

/// The chunks of an Arrow string column.
///
/// `penstock._columns` reads the buffers through pyarrow, which accepts every library's arrays by the Arrow `PyCapsule`
/// interface: that keeps this crate without `unsafe` and without a second Arrow implementation.
pub struct StringColumn<'py>(Vec<Chunk<'py>>);

struct Chunk<'py> {
    data: PyReadonlyArray1<'py, u8>,
    offsets: Offsets<'py>,
}

enum Offsets<'py> {
    Small(PyReadonlyArray1<'py, i32>),
    Large(PyReadonlyArray1<'py, i64>),
}

/// True when an object offers its data as Arrow.
///
/// # Errors
/// What the object's attribute access raises.
pub fn is_arrow(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.hasattr("__arrow_c_stream__")? || object.hasattr("__arrow_c_array__")?)
}

impl<'py> StringColumn<'py> {
    /// Takes the buffers of a column.
    ///
    /// # Errors
    /// What `penstock._columns` raises: a column that holds no text, a row without a value, pyarrow missing.
    pub fn new(column: &Bound<'py, PyAny>) -> PyResult<Self> {
        let chunks = column.py().import("penstock._columns")?.call_method1("string_chunks", (column,))?;
        let chunks = chunks.try_iter()?.map(|chunk| {
            let (data, offsets) = chunk?.extract::<(PyReadonlyArray1<'py, u8>, Bound<'py, PyAny>)>()?;
            let offsets = match offsets.extract::<PyReadonlyArray1<'py, i32>>() {
                Ok(offsets) => Offsets::Small(offsets),
                Err(_) => Offsets::Large(offsets.extract()?),
            };
            Ok(Chunk { data, offsets })
        });
        chunks.collect::<PyResult<_>>().map(Self)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        let rows = |chunk: &Chunk<'_>| match &chunk.offsets {
            Offsets::Small(offsets) => offsets.len() - 1,
            Offsets::Large(offsets) => offsets.len() - 1,
        };
        self.0.iter().map(rows).sum()
    }

    /// The rows, borrowed: the only work is the check that the bytes are UTF-8, as `str` requires.
    ///
    /// # Errors
    /// `TextError` for a row that is not UTF-8.
    pub fn rows(&self) -> PyResult<Vec<&str>> {
        let mut rows = Vec::with_capacity(self.len());
        for chunk in &self.0 {
            let data = chunk.data.as_slice()?;
            match &chunk.offsets {
                Offsets::Small(offsets) => push_rows(data, offsets.as_slice()?, &mut rows),
                Offsets::Large(offsets) => push_rows(data, offsets.as_slice()?, &mut rows),
            }?;
        }
        Ok(rows)
    }
}

/// Cuts `data` at `offsets`. Checking each row, not the buffer as a whole, also catches an offset inside a character.
fn push_rows<'a, T: Copy + TryInto<usize>>(data: &'a [u8], offsets: &[T], rows: &mut Vec<&'a str>) -> PyResult<()> {
    for bounds in offsets.windows(2) {
        let bytes = match (bounds[0].try_into(), bounds[1].try_into()) {
            (Ok(start), Ok(end)) => data.get(start..end),
            _ => None,
        };
        let Some(bytes) = bytes else {
            return Err(TextError::new_err((
                format!("row {} lies outside the column's buffer", rows.len()),
                None::<usize>,
                rows.len(),
            )));
        };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let position = error.valid_up_to();
            let message = format!("row {} is not UTF-8: invalid byte at {position}", rows.len());
            TextError::new_err((message, position, rows.len()))
        })?;
        rows.push(text);
    }
    Ok(())
}
