//! A stream keyed by seed, step and token: a row's draw does not depend on its batch, on threads or on the machine.
//!
//! The key of a row is a hash of its seed and the step. Each token hashes its id with the key, takes a uniform in the
//! open interval from the upper 52 bits, and waits `-ln(u)`; the token with the largest weight per waiting time wins.
//! The logarithm below uses nothing but IEEE operations, so that every machine draws the same tokens.

use crate::sampling::softmax::ln;

/// A row at one step.
#[derive(Clone, Copy, Debug)]
pub struct RowStream {
    key: u64,
}

impl RowStream {
    /// The stream of the row with this seed, at this step.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { key: mix(mix(seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(step.wrapping_mul(0xd1b5_4a32_d192_ed03))) }
    }

    /// The uniform of a token, in the open interval (0, 1).
    #[inline]
    pub fn uniform(self, token: u32) -> f64 {
        let bits = mix(self.key ^ (u64::from(token) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 12;
        (bits as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Draws from tokens and their weights, which need not add up to one. Returns an index into both.
    ///
    /// The waiting time is at least `1 - u`, so most tokens need no logarithm.
    pub fn draw(self, tokens: impl Iterator<Item = u32>, weights: &[f32]) -> usize {
        let (mut best, mut winner) = (-1.0f64, 0);
        for (i, (token, &weight)) in tokens.zip(weights).enumerate() {
            if weight <= 0.0 {
                continue;
            }
            let weight = f64::from(weight);
            let uniform = self.uniform(token);
            if weight < best * (1.0 - uniform) {
                continue;
            }
            let speed = weight / -ln(uniform);
            if speed > best {
                (best, winner) = (speed, i);
            }
        }
        winner
    }
}

/// The finalizer of `SplitMix64`: every bit of the result depends on every bit of the input.
#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
