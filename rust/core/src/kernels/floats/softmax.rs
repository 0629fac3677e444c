//! The terms of a softmax and their sums, in the order of torch's.

use super::CHUNK;
use super::changes::Changes;
use super::lanes::{Lanes, load_chunk, padded};
use super::penalties::Listed;

/// Sums of the terms of a softmax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermSum {
    /// In the order of torch's softmax.
    pub torch: f32,
    /// In double precision, from sums of four terms.
    pub wide: f64,
}

/// How torch was compiled for this machine: the lanes that its sums run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SumLanes {
    /// Eight: torch's AVX2 capability.
    Eight,
    /// Sixteen: torch's AVX-512 capability.
    #[default]
    Sixteen,
}

impl SumLanes {
    /// The number.
    pub fn count(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    /// The sum of the lanes: halves onto halves.
    pub fn fold(self, lanes: &[f32; 16]) -> f32 {
        let mut sums = *lanes;
        let mut half = self.count() / 2;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        sums[0]
    }
}

/// How a row becomes the terms of a softmax.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What values are divided by.
    pub temperature: f32,
    /// The largest value after that.
    pub max: f32,
    /// Order of torch's sum.
    pub lanes: SumLanes,
}

/// The exponential of torch's vectorised loops (that of the SLEEF library with an error of one unit): `x = q ln 2 + s`
/// with the logarithm in two parts, a polynomial of degree five in `s`, and a power of two in two factors.
///
/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn exp_with<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's duty.
    unsafe {
        let q = x.mul(L::splat(std::f32::consts::LOG2_E)).round();
        let s = q.mul_add(L::splat(-0.693_145_75), x);
        let s = q.mul_add(L::splat(-1.428_606_8e-6), s);
        let mut u = L::splat(0.000_198_527_62);
        for coefficient in [0.001_393_043_6, 0.008_333_361, 0.041_666_485, 0.166_666_67, 0.5] {
            u = u.mul_add(s, L::splat(coefficient));
        }
        let u = L::splat(1.0).add(s.mul(s).mul_add(u, s));
        u.scale(q, x.less(L::splat(-104.0)))
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn exp_terms_with<L: Lanes>(
    row: &[f32],
    changes: Changes<'_>,
    how: Terms,
    out: &mut [f32],
) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        match (how.lanes, how.temperature.to_bits() == 1f32.to_bits(), changes.is_empty()) {
            (SumLanes::Sixteen, false, true) => terms::<L, true, true, false>(row, changes, how, out),
            (SumLanes::Sixteen, true, true) => terms::<L, true, false, false>(row, changes, how, out),
            (SumLanes::Eight, false, true) => terms::<L, false, true, false>(row, changes, how, out),
            (SumLanes::Eight, true, true) => terms::<L, false, false, false>(row, changes, how, out),
            (SumLanes::Sixteen, false, false) => terms::<L, true, true, true>(row, changes, how, out),
            (SumLanes::Sixteen, true, false) => terms::<L, true, false, true>(row, changes, how, out),
            (SumLanes::Eight, false, false) => terms::<L, false, true, true>(row, changes, how, out),
            (SumLanes::Eight, true, false) => terms::<L, false, false, true>(row, changes, how, out),
        }
    }
}

// A closure would be compiled without the instruction set of the function around it, so these are functions.

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn term<L: Lanes, const DIVIDE: bool>(x: L, temperature: L, max: L) -> L {
    // SAFETY: the caller's duty.
    unsafe { exp_with(if DIVIDE { x.div(temperature).sub(max) } else { x.sub(max) }) }
}

/// Both sums of the terms of a row, chunk by chunk.
pub(super) struct Sums<L, const SIXTEEN: bool> {
    torch: L,
    wide: [f64; 8],
}

impl<L: Lanes, const SIXTEEN: bool> Sums<L, SIXTEEN> {
    /// # Safety
    /// The instruction set of `L`, here and below.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's duty.
        Self { torch: unsafe { L::splat(0.0) }, wide: [0.0; 8] }
    }

    /// # Safety
    /// See `new`.
    #[inline(always)]
    unsafe fn count(&mut self, term: L) {
        // SAFETY: the caller's duty.
        unsafe {
            self.torch = self.torch.add(term);
            if !SIXTEEN {
                self.torch = self.torch.add(term.high());
            }
        }
    }

    /// # Safety
    /// See `new`.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, [a, b, c, d]: [L; 4]) {
        // SAFETY: the caller's duty.
        unsafe {
            self.count(a);
            self.count(b);
            self.count(c);
            self.count(d);
            a.add(b).add(c.add(d)).add_to(&mut self.wide);
        }
    }

    /// Stores and counts what is left of a row; lanes beyond it are zero, which changes no sum.
    ///
    /// # Safety
    /// See `new`.
    #[inline(always)]
    pub(super) unsafe fn add_last(&mut self, term: L, to: &mut [f32]) {
        // SAFETY: the caller's duty.
        unsafe {
            let mut all = [0.0; 16];
            term.store(&mut all);
            to.copy_from_slice(&all[..to.len()]);
            self.count(term);
            term.add_to(&mut self.wide);
        }
    }

    /// # Safety
    /// See `new`.
    #[inline(always)]
    pub(super) unsafe fn finish(self, terms: &[f32]) -> TermSum {
        let lanes = if SIXTEEN { SumLanes::Sixteen } else { SumLanes::Eight };
        let mut sums = [0.0; 16];
        // SAFETY: the caller's duty.
        unsafe { self.torch.store(&mut sums) };
        let torch = if terms.len() < lanes.count() { terms.iter().sum() } else { lanes.fold(&sums) };
        TermSum { torch, wide: self.wide.iter().sum() }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn terms<L: Lanes, const SIXTEEN: bool, const DIVIDE: bool, const CHANGED: bool>(
    row: &[f32],
    changes: Changes<'_>,
    how: Terms,
    out: &mut [f32],
) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        let [temperature, max] = [L::splat(how.temperature), L::splat(how.max)];
        let mut sums = Sums::<L, SIXTEEN>::new();
        let (from, from_tail) = row.as_chunks::<CHUNK>();
        let (to, to_tail) = out.as_chunks_mut::<CHUNK>();
        let tail_at = CHUNK * from.len();
        for (chunk, (from, to)) in from.iter().zip(to).enumerate() {
            let (mut x, to) = (load_chunk::<L>(from), to.as_chunks_mut::<16>().0);
            if CHANGED && changes.touch(chunk) {
                x = changes.apply_to_chunk(x, chunk);
            }
            let a = term::<L, DIVIDE>(x[0], temperature, max);
            let b = term::<L, DIVIDE>(x[1], temperature, max);
            let c = term::<L, DIVIDE>(x[2], temperature, max);
            let d = term::<L, DIVIDE>(x[3], temperature, max);
            a.store(&mut to[0]);
            b.store(&mut to[1]);
            c.store(&mut to[2]);
            d.store(&mut to[3]);
            sums.add([a, b, c, d]);
        }
        for (part, (from, to)) in from_tail.chunks(16).zip(to_tail.chunks_mut(16)).enumerate() {
            // The term of negative infinity is zero.
            let mut x = L::load(&padded(from, f32::NEG_INFINITY));
            if CHANGED {
                x = changes.apply(x, tail_at + 16 * part, from.len());
            }
            sums.add_last(term::<L, DIVIDE>(x, temperature, max), to);
        }
        sums.finish(out)
    }
}

/// Values of a row among whose terms others are written while they are in the nearest cache.
const AROUND: usize = 1024;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn exp_terms_around_with<L: Lanes>(
    row: &[f32],
    listed: Listed<'_>,
    new: &[f32],
    how: Terms,
    out: &mut [f32],
) -> (f64, f64) {
    let (mut all, mut replaced) = (0.0, 0.0);
    for (i, (row, out)) in row.chunks(AROUND).zip(out.chunks_mut(AROUND)).enumerate() {
        // SAFETY: the caller's duty.
        all += unsafe { exp_terms_with::<L>(row, Changes::default(), how, out).wide };
        let slots = listed.slots(i * AROUND, (i + 1) * AROUND);
        let (tokens, new) = (&listed.tokens[slots.clone()], &new[slots]);
        replaced += if let Some(out) = out.first_chunk_mut::<AROUND>() {
            // No check of a bound is left.
            replace(tokens, new, |token, new| std::mem::replace(&mut out[token as usize % AROUND], new))
        } else {
            replace(tokens, new, |token, new| std::mem::replace(&mut out[token as usize % AROUND], new))
        };
    }
    (all, replaced)
}

/// Replaces the term of each token, and sums up those that stood there.
#[inline(always)]
fn replace(tokens: &[u32], new: &[f32], mut term: impl FnMut(u32, f32) -> f32) -> f64 {
    let ((groups, tail), (new_groups, new_tail)) = (tokens.as_chunks::<4>(), new.as_chunks::<4>());
    // Four sums, so that no addition waits for the one before.
    let mut sums = [0.0; 4];
    for (tokens, new) in groups.iter().zip(new_groups) {
        for ((sum, &token), &new) in sums.iter_mut().zip(tokens).zip(new) {
            *sum += f64::from(term(token, new));
        }
    }
    tail.iter().zip(new_tail).map(|(&token, &new)| f64::from(term(token, new))).sum::<f64>() + sums.iter().sum::<f64>()
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn weighted_sum_with<L: Lanes>(
    row: &[f32],
    terms: &[f32],
    temperature: f32,
    max: f32,
) -> f64 {
    // SAFETY: the caller's duty.
    unsafe {
        let [temperatures, tops, zero] = [L::splat(temperature), L::splat(max), L::splat(0.0)];
        let mut sums = [0.0; 8];
        let (rows, row_tail) = row.as_chunks::<16>();
        let (groups, tail) = terms.as_chunks::<16>();
        for (x, term) in rows.iter().zip(groups) {
            let term = L::load(term);
            // Zero times negative infinity would be no number.
            let y = tops.blend(zero.less(term), L::load(x).div(temperatures));
            term.add_weighted_to(y, tops, &mut sums);
        }
        if !tail.is_empty() {
            let term = L::load(&padded(tail, 0.0));
            let y = tops.blend(zero.less(term), L::load(&padded(row_tail, 0.0)).div(temperatures));
            term.add_weighted_to(y, tops, &mut sums);
        }
        sums.iter().sum()
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn scale_with<L: Lanes>(values: &mut [f32], factor: f32) {
    // SAFETY: the caller's duty.
    unsafe {
        let factors = L::splat(factor);
        let (chunks, tail) = values.as_chunks_mut::<16>();
        for chunk in chunks {
            L::load(chunk).mul(factors).store(chunk);
        }
        for value in tail {
            *value *= factor;
        }
    }
}
