//! Sampling over `NumPy` arrays: rows are read in place, the generator's state is read and written as torch keeps it.

use numpy::{
    PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray1, PyUntypedArrayMethods,
    ndarray::ArrayView2,
};
use penstock::{
    kernels::floats::SumLanes,
    sampling::{
        self, Edit, Error, Filter, History, Logits, Mark, Plan, Random, Request, RowOptions, Step, ordered_biases,
        rng::torch::TorchStream,
    },
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::{
    errors::{SamplingError, from_sampling},
    special_steps::{not_contiguous, options_of, special_step},
};

/// Steps of a sampler, for one row or for all.
#[pyclass(frozen, module = "penstock._native")]
pub struct Sampler {
    inner: sampling::Sampler,
}

/// What a call may be given besides the logits.
#[derive(Default)]
struct Options<'py> {
    input_ids: Option<PyReadonlyArray2<'py, i64>>,
    encoder_ids: Option<PyReadonlyArray2<'py, i64>>,
    allowed: Option<PyReadonlyArray2<'py, i32>>,
    prefix_allowed: Option<PyReadonlyArray2<'py, i32>>,
    guide: Option<PyReadonlyArray2<'py, f32>>,
    forced: Vec<bool>,
    marks: Vec<Option<i64>>,
    padding: Vec<usize>,
    prompt: Vec<usize>,
    lanes: SumLanes,
    logprobs: Option<usize>,
    raw_logprobs: bool,
}

impl<'py> Options<'py> {
    fn from_dict(options: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        let mut out = Self::default();
        let Some(options) = options else { return Ok(out) };
        for (name, value) in options {
            if value.is_none() {
                continue;
            }
            match name.extract::<&str>()? {
                "input_ids" => out.input_ids = Some(value.extract()?),
                "encoder_ids" => out.encoder_ids = Some(value.extract()?),
                "allowed" => out.allowed = Some(value.extract()?),
                "prefix_allowed" => out.prefix_allowed = Some(value.extract()?),
                "guide" => out.guide = Some(value.extract()?),
                "forced" => out.forced = value.extract()?,
                "marks" => out.marks = value.extract()?,
                "padding" => out.padding = value.extract()?,
                "prompt" => out.prompt = value.extract()?,
                "lanes" => out.lanes = lanes(value.extract()?)?,
                "logprobs" => out.logprobs = Some(value.extract()?),
                "raw_logprobs" => out.raw_logprobs = value.extract()?,
                other => return Err(SamplingError::new_err(format!("unknown option {other:?}"))),
            }
        }
        Ok(out)
    }

    fn histories(&self, rows: usize) -> PyResult<Vec<History<'_>>> {
        let ids = rows_of(self.input_ids.as_ref(), rows, "input_ids")?;
        let encoder_ids = rows_of(self.encoder_ids.as_ref(), rows, "encoder_input_ids")?;
        let allowed = rows_of(self.allowed.as_ref(), rows, "allowed_mask")?;
        let prefix_allowed = rows_of(self.prefix_allowed.as_ref(), rows, "the prefix mask")?;
        let guide = rows_of(self.guide.as_ref(), rows, "the guide")?;
        for (what, found) in [
            ("padding", self.padding.len()),
            ("prompt_lengths", self.prompt.len()),
            ("the list of forced rows", self.forced.len()),
            ("the list of marks", self.marks.len()),
        ] {
            if found != 0 && found != rows {
                return Err(SamplingError::new_err(format!("{what} has {found} rows, the logits {rows}")));
            }
        }
        let histories = (0..rows).map(|row| {
            let ids = ids.as_ref().map_or(&[][..], |ids| ids[row]);
            History {
                ids,
                padding: self.padding.get(row).copied().unwrap_or(0).min(ids.len()),
                prompt: self.prompt.get(row).copied().unwrap_or(0).min(ids.len()),
                encoder_ids: encoder_ids.as_ref().map_or(&[][..], |ids| ids[row]),
                allowed: allowed.as_ref().map(|mask| mask[row]),
                prefix_allowed: prefix_allowed.as_ref().map(|mask| mask[row]),
                row,
                guide: guide.as_ref().map(|guide| guide[row]),
                mark: self.marks.get(row).copied().flatten().map(|hash| Mark { hash, alone: rows == 1 }),
                is_forced: self.forced.get(row).copied().unwrap_or(false),
            }
        });
        Ok(histories.collect())
    }
}

/// An array that can be read as it is: of this type, with two dimensions and contiguous rows.
fn readable<'py, T: numpy::Element>(array: &Bound<'py, PyAny>) -> Option<PyReadonlyArray2<'py, T>> {
    let array = array.cast::<PyArray2<T>>().ok()?;
    let is_contiguous = array.strides()[1] == size_of::<T>() as isize || array.shape()[1] <= 1;
    if is_contiguous { array.try_readonly().ok() } else { None }
}

/// Rows that torch has to decide, and the states where they begin.
fn undecided(py: Python<'_>, rows: Vec<(usize, Option<TorchStream>)>) -> Vec<(usize, Option<Bound<'_, PyBytes>>)> {
    let state = |stream: TorchStream| PyBytes::new(py, &stream.to_state(0));
    rows.into_iter().map(|(row, stream)| (row, stream.map(state))).collect()
}

/// The rows of an array, each of them contiguous.
fn rows_of<'a, T: numpy::Element>(
    array: Option<&'a PyReadonlyArray2<'_, T>>,
    rows: usize,
    what: &str,
) -> PyResult<Option<Vec<&'a [T]>>> {
    let Some(array) = array else { return Ok(None) };
    let found = array.shape()[0];
    if found != rows {
        return Err(SamplingError::new_err(format!("{what} has {found} rows, the logits {rows}")));
    }
    slices(array.as_array(), what).map(Some)
}

fn slices<'a, T>(view: ArrayView2<'a, T>, what: &str) -> PyResult<Vec<&'a [T]>> {
    (0..view.nrows())
        .map(|row| {
            let row = view.index_axis_move(numpy::ndarray::Axis(0), row);
            row.to_slice().ok_or_else(|| SamplingError::new_err(format!("{what}: rows must be contiguous")))
        })
        .collect()
}

fn lanes(count: usize) -> PyResult<SumLanes> {
    match count {
        8 => Ok(SumLanes::Eight),
        16 => Ok(SumLanes::Sixteen),
        _ => Err(SamplingError::new_err(format!("sums run over 8 or 16 lanes, not {count}"))),
    }
}

/// Logits as they came: `float32`, or the bits of `float16` or `bfloat16`.
#[derive(FromPyObject)]
enum Array<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Bits(PyReadonlyArray2<'py, u16>),
}

impl Array<'_> {
    fn shape(&self) -> (usize, usize) {
        let shape = match self {
            Self::Single(array) => array.shape(),
            Self::Bits(array) => array.shape(),
        };
        (shape[0], shape[1])
    }

    /// Calls `work` with the rows.
    fn with<R>(&self, brain: bool, work: impl FnOnce(Logits<'_>) -> PyResult<R>) -> PyResult<R> {
        match self {
            Self::Single(array) => work(Logits::F32(&slices(array.as_array(), "logits")?)),
            Self::Bits(array) if brain => work(Logits::Bf16(&slices(array.as_array(), "logits")?)),
            Self::Bits(array) => work(Logits::F16(&slices(array.as_array(), "logits")?)),
        }
    }
}

type Drawn<'py> = (
    Bound<'py, PyArray1<i64>>,
    Vec<(usize, Option<Bound<'py, PyBytes>>)>,
    Option<(Bound<'py, PyArray1<f32>>, Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f32>>)>,
);

#[pymethods]
impl Sampler {
    #[new]
    fn new(rows: Vec<(bool, Vec<Bound<'_, PyTuple>>)>) -> PyResult<Self> {
        let rows = rows
            .into_iter()
            .map(|(do_sample, steps)| {
                let steps = steps.iter().map(step).collect::<PyResult<_>>()?;
                Ok(RowOptions { plan: Plan { steps }, do_sample })
            })
            .collect::<PyResult<_>>()?;
        let inner = sampling::Sampler::new(rows).map_err(|error| from_sampling(&error))?;
        Ok(Self { inner })
    }

    /// Draws from torch's stream; `state` is advanced in place.
    #[pyo3(signature = (logits, state, brain = false, options = None, /))]
    fn draw_torch<'py>(
        &self,
        py: Python<'py>,
        logits: Array<'py>,
        mut state: PyReadwriteArray1<'py, u8>,
        brain: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Drawn<'py>> {
        let bytes = state.as_slice_mut().map_err(|_| SamplingError::new_err("the state must be contiguous"))?;
        let mut stream = TorchStream::from_state(bytes).map_err(|error| from_sampling(&error))?;
        let out = self.run(py, &logits, brain, options, &mut Random::Torch(&mut stream))?;
        stream.update_state(bytes).map_err(|error| from_sampling(&error))?;
        Ok(out)
    }

    /// One token for each row and no more: a step of a loop. `state` is that of torch's generator and advanced in place;
    /// without one all rows are greedy. Gives None, and does nothing, for arrays that are not `float32` and `int64` with
    /// contiguous rows.
    #[pyo3(signature = (logits, state, sum_lanes, input_ids = None, /))]
    fn step<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        state: Option<PyReadwriteArray1<'py, u8>>,
        sum_lanes: usize,
        input_ids: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(logits) = readable::<f32>(logits) else { return Ok(None) };
        let ids = match input_ids {
            None => None,
            Some(ids) => match readable::<i64>(ids) {
                Some(ids) => Some(ids),
                None => return Ok(None),
            },
        };
        let (rows, vocabulary) = (logits.shape()[0], logits.shape()[1]);
        if vocabulary == 0 || ids.as_ref().is_some_and(|ids| ids.shape()[0] != rows) {
            return Ok(None);
        }
        let options = Options { input_ids: ids, lanes: lanes(sum_lanes)?, ..Options::default() };
        let histories = options.histories(rows)?;
        let slices = slices(logits.as_array(), "logits")?;
        let request = request(Logits::F32(&slices), vocabulary, &histories, &options);
        let run = |random: &mut Random<'_>| {
            py.detach(|| self.inner.run(&request, random)).map_err(|error| from_sampling(&error))
        };
        let out = match state {
            Some(mut state) => {
                let bytes = state.as_slice_mut().map_err(|_| SamplingError::new_err("the state must be contiguous"))?;
                let mut stream = TorchStream::from_state(bytes).map_err(|error| from_sampling(&error))?;
                let out = run(&mut Random::Torch(&mut stream))?;
                stream.update_state(bytes).map_err(|error| from_sampling(&error))?;
                out
            }
            None => run(&mut Random::Rows(&vec![(0, 0); rows]))?,
        };
        let tokens = PyArray1::from_slice(py, &out.tokens);
        if out.uncertain.is_empty() {
            return Ok(Some(tokens.into_any()));
        }
        let uncertain = undecided(py, out.uncertain);
        Ok(Some((tokens, uncertain, py.None()).into_pyobject(py)?.into_any()))
    }

    /// Draws from the stream keyed by seed, step and token; greedy rows need no seeds, but the list has to be there.
    #[pyo3(signature = (logits, seeds, brain = false, options = None, /))]
    fn draw_rows<'py>(
        &self,
        py: Python<'py>,
        logits: Array<'py>,
        seeds: Vec<(u64, u64)>,
        brain: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Drawn<'py>> {
        self.run(py, &logits, brain, options, &mut Random::Rows(&seeds))
    }

    /// The scores that a draw would be made from, and the rows that depend on roundings or ties inside torch.
    #[pyo3(signature = (logits, brain = false, options = None, /))]
    fn scores<'py>(
        &self,
        py: Python<'py>,
        logits: Array<'py>,
        brain: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Vec<usize>)> {
        let options = Options::from_dict(options)?;
        let (rows, vocabulary) = logits.shape();
        let histories = options.histories(rows)?;
        let out = logits.with(brain, |logits| {
            let request = request(logits, vocabulary, &histories, &options);
            py.detach(|| self.inner.scores(&request)).map_err(|error| from_sampling(&error))
        })?;
        let scores = PyArray1::from_vec(py, out.scores).reshape([rows, vocabulary])?;
        Ok((scores, out.uncertain))
    }
}

fn request<'a>(
    logits: Logits<'a>,
    vocabulary: usize,
    histories: &'a [History<'a>],
    options: &Options<'_>,
) -> Request<'a> {
    let &Options { lanes, logprobs, raw_logprobs, .. } = options;
    Request { logits, vocabulary, histories, lanes, logprobs, raw_logprobs }
}

impl Sampler {
    fn run<'py>(
        &self,
        py: Python<'py>,
        logits: &Array<'py>,
        brain: bool,
        options: Option<&Bound<'py, PyDict>>,
        random: &mut Random<'_>,
    ) -> PyResult<Drawn<'py>> {
        let options = Options::from_dict(options)?;
        let (rows, vocabulary) = logits.shape();
        let histories = options.histories(rows)?;
        let out = logits.with(brain, |logits| {
            let request = request(logits, vocabulary, &histories, &options);
            py.detach(|| self.inner.run(&request, random)).map_err(|error| from_sampling(&error))
        })?;
        let uncertain = undecided(py, out.uncertain);
        let logprobs = match options.logprobs {
            Some(count) => {
                let tokens = PyArray1::from_vec(py, out.top.tokens).reshape([rows, count])?;
                let top = PyArray1::from_vec(py, out.top.logprobs).reshape([rows, count])?;
                Some((PyArray1::from_vec(py, out.logprobs), tokens, top))
            }
            None => None,
        };
        Ok((PyArray1::from_vec(py, out.tokens), uncertain, logprobs))
    }
}

/// One step from its name and options.
fn step(step: &Bound<'_, PyTuple>) -> PyResult<Step> {
    let name: String = step.get_item(0)?.extract()?;
    let edit = |edit| Ok(Step::Edit(edit));
    let filter = |filter| Ok(Step::Filter(filter));
    match name.as_str() {
        "sequence_bias" => {
            let sequences: Vec<(Vec<i64>, f32)> = options_of(step)?;
            edit(Edit::SequenceBias(ordered_biases(sequences).map_err(|error| from_sampling(&error))?))
        }
        "repetition_penalty" => edit(Edit::RepetitionPenalty(options_of(step)?)),
        "encoder_repetition_penalty" => edit(Edit::EncoderRepetitionPenalty(options_of(step)?)),
        "count_penalty" => {
            let (frequency, presence) = options_of(step)?;
            edit(Edit::CountPenalty { frequency, presence })
        }
        "no_repeat_ngram" => edit(Edit::NoRepeatNgram(options_of(step)?)),
        "encoder_no_repeat_ngram" => edit(Edit::EncoderNoRepeatNgram(options_of(step)?)),
        "min_length" => {
            let (length, ids) = options_of(step)?;
            edit(Edit::MinLength { length, ids })
        }
        "forced" => {
            let (at, ids) = options_of(step)?;
            edit(Edit::Forced { at, ids })
        }
        "remove_invalid" => edit(Edit::RemoveInvalid),
        "exponential_decay" => {
            let (start, factor, ids) = options_of(step)?;
            edit(Edit::ExponentialDecay { start, factor, ids })
        }
        "suppress" => {
            let (at, ids) = options_of(step)?;
            edit(Edit::Suppress { at, ids })
        }
        "allowed" => edit(Edit::Allowed),
        "prefix_allowed" => edit(Edit::PrefixAllowed),
        "temperature" => filter(Filter::Temperature(options_of(step)?)),
        "top_k" => filter(Filter::TopK(options_of(step)?)),
        "top_p" => {
            let (p, min_keep) = options_of(step)?;
            filter(Filter::TopP { p, min_keep })
        }
        "min_p" => {
            let (p, min_keep) = options_of(step)?;
            filter(Filter::MinP { p, min_keep })
        }
        "typical" => {
            let (mass, min_keep) = options_of(step)?;
            filter(Filter::Typical { mass, min_keep })
        }
        "epsilon" => {
            let (epsilon, min_keep) = options_of(step)?;
            filter(Filter::Epsilon { epsilon, min_keep })
        }
        "eta" => {
            let (epsilon, min_keep) = options_of(step)?;
            filter(Filter::Eta { epsilon, min_keep })
        }
        "top_h" => filter(Filter::TopH(options_of(step)?)),
        "normalize" => filter(Filter::Normalize),
        other => special_step(other, step)?
            .map(Step::Edit)
            .ok_or_else(|| SamplingError::new_err(format!("unknown step {name:?}"))),
    }
}

/// Draws `count` tokens of each row without replacement from torch's stream; `state` is advanced in place.
///
/// # Errors
/// `SamplingError` for a state that is not torch's, or more tokens than there are.
#[pyfunction]
pub fn torch_multinomial<'py>(
    py: Python<'py>,
    probs: PyReadonlyArray2<'py, f32>,
    mut state: PyReadwriteArray1<'py, u8>,
    count: usize,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let (rows, vocabulary) = (probs.shape()[0], probs.shape()[1]);
    if count == 0 || count > vocabulary {
        return Err(SamplingError::new_err(format!("num_samples is {count}, the rows have {vocabulary} tokens")));
    }
    let bytes = state.as_slice_mut().map_err(|_| SamplingError::new_err("the state must be contiguous"))?;
    let mut stream = TorchStream::from_state(bytes).map_err(|error| from_sampling(&error))?;
    let slices = slices(probs.as_array(), "probs")?;
    let tokens: Vec<i64> = py.detach(|| {
        slices.iter().flat_map(|row| sampling::multinomial(&mut stream, row, count)).map(i64::from).collect()
    });
    stream.write_state(bytes).map_err(|error| from_sampling(&error))?;
    PyArray1::from_vec(py, tokens).reshape([rows, count])
}

/// `count` uniforms of torch's stream, as `torch.rand` draws them; `state` is advanced in place.
///
/// # Errors
/// `SamplingError` for a state that is not torch's.
#[pyfunction]
pub fn torch_uniform<'py>(
    py: Python<'py>,
    mut state: PyReadwriteArray1<'py, u8>,
    count: usize,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let bytes = state.as_slice_mut().map_err(|_| SamplingError::new_err("the state must be contiguous"))?;
    let mut stream = TorchStream::from_state(bytes).map_err(|error| from_sampling(&error))?;
    let uniforms = (0..count).map(|_| stream.uniform_f32()).collect();
    stream.write_state(bytes).map_err(|error| from_sampling(&error))?;
    Ok(PyArray1::from_vec(py, uniforms))
}

/// The state of `torch.Generator().manual_seed(seed)`.
#[pyfunction]
pub fn torch_state(py: Python<'_>, seed: u64) -> Bound<'_, PyArray1<u8>> {
    PyArray1::from_vec(py, TorchStream::from_seed(seed).to_state(seed))
}

/// The sum of a row as `torch.sum` makes it over that many threads.
#[pyfunction]
pub fn torch_total(values: PyReadonlyArray1<'_, f32>, threads: usize) -> PyResult<f32> {
    values.as_slice().map(|values| sampling::softmax::torch_total(values, threads)).map_err(not_contiguous)
}

/// Probabilities as torch's softmax computes them with sums over `sum_lanes` lanes.
///
/// # Errors
/// `LogitsError` for a row without a distribution.
#[pyfunction]
pub fn sampling_softmax<'py>(
    py: Python<'py>,
    logits: PyReadonlyArray2<'py, f32>,
    sum_lanes: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (rows, vocabulary) = (logits.shape()[0], logits.shape()[1]);
    let lanes = lanes(sum_lanes)?;
    let mut out = Vec::with_capacity(rows * vocabulary);
    for (row, values) in slices(logits.as_array(), "logits")?.into_iter().enumerate() {
        let probs =
            sampling::softmax::probabilities(values, lanes).map_err(|what| from_sampling(&Error::Row { row, what }))?;
        out.extend(probs);
    }
    PyArray1::from_vec(py, out).reshape([rows, vocabulary])
}
