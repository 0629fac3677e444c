//! The rows of a batch as the core wrote them, and the lists that are made of them when somebody looks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use numpy::PyArray1;
use penstock::encoding::{Direction, Padding};
use penstock::tokenizer::{EncodeOptions, Fields, Input, Lists, Tokenizer};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyWeakrefReference};

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

impl Wanted {
    /// The columns in the order in which a batch has them.
    fn columns(self) -> impl Iterator<Item = Column> {
        Column::ALL.into_iter().filter(move |column| match column {
            Column::Ids => true,
            Column::Types => self.types,
            Column::Mask => self.mask,
            Column::Special => self.special,
            Column::Length => self.length,
        })
    }
}

/// A column of a batch.
#[derive(Clone, Copy)]
enum Column {
    Ids,
    Types,
    Mask,
    Special,
    Length,
}

impl Column {
    /// In the order in which a batch has them.
    const ALL: [Self; 5] = [Self::Ids, Self::Types, Self::Mask, Self::Special, Self::Length];

    fn name(self, py: Python<'_>) -> &Bound<'_, PyString> {
        match self {
            Self::Ids => intern!(py, "input_ids"),
            Self::Types => intern!(py, "token_type_ids"),
            Self::Mask => intern!(py, "attention_mask"),
            Self::Special => intern!(py, "special_tokens_mask"),
            Self::Length => intern!(py, "length"),
        }
    }
}

/// Rows of their own lengths, or filled up.
#[pyclass(frozen, module = "penstock._native")]
pub struct LazyLists {
    lists: Lists,
    wanted: Wanted,
    filling: Option<Filling>,
    /// The lists of each column that somebody has looked at.
    made: [PyOnceLock<Py<PyList>>; Column::ALL.len()],
    /// The number under which a batch waits for its lists.
    waits: OnceLock<u64>,
}

/// Batches that have not got all their lists, by number.
struct Waiting {
    next: u64,
    batches: BTreeMap<u64, Py<PyWeakrefReference>>,
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { next: 0, batches: BTreeMap::new() });

/// Runs `f` on the batches that wait; nothing of Python runs in it.
fn with_waiting<R>(f: impl FnOnce(&mut Waiting) -> R) -> R {
    f(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Drop for LazyLists {
    fn drop(&mut self) {
        if let Some(number) = self.waits.get() {
            with_waiting(|waiting| waiting.batches.remove(number));
        }
    }
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
        let made = [const { PyOnceLock::new() }; _];
        Ok(Self { lists, wanted, filling, made, waits: OnceLock::new() })
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

    /// The lists of a column, from now on the batch's own.
    fn made<'py>(&self, py: Python<'py>, column: Column) -> PyResult<&Bound<'py, PyList>> {
        let made = self.made[column as usize].get_or_try_init(py, || self.make(py, column).map(Bound::unbind))?;
        Ok(made.bind(py))
    }

    fn make<'py>(&self, py: Python<'py>, column: Column) -> PyResult<Bound<'py, PyList>> {
        let (lists, fill, is_filled) = (&self.lists, self.fill(column), self.filling.is_some());
        match column {
            Column::Ids if is_filled => self.values(py, &lists.input_ids, fill),
            Column::Ids => self.each(py, |row| list_of(py, &lists.input_ids, row.values)),
            Column::Types => self.values(py, &lists.type_ids, fill),
            Column::Mask if is_filled => self.values(py, &self.mask(), fill),
            Column::Mask => self.each(py, |row| ones(py, row.values.len())),
            Column::Special => self.values(py, &lists.special_tokens_mask, fill),
            Column::Length => self.lengths_list(py),
        }
    }

    /// What the rows of a column are filled up with.
    fn fill(&self, column: Column) -> u32 {
        match (column, &self.filling) {
            (Column::Ids, Some(filling)) => filling.id,
            (Column::Types, Some(filling)) => filling.type_id,
            (Column::Special, _) => 1,
            _ => 0,
        }
    }

    /// The mask of the tokens that do not fill up.
    fn mask(&self) -> Vec<u8> {
        vec![1; self.lists.input_ids.len()]
    }

    /// A list for each row.
    fn each<'py>(
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
        self.each(py, |row| {
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
        let data = PyDict::new(py);
        for column in self.wanted.columns() {
            data.set_item(column.name(py), self.made(py, column)?)?;
        }
        Ok(data)
    }

    /// One column as lists, the same whenever it is asked for; None if there is none of that name.
    #[pyo3(signature = (name, /))]
    fn column<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Option<&Bound<'py, PyList>>> {
        for column in self.wanted.columns() {
            let known = column.name(py);
            if name.is(known) || name.as_any().eq(known)? {
                return self.made(py, column).map(Some);
            }
        }
        Ok(None)
    }

    /// Notes whose lists these will be, until they go.
    #[pyo3(signature = (batch, /))]
    fn wait(&self, batch: &Bound<'_, PyAny>) -> PyResult<()> {
        let batch = PyWeakrefReference::new(batch)?.unbind();
        let number = with_waiting(|waiting| {
            waiting.next += 1;
            waiting.batches.insert(waiting.next, batch);
            waiting.next
        });
        self.waits.set(number).expect("the rows of one batch");
        Ok(())
    }

    /// The batches that have not got all their lists.
    #[staticmethod]
    fn waiting(py: Python<'_>) -> Vec<Bound<'_, PyAny>> {
        let batches: Vec<_> =
            with_waiting(|waiting| waiting.batches.values().map(|batch| batch.clone_ref(py)).collect());
        batches.iter().filter_map(|batch: &Py<PyWeakrefReference>| batch.bind(py).upgrade()).collect()
    }

    /// The columns as arrays, with the lengths of rows; None if one has no rows, or is a list that somebody may have changed.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        if self.wanted.length || self.made.iter().any(|column| column.get(py).is_some()) {
            return Ok(None);
        }
        let lists = &self.lists;
        let lengths = self.lengths_list(py)?;
        let data = PyDict::new(py);
        for column in self.wanted.columns() {
            let fill = self.fill(column).into();
            let array = match column {
                Column::Ids => self.array(py, &lists.input_ids, fill),
                Column::Types => self.array(py, &lists.type_ids, fill),
                Column::Mask => self.array(py, &self.mask(), fill),
                Column::Special => self.array(py, &lists.special_tokens_mask, fill),
                Column::Length => continue, // has no rows, see above
            };
            data.set_item(column.name(py), (array, &lengths))?;
        }
        Ok(Some(data))
    }

    /// The lengths of the rows.
    #[pyo3(name = "lengths")]
    fn lengths_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.lengths().collect::<Vec<_>>())
    }
}
