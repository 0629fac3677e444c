//! Passes over rows of logits, written once over sixteen lanes of `f32`.
//!
//! Every operation is an IEEE one in a fixed order and fused multiplications are asked for by name, so each
//! instruction set gives the same bits. The exponential and the order of the sums are those of torch's CPU softmax,
//! which is what makes probabilities equal to its own, bit for bit.

#![expect(clippy::cast_precision_loss, reason = "at most 24 bits are counted")]

mod changes;
mod cuts;
mod lanes;
mod maxima;
mod penalties;
mod race;
mod softmax;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::Isa;

pub use changes::{BEHIND, Changes};
pub use maxima::{Extent, largest_of};
pub use penalties::{Listed, Penalized, Rule};
pub use softmax::{SumLanes, TermSum, Terms};

// The passes, which an instruction set compiles for itself.
use changes::write_changed_with;
use cuts::{around_with, cut_terms_with, divide_above_with, divide_within_with, zone_with};
use lanes::{Array, Lanes};
use maxima::{argmax_with, maxima_with, positions_with, renew_maxima_with};
use penalties::{PENALIZED, penalize_with};
use race::race_with;
use softmax::exp_with;
use softmax::{exp_terms_around_with, exp_terms_with, scale_with, weighted_sum_with};

/// Values that one maximum stands for.
pub const CHUNK: usize = 64;

macro_rules! dispatch {
    ($isa:expr, $name:ident($($argument:expr),*)) => {
        match $isa {
            // SAFETY: `isa()` and the tests hand out a set only after `is_available` said yes.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86_64::avx512::$name($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86_64::avx2::$name($($argument),*) },
            // SAFETY: arrays need no instruction set.
            _ => unsafe { $name::<Array>($($argument),*) },
        }
    };
}

/// Maxima of the row's chunks of [`CHUNK`] values (the last one may be shorter) and of the row.
///
/// # Panics
/// If `out` has not a place for each chunk.
pub fn maxima(isa: Isa, row: &[f32], out: &mut [f32]) -> Extent {
    assert_eq!(row.len().div_ceil(CHUNK), out.len(), "one maximum for each chunk");
    dispatch!(isa, maxima_with(row, out))
}

/// Looks for the maxima of these chunks again, in a row of which values have changed.
pub fn renew_maxima(isa: Isa, row: &[f32], changes: Changes<'_>, chunks: &[u32], out: &mut [f32]) {
    dispatch!(isa, renew_maxima_with(row, changes, chunks, out));
}

/// Writes the row as it is after the changes.
///
/// # Panics
/// If `out` is not as long as `row`.
pub fn write_changed(isa: Isa, row: &[f32], changes: Changes<'_>, out: &mut [f32]) {
    assert_eq!(row.len(), out.len(), "a place for each value");
    dispatch!(isa, write_changed_with(row, changes, out));
}

/// Collects the values of listed tokens, and applies the rules to them, one after the other; `maxima` become those of the
/// chunks of the row with the new values in it. The largest value before that comes back, and the new extent.
///
/// Thousands of values among those of the row would be another row through the caches: so they stand in lists of their own,
/// and are taken from a block of the row when the search for its maxima has put it into the nearest cache.
///
/// # Panics
/// If there is not a place for each chunk, or not one for each token.
pub fn penalize(
    isa: Isa,
    row: &[f32],
    listed: Listed<'_>,
    rules: &[Rule],
    maxima: &mut [f32],
    values: Penalized<'_>,
) -> (f32, Extent) {
    let Penalized { before, after, .. } = &values;
    let count = listed.tokens.len();
    assert_eq!((row.len().div_ceil(CHUNK), count), (maxima.len(), before.len()), "a place for each maximum and token");
    assert_eq!((listed.counts.len(), after.len()), (count, count + BEHIND), "a count for each token, and a value");
    dispatch!(isa, penalize_with(row, listed, rules, maxima, values))
}

/// The first of the largest values of a row that is not empty, and its extent; meaningless if there is a NaN.
pub fn argmax(isa: Isa, row: &[f32]) -> (usize, Extent) {
    dispatch!(isa, argmax_with(row))
}

/// `exp(x / temperature - max)` of every value, as torch's softmax computes it, and the sums.
///
/// # Panics
/// If `out` is not as long as `row`.
pub fn exp_terms(isa: Isa, row: &[f32], changes: Changes<'_>, how: Terms, out: &mut [f32]) -> TermSum {
    assert_eq!(row.len(), out.len(), "one term for each value");
    dispatch!(isa, exp_terms_with(row, changes, how, out))
}

/// Ids of the values that are at least `bound`, ascending; `maxima` are the row's own. Stops soon after `limit` ids.
pub fn positions_at_least(
    isa: Isa,
    row: &[f32],
    changes: Changes<'_>,
    maxima: &[f32],
    bound: f32,
    limit: usize,
    out: &mut Vec<u32>,
) {
    dispatch!(isa, positions_with(row, changes, maxima, bound, limit, out));
}

/// The terms of `exp_terms` with those of listed tokens replaced by `new`: the sum of all before that, and of those replaced.
///
/// # Panics
/// If `out` is not as long as `row`, or there is not a term for each token.
pub fn exp_terms_around(
    isa: Isa,
    row: &[f32],
    listed: Listed<'_>,
    new: &[f32],
    how: Terms,
    out: &mut [f32],
) -> (f64, f64) {
    assert_eq!((row.len(), listed.tokens.len()), (out.len(), new.len()), "one term for each value and token");
    dispatch!(isa, exp_terms_around_with(row, listed, new, how, out))
}

/// Ids of the terms that are at least `from` and below `to`, ascending, and the sum of the terms below `from`.
pub fn zone(isa: Isa, terms: &[f32], from: f32, to: f32, out: &mut Vec<u32>) -> f64 {
    dispatch!(isa, zone_with(terms, from, to, out))
}

/// Makes terms below `bound` zero, and sums the rest.
pub fn cut_terms(isa: Isa, terms: &mut [f32], bound: f32, lanes: SumLanes) -> TermSum {
    dispatch!(isa, cut_terms_with(terms, bound, lanes))
}

/// Copies `from`, with negative infinity where `keys` lies below `bound`, and divides by `temperature`.
pub fn divide_above(isa: Isa, from: &[f32], keys: &[f32], bound: f32, temperature: f32, out: &mut [f32]) {
    dispatch!(isa, divide_above_with(from, keys, bound, temperature, out));
}

/// Copies `from` and divides by `temperature`, with negative infinity for values outside of `low..=high`.
pub fn divide_within(isa: Isa, from: &[f32], low: f32, high: f32, temperature: f32, out: &mut [f32]) {
    dispatch!(isa, divide_within_with(from, low, high, temperature, out));
}

/// The sum of `term * (x / temperature - max)`, in double precision; a term of zero counts as nothing.
pub fn weighted_sum(isa: Isa, row: &[f32], terms: &[f32], temperature: f32, max: f32) -> f64 {
    dispatch!(isa, weighted_sum_with(row, terms, temperature, max))
}

/// Ids of the values in `bounds[0]..bounds[1]` or `bounds[2]..bounds[3]`, ascending, and the sum of the terms of the values
/// in `bounds[1]..bounds[2]`.
pub fn around(isa: Isa, row: &[f32], terms: &[f32], bounds: [f32; 4], out: &mut Vec<u32>) -> f64 {
    dispatch!(isa, around_with(row, terms, bounds, out))
}

/// Multiplies in place.
pub fn scale(isa: Isa, values: &mut [f32], factor: f32) {
    dispatch!(isa, scale_with(values, factor));
}

/// `exp(x)` as torch's vectorised loops compute it, for one value that is not above 0.
pub fn exp(x: f32) -> f32 {
    let mut out = [0.0; 16];
    // SAFETY: arrays need no instruction set.
    unsafe { exp_with(Array::splat(x)).store(&mut out) };
    out[0]
}

/// Lanes of sixteen `p` whose exponential race against `best` is not decided by the uniform's upper bits alone.
///
/// `words` are thirty-two untempered words of the Mersenne Twister: the upper and lower word of each uniform.
#[derive(Clone, Copy)]
pub struct Race(Isa);

impl Race {
    /// A race on this instruction set.
    pub fn new(isa: Isa) -> Self {
        Self(isa)
    }

    /// Calls `candidate(pair)` for each pair of `words` that may beat the best so far; it returns the new best.
    pub fn run(self, words: &[u32], p: &[f32], best: f32, candidate: &mut dyn FnMut(usize) -> f32) -> f32 {
        dispatch!(self.0, race_with(words, p, best, candidate))
    }
}
