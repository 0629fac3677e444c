//! Epsilon and eta: remove tokens below a probability, unless they are among the likeliest.

use super::super::candidates::{Candidates, Place};
use super::kth_largest;

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
    let temperature = row.temperature;
    let weighted = |y: f32, term: f32| if term > 0.0 { f64::from(term) * (f64::from(y) - max) } else { 0.0 };
    let total: f64 = match row.list() {
        Some((_, ys)) => ys.iter().zip(&row.scratch.list_terms).map(|(&y, &term)| weighted(y, term)).sum(),
        None => row.row().iter().zip(&row.scratch.terms).map(|(&x, &term)| weighted(x / temperature, term)).sum(),
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
        let temperature = row.temperature;
        let max = row.extent().max;
        // term >= bound / factor, in values; generously.
        let depth = (bound / factor * (1.0 - 2.0 * error)).max(f32::MIN_POSITIVE).ln() - 0.01;
        let low = max + depth * temperature;
        let low = (low - (low.abs() + max.abs()) * 1e-6).min(max);
        let low = if min_keep > 1 { f32::NEG_INFINITY } else { low };
        row.gather(low);
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
