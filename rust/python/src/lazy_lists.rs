//! The rows of a batch as the core wrote them, and the lists that are made of them when somebody looks.

use std::ops::Range;

use numpy::PyArray1;
use penstock::encoding::{Direction, Padding};
use penstock::tokenizer::{EncodeOptions, Fields, Input, Lists, Tokenizer};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::errors::interruptible_if;
use crate::lists::{Integers, list_of, ones};

/// Which columns a batch has beside its ids.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one choice each")]
pub struct Wanted {
    /// `token_type_ids`
    pub types: bool,
    /// `attention_mask`
    pub mask: bool,
    /// `special_tokens_mask`
    pub special: bool,
    /// `length`
    pub length: bool,
}

/// Rows of their own lengths, or filled up.
#[pyclass(frozen, module = "penstock._native")]
pub struct LazyLists {
    lists: Lists,
    wanted: Wanted,
    filling: Option<Filling>,
}

/// What rows are filled up with.
struct Filling {
    width: usize,
    side: Direction,
    id: u32,
    type_id: u32,
}

impl Filling {
    fn new(padding: &Padding, longest: usize) -> Self {
        let &Padding { direction, pad_id, pad_type_id, .. } = padding;
        Self { width: padding.length(longest), side: direction, id: pad_id, type_id: pad_type_id }
    }
}

/// A row: its values, and how much is filled up before and behind them.
struct Row {
    values: Range<usize>,
    before: usize,
    after: usize,
}

impl Row {
    fn len(&self) -> usize {
        self.before + self.values.len() + self.after
    }
}

impl LazyLists {
    /// Encodes a batch; a short one without letting other threads run.
    ///
    /// # Errors
    /// Those of the core.
    pub fn encode(
        py: Python<'_>,
        tokenizer: &Tokenizer,
        inputs: &[(Input<'_>, Option<Input<'_>>)],
        options: &EncodeOptions,
        wanted: Wanted,
        is_short: bool,
    ) -> PyResult<Self> {
        let fields = Fields { type_ids: wanted.types, special_tokens_mask: wanted.special, ..Fields::default() };
        let lists = interruptible_if(!is_short, py, |stop| tokenizer.encode_lists(inputs, options, fields, stop))?;
        let mut start = 0;
        let longest = lists.ends.iter().map(|&end| end - std::mem::replace(&mut start, end)).max();
        let filling = options.padding.as_ref().map(|padding| Filling::new(padding, longest.unwrap_or(0)));
        Ok(Self { lists, wanted, filling })
    }

    /// Number of tokens, with what fills rows up.
    pub fn count(&self) -> usize {
        self.lengths().sum()
    }

    /// The lengths of the rows.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + Clone {
        self.rows().map(|row| row.len())
    }

    fn rows(&self) -> impl Iterator<Item = Row> + Clone {
        let mut start = 0;
        self.lists.ends.iter().map(move |&end| {
            let values = std::mem::replace(&mut start, end)..end;
            let missing = self.filling.as_ref().map_or(0, |filling| filling.width.saturating_sub(values.len()));
            match self.filling.as_ref().map(|filling| filling.side) {
                Some(Direction::Left) => Row { values, before: missing, after: 0 },
                _ => Row { values, before: 0, after: missing },
            }
        })
    }

    /// A list for each row.
    fn column<'py>(
        &self,
        py: Python<'py>,
        row: impl Fn(Row) -> PyResult<Bound<'py, PyList>>,
    ) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.rows().map(row).collect::<PyResult<Vec<_>>>()?)
    }

    /// A list for each row of values; `fill` is what fills it up.
    fn values<'py, T: Copy + Into<u32>>(
        &self,
        py: Python<'py>,
        values: &[T],
        fill: u32,
    ) -> PyResult<Bound<'py, PyList>> {
        let integers = Integers::get(py);
        let fill = integers.of(py, fill);
        self.column(py, |row| {
            let own = &values[row.values.clone()];
            let value = |place: usize| match place.checked_sub(row.before).and_then(|place| own.get(place)) {
                Some(&value) => integers.of(py, value.into()),
                None => fill.clone(),
            };
            PyList::new(py, (0..row.len()).map(value))
        })
    }

    /// The same as one array, and the lengths of rows.
    fn array<'py, T: Copy + Into<i64>>(&self, py: Python<'py>, values: &[T], fill: i64) -> Bound<'py, PyArray1<i64>> {
        let mut array = Vec::with_capacity(self.lengths().sum());
        for row in self.rows() {
            array.extend(std::iter::repeat_n(fill, row.before));
            array.extend(values[row.values].iter().map(|&value| value.into()));
            array.extend(std::iter::repeat_n(fill, row.after));
        }
        PyArray1::from_vec(py, array)
    }
}

#[pymethods]
impl LazyLists {
    /// The columns as lists.
    pub fn lists<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (lists, filling) = (&self.lists, self.filling.as_ref());
        let data = PyDict::new(py);
        let ids = match filling {
            None => self.column(py, |row| list_of(py, &lists.input_ids, row.values))?,
            Some(filling) => self.values(py, &lists.input_ids, filling.id)?,
        };
        data.set_item(intern!(py, "input_ids"), ids)?;
        if self.wanted.types {
            let types = self.values(py, &lists.type_ids, filling.map_or(0, |filling| filling.type_id))?;
            data.set_item(intern!(py, "token_type_ids"), types)?;
        }
        if self.wanted.mask {
            let mask = if filling.is_none() {
                self.column(py, |row| ones(py, row.values.len()))?
            } else {
                self.values(py, &vec![1_u8; lists.input_ids.len()], 0)?
            };
            data.set_item(intern!(py, "attention_mask"), mask)?;
        }
        if self.wanted.special {
            data.set_item(intern!(py, "special_tokens_mask"), self.values(py, &lists.special_tokens_mask, 1)?)?;
        }
        if self.wanted.length {
            data.set_item(intern!(py, "length"), PyList::new(py, self.lengths().collect::<Vec<_>>())?)?;
        }
        Ok(data)
    }

    /// The columns as arrays, with the lengths of rows; None if one has no rows.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        if self.wanted.length {
            return Ok(None);
        }
        let (lists, filling) = (&self.lists, self.filling.as_ref());
        let lengths = PyList::new(py, self.lengths().collect::<Vec<_>>())?;
        let data = PyDict::new(py);
        let set = |name: &Bound<'py, PyString>, array| data.set_item(name, (array, &lengths));
        set(
            intern!(py, "input_ids"),
            self.array(py, &lists.input_ids, filling.map_or(0, |filling| filling.id.into())),
        )?;
        if self.wanted.types {
            let fill = filling.map_or(0, |filling| filling.type_id.into());
            set(intern!(py, "token_type_ids"), self.array(py, &lists.type_ids, fill))?;
        }
        if self.wanted.mask {
            let ones = vec![1_u8; lists.input_ids.len()];
            set(intern!(py, "attention_mask"), self.array(py, &ones, 0))?;
        }
        if self.wanted.special {
            set(intern!(py, "special_tokens_mask"), self.array(py, &lists.special_tokens_mask, 1))?;
        }
        Ok(Some(data))
    }

    /// The lengths of the rows.
    #[pyo3(name = "lengths")]
    fn lengths_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.lengths().collect::<Vec<_>>())
    }
}
