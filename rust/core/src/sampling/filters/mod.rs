//! Filters: each keeps a part of the distribution, on a row or on a list.
//!
//! Where torch's own rounding decides (a sum of a whole row that torch adds up in sorted order, an entropy), a bound on
//! it leaves a few tokens *open*: they stay in the draw, and only if one of them wins is torch asked.

mod cutoff;
mod min_p;
mod top_h;
mod top_k;
mod top_p;
mod typical;

use super::candidates::Candidates;

/// One filter with its options, in the form of its transformers processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    /// Divides the logits.
    Temperature(f32),
    /// Keeps the `k` largest and their ties.
    TopK(usize),
    /// Keeps the smallest set of the likeliest tokens with this mass.
    TopP {
        /// The mass.
        p: f64,
        /// Tokens kept in any case.
        min_keep: usize,
    },
    /// Keeps tokens with at least this share of the largest probability.
    MinP {
        /// The share.
        p: f32,
        /// Tokens kept in any case.
        min_keep: usize,
    },
    /// Keeps the tokens whose surprise is nearest to the entropy.
    Typical {
        /// Their mass.
        mass: f64,
        /// Tokens kept in any case.
        min_keep: usize,
    },
    /// Keeps tokens of at least this probability.
    Epsilon {
        /// The probability.
        epsilon: f32,
        /// Tokens kept in any case.
        min_keep: usize,
    },
    /// The same with a bound that falls with the entropy.
    Eta {
        /// The largest bound.
        epsilon: f32,
        /// Tokens kept in any case.
        min_keep: usize,
    },
    /// Keeps the likeliest of the first hundred tokens within this share of their entropy.
    TopH(f64),
    /// Turns the values into log-probabilities.
    Normalize,
}

impl Filter {
    /// Applies the filter.
    pub fn apply(self, row: &mut Candidates<'_>) {
        match self {
            Self::Temperature(temperature) => row.divide(temperature),
            Self::TopK(k) => top_k::apply(row, k),
            Self::TopP { p, min_keep } => top_p::apply(row, p, min_keep),
            Self::MinP { p, min_keep } => min_p::apply(row, p, min_keep),
            Self::Typical { mass, min_keep } => typical::apply(row, mass, min_keep),
            Self::Epsilon { epsilon, min_keep } => cutoff::epsilon(row, epsilon, min_keep),
            Self::Eta { epsilon, min_keep } => cutoff::eta(row, epsilon, min_keep),
            Self::TopH(share) => top_h::apply(row, share),
            Self::Normalize => normalize(row),
        }
    }
}

/// `y - max - ln(sum)`, rounded after each step as torch's `log_softmax` does.
fn normalize(row: &mut Candidates<'_>) {
    row.uncertain |= row.has_open();
    let max = row.max();
    let sum = super::softmax::log_f32(row.terms().torch);
    if row.is_list() {
        row.scratch.ys.iter_mut().for_each(|y| *y = *y - max - sum);
    } else {
        row.edit().iter_mut().for_each(|y| *y = *y - max - sum);
    }
}

/// The `k`-th largest of `values`; `k` from 1.
pub(super) fn kth_largest(values: &[f32], k: usize, buffer: &mut Vec<f32>) -> f32 {
    buffer.clear();
    buffer.extend_from_slice(values);
    *buffer.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}
