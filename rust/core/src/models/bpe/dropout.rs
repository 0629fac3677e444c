//! BPE-dropout: merges that are passed over by chance, to show a model in training different segmentations of a word.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use super::pairs::{NONE, PairTable};
use crate::TokenId;

/// The chance to pass over a merge, and the numbers that decide.
pub(super) struct Dropout {
    chance: f32,
    /// Every piece draws from a stream of its own; this numbers the streams.
    state: AtomicU64,
}

impl Dropout {
    /// Seeded by the operating system.
    pub(super) fn new(chance: f32) -> Self {
        Self { chance, state: AtomicU64::new(RandomState::new().hash_one(0)) }
    }

    /// Begins the sequence of streams that belongs to `seed`.
    pub(super) fn seed(&self, seed: u64) {
        self.state.store(seed, Ordering::Relaxed);
    }

    /// Merges symbols, calling `emit` with every final token and the number of symbols it covers.
    ///
    /// As in the reference, a merge that was passed over is tried again as soon as another one has happened.
    pub(super) fn merge(&self, pairs: &PairTable, mut tokens: Vec<TokenId>, mut emit: impl FnMut(TokenId, usize)) {
        let mut random = SplitMix(mix(self.state.fetch_add(GOLDEN, Ordering::Relaxed)));
        let n = tokens.len();
        let mut before: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
        let mut after: Vec<usize> = (1..=n).collect();
        let entry = |rank: u32, at: usize| Reverse((rank, at));
        let mut heap: BinaryHeap<Reverse<(u32, usize)>> = (1..n)
            .map(|i| entry(pairs.rank(tokens[i - 1], tokens[i]), i - 1))
            .filter(|&Reverse((rank, _))| rank != NONE)
            .collect();
        let mut passed = Vec::new();
        while let Some(top) = heap.pop() {
            if random.unit() < self.chance {
                passed.push(top);
                continue;
            }
            heap.extend(passed.drain(..));
            let Reverse((rank, at)) = top;
            let gone = after[at];
            if tokens[at] == NONE || gone >= n || pairs.rank(tokens[at], tokens[gone]) != rank {
                continue;
            }
            let next = after[gone];
            tokens[at] = pairs.result(rank);
            tokens[gone] = NONE;
            after[at] = next;
            let mut push = |left: usize, right: usize| {
                let rank = pairs.rank(tokens[left], tokens[right]);
                if rank != NONE {
                    heap.push(entry(rank, left));
                }
            };
            if let Some(left) = before.get(at).copied().filter(|&left| left < n) {
                push(left, at);
            }
            if next < n {
                push(at, next);
                before[next] = at;
            }
        }
        let mut at = 0;
        while at < n {
            emit(tokens[at], after[at] - at);
            at = after[at];
        }
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The generator of Steele, Lea and Flood: small, seedable by any number, good enough to toss coins.
struct SplitMix(u64);

impl SplitMix {
    /// From 0 to just below 1, in steps of 2^-24 as the reference's generator gives them.
    fn unit(&mut self) -> f32 {
        const STEP: f32 = 1.0 / 16_777_216.0;

        self.0 = self.0.wrapping_add(GOLDEN);
        // 24 bits fit a mantissa.
        #[expect(clippy::cast_precision_loss)]
        let steps = (mix(self.0) >> 40) as f32;
        steps * STEP
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
