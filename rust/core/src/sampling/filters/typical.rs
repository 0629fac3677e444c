//! Typical: keep the tokens whose surprise is nearest to the entropy, up to a mass.
//!
//! The surprise falls with the value, so what is kept is a range of values around the one whose surprise is the entropy.
//! On a row the ends of the range are found without sorting it: among the largest values alone if they hold the mass, else
//! by a histogram of distances, after which only the tokens next to the ends are looked at.

use super::super::candidates::{Candidates, LONGEST_LIST, Place};
use super::cutoff::entropy;

/// Error of torch's entropy and surprises.
const ERROR: f64 = 2e-5;
/// Tokens that are sorted rather than halved.
const SORTED: usize = 64;
/// Rows that are not worth a histogram.
const SHORT_ROW: usize = 512;
/// Distances below the last are sorted into bins of equal width: at 150,000 tokens of nearly equal probability a bin holds
/// a few thousand of them.
const BINS: usize = 4096;
const LAST_DISTANCE: f64 = 16.0;
/// Values below the largest, in units of the temperature, among which a peaked row's mass is looked for.
const DEPTH: f32 = 16.0;

#[derive(Clone, Copy, Debug)]
struct Token {
    distance: f64,
    term: f32,
    at: u32,
}

/// What the tokens are measured by.
#[derive(Clone, Copy, Debug)]
struct Measure {
    /// Logarithm of the sum of the terms, and the largest value.
    log_sum: f64,
    max: f64,
    entropy: f64,
    /// The mass to keep: at least, by our arithmetic, at most.
    targets: [f64; 3],
}

impl Measure {
    fn distance(&self, y: f32) -> f64 {
        ((self.log_sum + self.max - f64::from(y)) - self.entropy).abs()
    }

    /// A magnitude's rounding in torch grows with the surprise itself.
    fn error(&self, farthest: f64) -> f64 {
        ERROR + 2e-7 * (self.entropy.abs() + farthest.abs() + self.max.abs())
    }
}

pub fn apply(row: &mut Candidates<'_>, mass: f64, min_keep: usize) {
    if row.check().is_err() {
        return;
    }
    row.settle();
    let sums = row.terms();
    let entropy = entropy(row);
    let max = f64::from(row.max());
    let size = row.list().map_or(row.vocabulary(), |(ids, _)| ids.len());
    let rounding = (size as f64 / row.arithmetic.lanes.count() as f64 + 64.0) * f64::from(f32::EPSILON);
    let target = mass * sums.wide;
    let targets = [target * (1.0 - rounding), target, target * (1.0 + rounding)];
    let measure = Measure { log_sum: sums.wide.ln(), max, entropy, targets };
    if row.is_list() {
        let terms = std::mem::take(&mut row.scratch.list_terms);
        let tokens = tokens(row, measure, |i, _| terms[i]);
        row.scratch.list_terms = terms;
        return on_list(row, measure, tokens, min_keep);
    }
    if row.vocabulary() > SHORT_ROW && min_keep == 1 && (on_peaked_row(row, measure) || on_wide_row(row, measure)) {
        return;
    }
    row.gather(f32::NEG_INFINITY);
    let tokens = row_tokens(row, measure);
    on_list(row, measure, tokens, min_keep);
}

/// The tokens of the list.
fn tokens(row: &Candidates<'_>, measure: Measure, term: impl Fn(usize, u32) -> f32) -> Vec<Token> {
    let list = row.scratch.ys.iter().zip(&row.scratch.ids).enumerate();
    list.map(|(i, (&y, &id))| Token { distance: measure.distance(y), term: term(i, id), at: i as u32 }).collect()
}

/// The same with the terms of the row that the list comes from.
fn row_tokens(row: &mut Candidates<'_>, measure: Measure) -> Vec<Token> {
    let terms = std::mem::take(&mut row.scratch.terms);
    let tokens = tokens(row, measure, |_, id| terms[id as usize]);
    row.scratch.terms = terms;
    tokens
}

fn on_list(row: &mut Candidates<'_>, measure: Measure, mut tokens: Vec<Token>, min_keep: usize) {
    let [nearest, ours, farthest] = measure.targets.map(|target| reach(&mut tokens, target));
    let error = measure.error(farthest);
    let mut by_distance: Vec<f64> = tokens.iter().map(|token| token.distance).collect();
    let forced = min_keep.min(by_distance.len());
    let first = *by_distance.select_nth_unstable_by(forced - 1, f64::total_cmp).1;
    // Another token as near as the last forced one: torch may keep either.
    let crowded = tokens.iter().filter(|token| token.distance <= first + 2.0 * error).count() > forced;

    let mut places = vec![None; tokens.len()];
    for token in &tokens {
        let kept = token.distance <= ours || token.distance <= first;
        let surely = token.distance <= nearest - 2.0 * error
            || token.distance <= first - if crowded { 2.0 * error } else { 0.0 };
        let possibly = token.distance <= farthest + 2.0 * error || token.distance <= first + 2.0 * error;
        places[token.at as usize] = match (surely, possibly) {
            (true, _) => Some(Place::Kept),
            (_, true) => Some(Place::open(kept)),
            _ => None,
        };
    }
    for (place, new) in row.scratch.places.iter_mut().zip(&places) {
        *place = new.unwrap_or(Place::Kept);
    }
    row.retain(|i, _, _| places[i].is_some());
}

/// A few large values hold the mass, and all others are farther away. False if it is not so.
fn on_peaked_row(row: &mut Candidates<'_>, measure: Measure) -> bool {
    let bound = row.extent().max - DEPTH * row.temperature;
    if !row.find(bound, LONGEST_LIST) {
        return false;
    }
    let beyond = (measure.log_sum + measure.max - f64::from(bound / row.temperature)) - measure.entropy;
    let (values, scratch) = (row.values(), &*row.scratch);
    let token = |&id: &u32| Token {
        distance: measure.distance(values.of(id as usize) / row.temperature),
        term: scratch.terms[id as usize],
        at: id,
    };
    let mut found: Vec<Token> = scratch.ids.iter().map(token).collect();
    let mass: f64 = found.iter().map(|token| f64::from(token.term)).sum();
    if mass <= measure.targets[2] {
        return false;
    }
    let farthest = reach(&mut found, measure.targets[2]);
    // Nothing that is not listed may be kept.
    if farthest + 4.0 * measure.error(farthest) >= beyond {
        return false;
    }
    row.list_found();
    let tokens = row_tokens(row, measure);
    on_list(row, measure, tokens, 1);
    true
}

/// Thousands of tokens stay: a histogram of distances says between which the ends of the range lie. False if they do not lie
/// there, or next to the nearest token.
fn on_wide_row(row: &mut Candidates<'_>, measure: Measure) -> bool {
    let Some([near, far]) = zone(row, measure) else { return false };
    // The same distances as values, before the temperature; outwards by more than the roundings.
    let (temperature, centre) = (f64::from(row.temperature), measure.log_sum + measure.max - measure.entropy);
    let slack = 1e-5 * (1.0 + centre.abs() + measure.max.abs() + far);
    let value = |distance: f64| ((centre + distance) * temperature) as f32;
    let bounds = [value(-far - slack), value(slack - near), value(near - slack), value(far + slack)];
    if near <= 2.0 * slack || bounds[1] >= bounds[2] {
        return false;
    }
    let inside = row.find_around(bounds);
    if inside <= 0.0 {
        return false;
    }
    let values = row.values();
    let y = |id: u32| values.of(id as usize) / row.temperature;
    let scratch = &*row.scratch;
    let mut ends: Vec<Token> = scratch
        .ids
        .iter()
        .map(|&id| Token { distance: measure.distance(y(id)), term: scratch.terms[id as usize], at: id })
        .collect();
    let mass: f64 = ends.iter().map(|token| f64::from(token.term)).sum();
    if inside >= measure.targets[0] || inside + mass < measure.targets[2] {
        return false;
    }
    let [nearest, ours, farthest] = measure.targets.map(|target| reach(&mut ends, target - inside));
    let error = measure.error(farthest);
    // The ends of the range have to lie within what was looked at.
    if nearest - 2.0 * error <= near || farthest + 2.0 * error >= far {
        return false;
    }
    let (surely, possibly) = (nearest - 2.0 * error, farthest + 2.0 * error);
    let mut open = Vec::new();
    let (mut low, mut high) = (bounds[1], bounds[2].next_down());
    for token in ends.iter().filter(|token| token.distance <= possibly) {
        let value = values.of(token.at as usize);
        (low, high) = (low.min(value), high.max(value));
        if token.distance > surely {
            open.push((token.at, Place::open(token.distance <= ours)));
        }
    }
    open.sort_unstable_by_key(|&(id, _)| id);
    row.cut_values(low, high);
    row.open_ids = open;
    true
}

/// Distances between which the ends of the range lie.
fn zone(row: &mut Candidates<'_>, measure: Measure) -> Option<[f64; 2]> {
    let (temperature, terms) = (row.temperature, std::mem::take(&mut row.scratch.terms));
    let (mut masses, width) = (vec![0.0f64; BINS + 1], LAST_DISTANCE / BINS as f64);
    let centre = (measure.log_sum + measure.max - measure.entropy) as f32;
    let per_width = (1.0 / width) as f32;
    for (values, terms) in row.row().chunks(16).zip(terms.chunks(16)) {
        let mut bins = [0u32; 16];
        for (bin, value) in bins.iter_mut().zip(values) {
            // Negative infinity is far away.
            *bin = ((value / temperature - centre).abs() * per_width).min(BINS as f32) as u32;
        }
        for (bin, term) in bins.iter().zip(terms) {
            masses[*bin as usize] += f64::from(*term);
        }
    }
    row.scratch.terms = terms;
    let (mut sum, mut first) = (0.0, None);
    for (bin, mass) in masses[..BINS].iter().enumerate() {
        sum += mass;
        if first.is_none() && sum >= measure.targets[0] {
            first = Some(bin);
        }
        if sum >= measure.targets[2] {
            // Bins are computed in single precision, and torch's distances have an error of their own.
            let beside = 2.0 * width;
            return Some([first? as f64 * width - beside, (bin + 1) as f64 * width + beside]);
        }
    }
    None
}

/// The distance at which the running sum of the terms, nearest first, reaches `target`.
fn reach(tokens: &mut [Token], target: f64) -> f64 {
    let (mut from, mut to, mut below) = (0, tokens.len(), 0.0);
    while to - from > SORTED {
        let middle = (to - from) / 2;
        tokens[from..to].select_nth_unstable_by(middle, |a, b| a.distance.total_cmp(&b.distance));
        let mass: f64 = tokens[from..from + middle].iter().map(|token| f64::from(token.term)).sum();
        if below + mass < target {
            below += mass;
            from += middle;
        } else {
            to = from + middle;
        }
    }
    tokens[from..to].sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance));
    for token in &tokens[from..to] {
        below += f64::from(token.term);
        if below >= target {
            return token.distance;
        }
    }
    // The sum of a half, term by term, may miss the target by a rounding.
    let last = if to < tokens.len() { &tokens[from..to] } else { &tokens[from..] };
    last.iter().map(|token| token.distance).fold(0.0, f64::max)
}
