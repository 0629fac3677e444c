//! Batches: rows are filtered over threads and drawn in their order, because torch's stream runs through them.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    Candidates, Contexts, Distribution, EditScratch, Error, History, Noise, Plan, Result, RowFault, Scratch,
    candidates::{Arithmetic, Place},
    rng::{row_seeds::RowStream, torch::TorchStream},
    turns::Turns,
};
use crate::{
    kernels::{self, floats::SumLanes},
    threads,
};

/// Rows of logits, each `vocabulary` values long.
#[derive(Clone, Copy, Debug)]
pub enum Logits<'a> {
    /// Single precision.
    F32(&'a [&'a [f32]]),
    /// Half precision, as bits.
    F16(&'a [&'a [u16]]),
    /// Brain floats, as bits.
    Bf16(&'a [&'a [u16]]),
}

/// What one call is given.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The logits.
    pub logits: Logits<'a>,
    /// Values in a row.
    pub vocabulary: usize,
    /// What edits know, row by row.
    pub histories: &'a [History<'a>],
    /// Order of torch's sums.
    pub lanes: SumLanes,
    /// Likeliest tokens to report besides the drawn one; none without log-probabilities.
    pub logprobs: Option<usize>,
    /// Whether log-probabilities are those of the logits rather than of the filtered scores.
    pub raw_logprobs: bool,
}

/// How a row is sampled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowOptions {
    /// Steps.
    pub plan: Plan,
    /// Whether to draw; otherwise the largest score wins.
    pub do_sample: bool,
}

/// Random numbers for a call.
#[derive(Debug)]
pub enum Random<'a> {
    /// torch's stream, through all rows.
    Torch(&'a mut TorchStream),
    /// A seed and a step for each row.
    Rows(&'a [(u64, u64)]),
}

/// The likeliest tokens of each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopLogprobs {
    /// Tokens, `n` for each row; -1 where the row has fewer.
    pub tokens: Vec<i64>,
    /// Their log-probabilities.
    pub logprobs: Vec<f32>,
}

/// What a call gives.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// One token for each row.
    pub tokens: Vec<i64>,
    /// Log-probability of each token, if asked for.
    pub logprobs: Vec<f32>,
    /// The likeliest tokens, if asked for.
    pub top: TopLogprobs,
    /// Rows that torch has to decide, and its stream where each begins.
    pub uncertain: Vec<(usize, Option<TorchStream>)>,
}

/// Scores of a batch.
#[derive(Clone, Debug, Default)]
pub struct ScoresOutput {
    /// Row after row.
    pub scores: Vec<f32>,
    /// Rows in which torch's own rounding or order of ties decides.
    pub uncertain: Vec<usize>,
}

/// Options of rows, and buffers for the threads that work on them.
#[derive(Debug, Default)]
pub struct Sampler {
    rows: Vec<RowOptions>,
    buffers: Mutex<Vec<Buffers>>,
    /// What the penalties of each row have met, for the next step: a row of a loop is a longer one of the step before.
    contexts: Mutex<Vec<Contexts>>,
}

#[derive(Debug, Default)]
struct Buffers {
    scratch: Scratch,
    edits: EditScratch,
    source: Vec<f32>,
}

/// Values that one thread is done with before others have started.
const SERIAL: usize = 1 << 15;

/// A row that torch has to decide, and its stream where the row begins.
type Undecided = Option<(usize, Option<TorchStream>)>;

/// A filtered row, with its buffers.
struct Filtered {
    buffers: Buffers,
    distribution: Option<Distribution>,
    greedy: u32,
    /// Whether the greedy token depends on roundings or ties inside torch.
    uncertain: bool,
    max: f32,
    sum: f64,
    open: Vec<(u32, Place)>,
    copied: bool,
    temperature: f32,
}

impl Output {
    fn append(&mut self, mut row: Self) {
        self.tokens.append(&mut row.tokens);
        self.logprobs.append(&mut row.logprobs);
        self.top.tokens.append(&mut row.top.tokens);
        self.top.logprobs.append(&mut row.top.logprobs);
        self.uncertain.append(&mut row.uncertain);
    }
}

/// Runs rows, in ascending order, on the next thread that is free, and joins what they give. The error is that of the first
/// row that has one.
fn over_threads(
    workers: usize,
    rows: usize,
    run: impl Fn(usize) -> Result<Output> + Sync,
    out: &mut Output,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = |_: &usize| {
        let mut done = Vec::new();
        loop {
            let row = next.fetch_add(1, Ordering::Relaxed);
            if row >= rows {
                return done;
            }
            let result = run(row);
            let failed = result.is_err();
            done.push((row, result));
            if failed {
                // Rows before this one are under way; those behind it do not matter.
                next.store(rows, Ordering::Relaxed);
                return done;
            }
        }
    };
    let workers: Vec<usize> = (0..workers).collect();
    let mut done: Vec<_> = threads::map(&workers, work).into_iter().flatten().collect();
    done.sort_unstable_by_key(|&(row, _)| row);
    for (_, result) in done {
        out.append(result?);
    }
    Ok(())
}

impl Sampler {
    /// A sampler with options for each row, or one set for all.
    ///
    /// # Errors
    /// [`Error::Length`] without options.
    pub fn new(rows: Vec<RowOptions>) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::Length { what: "the list of options", found: 0, expected: 1 });
        }
        Ok(Self { rows, ..Self::default() })
    }

    /// Number of option sets: one, or one for each row.
    pub fn option_sets(&self) -> usize {
        self.rows.len()
    }

    /// Draws a token for each row.
    ///
    /// # Errors
    /// [`Error::Row`] for a row without a distribution (before anything is drawn), those of edits, and
    /// [`Error::Length`] if options and rows do not match.
    pub fn run(&self, request: &Request<'_>, random: &mut Random<'_>) -> Result<Output> {
        let rows = self.checked_rows(request)?;
        if let Random::Rows(seeds) = random
            && seeds.len() != rows
        {
            return Err(Error::Length { what: "the list of seeds", found: seeds.len(), expected: rows });
        }
        let mut out = Output { tokens: Vec::with_capacity(rows), ..Output::default() };
        let workers = if rows * request.vocabulary < SERIAL { 1 } else { threads::count().min(rows) };
        match random {
            // Nothing is drawn before the one thing that may fail is done.
            Random::Torch(stream) if rows == 1 => {
                let filtered = self.filter(0, request, false)?;
                let draw = |row, filtered: &mut Filtered| self.draw_torch(row, request, filtered, stream);
                out.append(self.finish(0, request, filtered, draw)?);
            }
            Random::Torch(stream) => {
                let mut advanced = (**stream).clone();
                if workers <= 1 {
                    for row in 0..rows {
                        let filtered = self.filter(row, request, false)?;
                        out.append(self.finish(row, request, filtered, |row, filtered| {
                            self.draw_torch(row, request, filtered, &mut advanced)
                        })?);
                    }
                } else {
                    let turns = Turns::new(advanced);
                    let run = |row| {
                        // The next row may be drawn as soon as this one is; what is reported comes after that.
                        let turn = turns.take(row);
                        let filtered = self.filter(row, request, false)?;
                        self.finish(row, request, filtered, |row, filtered| {
                            turn.wait(|stream| self.draw_torch(row, request, filtered, stream))
                        })
                    };
                    over_threads(workers, rows, run, &mut out)?;
                    advanced = turns.into_inner();
                }
                **stream = advanced;
            }
            Random::Rows(seeds) => {
                let run = |row: usize| {
                    let filtered = self.filter(row, request, false)?;
                    self.finish(row, request, filtered, |row, filtered| {
                        let (seed, step) = seeds[row];
                        let undecided = (filtered.distribution.is_none() && filtered.uncertain).then_some((row, None));
                        Ok((filtered.draw(Noise::Row(RowStream::new(seed, step))).token, undecided))
                    })
                };
                over_threads(workers, rows, run, &mut out)?;
            }
        }
        Ok(out)
    }

    /// Draws from a filtered row, and reports what was drawn.
    fn finish(
        &self,
        row: usize,
        request: &Request<'_>,
        mut filtered: Filtered,
        draw: impl FnOnce(usize, &mut Filtered) -> Result<(u32, Undecided)>,
    ) -> Result<Output> {
        let (token, uncertain) = draw(row, &mut filtered)?;
        let mut out = Output { tokens: vec![i64::from(token)], ..Output::default() };
        out.uncertain.extend(uncertain);
        if let Some(count) = request.logprobs {
            filtered.report(row, request, token, count, &mut out);
        }
        self.keep(filtered.buffers);
        Ok(out)
    }

    /// Draws from torch's stream; where a bound on torch's rounding does not decide, the row is sorted as torch does.
    fn draw_torch(
        &self,
        row: usize,
        request: &Request<'_>,
        filtered: &mut Filtered,
        stream: &mut TorchStream,
    ) -> Result<(u32, Undecided)> {
        let Some(distribution) = &filtered.distribution else {
            return Ok((filtered.greedy, filtered.uncertain.then_some((row, None))));
        };
        if !distribution.may_be_uncertain() {
            return Ok((filtered.draw(Noise::Torch(stream)).token, None));
        }
        let start = stream.clone();
        let mut drawn = filtered.draw(Noise::Torch(stream));
        if !drawn.certain {
            let exact = self.filter(row, request, true).inspect_err(|_| *stream = start.clone())?;
            let before = std::mem::replace(filtered, exact);
            self.keep(before.buffers);
            drawn = filtered.draw(Noise::Torch(&mut start.clone()));
        }
        Ok((drawn.token, (!drawn.certain).then_some((row, Some(start)))))
    }

    /// The scores that a distribution would be drawn from: transformers' processors in one call.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn scores(&self, request: &Request<'_>) -> Result<ScoresOutput> {
        let rows = self.checked_rows(request)?;
        let indices: Vec<usize> = (0..rows).collect();
        let mut out = ScoresOutput { scores: vec![0.0; rows * request.vocabulary], uncertain: Vec::new() };
        let slots: Vec<(usize, Mutex<&mut [f32]>)> =
            indices.into_iter().zip(out.scores.chunks_mut(request.vocabulary.max(1)).map(Mutex::new)).collect();
        let uncertain = threads::map(&slots, |(row, slot)| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let uncertain = self.write_scores(*row, request, false, &mut slot)?;
            if uncertain { self.write_scores(*row, request, true, &mut slot) } else { Ok(false) }
        });
        drop(slots);
        for (row, uncertain) in uncertain.into_iter().enumerate() {
            if uncertain? {
                out.uncertain.push(row);
            }
        }
        Ok(out)
    }

    fn checked_rows(&self, request: &Request<'_>) -> Result<usize> {
        let rows = request.histories.len();
        if self.rows.len() != 1 && self.rows.len() != rows {
            return Err(Error::Length { what: "the list of options", found: self.rows.len(), expected: rows });
        }
        if rows > 0 && request.vocabulary == 0 {
            return Err(Error::Row { row: 0, what: RowFault::Empty });
        }
        let fits = |lengths: &mut dyn Iterator<Item = usize>| {
            let lengths: Vec<usize> = lengths.collect();
            lengths.len() == rows && lengths.iter().all(|&length| length == request.vocabulary)
        };
        let ok = match request.logits {
            Logits::F32(values) => fits(&mut values.iter().map(|row| row.len())),
            Logits::F16(values) | Logits::Bf16(values) => fits(&mut values.iter().map(|row| row.len())),
        };
        if !ok {
            return Err(Error::Length { what: "the batch of logits", found: 0, expected: rows });
        }
        Ok(rows)
    }

    fn options(&self, row: usize) -> &RowOptions {
        if self.rows.len() == 1 { &self.rows[0] } else { &self.rows[row] }
    }

    fn buffers(&self) -> Buffers {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn keep(&self, buffers: Buffers) {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
    }

    /// The tokens of the row's contexts, counted on from the step before.
    fn contexts(&self, row: usize, request: &Request<'_>) -> Result<Contexts> {
        let plan = &self.options(row).plan;
        if !plan.counts_tokens() {
            return Ok(Contexts::default());
        }
        let mut kept = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contexts = kept.get_mut(row).map(std::mem::take).unwrap_or_default();
        drop(kept);
        plan.count(&request.histories[row], kernels::isa(), request.vocabulary, &mut contexts)?;
        Ok(contexts)
    }

    fn keep_contexts(&self, row: usize, contexts: Contexts) {
        if self.options(row).plan.counts_tokens() {
            let mut kept = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() <= row {
                kept.resize_with(row + 1, Contexts::default);
            }
            kept[row] = contexts;
        }
    }

    fn filter(&self, row: usize, request: &Request<'_>, exact: bool) -> Result<Filtered> {
        let mut buffers = self.buffers();
        let Buffers { scratch, edits, source } = &mut buffers;
        let logits = row_of(request, row, source);
        let (RowOptions { plan, do_sample }, history) = (self.options(row), &request.histories[row]);
        let contexts = self.contexts(row, request)?;
        let arithmetic = Arithmetic { isa: kernels::isa(), lanes: request.lanes, exact };
        let mut candidates = Candidates::new(logits, arithmetic, scratch);
        plan.filter(&mut candidates, history, &contexts, edits)?;
        if request.logprobs.is_some() {
            // What is reported is read from the values.
            candidates.finish_cut();
            candidates.row();
        }
        let fault = |what| Error::Row { row, what };
        let (distribution, greedy) = if *do_sample {
            (Some(Distribution::new(&mut candidates).map_err(fault)?), 0)
        } else {
            (None, candidates.greedy().map_err(fault)?)
        };
        let max = if request.logprobs.is_some() { candidates.max() } else { 0.0 };
        let sum = match &distribution {
            Some(distribution) => distribution.sum,
            None if request.logprobs.is_some() && !request.raw_logprobs => candidates.terms().wide,
            None => 0.0,
        };
        let (copied, temperature) = (candidates.is_copied(), candidates.temperature);
        let uncertain = candidates.uncertain;
        let open = std::mem::take(&mut candidates.open_ids);
        self.keep_contexts(row, contexts);
        Ok(Filtered { buffers, distribution, greedy, uncertain, max, sum, open, copied, temperature })
    }

    fn write_scores(&self, row: usize, request: &Request<'_>, exact: bool, out: &mut [f32]) -> Result<bool> {
        let mut buffers = self.buffers();
        let Buffers { scratch, edits, source } = &mut buffers;
        let logits = row_of(request, row, source);
        let contexts = self.contexts(row, request)?;
        let arithmetic = Arithmetic { isa: kernels::isa(), lanes: request.lanes, exact };
        let mut candidates = Candidates::new(logits, arithmetic, scratch);
        self.options(row).plan.filter(&mut candidates, &request.histories[row], &contexts, edits)?;
        candidates.write_scores(out);
        let uncertain = candidates.uncertain;
        self.keep_contexts(row, contexts);
        self.keep(buffers);
        Ok(uncertain)
    }
}

impl Filtered {
    fn draw(&self, noise: Noise<'_>) -> super::Drawn {
        match &self.distribution {
            Some(distribution) => distribution.draw(&self.buffers.scratch, &self.open, noise),
            None => super::Drawn { token: self.greedy, certain: true },
        }
    }

    /// Log-probabilities of the drawn token and of the likeliest ones.
    fn report(&mut self, row: usize, request: &Request<'_>, token: u32, count: usize, out: &mut Output) {
        let Buffers { scratch, source, .. } = &mut self.buffers;
        let listed = self.distribution.as_ref().is_some_and(|distribution| distribution.listed);
        if request.raw_logprobs || !listed {
            let raw = request.raw_logprobs || !self.copied;
            let (max, sum, temperature) = if request.raw_logprobs {
                let logits = row_of(request, row, source);
                let arithmetic = Arithmetic { isa: kernels::isa(), lanes: request.lanes, exact: false };
                let mut fresh = Scratch::default();
                let mut candidates = Candidates::new(logits, arithmetic, &mut fresh);
                (candidates.max(), candidates.terms().wide, 1.0)
            } else {
                (self.max, self.sum, self.temperature)
            };
            let values = if raw { row_of(request, row, source) } else { &*scratch.values };
            let value = |id: u32| logprob(values[id as usize] / temperature, max, sum);
            out.logprobs.push(value(token));
            let best = best_of(values, count);
            push_top(best.into_iter().map(|id| (id, value(id))), count, out);
        } else {
            let Scratch { ids, ys, .. } = &*scratch;
            let value = |i: usize| logprob(ys[i], self.max, self.sum);
            out.logprobs.push(ids.binary_search(&token).map_or(f32::NEG_INFINITY, value));
            let best = best_of(ys, count);
            push_top(best.into_iter().map(|i| (ids[i as usize], value(i as usize))), count, out);
        }
    }
}

fn logprob(y: f32, max: f32, sum: f64) -> f32 {
    (f64::from(y) - f64::from(max) - sum.ln()) as f32
}

/// Positions of the `count` largest values, largest first; of equal ones the first.
fn best_of(values: &[f32], count: usize) -> Vec<u32> {
    let order = |&a: &u32, &b: &u32| values[b as usize].total_cmp(&values[a as usize]).then_with(|| a.cmp(&b));
    let mut positions: Vec<u32> =
        (0..values.len() as u32).filter(|&i| values[i as usize] > f32::NEG_INFINITY).collect();
    if count == 0 {
        return Vec::new();
    }
    if positions.len() > count {
        positions.select_nth_unstable_by(count - 1, order);
        positions.truncate(count);
    }
    positions.sort_unstable_by(order);
    positions
}

fn push_top(best: impl Iterator<Item = (u32, f32)>, count: usize, out: &mut Output) {
    let end = out.top.tokens.len() + count;
    for (id, logprob) in best {
        out.top.tokens.push(i64::from(id));
        out.top.logprobs.push(logprob);
    }
    out.top.tokens.resize(end, -1);
    out.top.logprobs.resize(end, f32::NEG_INFINITY);
}

/// One row in single precision.
fn row_of<'a>(request: &Request<'a>, row: usize, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let widen = |values: &[u16], buffer: &mut Vec<f32>, f: fn(u16) -> f32| {
        buffer.clear();
        buffer.extend(values.iter().map(|&bits| f(bits)));
    };
    match request.logits {
        Logits::F32(values) => return values[row],
        Logits::Bf16(values) => widen(values[row], buffer, |bits| f32::from_bits(u32::from(bits) << 16)),
        Logits::F16(values) => widen(values[row], buffer, half),
    }
    buffer
}

/// A half-precision number.
fn half(bits: u16) -> f32 {
    let (sign, exponent, mantissa) = (u32::from(bits >> 15) << 31, (bits >> 10) & 31, u32::from(bits & 0x3ff));
    match exponent {
        // Below the smallest normal number the mantissa counts units of 2^-24.
        0 => f32::from_bits(sign | (mantissa as f32 / (1u32 << 24) as f32).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits(sign | (u32::from(exponent) + 112) << 23 | mantissa << 13),
    }
}
