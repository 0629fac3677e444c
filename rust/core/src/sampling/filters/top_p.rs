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
use crate::kernels::floats::{self, CHUNK};

/// Error of the sums of four terms in the double sum, relative to the whole.
const SUM_ERROR: f64 = 3e-7;
/// Values below the largest, in units of the temperature, where the search for the tail begins and how it goes on.
const FIRST_DEPTH: f32 = 6.0;
const DEPTH_GROWTH: f32 = 1.7;
const LAST_DEPTH: f32 = 60.0;
/// Times the longest list, where a row is taken for a wide one without a look at its values.
const WIDE: f64 = 2.0;
/// Rows that are sorted as a whole.
const SORTED_ROW: usize = 512;
/// Of a wide row, one chunk in this many says where to look for the border.
const SAMPLED: usize = 16;
/// Terms of the sample are sorted into bins by exponent and this many bits of the mantissa, down to 2^-32.
const BIN_BITS: u32 = 5;
const BIN_SHIFT: u32 = 23 - BIN_BITS;
const BINS: usize = 32 << BIN_BITS;
/// What the terms of a sample may be off by, in units of the root of their number.
const SAMPLE_ERROR: f64 = 5.0;
/// Bins of the terms between the sample's bounds.
const ZONE_BINS: usize = 256;

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

impl Border {
    /// The range of the sorted tokens that stay open, of `count` with the values `y`. Where a border runs between equal tokens,
    /// each of them may be on either side.
    fn open(self, count: usize, y: impl Fn(usize) -> f32) -> (usize, usize) {
        let (mut low, mut high) = (self.surely, self.at_most);
        for edge in [self.surely, self.at_most] {
            if edge > 0 && edge < count && y(edge - 1).to_bits() == y(edge).to_bits() {
                low = low.min((0..edge).rev().find(|&i| y(i) < y(edge)).map_or(0, |i| i + 1));
                high = high.max((edge..count).find(|&i| y(i) > y(edge)).unwrap_or(count));
            }
        }
        (low, high)
    }
}

/// The additions of torch, in its order.
fn on_list(row: &mut Candidates<'_>, removed_mass: f32, min_keep: usize) {
    sort(row);
    let max = row.max();
    let (size, arithmetic) = (row.vocabulary(), row.arithmetic);
    let lanes = arithmetic.lanes;
    let scratch = &mut *row.scratch;
    let count = scratch.order.len();
    let first = size - count;
    softmax::exp_terms(arithmetic, &scratch.ys, max, &mut scratch.list_terms);
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
    let (low, high) = border.open(order.len(), y);
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
    // Where thousands of tokens stay, the terms of all of them are needed.
    let bound = max - FIRST_DEPTH * row.temperature;
    let guess = row.guess_at_least(bound);
    let narrow = guess <= LONGEST_LIST as f64 && row.find(bound, LONGEST_LIST);
    let (sum, whole) = row.wide_terms(!narrow);
    let rounding =
        (row.vocabulary() as f64 / row.arithmetic.lanes.count() as f64 + 64.0) * f64::from(f32::EPSILON) / 2.0;
    let ours = f64::from(removed_mass) * sum;
    let target = Target { ours, slack: ours * rounding + whole * SUM_ERROR };

    let wide = guess > WIDE * LONGEST_LIST as f64;
    if wide && on_wide_row(row, target, min_keep) {
        return;
    }
    let mut depth = FIRST_DEPTH;
    while depth <= LAST_DEPTH {
        if !(depth <= FIRST_DEPTH && narrow || row.find(max - depth * row.temperature, LONGEST_LIST)) {
            row.finish_terms();
            if !wide && on_wide_row(row, target, min_keep) {
                return;
            }
            break;
        }
        row.finish_terms_found();
        let scratch = &*row.scratch;
        let mass: f64 = scratch.ids.iter().map(|&id| f64::from(scratch.terms[id as usize])).sum();
        let tail = (sum - mass).max(0.0);
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

/// The terms among which the border runs, and the sum of the smaller ones.
#[derive(Clone, Copy, Debug)]
struct Zone {
    from: f32,
    to: f32,
    below: f64,
}

impl Target {
    /// The bins in which the border lies for certain: `(first, behind the last, sum below)`. `error` is what a sum of that
    /// many terms may be off by, relatively.
    fn bins(self, masses: &[f64], counts: &[u32], error: impl Fn(u32) -> f64) -> (usize, usize, f64) {
        let (mut first, mut below) = (0, 0.0);
        let (mut sum, mut count) = (0.0, 0);
        for (i, (&mass, &more)) in masses.iter().zip(counts).enumerate() {
            (sum, count) = (sum + mass, count + more);
            if sum * (1.0 + error(count)) <= self.ours - self.slack {
                (first, below) = (i + 1, sum);
            }
            if sum * (1.0 - error(count)) > self.ours + self.slack {
                return (first, i + 1, below);
            }
        }
        (first, masses.len(), below)
    }

    /// Bounds of the border's term, from a part of the row; often right.
    fn guess(self, terms: &[f32]) -> (f32, f32) {
        const LEAST: u32 = (127 - 32) << 23 >> BIN_SHIFT;
        let (mut masses, mut counts) = ([0.0f64; BINS + 1], [0u32; BINS + 1]);
        for term in terms.chunks(SAMPLED * CHUNK).flat_map(|part| &part[..part.len().min(CHUNK)]) {
            let bin = ((term.to_bits() >> BIN_SHIFT).saturating_sub(LEAST) as usize).min(BINS);
            masses[bin] += f64::from(*term);
            counts[bin] += 1;
        }
        // By number, not by mass: a few large terms hold most of the mass, and say nothing about the border.
        let scale = terms.len() as f64 / f64::from(counts.iter().sum::<u32>().max(1));
        for mass in &mut masses {
            *mass *= scale;
        }
        let (first, last, _) = self.bins(&masses, &counts, |count| SAMPLE_ERROR / f64::from(count.max(1)).sqrt());
        let border_of = |bin: usize| f32::from_bits((LEAST + bin as u32) << BIN_SHIFT);
        (if first == 0 { 0.0 } else { border_of(first) }, if last > BINS { f32::INFINITY } else { border_of(last) })
    }

    /// Narrows a zone down to the terms around the border; none if the border does not run through it.
    fn narrow(self, Zone { from, to, below }: Zone, terms: &[f32], ids: &[u32]) -> Option<Zone> {
        let width = (to.to_bits() - from.to_bits()).div_ceil(ZONE_BINS as u32).max(1);
        let (mut masses, mut counts) = ([0.0f64; ZONE_BINS], [0u32; ZONE_BINS]);
        for &id in ids {
            let term = terms[id as usize];
            let bin = ((term.to_bits() - from.to_bits()) / width) as usize;
            masses[bin] += f64::from(term);
            counts[bin] += 1;
        }
        let rest = Self { ours: self.ours - below, ..self };
        let inside: f64 = masses.iter().sum();
        if rest.ours < rest.slack || inside <= rest.ours + rest.slack && to < f32::INFINITY {
            return None;
        }
        let (first, last, sum) = rest.bins(&masses, &counts, |_| 0.0);
        let border_of = |bin: usize| f32::from_bits((from.to_bits() + bin as u32 * width).min(to.to_bits()));
        Some(Zone { from: border_of(first), to: border_of(last), below: below + sum })
    }
}

/// Thousands of tokens stay. A sample of the row tells where the border runs; one pass collects the tokens there and sums
/// the smaller ones, and only the tokens next to the border are sorted. False if the border is not there, or leaves too few.
fn on_wide_row(row: &mut Candidates<'_>, target: Target, min_keep: usize) -> bool {
    let (isa, temperature) = (row.arithmetic.isa, row.temperature);
    let mut ids = std::mem::take(&mut row.scratch.ids);
    let zone = {
        let terms = &row.scratch.terms;
        let mut within = |from: f32, to: f32| {
            let below = floats::zone(isa, terms, from, to, &mut ids);
            target.narrow(Zone { from, to, below }, terms, &ids)
        };
        let (from, to) = target.guess(terms);
        let zone = within(from, to).or_else(|| within(0.0, f32::INFINITY));
        zone.filter(|zone| zone.from > 0.0)
    };
    let Some(Zone { from, to, below }) = zone else {
        row.scratch.ids = ids;
        return false;
    };
    // Value, term and id of the tokens next to the border, in torch's order; of equal ones the later come first.
    let terms = &row.scratch.terms;
    let values = row.values();
    let mut order: Vec<(f32, f32, u32)> = ids
        .iter()
        .filter(|&&id| terms[id as usize] >= from && terms[id as usize] < to)
        .map(|&id| (values.of(id as usize) / temperature, terms[id as usize], id))
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.2.cmp(&a.2)));
    let y = |at: usize| order[at].0;
    let border = target.border(order.iter().map(|token| token.1), below);
    let (low, high) = border.open(order.len(), y);
    let above = terms.iter().filter(|&&term| term >= to);
    if order.len() - high + above.take(min_keep).count() < min_keep {
        row.scratch.ids = ids;
        return false;
    }
    let mut open: Vec<(u32, Place)> = (low..high).map(|i| (order[i].2, Place::open(i >= border.ours))).collect();
    open.sort_unstable_by_key(|&(id, _)| id);
    for &(_, _, id) in &order[..low] {
        row.scratch.terms[id as usize] = 0.0;
    }
    row.scratch.ids = ids;
    row.cut_terms(from);
    row.open_ids = open;
    true
}
