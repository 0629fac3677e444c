//! Min-p: remove tokens below a share of the largest probability.

use super::super::candidates::{Candidates, LONGEST_LIST, Place};
use super::super::softmax;
use super::kth_largest;
use crate::kernels::floats;

/// Terms this near to the share, relatively, are compared as torch does, after normalising.
const BAND: f32 = 1e-5;

/// torch compares `term / sum` with `share * (1 / sum)`; without the sum the comparison is sure outside of a narrow band.
pub fn apply(row: &mut Candidates<'_>, share: f32, min_keep: usize) {
    if share <= 0.0 || row.check().is_err() {
        return;
    }
    let open = row.has_open();
    if open && min_keep > 1 {
        row.settle();
    }
    let max = row.max();
    if row.is_list() || min_keep > 1 {
        let sum = if row.has_open() { None } else { Some(row.terms().torch) };
        if !row.is_list() {
            row.gather(f32::NEG_INFINITY);
        }
        return cut(row, max, share, sum, min_keep);
    }
    if row.is_cut() {
        return on_wide_row(row, share, open);
    }
    // exp(y - max) >= share, in values; a little lower, so that nothing is lost to rounding.
    let top = row.extent().max;
    let bound = top + (share.ln() - 0.01) * row.temperature;
    let bound = bound - (bound.abs() + top.abs()) * 1e-6;
    if !row.find(bound, LONGEST_LIST) {
        return on_wide_row(row, share, open);
    }
    let near = within_band(row, max, share);
    // The sum runs over the row as it stands, so it is taken before the row becomes a list.
    let sum = if near && !open { Some(row.terms().torch) } else { None };
    row.list_found();
    cut(row, max, share, sum, min_keep);
}

/// Thousands of tokens stay: the smallest term that stays, by torch's comparison, cuts the row.
fn on_wide_row(row: &mut Candidates<'_>, share: f32, open: bool) {
    let factor = 1.0 / row.terms().torch;
    let stays = |term: f32| term * factor >= share * factor;
    let mut least = share;
    while stays(least.next_down()) {
        least = least.next_down();
    }
    while !stays(least) {
        least = least.next_up();
    }
    if least <= 0.0 {
        return;
    }
    if open {
        // The sum is open, so the comparison is not sure within the band.
        let (isa, scratch) = (row.arithmetic.isa, &mut *row.scratch);
        floats::zone(isa, &scratch.terms, share * (1.0 - BAND), share * (1.0 + BAND), &mut scratch.ids);
        row.uncertain |= !scratch.ids.is_empty();
        row.open_ids.retain(|&(id, _)| scratch.terms[id as usize] >= least);
    }
    row.cut_terms(least);
}

/// Whether one of the tokens that were found lies within the band.
fn within_band(row: &mut Candidates<'_>, max: f32, share: f32) -> bool {
    let mut ys = std::mem::take(&mut row.scratch.floats);
    ys.clear();
    let values = row.values();
    ys.extend(row.scratch.ids.iter().map(|&id| values.of(id as usize) / row.temperature));
    softmax::exp_terms(row.arithmetic, &ys, max, &mut row.scratch.list_terms);
    row.scratch.floats = ys;
    row.scratch.list_terms.iter().any(|term| (term - share).abs() <= share * BAND)
}

fn cut(row: &mut Candidates<'_>, max: f32, share: f32, sum: Option<f32>, min_keep: usize) {
    let factor = sum.map(|sum| 1.0 / sum);
    let removed = |term: f32| match factor {
        Some(factor) => Some(term * factor < share * factor),
        None if (term - share).abs() <= share * BAND => None,
        None => Some(term < share),
    };
    let arithmetic = row.arithmetic;
    let scratch = &mut *row.scratch;
    softmax::exp_terms(arithmetic, &scratch.ys, max, &mut scratch.list_terms);
    let forced = match min_keep {
        0..=1 => f32::INFINITY,
        _ if scratch.ys.len() < min_keep => f32::NEG_INFINITY,
        _ => kth_largest(&scratch.ys, min_keep, &mut scratch.floats),
    };
    let mut unsure = false;
    let keep: Vec<bool> = scratch
        .ys
        .iter()
        .zip(&scratch.list_terms)
        .map(|(&y, &term)| {
            y >= forced
                || removed(term).map_or_else(
                    || {
                        unsure = true;
                        true
                    },
                    |removed| !removed,
                )
        })
        .collect();
    row.uncertain |= unsure;
    // Of equal tokens at the last forced place torch keeps an arbitrary one.
    if forced < f32::INFINITY && removed(floats::exp(forced - max)) != Some(false) {
        let ties = row.scratch.ys.iter().filter(|&&y| y.to_bits() == forced.to_bits()).count();
        let above = row.scratch.ys.iter().filter(|&&y| y > forced).count();
        if above + ties > min_keep {
            let scratch = &mut *row.scratch;
            let mut left = min_keep - above;
            for (place, y) in scratch.places.iter_mut().zip(&scratch.ys) {
                if y.to_bits() == forced.to_bits() {
                    *place = Place::open(left > 0);
                    left = left.saturating_sub(1);
                }
            }
        }
    }
    row.retain(|i, _, _| keep[i]);
}
