//! What a filter takes out of a row, and what lies at its border.

use super::CHUNK;
use super::lanes::{Lanes, load_chunk, padded, push_ids};
use super::softmax::{SumLanes, Sums, TermSum};

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn zone_with<L: Lanes>(terms: &[f32], from: f32, to: f32, out: &mut Vec<u32>) -> f64 {
    // SAFETY: the caller's duty.
    unsafe {
        out.clear();
        let [from, to] = [L::splat(from), L::splat(to)];
        let mut below = [0.0; 8];
        let (chunks, tail) = terms.as_chunks::<CHUNK>();
        let mut id = 0;
        for chunk in chunks {
            let (mut low, mut masks) = ([L::splat(0.0); 4], [0; 4]);
            for ((low, mask), term) in low.iter_mut().zip(&mut masks).zip(load_chunk::<L>(chunk)) {
                *low = term.keep(term.less(from));
                *mask = term.at_least(from) & term.less(to);
            }
            L::push_ids(masks, id, out);
            id += CHUNK as u32;
            let [a, b, c, d] = low;
            a.add(b).add(c.add(d)).add_to(&mut below);
        }
        for part in tail.chunks(16) {
            // A padded lane counts as nothing below.
            let term = L::load(&padded(part, 0.0));
            term.keep(term.less(from)).add_to(&mut below);
            push_ids(term.at_least(from) & term.less(to) & (u16::MAX >> (16 - part.len())), id, out);
            id += 16;
        }
        below.iter().sum()
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn cut_terms_with<L: Lanes>(terms: &mut [f32], bound: f32, lanes: SumLanes) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        match lanes {
            SumLanes::Sixteen => cut::<L, true>(terms, bound),
            SumLanes::Eight => cut::<L, false>(terms, bound),
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn cut<L: Lanes, const SIXTEEN: bool>(terms: &mut [f32], bound: f32) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        let bound = L::splat(bound);
        let mut sums = Sums::<L, SIXTEEN>::new();
        let (chunks, tail) = terms.as_chunks_mut::<CHUNK>();
        for chunk in chunks {
            let mut kept = [L::splat(0.0); 4];
            for (kept, quarter) in kept.iter_mut().zip(chunk.as_chunks_mut::<16>().0) {
                let term = L::load(quarter);
                *kept = term.keep(term.at_least(bound));
                kept.store(quarter);
            }
            sums.add(kept);
        }
        for part in tail.chunks_mut(16) {
            let term = L::load(&padded(part, 0.0));
            sums.add_last(term.keep(term.at_least(bound)), part);
        }
        sums.finish(terms)
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn divide_above_with<L: Lanes>(
    from: &[f32],
    keys: &[f32],
    bound: f32,
    temperature: f32,
    out: &mut [f32],
) {
    // SAFETY: the caller's duty.
    unsafe {
        let temperatures = L::splat(temperature);
        let (rows, row_tail) = from.as_chunks::<16>();
        let (outs, out_tail) = out.as_chunks_mut::<16>();
        for ((x, out), keys) in rows.iter().zip(outs).zip(keys.as_chunks::<16>().0) {
            L::load(x).div(temperatures).store(out);
            for (out, key) in out.iter_mut().zip(keys) {
                *out = if *key < bound { f32::NEG_INFINITY } else { *out };
            }
        }
        let keys = &keys[from.len() - row_tail.len()..];
        for ((x, out), key) in row_tail.iter().zip(out_tail).zip(keys) {
            *out = if *key < bound { f32::NEG_INFINITY } else { x / temperature };
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn divide_within_with<L: Lanes>(
    from: &[f32],
    low: f32,
    high: f32,
    temperature: f32,
    out: &mut [f32],
) {
    // SAFETY: the caller's duty.
    unsafe {
        let [lows, highs, temperatures] = [L::splat(low), L::splat(high), L::splat(temperature)];
        let nothing = L::splat(f32::NEG_INFINITY);
        let (rows, row_tail) = from.as_chunks::<16>();
        let (outs, out_tail) = out.as_chunks_mut::<16>();
        for (x, out) in rows.iter().zip(outs) {
            let x = L::load(x);
            let kept = x.at_least(lows) & highs.at_least(x);
            nothing.blend(kept, x.div(temperatures)).store(out);
        }
        for (&x, out) in row_tail.iter().zip(out_tail) {
            *out = if x >= low && x <= high { x / temperature } else { f32::NEG_INFINITY };
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn around_with<L: Lanes>(
    row: &[f32],
    terms: &[f32],
    bounds: [f32; 4],
    out: &mut Vec<u32>,
) -> f64 {
    // SAFETY: the caller's duty.
    unsafe {
        out.clear();
        let [a, b, c, d] = [L::splat(bounds[0]), L::splat(bounds[1]), L::splat(bounds[2]), L::splat(bounds[3])];
        let mut sums = [0.0; 8];
        let (rows, row_tail) = row.as_chunks::<16>();
        let (groups, tail) = terms.as_chunks::<16>();
        let mut id = 0;
        for (x, term) in rows.iter().zip(groups) {
            let x = L::load(x);
            L::load(term).keep(x.at_least(b) & x.less(c)).add_to(&mut sums);
            push_ids(x.at_least(a) & x.less(b) | x.at_least(c) & x.less(d), id, out);
            id += 16;
        }
        if !tail.is_empty() {
            let x = L::load(&padded(row_tail, f32::NAN));
            L::load(&padded(tail, 0.0)).keep(x.at_least(b) & x.less(c)).add_to(&mut sums);
            push_ids(x.at_least(a) & x.less(b) | x.at_least(c) & x.less(d), id, out);
        }
        sums.iter().sum()
    }
}
