//! The exponential race of a draw, as far as the upper bits of its uniforms decide it.

use super::lanes::Lanes;
use crate::kernels::mersenne::temper;

/// Below one by more than the roundings of a draw, so that a bound from it is a bound.
const RACE_SLACK: f32 = 0.999_999;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn race_with<L: Lanes>(
    words: &[u32],
    p: &[f32],
    mut best: f32,
    candidate: &mut dyn FnMut(usize) -> f32,
) -> f32 {
    // SAFETY: the caller's duty.
    unsafe {
        let unit = RACE_SLACK / (1u32 << 21) as f32;
        let (groups, tail) = words.as_chunks::<32>();
        let mut pair = 0;
        for group in groups {
            let (values, _) = p[pair..pair + 16].as_chunks::<16>();
            let values = L::load(&values[0]);
            // A row starts with the best at -1: everything with a probability may win.
            let mut mask = L::may_win(group, values, L::splat(unit * best.max(0.0)));
            while mask != 0 {
                best = candidate(pair + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
            pair += 16;
        }
        for words in tail.as_chunks::<2>().0 {
            if p[pair] > 0.0 && p[pair] >= (temper(words[0]) & 0x1f_ffff) as f32 * (unit * best.max(0.0)) {
                best = candidate(pair);
            }
            pair += 1;
        }
        best
    }
}
