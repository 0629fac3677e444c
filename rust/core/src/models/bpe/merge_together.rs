//! Merging several pieces side by side: while one waits for memory, the others go on.
//!
//! The merges of one piece are a chain: which pair is next depends on what the last look-up said, and in a large vocabulary
//! nearly every look-up comes from memory. So the pieces take turns. In its turn a piece merges its best pair and asks for
//! the cache lines of the two new pairs; when all have done so, each reads what it asked for. Nothing on the way branches
//! on a value that may still be on its way.

use std::hint::select_unpredictable;

use super::{
    merge::Merger,
    pairs::{Asked, NONE},
};
use crate::{TokenId, kernels::Work};

/// Pieces in turn: enough to hide one wait for memory behind the turns of the others.
const LANES: usize = 8;
/// Positions in a piece. The last stands for those before its beginning and behind its end.
const POSITIONS: usize = 64;
const OUTSIDE: usize = POSITIONS - 1;
/// The longest piece that is merged side by side with others.
pub(super) const LONGEST: usize = OUTSIDE;
/// Queues are searched so many numbers at a time.
const CHUNK: usize = 16;

/// Merges pieces of up to [`LONGEST`] bytes, in any order; `done` gets the number of each with its tokens.
pub(super) struct Together<'m, 'p, F> {
    pub(super) merger: &'m Merger,
    pub(super) pieces: &'p [&'p [u8]],
    pub(super) done: F,
}

impl<F: FnMut(usize, &[TokenId])> Work for Together<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { merger, pieces, mut done } = self;
        let mut lanes = [Lane::EMPTY; LANES];
        let mut asked = [[Asked::NOTHING; 2]; LANES];
        // The lanes that run come first.
        let mut order: [u8; LANES] = std::array::from_fn(|i| i as u8);
        let mut running = 0;
        let mut next = 0;
        while running < LANES && next < pieces.len() {
            lanes[running].begin(merger, next, pieces[next]);
            (running, next) = (running + 1, next + 1);
        }
        while running > 0 {
            let mut i = 0;
            while i < running {
                let at = usize::from(order[i]) % LANES;
                let lane = &mut lanes[at];
                if let Some(pairs) = lane.merge(merger) {
                    asked[at] = pairs;
                    i += 1;
                    continue;
                }
                lane.finish(&mut done);
                if next < pieces.len() {
                    lane.begin(merger, next, pieces[next]);
                    next += 1;
                } else {
                    running -= 1;
                    order.swap(i, running);
                }
            }
            for &at in &order[..running] {
                let at = usize::from(at) % LANES;
                let lane = &mut lanes[at];
                lane.settle(merger, &asked[at]);
            }
        }
    }
}

/// A piece on its way. As in [`Merger::merge`], each position holds `rank << 6 | position` of the pair that starts there, so
/// that a plain minimum finds the lowest rank and, among equals, the leftmost.
#[derive(Clone, Copy)]
struct Lane {
    queue: [u32; POSITIONS],
    tokens: [TokenId; POSITIONS],
    /// Positions of the neighbours that are still there.
    before: [u8; POSITIONS],
    after: [u8; POSITIONS],
    len: u8,
    piece: u32,
    /// Where the last merge was, and the neighbour on its left.
    at: u8,
    left: u8,
}

impl Lane {
    const EMPTY: Self = Self {
        queue: [0; POSITIONS],
        tokens: [0; POSITIONS],
        before: [OUTSIDE as u8; POSITIONS],
        after: [0; POSITIONS],
        len: 0,
        piece: 0,
        at: 0,
        left: 0,
    };

    #[inline(always)]
    fn begin(&mut self, merger: &Merger, number: usize, piece: &[u8]) {
        (self.piece, self.len) = (number as u32, piece.len() as u8);
        for chunk in self.queue.chunks_exact_mut(CHUNK).take(piece.len().div_ceil(CHUNK)) {
            chunk.fill(NONE);
        }
        for (i, &byte) in piece.iter().enumerate().take(LONGEST) {
            self.tokens[i] = merger.byte_id(byte);
            (self.before[i], self.after[i]) = (i.wrapping_sub(1) as u8, i as u8 + 1);
        }
        for (i, pair) in piece.windows(2).enumerate().take(LONGEST) {
            let rank = merger.byte_rank(pair[0], pair[1]);
            self.queue[i] = entry(rank, i);
            merger.pairs.prefetch_result(rank);
        }
    }

    #[inline(always)]
    fn least(&self) -> u32 {
        let mut least = NONE;
        for chunk in self.queue.chunks_exact(CHUNK).take(usize::from(self.len).div_ceil(CHUNK)) {
            least = chunk.iter().fold(least, |least, &entry| least.min(entry));
        }
        least
    }

    /// Merges the best pair and asks for what its two neighbours and it make; nothing if no pair merges.
    #[inline(always)]
    fn merge(&mut self, merger: &Merger) -> Option<[Asked; 2]> {
        let best = self.least();
        if best == NONE {
            return None;
        }
        let at = best as usize % POSITIONS;
        let token = merger.pairs.result(best / POSITIONS as u32);
        let gone = usize::from(self.after[at]) % POSITIONS;
        let next = usize::from(self.after[gone]) % POSITIONS;
        let left = usize::from(self.before[at]) % POSITIONS;
        self.tokens[at] = token;
        self.after[at] = next as u8;
        self.before[next] = at as u8;
        self.queue[gone] = NONE;
        (self.at, self.left) = (at as u8, left as u8);
        Some([merger.pairs.ask(token, self.tokens[next]), merger.pairs.ask(self.tokens[left], token)])
    }

    /// Takes in what [`Self::merge`] asked for.
    #[inline(always)]
    fn settle(&mut self, merger: &Merger, asked: &[Asked; 2]) {
        let (at, left) = (usize::from(self.at) % POSITIONS, usize::from(self.left) % POSITIONS);
        let right_rank = merger.pairs.answer(&asked[0]);
        let left_rank = merger.pairs.answer(&asked[1]);
        let right_rank = if self.after[at] < self.len { right_rank } else { NONE };
        let left_rank = if left < usize::from(self.len) { left_rank } else { NONE };
        self.queue[at] = entry(right_rank, at);
        self.queue[left] = entry(left_rank, left);
        merger.pairs.prefetch_result(right_rank);
        merger.pairs.prefetch_result(left_rank);
    }

    #[inline(always)]
    fn finish(&mut self, done: &mut impl FnMut(usize, &[TokenId])) {
        // Tokens move to the front, in place: none moves to the right.
        let (mut at, mut count) = (0, 0);
        while at < usize::from(self.len) {
            self.tokens[count % POSITIONS] = self.tokens[at % POSITIONS];
            at = usize::from(self.after[at % POSITIONS]);
            count += 1;
        }
        done(self.piece as usize, &self.tokens[..count.min(POSITIONS)]);
    }
}

#[inline(always)]
fn entry(rank: u32, at: usize) -> u32 {
    select_unpredictable(rank == NONE, NONE, rank.wrapping_mul(POSITIONS as u32) | at as u32)
}
