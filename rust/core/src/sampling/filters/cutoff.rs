//! Epsilon and eta: remove tokens below a probability, unless they are among the likeliest.

use super::super::candidates::{Candidates, LONGEST_LIST, Place};
use super::kth_largest;
use crate::kernels::floats;

/// Error of torch's entropy, hence the relative one of eta.
const ENTROPY_ERROR: f64 = 4e-5;

pub fn epsilon(row: &mut Candidates<'_>, epsilon: f32, min_keep: usize) {
    if row.check().is_err() {
        return;
    }
    row.settle();
    let factor = 1.0 / row.terms().torch;
    cut(row, factor, epsilon, 0.0, min_keep);
}

pub fn eta(row: &mut Candidates<'_>, epsilon: f32, min_keep: usize) {
    if row.check().is_err() {
        return;
    }
    row.settle();
    let sums = row.terms();
    let entropy = entropy(row);
    let falling = f64::from(epsilon.sqrt()) * (-entropy).exp();
    let factor = 1.0 / sums.torch;
    if falling > f64::from(epsilon) * (1.0 + ENTROPY_ERROR) {
        cut(row, factor, epsilon, 0.0, min_keep);
    } else {
        cut(row, factor, (falling as f32).min(epsilon), ENTROPY_ERROR as f32, min_keep);
    }
}

/// Entropy of the row or list, from its terms.
pub(super) fn entropy(row: &mut Candidates<'_>) -> f64 {
    let max = f64::from(row.max());
    let sum = row.terms().wide;
    let total = if let Some((_, ys)) = row.list() {
        let weighted = |y: f32, term: f32| if term > 0.0 { f64::from(term) * (f64::from(y) - max) } else { 0.0 };
        ys.iter().zip(&row.scratch.list_terms).map(|(&y, &term)| weighted(y, term)).sum()
    } else {
        row.weighted_sum()
    };
    sum.ln() - total / sum
}

fn cut(row: &mut Candidates<'_>, factor: f32, bound: f32, error: f32, min_keep: usize) {
    if row.is_list() {
        let terms = std::mem::take(&mut row.scratch.list_terms);
        row.scratch.terms.clear();
        row.scratch.terms.resize(row.vocabulary(), 0.0);
        for (&id, &term) in row.scratch.ids.iter().zip(&terms) {
            row.scratch.terms[id as usize] = term;
        }
        row.scratch.list_terms = terms;
    } else {
        // The maximum first: it may take the temperature into the values.
        let max = row.extent().max;
        let temperature = row.temperature;
        // term >= bound / factor, in values; generously.
        let depth = (bound / factor * (1.0 - 2.0 * error)).max(f32::MIN_POSITIVE).ln() - 0.01;
        let low = max + depth * temperature;
        let low = (low - (low.abs() + max.abs()) * 1e-6).min(max);
        if min_keep > 1 {
            row.gather(f32::NEG_INFINITY);
        } else if row.find(low, LONGEST_LIST) {
            row.list_found();
        } else if on_wide_row(row, factor, bound, error) {
            return;
        } else {
            row.gather(low);
        }
    }
    let scratch = &mut *row.scratch;
    if scratch.ys.is_empty() {
        return;
    }
    let kept = min_keep.min(scratch.ys.len());
    let likeliest = kth_largest(&scratch.ys, kept, &mut scratch.floats);
    let mut keep = Vec::with_capacity(scratch.ids.len());
    for (i, &id) in scratch.ids.iter().enumerate() {
        let p = scratch.terms[id as usize] * factor;
        let open = p > bound * (1.0 - error) && p < bound * (1.0 + error) && scratch.ys[i] < likeliest;
        if open && error > 0.0 {
            scratch.places[i] = Place::open(p >= bound);
        }
        keep.push(p >= bound || scratch.ys[i] >= likeliest || open && error > 0.0);
    }
    row.retain(|i, _, _| keep[i]);
}

/// Thousands of tokens stay: the smallest term that may stay cuts the row. False if the likeliest token may be beside it.
fn on_wide_row(row: &mut Candidates<'_>, factor: f32, bound: f32, error: f32) -> bool {
    if factor <= bound * (1.0 + 2.0 * error) {
        return false;
    }
    let least = smallest(bound / factor, |term| term * factor >= bound);
    if error > 0.0 {
        let (isa, scratch) = (row.arithmetic.isa, &mut *row.scratch);
        let from = smallest(least * (1.0 - error), |term| term * factor > bound * (1.0 - error));
        let to = smallest(least * (1.0 + error), |term| term * factor >= bound * (1.0 + error));
        if from <= 0.0 {
            return false;
        }
        floats::zone(isa, &scratch.terms, from, to, &mut scratch.ids);
        let place = |id: u32| Place::open(scratch.terms[id as usize] >= least);
        let open: Vec<(u32, Place)> = scratch.ids.iter().map(|&id| (id, place(id))).collect();
        row.cut_terms(from);
        row.open_ids = open;
        return true;
    }
    if least > 0.0 {
        row.cut_terms(least);
    }
    true
}

/// The smallest number from which on `holds` does, near `guess`.
fn smallest(guess: f32, holds: impl Fn(f32) -> bool) -> f32 {
    let mut least = guess.max(0.0);
    while least > 0.0 && holds(least.next_down()) {
        least = least.next_down();
    }
    while !holds(least) {
        least = least.next_up();
    }
    least
}
