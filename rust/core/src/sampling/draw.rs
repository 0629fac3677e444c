//! The draw from what the filters left.

use super::{
    candidates::{Candidates, LONGEST_LIST, Place, Scratch},
    error::RowFault,
    rng::{row_seeds::RowStream, torch::TorchStream},
};
use crate::kernels::floats;

/// Two speeds this near to each other, relatively, may change places by a rounding of the normaliser.
const NEAR: f64 = 1e-6;

/// Where a row's randomness comes from.
#[derive(Debug)]
pub enum Noise<'a> {
    /// No draw: the largest value, the first of equal ones.
    Greedy,
    /// The stream of torch's generator, stepped over the row.
    Torch(&'a mut TorchStream),
    /// A stream keyed by seed, step and token.
    Row(RowStream),
}

/// What was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The token.
    pub token: u32,
    /// False when torch's own rounding or order of ties decides, and torch has to be asked.
    pub certain: bool,
}

/// What the filters left of a row, ready for a draw: probabilities of a list, or of the whole row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    /// Whether the probabilities are those of the list.
    pub listed: bool,
    /// Largest value.
    pub max: f32,
    /// Sum of the terms.
    pub sum: f64,
    /// Size of the vocabulary.
    pub vocabulary: usize,
    /// Whether places are open.
    open: bool,
    certain: bool,
}

impl Distribution {
    /// Turns a row into probabilities: those of torch's softmax of the row's scores, bit for bit.
    ///
    /// # Errors
    /// [`RowFault`] for a row without a distribution.
    pub fn new(row: &mut Candidates<'_>) -> Result<Self, RowFault> {
        if row.vocabulary() == 0 {
            return Err(RowFault::Empty);
        }
        row.check()?;
        if row.list().is_some_and(|(ids, _)| ids.len() > LONGEST_LIST) {
            row.spread();
        }
        let (listed, max, open) = (row.is_list(), row.max(), row.has_open());
        let sums = row.terms();
        let factor = 1.0 / sums.torch;
        // Open tokens leave the sum open too: their row is drawn from the terms.
        if !open {
            let isa = row.arithmetic.isa;
            let scratch = &mut *row.scratch;
            floats::scale(isa, if listed { &mut scratch.list_terms } else { &mut scratch.terms }, factor);
        }
        // By our arithmetic these are removed.
        let weight_of = |removed: Option<f32>| removed.map_or(0.0, f64::from);
        let removed: f64 = if !open {
            0.0
        } else if listed {
            let terms = row.scratch.places.iter().zip(&row.scratch.list_terms);
            terms.map(|(&place, &term)| weight_of((place == Place::OpenRemoved).then_some(term))).sum()
        } else {
            let terms = &row.scratch.terms;
            let weight = |&(id, place): &(u32, Place)| (place == Place::OpenRemoved).then_some(terms[id as usize]);
            row.open_ids.iter().map(|token| weight_of(weight(token))).sum()
        };
        let (vocabulary, certain) = (row.vocabulary(), !row.uncertain);
        Ok(Self { listed, max, sum: sums.wide - removed, vocabulary, open, certain })
    }

    /// Whether a draw from torch's stream may come out uncertain.
    pub fn may_be_uncertain(&self) -> bool {
        self.open || !self.certain
    }

    /// Draws a token.
    pub fn draw(&self, scratch: &Scratch, open: &[(u32, Place)], noise: Noise<'_>) -> Drawn {
        let Scratch { ids, terms, list_terms, places, .. } = scratch;
        let weights = if self.listed { list_terms } else { terms };
        let place_of = |index: usize| {
            if self.listed {
                return places[index];
            }
            open.binary_search_by_key(&(index as u32), |&(id, _)| id).map_or(Place::Kept, |found| open[found].1)
        };
        let drawn = |index: usize, certain: bool| Drawn {
            token: if self.listed { ids[index] } else { index as u32 },
            certain: certain && self.certain,
        };
        match noise {
            Noise::Greedy => drawn(first_largest(weights), true),
            Noise::Row(stream) => {
                // Our arithmetic is the reference of this stream: tokens that it removes weigh nothing.
                if self.open {
                    let kept = |i: &usize| place_of(*i) != Place::OpenRemoved;
                    let (indices, weights): (Vec<_>, Vec<_>) =
                        (0..weights.len()).filter(kept).map(|i| (i, weights[i])).unzip();
                    let token = |i: usize| if self.listed { ids[i] } else { i as u32 };
                    let winner = stream.draw(indices.iter().map(|&i| token(i)), &weights);
                    return Drawn { token: token(indices[winner]), certain: true };
                }
                let winner =
                    if self.listed { stream.draw(ids.iter().copied(), weights) } else { stream.draw(0.., weights) };
                Drawn { certain: true, ..drawn(winner, true) }
            }
            Noise::Torch(stream) if !self.open => {
                let winner =
                    if self.listed { stream.draw(ids, weights, self.vocabulary) } else { stream.draw_row(weights) };
                drawn(winner, true)
            }
            Noise::Torch(stream) => {
                let mut race = OpenRace::default();
                if self.listed {
                    stream.waiting_times(ids, self.vocabulary, |i, time| {
                        race.enter(i, weights[i], time, places[i] != Place::OpenRemoved);
                    });
                } else {
                    stream.race(weights, &mut |token, time| {
                        race.enter(token, weights[token], time, place_of(token) != Place::OpenRemoved)
                    });
                }
                // The smallest probabilities lose digits when they are normalised.
                let normal = f64::from(weights[race.winner]) > f64::from(f32::MIN_POSITIVE) * self.sum;
                let sure = race.is_decided() && normal && !place_of(race.winner).is_open();
                drawn(if sure { race.winner } else { race.ours }, sure)
            }
        }
    }
}

/// The race among kept and open tokens. Its winner is torch's own if it is kept and no other token comes near it,
/// because the open ones change all speeds by the same factor.
#[derive(Debug)]
struct OpenRace {
    best: f64,
    second: f64,
    winner: usize,
    ours_best: f64,
    ours: usize,
}

impl Default for OpenRace {
    fn default() -> Self {
        Self { best: -1.0, second: -1.0, winner: 0, ours_best: -1.0, ours: 0 }
    }
}

impl OpenRace {
    /// Enters a token, which is ours unless our arithmetic removes it; returns the speed below which none matters.
    fn enter(&mut self, index: usize, weight: f32, time: f64, ours: bool) -> f32 {
        let speed = f64::from(weight) / f64::from(time as f32);
        if speed > self.best {
            (self.second, self.best, self.winner) = (self.best, speed, index);
        } else if speed > self.second {
            self.second = speed;
        }
        if ours && speed > self.ours_best {
            (self.ours_best, self.ours) = (speed, index);
        }
        (self.second.min(self.ours_best) * (1.0 - NEAR)) as f32
    }

    fn is_decided(&self) -> bool {
        self.second < self.best * (1.0 - NEAR)
    }
}

/// Index of the first of the largest values.
fn first_largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = i;
        }
    }
    best
}

/// Draws `count` tokens of each row without replacement, as `torch.multinomial` does on the CPU: the largest `p / q`,
/// in descending order.
pub fn multinomial(stream: &mut TorchStream, p: &[f32], count: usize) -> Vec<u32> {
    if count == 1 {
        return vec![stream.draw_row(p) as u32];
    }
    let ids: Vec<u32> = (0..p.len() as u32).collect();
    let mut speeds = vec![0.0f32; p.len()];
    stream.waiting_times(&ids, p.len(), |i, time| speeds[i] = p[i] / time as f32);
    let mut order = ids;
    order.sort_by(|&a, &b| speeds[b as usize].total_cmp(&speeds[a as usize]));
    order.truncate(count);
    order
}
