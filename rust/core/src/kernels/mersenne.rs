//! The Mersenne Twister's state, block by block.

use super::{Isa, Work, specialize};

/// Words of the state.
pub const WORDS: usize = 624;
pub(super) const SHIFT: usize = 397;

/// Replaces the state by the next block of words, before tempering.
pub fn next_block(isa: Isa, state: &mut [u32; WORDS]) {
    match isa {
        // SAFETY: `isa()` and the tests hand out a set only after `is_available` said yes.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { super::mersenne_x86_64::next_block(state) },
        _ => specialize(isa, Step(state)),
    }
}

struct Step<'s>(&'s mut [u32; WORDS]);

impl Work for Step<'_> {
    type Output = ();

    /// A word depends on words 1, 397 and (once those are replaced) -227 away, so each loop may run in vectors.
    #[inline(always)]
    fn run(self) {
        let Self(state) = self;
        for i in 0..WORDS - SHIFT {
            state[i] = twist_one(state[i], state[i + 1], state[i + SHIFT]);
        }
        for i in WORDS - SHIFT..WORDS - 1 {
            state[i] = twist_one(state[i], state[i + 1], state[i + SHIFT - WORDS]);
        }
        state[WORDS - 1] = twist_one(state[WORDS - 1], state[0], state[SHIFT - 1]);
    }
}

/// One word of the next block.
#[inline(always)]
pub(super) fn twist_one(high: u32, low: u32, far: u32) -> u32 {
    let y = (high & 0x8000_0000) | (low & 0x7fff_ffff);
    far ^ (y >> 1) ^ ((y & 1).wrapping_neg() & 0x9908_b0df)
}

/// The output word of the Mersenne Twister for a state word.
#[inline(always)]
pub fn temper(word: u32) -> u32 {
    let mut y = word;
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}
