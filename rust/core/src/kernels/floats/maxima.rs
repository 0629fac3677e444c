//! The largest values of a row, of its chunks, and what lies above a bound.

use super::CHUNK;
use super::changes::Changes;
use super::lanes::{Lanes, largest, load_chunk, padded, push_ids};

/// The largest value, and whether the row holds a NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Largest value; meaningless if there is a NaN.
    pub max: f32,
    /// Whether a value is NaN.
    pub nan: bool,
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn maxima_with<L: Lanes>(row: &[f32], out: &mut [f32]) -> Extent {
    // SAFETY of all blocks here: the caller's duty.
    unsafe {
        let mut all = L::splat(f32::NEG_INFINITY);
        let mut nan = 0;
        let mut lanes = [0.0; 16];
        let (chunks, tail) = row.as_chunks::<CHUNK>();
        for (chunk, out) in chunks.iter().zip(&mut *out) {
            let [a, b, c, d] = load_chunk::<L>(chunk);
            nan |= a.unordered(b) | c.unordered(d);
            let top = a.max(b).max(c.max(d));
            all = all.max(top);
            top.store(&mut lanes);
            *out = largest(&lanes);
        }
        let mut max = f32::NEG_INFINITY;
        if !tail.is_empty() {
            for &value in tail {
                nan |= u16::from(value.is_nan());
                max = if value > max { value } else { max };
            }
            out[chunks.len()] = max;
        }
        all.store(&mut lanes);
        Extent { max: max.max(largest(&lanes)), nan: nan != 0 }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn renew_maxima_with<L: Lanes>(
    row: &[f32],
    changes: Changes<'_>,
    chunks: &[u32],
    out: &mut [f32],
) {
    // SAFETY: the caller's duty.
    unsafe {
        for &chunk in chunks {
            out[chunk as usize] = maximum_of::<L>(row, changes, chunk as usize);
        }
    }
}

/// The maximum of a chunk with its changes.
///
/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn maximum_of<L: Lanes>(row: &[f32], changes: Changes<'_>, chunk: usize) -> f32 {
    let from = chunk * CHUNK;
    // SAFETY: the caller's duty.
    unsafe {
        // The largest so far comes second: a NaN is not the maximum of its chunk.
        let mut top = L::splat(f32::NEG_INFINITY);
        if let Some(own) = row[from..].first_chunk::<CHUNK>() {
            for values in changes.apply_to_chunk(load_chunk::<L>(own), chunk) {
                top = values.max(top);
            }
        } else {
            for (i, own) in row[from..].chunks(16).enumerate() {
                let values = changes.apply(L::load(&padded(own, f32::NEG_INFINITY)), from + 16 * i, own.len());
                let kept = L::splat(f32::NEG_INFINITY).blend(u16::MAX >> (16 - own.len()), values);
                top = kept.max(top);
            }
        }
        let mut lanes = [0.0; 16];
        top.store(&mut lanes);
        largest(&lanes)
    }
}

/// Values among which a new maximum is looked for at once.
const BLOCK: usize = 256;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn argmax_with<L: Lanes>(row: &[f32]) -> (usize, Extent) {
    // SAFETY: the caller's duty.
    unsafe {
        let (mut max, mut from, mut nan) = (f32::NEG_INFINITY, 0, 0);
        let mut best = L::splat(max);
        let (blocks, tail) = row.as_chunks::<BLOCK>();
        for (i, block) in blocks.iter().enumerate() {
            let mut tops = [L::splat(f32::NEG_INFINITY); 4];
            for quads in block.as_chunks::<CHUNK>().0 {
                let [a, b, c, d] = load_chunk::<L>(quads);
                nan |= a.unordered(b) | c.unordered(d);
                tops = [tops[0].max(a), tops[1].max(b), tops[2].max(c), tops[3].max(d)];
            }
            let top = tops[0].max(tops[1]).max(tops[2].max(tops[3]));
            // A later block has to be larger, so the first of equal values stays.
            if best.less(top) != 0 {
                let mut lanes = [0.0; 16];
                top.store(&mut lanes);
                (max, from) = (largest(&lanes), i * BLOCK);
                best = L::splat(max);
            }
        }
        for (i, &value) in tail.iter().enumerate() {
            nan |= u16::from(value.is_nan());
            if value > max {
                (max, from) = (value, row.len() - tail.len() + i);
            }
        }
        let at = row[from..].iter().position(|&value| value >= max).unwrap_or_default();
        (from + at, Extent { max, nan: nan != 0 })
    }
}

/// The largest of a few values without NaN.
pub fn largest_of(values: &[f32]) -> f32 {
    let (groups, tail) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    tail.iter().fold(largest(&lanes), |max, &value| if value > max { value } else { max })
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn scan<L: Lanes>(row: &[f32], changes: Changes<'_>, chunk: usize, bounds: L, out: &mut Vec<u32>) {
    // SAFETY: the caller's duty.
    unsafe {
        let from = chunk * CHUNK;
        if let Some(own) = row[from..].first_chunk::<CHUNK>() {
            let [a, b, c, d] = changes.apply_to_chunk(load_chunk::<L>(own), chunk);
            let masks = [a.at_least(bounds), b.at_least(bounds), c.at_least(bounds), d.at_least(bounds)];
            return L::push_ids(masks, from as u32, out);
        }
        for (i, values) in row[from..].chunks(16).enumerate() {
            let at = from + 16 * i;
            let x = changes.apply(L::load(&padded(values, f32::NEG_INFINITY)), at, values.len());
            // A padded lane equals the bound when that is negative infinity.
            push_ids(x.at_least(bounds) & (u16::MAX >> (16 - values.len())), at as u32, out);
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn positions_with<L: Lanes>(
    row: &[f32],
    changes: Changes<'_>,
    maxima: &[f32],
    bound: f32,
    limit: usize,
    out: &mut Vec<u32>,
) {
    // SAFETY: the caller's duty.
    unsafe {
        let bounds = L::splat(bound);
        let (groups, tail) = maxima.as_chunks::<16>();
        for (g, group) in groups.iter().enumerate() {
            let mut mask = L::load(group).at_least(bounds);
            while mask != 0 {
                scan::<L>(row, changes, 16 * g + mask.trailing_zeros() as usize, bounds, out);
                mask &= mask - 1;
            }
            if out.len() > limit {
                return;
            }
        }
        for (i, &max) in tail.iter().enumerate() {
            if max >= bound {
                scan::<L>(row, changes, 16 * groups.len() + i, bounds, out);
            }
        }
    }
}
