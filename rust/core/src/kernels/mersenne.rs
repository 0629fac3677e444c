//! The Mersenne Twister's state, block by block.

use super::{Isa, specialize};

/// Words of the state.
pub const WORDS: usize = 624;
const SHIFT: usize = 397;

/// Replaces the state by the next block of words, before tempering.
pub fn next_block(isa: Isa, state: &mut [u32; WORDS]) {
    specialize(isa, || step(state));
}

/// A word depends on words 1, 397 and (once those are replaced) -227 away, so each loop may run in vectors.
#[inline(always)]
fn step(state: &mut [u32; WORDS]) {
    let twist = |high: u32, low: u32, far: u32| {
        let y = (high & 0x8000_0000) | (low & 0x7fff_ffff);
        far ^ (y >> 1) ^ ((y & 1).wrapping_neg() & 0x9908_b0df)
    };
    for i in 0..WORDS - SHIFT {
        state[i] = twist(state[i], state[i + 1], state[i + SHIFT]);
    }
    for i in WORDS - SHIFT..WORDS - 1 {
        state[i] = twist(state[i], state[i + 1], state[i + SHIFT - WORDS]);
    }
    state[WORDS - 1] = twist(state[WORDS - 1], state[0], state[SHIFT - 1]);
}
