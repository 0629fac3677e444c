//! The distinct tokens of a context and how often each occurs, kept from one step of a loop to the next.

use crate::kernels::{
    Isa, Work,
    floats::{CHUNK, Listed},
    specialize,
};

/// New tokens that are put in one by one. With more of them everything is counted again, which takes about 10 µs for 4,096
/// tokens of 150,000, and one new token 0.5.
const FEW: usize = 8;

/// The distinct tokens of a context, in ascending order, and their numbers.
///
/// A context that only grows is counted once: a step compares it with the one before, and adds what is new.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The context.
    ids: Vec<u32>,
    vocabulary: usize,
    /// A bit for each token, a word for each chunk of a row.
    words: Vec<u64>,
    /// Number of distinct tokens before each chunk.
    starts: Vec<u32>,
    tokens: Vec<u32>,
    counts: Vec<f32>,
    /// The first id beyond the vocabulary.
    beyond: Option<i64>,
}

impl Seen {
    /// Counts the tokens of `ids`. Those beyond the vocabulary are left out; gives the first of them.
    ///
    /// # Errors
    /// A negative id.
    pub fn update(&mut self, isa: Isa, ids: &[i64], vocabulary: usize) -> Result<Option<i64>, i64> {
        let grown = self.vocabulary == vocabulary && specialize(isa, Continues { ids, before: &self.ids });
        let new = if grown { &ids[self.ids.len()..] } else { ids };
        let done = if grown && new.len() <= FEW {
            new.iter().try_for_each(|&id| self.add(id))
        } else {
            self.ids.clear();
            specialize(isa, Count { seen: self, ids, vocabulary })
        };
        if let Err(id) = done {
            *self = Self::default();
            return Err(id);
        }
        let done = self.ids.len();
        if ids[done..].iter().all(|&id| id <= i64::from(u32::MAX)) {
            self.ids.extend(ids[done..].iter().map(|&id| id as u32));
        } else {
            // Such a context is counted anew by the next step.
            self.vocabulary = usize::MAX;
        }
        Ok(self.beyond)
    }

    fn add(&mut self, id: i64) -> Result<(), i64> {
        let at = id as usize;
        if at >= self.vocabulary {
            return beyond(id, &mut self.beyond);
        }
        let (chunk, slot) = (at / CHUNK, slot(&self.words, &self.starts, at));
        if self.words[chunk] >> (at % CHUNK) & 1 == 1 {
            self.counts[slot] += 1.0;
        } else {
            self.words[chunk] |= 1 << (at % CHUNK);
            self.starts[chunk + 1..].iter_mut().for_each(|start| *start += 1);
            self.tokens.insert(slot, at as u32);
            self.counts.insert(slot, 1.0);
        }
        Ok(())
    }

    /// A bit for each token, a word for each chunk of a row.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Number of distinct tokens before each chunk.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The distinct tokens, ascending.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// All of that for the passes over a row.
    pub fn listed(&self) -> Listed<'_> {
        Listed { tokens: &self.tokens, counts: &self.counts, words: &self.words, starts: &self.starts }
    }

    /// Where a token stands among the distinct ones.
    pub(crate) fn slot_of(&self, token: u32) -> Option<usize> {
        let at = token as usize;
        let word = self.words.get(at / CHUNK)?;
        (word >> (at % CHUNK) & 1 == 1).then(|| slot(&self.words, &self.starts, at))
    }

    /// Whether all tokens of another set over the same vocabulary are among those of this one.
    pub(crate) fn has_all_of(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.words.iter().zip(&other.words).all(|(own, other)| other & !own == 0)
    }

    /// The first id beyond the vocabulary.
    pub fn beyond(&self) -> Option<i64> {
        self.beyond
    }

    /// How often each of them occurs.
    pub fn counts(&self) -> &[f32] {
        &self.counts
    }
}

/// Whether a context goes on from the one before.
struct Continues<'s> {
    ids: &'s [i64],
    before: &'s [u32],
}

impl Work for Continues<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Some(ids) = self.ids.get(..self.before.len()) else { return false };
        // Blocks without a way out are compared in vectors.
        ids.chunks(256).zip(self.before.chunks(256)).all(|(ids, before)| {
            ids.iter().zip(before).fold(0, |different, (&id, &before)| different | (id ^ i64::from(before))) == 0
        })
    }
}

/// Where a token stands, or would, among those of the set.
#[inline(always)]
fn slot(words: &[u64], starts: &[u32], token: usize) -> usize {
    let before = words[token / CHUNK] & ((1 << (token % CHUNK)) - 1);
    starts[token / CHUNK] as usize + before.count_ones() as usize
}

/// What is done with an id that the vocabulary lacks.
#[inline(always)]
fn beyond(id: i64, first: &mut Option<i64>) -> Result<(), i64> {
    first.get_or_insert(id);
    if id < 0 { Err(id) } else { Ok(()) }
}

/// Counts a context anew: the bits first, since they say where the token of each id stands.
struct Count<'s> {
    seen: &'s mut Seen,
    ids: &'s [i64],
    vocabulary: usize,
}

impl Work for Count<'_> {
    type Output = Result<(), i64>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self { seen, ids, vocabulary } = self;
        let Seen { words, starts, tokens, counts, .. } = seen;
        (seen.vocabulary, seen.beyond) = (vocabulary, None);
        words.clear();
        words.resize(vocabulary.div_ceil(CHUNK), 0);
        for &id in ids {
            // A negative id is a large one.
            let at = id as usize;
            if at < vocabulary {
                words[at / CHUNK] |= 1 << (at % CHUNK);
            } else {
                beyond(id, &mut seen.beyond)?;
            }
        }
        let mut distinct = 0;
        starts.clear();
        for word in &*words {
            starts.push(distinct);
            distinct += word.count_ones();
        }
        tokens.clear();
        tokens.resize(distinct as usize, 0);
        counts.clear();
        counts.resize(distinct as usize, 0.0);
        for &id in ids {
            let at = id as usize;
            if at < vocabulary {
                let slot = slot(words, starts, at);
                tokens[slot] = at as u32;
                counts[slot] += 1.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kernels::isa;

    /// What `Seen` has to hold, token by token.
    fn check(seen: &Seen, ids: &[i64], vocabulary: usize) {
        let mut counts = BTreeMap::new();
        for &id in ids.iter().filter(|&&id| (id as usize) < vocabulary) {
            *counts.entry(id as u32).or_insert(0.0f32) += 1.0;
        }
        let (tokens, numbers): (Vec<u32>, Vec<f32>) = counts.into_iter().unzip();
        assert_eq!((seen.tokens(), seen.counts()), (&*tokens, &*numbers), "{ids:?}");
        for (chunk, &word) in seen.words().iter().enumerate() {
            let range = CHUNK * chunk..CHUNK * (chunk + 1);
            let slots = seen.listed().slots(range.start, range.end);
            assert_eq!(seen.starts()[chunk] as usize, slots.start);
            assert!(
                tokens[slots].iter().all(|&token| range.contains(&(token as usize)) && word >> (token % 64) & 1 == 1)
            );
        }
        assert_eq!(seen.words().iter().map(|word| word.count_ones() as usize).sum::<usize>(), tokens.len());
        assert_eq!(seen.beyond, ids.iter().copied().find(|&id| id as usize >= vocabulary));
    }

    #[test]
    fn contexts_that_grow_shrink_and_change() {
        let mut state = 7u64;
        let mut pick = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % limit
        };
        for vocabulary in [1usize, 63, 64, 65, 500, 5000] {
            let (mut seen, mut ids) = (Seen::default(), Vec::new());
            for _ in 0..600 {
                match pick(10) {
                    0 => ids.truncate(pick(ids.len() as u64 + 1) as usize),
                    1 if !ids.is_empty() => {
                        let at = pick(ids.len() as u64) as usize;
                        ids[at] = pick(vocabulary as u64) as i64;
                    }
                    2 => ids.extend((0..pick(40)).map(|_| pick(vocabulary as u64) as i64)),
                    // Now and then one beyond the vocabulary.
                    _ => ids.push(pick(vocabulary as u64 + 1 + u64::from(vocabulary > 64)) as i64),
                }
                seen.update(isa(), &ids, vocabulary).expect("no id is negative");
                check(&seen, &ids, vocabulary);
            }
            // Another vocabulary, and a context that is refused: neither leaves anything behind.
            seen.update(isa(), &ids, vocabulary + 64).expect("no id is negative");
            check(&seen, &ids, vocabulary + 64);
            for more in [vec![-3], [vec![0; 20], vec![-3]].concat()] {
                let longer = [&*ids, &*more].concat();
                assert_eq!(seen.update(isa(), &longer, vocabulary), Err(-3));
                seen.update(isa(), &ids, vocabulary).expect("no id is negative");
                check(&seen, &ids, vocabulary);
            }
        }
    }
}
