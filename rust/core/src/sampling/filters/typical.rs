//! Typical: keep the tokens whose surprise is nearest to the entropy, up to a mass.

use super::super::candidates::{Candidates, Place};
use super::cutoff::entropy;

/// Error of torch's entropy and surprises.
const ERROR: f64 = 2e-5;
/// Tokens that are sorted rather than halved.
const SORTED: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Token {
    distance: f64,
    term: f32,
    at: u32,
}

pub fn apply(row: &mut Candidates<'_>, mass: f64, min_keep: usize) {
    if row.check().is_err() {
        return;
    }
    row.settle();
    let sums = row.terms();
    let entropy = entropy(row);
    let max = f64::from(row.max());
    let from_row = !row.is_list();
    if from_row {
        row.gather(f32::NEG_INFINITY);
    }
    let log_sum = sums.wide.ln();
    let scratch = &mut *row.scratch;
    let term = |i: usize| if from_row { scratch.terms[scratch.ids[i] as usize] } else { scratch.list_terms[i] };
    let mut tokens: Vec<Token> = scratch
        .ys
        .iter()
        .enumerate()
        .map(|(i, &y)| Token {
            distance: ((log_sum + max - f64::from(y)) - entropy).abs(),
            term: term(i),
            at: i as u32,
        })
        .collect();

    let rounding = (scratch.ys.len() as f64 / row.arithmetic.lanes.count() as f64 + 64.0) * f64::from(f32::EPSILON);
    let (low, high) = (mass * sums.wide * (1.0 - rounding), mass * sums.wide * (1.0 + rounding));
    let nearest = reach(&mut tokens, low);
    let ours = reach(&mut tokens, mass * sums.wide);
    let farthest = reach(&mut tokens, high);
    // A magnitude's rounding in torch grows with the surprise itself.
    let error = ERROR + 2e-7 * (entropy.abs() + farthest.abs() + max.abs());
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
