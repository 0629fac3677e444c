//! Penalties for the tokens of a context, while a row is read.

use std::ops::Range;

use super::CHUNK;
use super::changes::Changes;
use super::lanes::{Lanes, padded};
use super::maxima::{Extent, largest_of, maxima_with, maximum_of};

/// What becomes of a value that a penalty meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Below zero it is multiplied, else divided.
    Scaled(f32),
    /// The first is subtracted for each occurrence of the token, then the second once.
    Lowered(f32, f32),
}

impl Rule {
    /// The value that `x` becomes if its token occurred `count` times.
    #[inline(always)]
    pub fn of(self, x: f32, count: f32) -> f32 {
        match self {
            Self::Scaled(penalty) => {
                if x < 0.0 {
                    x * penalty
                } else {
                    x / penalty
                }
            }
            Self::Lowered(each, once) => x - each * count - once,
        }
    }

    /// Whether no number, infinite ones included, becomes NaN.
    pub fn is_tame(self) -> bool {
        match self {
            Self::Scaled(penalty) => penalty.is_finite() && penalty > 0.0,
            // Counts do not grow beyond 2^24, where adding one changes nothing.
            Self::Lowered(each, once) => (each * 16_777_216.0).is_finite() && once.is_finite(),
        }
    }

    /// Whether a value may become larger.
    pub fn may_raise(self) -> bool {
        match self {
            Self::Scaled(penalty) => penalty < 1.0,
            Self::Lowered(each, once) => each < 0.0 || once < 0.0,
        }
    }
}

/// The distinct tokens of a context.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'l> {
    /// The tokens, ascending.
    pub tokens: &'l [u32],
    /// How often each of them occurs.
    pub counts: &'l [f32],
    /// A bit for each token, a word for each chunk of a row.
    pub words: &'l [u64],
    /// Number of the tokens before each chunk.
    pub starts: &'l [u32],
}

impl Listed<'_> {
    /// Where the tokens of `from..to` stand, which are multiples of a chunk.
    #[inline(always)]
    pub fn slots(&self, from: usize, to: usize) -> Range<usize> {
        let before = |id: usize| self.starts.get(id / CHUNK).map_or(self.tokens.len(), |&start| start as usize);
        before(from)..before(to)
    }
}

/// The values of listed tokens without and with what penalties make of them.
#[derive(Debug)]
pub struct Penalized<'p> {
    /// A place for each token.
    pub before: &'p mut [f32],
    /// The same, and [`BEHIND`](super::BEHIND) more.
    pub after: &'p mut [f32],
    /// A buffer: tokens whose chunk may have another maximum.
    pub moved: &'p mut Vec<u32>,
}

/// Values of a row that are penalized while they are in the nearest cache.
pub(in crate::kernels) const PENALIZED: usize = CHUNK * CHUNK;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn penalize_with<L: Lanes>(
    row: &[f32],
    listed: Listed<'_>,
    rules: &[Rule],
    maxima: &mut [f32],
    mut values: Penalized<'_>,
) -> (f32, Extent) {
    let mut extent = Extent { max: f32::NEG_INFINITY, nan: false };
    for (i, (logits, maxima)) in row.chunks(PENALIZED).zip(maxima.chunks_mut(CHUNK)).enumerate() {
        let slots = listed.slots(i * PENALIZED, (i + 1) * PENALIZED);
        values.moved.clear();
        // SAFETY: the caller's duty.
        unsafe {
            let Extent { max, nan } = maxima_with::<L>(logits, maxima);
            extent = Extent { max: extent.max.max(max), nan: extent.nan || nan };
            if let (Some(block), Some(maxima)) = (logits.first_chunk(), maxima.first_chunk()) {
                penalize_block::<L>(block, maxima, listed, slots, rules, &mut values);
            } else {
                let (mut block, mut block_maxima) = ([0.0; PENALIZED], [0.0; CHUNK]);
                block[..logits.len()].copy_from_slice(logits);
                block_maxima[..maxima.len()].copy_from_slice(maxima);
                penalize_block::<L>(&block, &block_maxima, listed, slots, rules, &mut values);
            }
            let Listed { words, starts, .. } = listed;
            let changes = Changes { listed: words, starts, values: values.after, ..Changes::default() };
            let mut last = usize::MAX;
            for chunk in values.moved.iter().map(|&token| token as usize / CHUNK) {
                if chunk != last {
                    maxima[chunk % CHUNK] = maximum_of::<L>(row, changes, chunk);
                    last = chunk;
                }
            }
        }
    }
    (extent.max, Extent { max: largest_of(maxima), ..extent })
}

/// Sixteen tokens at a time: what a register holds behind those of the block is left to the next one. Tokens whose chunk may
/// have another maximum now are added to a list.
///
/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn penalize_block<L: Lanes>(
    block: &[f32; PENALIZED],
    maxima: &[f32; CHUNK],
    Listed { tokens, counts, .. }: Listed<'_>,
    slots: Range<usize>,
    rules: &[Rule],
    Penalized { before, after, moved }: &mut Penalized<'_>,
) {
    for at in slots.clone().step_by(16) {
        let after = after[at..].first_chunk_mut().expect("more stands behind the values");
        let left = u16::MAX >> (16 - (slots.end - at).min(16));
        let whole = (tokens[at..].first_chunk(), counts[at..].first_chunk(), before[at..].first_chunk_mut());
        // SAFETY: the caller's duty.
        unsafe {
            let (tokens, counts, x) = if let (Some(tokens), Some(counts), Some(before)) = whole {
                let x = L::of_block(tokens, block);
                x.store(before);
                (*tokens, L::load(counts), x)
            } else {
                // The last ones of the row.
                let (mut group, mut values) = ([0; 16], [0.0; 16]);
                group[..tokens.len() - at].copy_from_slice(&tokens[at..]);
                let x = L::of_block(&group, block);
                x.store(&mut values);
                before[at..].copy_from_slice(&values[..tokens.len() - at]);
                (group, L::load(&padded(&counts[at..], 0.0)), x)
            };
            let mut y = x;
            for rule in rules {
                y = match *rule {
                    Rule::Scaled(penalty) => {
                        let [zero, penalty] = [L::splat(0.0), L::splat(penalty)];
                        y.div(penalty).blend(y.less(zero), y.mul(penalty))
                    }
                    Rule::Lowered(each, once) => y.sub(counts.mul(L::splat(each))).sub(L::splat(once)),
                };
            }
            y.store(after);
            let max = L::of_chunks(&tokens, maxima);
            L::push_some(&tokens, (x.at_least(max) | max.less(y)) & left, moved);
        }
    }
}
