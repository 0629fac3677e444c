//! Top-k: keep what is at least the k-th largest value. Equal values at the border all stay.

use super::super::{
    candidates::{Candidates, is_not_one},
    error::RowFault,
};
use super::kth_largest;

/// Dividing by the temperature may merge neighbours: values this far below the k-th count as candidates.
const SLACK: f32 = 4e-7;

/// The k-th largest maximum of a chunk is a lower bound of the k-th largest value, because k values reach it.
pub fn apply(row: &mut Candidates<'_>, k: usize) {
    // Nothing is below NaN, so transformers keeps everything; the draw then refuses the row.
    if k >= row.vocabulary() || row.check() == Err(RowFault::Nan) {
        return;
    }
    if !row.is_list() {
        row.extent();
        let mut bound = f32::NEG_INFINITY;
        if k <= row.chunks() {
            let scratch = &mut *row.scratch;
            bound = kth_largest(&scratch.maxima, k, &mut scratch.floats);
        } else if k < row.vocabulary() {
            // More than one token for each chunk: the value itself.
            let mut buffer = std::mem::take(&mut row.scratch.floats);
            bound = kth_largest(row.row(), k, &mut buffer);
            row.scratch.floats = buffer;
        }
        if is_not_one(row.temperature) {
            bound -= bound.abs() * SLACK;
        }
        row.gather(bound);
    }
    if row.scratch.ys.len() > k {
        let scratch = &mut *row.scratch;
        let kth = kth_largest(&scratch.ys, k, &mut scratch.floats);
        row.retain(|_, _, y| y >= kth);
    }
}
