//! Top-h: of the hundred likeliest tokens, keep those whose terms of the entropy add up to a share of it.

use super::super::candidates::{Candidates, Place};
use super::{kth_largest, top_k};

/// Tokens that count.
const FIRST: usize = 100;
/// Error of torch's sums, relative to the entropy, and where it is nothing.
const ERROR: f64 = 2e-5;
const FLOOR: f64 = 2e-6;

pub fn apply(row: &mut Candidates<'_>, share: f64) {
    if row.check().is_err() {
        return;
    }
    row.settle();
    let size = row.vocabulary().min(FIRST);
    if row.is_list() {
        if row.scratch.ys.len() > size {
            let scratch = &mut *row.scratch;
            let kth = kth_largest(&scratch.ys, size, &mut scratch.floats);
            row.retain(|_, _, y| y >= kth);
        }
    } else {
        top_k::apply(row, size);
        if !row.is_list() {
            row.gather(f32::NEG_INFINITY);
        }
    }
    let max = f64::from(row.max());
    let scratch = &mut *row.scratch;
    let ys = &scratch.ys;
    scratch.order.clear();
    scratch.order.extend(0..ys.len() as u32);
    scratch.order.sort_by(|&a, &b| ys[b as usize].total_cmp(&ys[a as usize]));
    let weight = |at: u32| (f64::from(ys[at as usize]) - max).exp();
    let sum: f64 = scratch.order.iter().take(size).map(|&at| weight(at)).sum();
    let surprise = |at: u32| {
        let p = weight(at) / sum;
        if p > 0.0 { -p * p.ln() } else { 0.0 }
    };
    let entropy: f64 = scratch.order.iter().take(size).map(|&at| surprise(at)).sum();
    let tau = entropy * share;
    let slack = ERROR * entropy + FLOOR;
    let mut places = vec![None; ys.len()];
    let mut cumulative = 0.0;
    let (mut surely, mut ours, mut at_most) = (1, 1, 1);
    for (i, &at) in scratch.order.iter().take(size).enumerate() {
        cumulative += surprise(at);
        if i == 0 {
            continue;
        }
        if cumulative > tau + slack {
            break;
        }
        at_most = i + 1;
        if cumulative <= tau {
            ours = i + 1;
        }
        if cumulative <= tau - slack {
            surely = i + 1;
        }
    }
    for (i, &at) in scratch.order.iter().enumerate() {
        let y = ys[at as usize].to_bits();
        // A border between equal tokens: which of them come first is torch's choice.
        let tied = |edge: usize| {
            edge < scratch.order.len()
                && ys[scratch.order[edge - 1] as usize].to_bits() == ys[scratch.order[edge] as usize].to_bits()
                && ys[scratch.order[edge] as usize].to_bits() == y
        };
        let open = i >= surely && i < at_most || tied(surely) || tied(at_most);
        places[at as usize] = if open { Some(Place::open(i < ours)) } else { (i < surely).then_some(Place::Kept) };
    }
    for (place, new) in scratch.places.iter_mut().zip(&places) {
        *place = new.unwrap_or(Place::Kept);
    }
    row.retain(|i, _, _| places[i].is_some());
}
