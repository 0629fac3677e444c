//! Top-p: remove the least likely tokens while their sum stays at or below `1 - p`.
//!
//! torch sorts the row, takes the softmax of the sorted row and its running sum. On a list, and on a row when asked to
//! be exact, the same additions are made in the same order. Otherwise the running sum is known up to the rounding of
//! torch's normaliser, which is bounded: tokens between the bounds stay open, and so do equal tokens of which torch
//! keeps some (its sort is not stable).

use super::super::{
    candidates::{Candidates, LONGEST_LIST, Place},
    softmax,
};

/// Error of the sums of four terms in the double sum, relative to the whole.
const SUM_ERROR: f64 = 3e-7;
/// Values below the largest, in units of the temperature, where the search for the tail begins and how it goes on.
const FIRST_DEPTH: f32 = 6.0;
const DEPTH_GROWTH: f32 = 1.7;
const LAST_DEPTH: f32 = 60.0;
/// Rows that are sorted as a whole.
const SORTED_ROW: usize = 512;
/// Terms are sorted into bins by exponent and this many bits of the mantissa.
const BIN_BITS: u32 = 7;
const BIN_SHIFT: u32 = 23 - BIN_BITS;
const BINS: usize = 128 << BIN_BITS;

pub fn apply(row: &mut Candidates<'_>, p: f64, min_keep: usize) {
    if row.check().is_err() {
        return;
    }
    row.settle();
    let removed_mass = (1.0 - p) as f32;
    if row.is_list() || row.arithmetic.exact || row.vocabulary() <= SORTED_ROW {
        if !row.is_list() {
            row.gather(f32::NEG_INFINITY);
        }
        on_list(row, removed_mass, min_keep);
    } else {
        on_row(row, removed_mass, min_keep);
    }
}

/// How many of the sorted tokens go: surely, by our arithmetic, at most.
#[derive(Clone, Copy, Debug)]
struct Border {
    surely: usize,
    ours: usize,
    at_most: usize,
}

/// The additions of torch, in its order.
fn on_list(row: &mut Candidates<'_>, removed_mass: f32, min_keep: usize) {
    sort(row);
    let max = row.max();
    let (size, lanes) = (row.vocabulary(), row.arithmetic.lanes);
    let scratch = &mut *row.scratch;
    let count = scratch.order.len();
    let first = size - count;
    softmax::exp_terms(&scratch.ys, max, &mut scratch.list_terms);
    let sorted = scratch.order.iter().map(|&at| scratch.list_terms[at as usize]);
    let factor = 1.0 / softmax::torch_sum(sorted.clone().enumerate().map(|(i, term)| (first + i, term)), size, lanes);
    let mut cumulative = 0.0f64;
    let removed = sorted
        .take(count.saturating_sub(min_keep))
        .take_while(|term| {
            cumulative += f64::from(term * factor);
            cumulative as f32 <= removed_mass
        })
        .count();
    let places = places(row, Border { surely: removed, ours: removed, at_most: removed });
    keep(row, &places);
}

/// Sorts positions of the list by value; of equal values the later id comes first, so that earlier ones are kept.
fn sort(row: &mut Candidates<'_>) {
    let scratch = &mut *row.scratch;
    let (ids, ys) = (&scratch.ids, &scratch.ys);
    scratch.order.clear();
    scratch.order.extend(0..ids.len() as u32);
    scratch.order.sort_unstable_by(|&a, &b| {
        ys[a as usize].total_cmp(&ys[b as usize]).then_with(|| ids[b as usize].cmp(&ids[a as usize]))
    });
}

/// The places of the list's tokens, by position; none for what is removed for certain.
fn places(row: &Candidates<'_>, border: Border) -> Vec<Option<Place>> {
    let order = &row.scratch.order;
    let y = |i: usize| row.scratch.ys[order[i] as usize];
    let (mut low, mut high) = (border.surely, border.at_most);
    // Where a border runs between equal tokens, each of them may be on either side.
    for edge in [border.surely, border.at_most] {
        if edge > 0 && edge < order.len() && y(edge - 1).to_bits() == y(edge).to_bits() {
            low = low.min((0..edge).rev().find(|&i| y(i) < y(edge)).map_or(0, |i| i + 1));
            high = high.max((edge..order.len()).find(|&i| y(i) > y(edge)).unwrap_or(order.len()));
        }
    }
    let mut places = vec![None; order.len()];
    for (i, &at) in order.iter().enumerate().skip(low) {
        places[at as usize] = Some(if i < high { Place::open(i >= border.ours) } else { Place::Kept });
    }
    places
}

fn keep(row: &mut Candidates<'_>, places: &[Option<Place>]) {
    for (place, new) in row.scratch.places.iter_mut().zip(places) {
        *place = new.unwrap_or(Place::Kept);
    }
    row.retain(|i, _, _| places[i].is_some());
}

/// What the running sum is compared with.
#[derive(Clone, Copy, Debug)]
struct Target {
    ours: f64,
    slack: f64,
}

impl Target {
    /// Walks over sorted terms from the sum `cumulative` of those below.
    fn border(self, terms: impl Iterator<Item = f32>, mut cumulative: f64) -> Border {
        let mut border = Border { surely: 0, ours: 0, at_most: 0 };
        for term in terms {
            cumulative += f64::from(term);
            if cumulative > self.ours + self.slack {
                break;
            }
            border.at_most += 1;
            border.ours += usize::from(cumulative <= self.ours);
            border.surely += usize::from(cumulative <= self.ours - self.slack);
        }
        border
    }
}

/// The tail below a falling bound is known from the whole sum, so only the tokens near the border are looked at.
fn on_row(row: &mut Candidates<'_>, removed_mass: f32, min_keep: usize) {
    let max = row.extent().max;
    let sums = row.terms();
    let rounding =
        (row.vocabulary() as f64 / row.arithmetic.lanes.count() as f64 + 64.0) * f64::from(f32::EPSILON) / 2.0;
    let ours = f64::from(removed_mass) * sums.wide;
    let target = Target { ours, slack: ours * rounding + sums.wide * SUM_ERROR };

    let mut depth = FIRST_DEPTH;
    while depth <= LAST_DEPTH {
        row.find(max - depth * row.temperature);
        let scratch = &*row.scratch;
        if scratch.ids.len() > LONGEST_LIST {
            return on_wide_row(row, target);
        }
        let mass: f64 = scratch.ids.iter().map(|&id| f64::from(scratch.terms[id as usize])).sum();
        let tail = (sums.wide - mass).max(0.0);
        // Everything outside of the list goes for certain.
        if tail < target.ours - target.slack && scratch.ids.len() >= min_keep {
            row.list_found();
            sort(row);
            softmax_terms(row);
            let scratch = &*row.scratch;
            let candidates = scratch.order.len() - min_keep;
            let terms = scratch.order[..candidates].iter().map(|&at| scratch.list_terms[at as usize]);
            let border = target.border(terms, tail);
            let places = places(row, border);
            return keep(row, &places);
        }
        depth *= DEPTH_GROWTH;
    }
    // The tail weighs next to nothing and matters all the same (a mass near one), or nothing but it may be kept.
    row.gather(f32::NEG_INFINITY);
    on_list(row, removed_mass, min_keep);
}

/// Terms of the list from those of the row.
fn softmax_terms(row: &mut Candidates<'_>) {
    let scratch = &mut *row.scratch;
    scratch.list_terms.clear();
    scratch.list_terms.extend(scratch.ids.iter().map(|&id| scratch.terms[id as usize]));
}

fn bin(term: f32) -> usize {
    (term.to_bits() >> BIN_SHIFT) as usize
}

/// Thousands of tokens stay: bins by size of the term find the border, and only its bins are sorted.
fn on_wide_row(row: &mut Candidates<'_>, target: Target) {
    // Two tables in turn: neighbours often share a bin, and would wait for each other.
    let (mut masses, mut others) = (vec![0.0f64; BINS], vec![0.0f64; BINS]);
    let (pairs, last) = row.scratch.terms.as_chunks::<2>();
    for &[a, b] in pairs {
        masses[bin(a)] += f64::from(a);
        others[bin(b)] += f64::from(b);
    }
    for &term in last {
        masses[bin(term)] += f64::from(term);
    }
    masses.iter_mut().zip(&others).for_each(|(mass, other)| *mass += other);
    // Bins that go for certain, and the first bin that stays for certain.
    let (mut first, mut below) = (0, 0.0);
    while first < BINS && below + masses[first] <= target.ours - target.slack {
        below += masses[first];
        first += 1;
    }
    let (mut last, mut sum) = (first, below);
    while last < BINS && sum <= target.ours + target.slack {
        sum += masses[last];
        last += 1;
    }
    let border_of = |index: usize| f32::from_bits((index as u32) << BIN_SHIFT);
    let (from, to) = (border_of(first), border_of(last));
    let zone: Vec<u32> =
        (0u32..).zip(&row.scratch.terms).filter(|(_, term)| **term >= from && **term < to).map(|(id, _)| id).collect();
    let terms: Vec<f32> = zone.iter().map(|&id| row.scratch.terms[id as usize]).collect();
    row.cut_row(from);

    // The border's tokens as a list of their own.
    let mut order: Vec<u32> = (0..zone.len() as u32).collect();
    let y = |at: u32| row.row()[zone[at as usize] as usize];
    order.sort_unstable_by(|&a, &b| y(a).total_cmp(&y(b)).then_with(|| b.cmp(&a)));
    let border = target.border(order.iter().map(|&at| terms[at as usize]), below);
    let (mut low, mut high) = (border.surely, border.at_most);
    for edge in [border.surely, border.at_most] {
        if edge > 0 && edge < order.len() && y(order[edge - 1]).to_bits() == y(order[edge]).to_bits() {
            let value = y(order[edge]);
            low = low.min((0..edge).rev().find(|&i| y(order[i]) < value).map_or(0, |i| i + 1));
            high = high.max((edge..order.len()).find(|&i| y(order[i]) > value).unwrap_or(order.len()));
        }
    }
    let mut open: Vec<(u32, Place)> =
        (low..high).map(|i| (zone[order[i] as usize], Place::open(i >= border.ours))).collect();
    open.sort_unstable_by_key(|&(id, _)| id);
    row.remove_from_row(order[..low].iter().map(|&at| zone[at as usize]));
    row.open_ids = open;
}
