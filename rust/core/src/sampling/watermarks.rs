//! Marks that a text carries of the key it was drawn with.

use std::sync::Arc;

use crate::kernels::floats;

use super::{
    candidates::{Candidates, Scratch},
    edits::{History, index_of},
    error::{Error, Result},
    rng::torch::TorchStream,
    softmax::torch_total,
};

/// What torch takes a seed modulo of.
const SEEDS: i128 = (1 << 64) - 1;
/// Candidates that a mark of the token itself looks at.
const CANDIDATES: usize = 40;

/// A bias on the tokens of a list that a generator of torch draws, seeded by a key and the tokens before.
#[derive(Clone, Debug, PartialEq)]
pub struct GreenList {
    /// The key.
    pub key: i64,
    /// Tokens that seed the generator.
    pub width: usize,
    /// Tokens that are drawn from.
    pub vocabulary: usize,
    /// Tokens of the list.
    pub size: usize,
    /// What is added.
    pub bias: f32,
    /// Numbers that tokens become when the token itself seeds the generator, else none.
    pub table: Option<Arc<[i64]>>,
}

impl GreenList {
    /// Adds the bias.
    ///
    /// # Errors
    /// [`Error::TokenId`] if a token of the list is none of the row's, [`Error::Length`] for a row of too few tokens.
    pub fn apply(&self, row: &mut Candidates<'_>, ids: &[i64], permutation: &mut Vec<u32>) -> Result<()> {
        if ids.len() < self.width || ids.is_empty() {
            return Ok(());
        }
        if let Some(table) = &self.table {
            return self.apply_to_candidates(row, ids, table);
        }
        let last = ids[ids.len() - 1];
        let seed = (i128::from(self.key) * i128::from(last)).rem_euclid(SEEDS) as u64;
        // The first places of the permutation are final after as many exchanges.
        permutation.clear();
        permutation.extend(0..self.vocabulary as u32);
        let mut stream = TorchStream::from_seed(seed);
        for i in 0..self.size.min(self.vocabulary.saturating_sub(1)) {
            let chosen = i + stream.next_word() as usize % (self.vocabulary - i);
            permutation.swap(i, chosen);
        }
        let values = row.edit();
        for &id in &permutation[..self.size] {
            values[index_of(values.len(), i64::from(id), "the token of the watermark")?] += self.bias;
        }
        Ok(())
    }

    /// Adds the bias to those of the largest values that are in a list which they seed themselves.
    fn apply_to_candidates(&self, row: &mut Candidates<'_>, ids: &[i64], table: &[i64]) -> Result<()> {
        let values = row.edit();
        if values.len() < CANDIDATES {
            return Err(Error::Length {
                what: "the watermark's vocabulary",
                found: values.len(),
                expected: CANDIDATES,
            });
        }
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        let value = |&id: &u32| values[id as usize];
        let (largest, last, rest) =
            order.select_nth_unstable_by(CANDIDATES - 1, |a, b| value(b).total_cmp(&value(a)).then_with(|| a.cmp(b)));
        // Of equal ones torch takes any, which changes nothing if they are at negative infinity.
        let least = value(last);
        let uncertain = least > f32::NEG_INFINITY && rest.iter().any(|id| value(id) >= least)
            || values.iter().any(|value| value.is_nan());
        let candidates: Vec<u32> = largest.iter().copied().chain([*last]).collect();
        for id in candidates {
            if self.marks(i64::from(id), ids, table)? {
                values[id as usize] += self.bias;
            }
        }
        row.uncertain |= uncertain;
        Ok(())
    }

    /// Whether a token is in the list that it seeds: followed through the exchanges, without the list.
    fn marks(&self, token: i64, ids: &[i64], table: &[i64]) -> Result<bool> {
        let entry = |id: i64| {
            let at = index_of(usize::MAX >> 1, id, "the history's token")? % table.len().max(1);
            table.get(at).map(|entry| entry.wrapping_add(1)).ok_or(Error::Length {
                what: "the watermark's table",
                found: 0,
                expected: 1,
            })
        };
        let own = entry(token)?;
        let window = ids.iter().skip((ids.len() + 1).saturating_sub(self.width)).copied().chain([token]);
        let mut least = i64::MAX;
        for id in window {
            least = least.min(self.key.wrapping_mul(entry(id)?).wrapping_mul(own));
        }
        let mut stream = TorchStream::from_seed(i128::from(least).rem_euclid(SEEDS) as u64);
        let mut place = token as usize;
        for i in 0..self.size.min(self.vocabulary.saturating_sub(1)) {
            let chosen = i + stream.next_word() as usize % (self.vocabulary - i);
            if chosen == place {
                return Ok(true);
            }
            if place == i {
                place = chosen;
            }
        }
        Ok(place < self.size)
    }
}

/// A tournament: at each depth tokens win or lose by a bit that keys and the tokens before give them.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthId {
    /// A key for each depth.
    pub keys: Arc<[i64]>,
    /// A bit for each remainder of a hash by its length.
    pub table: Arc<[bool]>,
    /// Threads that torch splits the sum of a batch of one row over.
    pub threads: usize,
}

/// What a step of the tournament knows of its row.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Hash of the tokens before.
    pub hash: i64,
    /// Whether the row is the only one.
    pub alone: bool,
}

const MULTIPLIER: i64 = 6_364_136_223_846_793_005;

impl SynthId {
    /// Turns the row into probabilities and lets the tournament change them. Their logarithm, by which scores go on, is left to
    /// torch, which has it from a library of its processor's vendor.
    pub fn apply(&self, row: &mut Candidates<'_>, history: &History<'_>) {
        let Some(Mark { hash, alone }) = history.mark else { return };
        row.edit();
        if row.check().is_err() {
            row.edit().fill(f32::NAN);
            return;
        }
        let (arithmetic, sums) = (row.arithmetic, row.terms());
        row.edit();
        let Scratch { values, terms, floats: wins, .. } = &mut *row.scratch;
        floats::scale(arithmetic.isa, terms, 1.0 / sums.torch);
        values.copy_from_slice(terms);
        // What has no probability is not looked at: it stays zero, and adds nothing.
        let present: Vec<(u32, i64)> = values
            .iter()
            .enumerate()
            .filter(|(_, p)| **p != 0.0)
            .map(|(id, _)| (id as u32, step(hash, id as i64)))
            .collect();
        let size = self.table.len() as i64;
        wins.clear();
        wins.resize(values.len(), 0.0);
        let mut bits = vec![false; present.len()];
        for &key in &*self.keys {
            for (&(id, hash), bit) in present.iter().zip(&mut bits) {
                let hash = step(hash, key);
                let at = if size & (size - 1) == 0 { hash & (size - 1) } else { hash.rem_euclid(size) };
                *bit = self.table[at as usize];
                wins[id as usize] = if *bit { values[id as usize] } else { 0.0 };
            }
            let mass = torch_total(wins, if alone { self.threads } else { 1 });
            let [lost, won] = [1.0 - mass, 2.0 - mass];
            for (&(id, _), &bit) in present.iter().zip(&bits) {
                values[id as usize] *= if bit { won } else { lost };
            }
        }
    }
}

fn step(hash: i64, data: i64) -> i64 {
    hash.wrapping_add(data).wrapping_mul(MULTIPLIER).wrapping_add(1)
}
