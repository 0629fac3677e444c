//! Two streams of random numbers: torch's own, and one keyed by seed, step and token.

pub mod row_seeds;
pub mod torch;

/// `-ln(1 - u)` is the waiting time of a token; the token with the largest `p / waiting time` is drawn.
pub(crate) const TWO_POW_MINUS_53: f64 = 1.0 / (1u64 << 53) as f64;
