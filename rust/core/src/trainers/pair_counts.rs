//! How often two tokens stand side by side, and the words in which a pair has come up since it was last looked at.

/// A pair of neighbouring tokens, the left one in the upper half: pairs compare as `(left, right)` do.
pub(super) type Pair = u64;

/// The pair of two tokens.
#[inline]
pub(super) fn pair(left: u32, right: u32) -> Pair {
    u64::from(left) << 32 | u64::from(right)
}

/// The tokens of a pair.
#[inline]
pub(super) fn tokens(pair: Pair) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

/// Open addressing with key, count and open list in one slot, so that a change costs one cache line.
pub(super) struct PairCounts {
    slots: Vec<Slot>,
    len: usize,
    shift: u32,
    /// The words of each pair that came up since [`PairCounts::take_grown`].
    open: Vec<(Pair, Vec<u32>)>,
}

#[derive(Clone, Copy)]
struct Slot {
    pair: Pair,
    count: i64,
    /// Where in `open` the pair's list is, plus one.
    open: u32,
}

/// Ids are below 2^21, so no pair is this.
const VACANT: Pair = u64::MAX;
const FREE: Slot = Slot { pair: VACANT, count: 0, open: 0 };
const FIRST_BITS: u32 = 12;

impl PairCounts {
    pub(super) fn new() -> Self {
        Self { slots: vec![FREE; 1 << FIRST_BITS], len: 0, shift: 64 - FIRST_BITS, open: Vec::new() }
    }

    /// The count of a pair.
    pub(super) fn count(&self, pair: Pair) -> i64 {
        self.slots[self.position(pair)].count
    }

    /// A pair stands `count` times less often side by side.
    #[inline]
    pub(super) fn shrink(&mut self, pair: Pair, count: i64) {
        self.entry(pair).count -= count;
    }

    /// A pair stands `count` times more often side by side, in a word. The words of one pair come in ascending order.
    #[inline]
    pub(super) fn grow(&mut self, pair: Pair, count: i64, word: u32) {
        let next = self.open.len() as u32 + 1;
        let slot = self.entry(pair);
        slot.count += count;
        if slot.open == 0 {
            slot.open = next;
            self.open.push((pair, vec![word]));
        } else {
            let index = slot.open as usize - 1;
            let words = &mut self.open[index].1;
            if words.last() != Some(&word) {
                words.push(word);
            }
        }
    }

    /// Hands out the pairs that grew since the last call with their counts and words.
    pub(super) fn take_grown(&mut self, mut take: impl FnMut(Pair, i64, Vec<u32>)) {
        let mut open = std::mem::take(&mut self.open);
        for (pair, words) in open.drain(..) {
            let position = self.position(pair);
            let slot = &mut self.slots[position];
            slot.open = 0;
            take(pair, slot.count, words);
        }
        self.open = open;
    }

    #[inline]
    fn entry(&mut self, pair: Pair) -> &mut Slot {
        let mut position = self.position(pair);
        if self.slots[position].pair == VACANT {
            if self.len * 2 >= self.slots.len() {
                self.double();
                position = self.position(pair);
            }
            self.slots[position].pair = pair;
            self.len += 1;
        }
        &mut self.slots[position]
    }

    /// The slot that holds a pair, or the free one where it belongs.
    #[inline]
    fn position(&self, pair: Pair) -> usize {
        let mask = self.slots.len() - 1;
        let mut position = (mix(pair) >> self.shift) as usize;
        while self.slots[position].pair != pair && self.slots[position].pair != VACANT {
            position = (position + 1) & mask;
        }
        position
    }

    #[cold]
    fn double(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![FREE; old.len() * 2];
        self.shift -= 1;
        for slot in old.into_iter().filter(|slot| slot.pair != VACANT) {
            let position = self.position(slot.pair);
            self.slots[position] = slot;
        }
    }
}

/// Both halves of the pair reach the upper bits, which pick the slot.
#[inline]
fn mix(pair: Pair) -> u64 {
    let product = u128::from(pair) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_map() {
        let mut counts = PairCounts::new();
        let mut map = std::collections::HashMap::new();
        for i in 0..60_000u32 {
            let pair = pair(i * i % 257, i % 311);
            if i % 3 == 0 {
                counts.shrink(pair, i64::from(i));
                *map.entry(pair).or_insert(0) -= i64::from(i);
            } else {
                counts.grow(pair, 2, i);
                *map.entry(pair).or_insert(0) += 2;
            }
        }
        for (&pair, &count) in &map {
            assert_eq!(counts.count(pair), count);
        }
        assert_eq!(counts.count(pair(1 << 20, 0)), 0);
    }

    #[test]
    fn lists_hold_each_word_once_and_only_since_the_last_call() {
        let mut counts = PairCounts::new();
        for word in [3, 3, 7] {
            counts.grow(pair(1, 2), 10, word);
        }
        counts.shrink(pair(5, 5), 1);
        let mut taken = Vec::new();
        counts.take_grown(|pair, count, words| taken.push((tokens(pair), count, words)));
        assert_eq!(taken, [((1, 2), 30, vec![3, 7])]);
        counts.grow(pair(1, 2), 1, 9);
        taken.clear();
        counts.take_grown(|pair, count, words| taken.push((tokens(pair), count, words)));
        assert_eq!(taken, [((1, 2), 31, vec![9])]);
    }
}
