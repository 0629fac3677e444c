//! Sixteen numbers at a time: what an instruction set has to offer, and the same over an array.

use super::CHUNK;
use super::penalties::PENALIZED;
use crate::kernels::mersenne::temper;

/// Sixteen numbers.
///
/// # Safety
/// Every method needs the instruction set of its implementation.
pub(in crate::kernels) trait Lanes: Copy {
    unsafe fn load(from: &[f32; 16]) -> Self;
    unsafe fn store(self, to: &mut [f32; 16]);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// The larger, lane by lane; either where one is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// `self * factor + term`, rounded once.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// Sums the lanes of two registers at a time: `self[8..16]` as lanes 0 to 7.
    unsafe fn high(self) -> Self;
    /// To the nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// `self * 2^exponent` in two steps, as halves of the integer `exponent`; zero where `zero` is set.
    unsafe fn scale(self, exponent: Self, zero: u16) -> Self;
    /// Zero where `mask` is not set.
    unsafe fn keep(self, mask: u16) -> Self;
    /// `other` where `mask` is set.
    unsafe fn blend(self, mask: u16, other: Self) -> Self;
    /// The next values of `from`, one for each lane where `mask` is set.
    unsafe fn expand(self, mask: u16, from: &[f32; 16]) -> Self;
    /// Lanes with `self < other`.
    unsafe fn less(self, other: Self) -> u16;
    /// Lanes with `self >= other`.
    unsafe fn at_least(self, other: Self) -> u16;
    /// Lanes where one of the two is NaN.
    unsafe fn unordered(self, other: Self) -> u16;
    /// Adds the lanes to eight sums in double precision: lanes `i` and `i + 8` to sum `i`.
    unsafe fn add_to(self, sums: &mut [f64; 8]);
    /// Adds `self * (other - from)`, lane by lane in double precision, to the sums of `add_to`.
    unsafe fn add_weighted_to(self, other: Self, from: Self, sums: &mut [f64; 8]);
    /// Adds the ids where a mask is set, ascending, of a chunk that begins with `first`.
    unsafe fn push_ids(masks: [u16; 4], first: u32, out: &mut Vec<u32>);
    /// Adds those ids where `mask` is set.
    unsafe fn push_some(ids: &[u32; 16], mask: u16, out: &mut Vec<u32>);
    /// The value of each token, whose block has these.
    unsafe fn of_block(tokens: &[u32; 16], block: &[f32; PENALIZED]) -> Self;
    /// The maximum of each token's chunk, whose block has these.
    unsafe fn of_chunks(tokens: &[u32; 16], maxima: &[f32; CHUNK]) -> Self;
    /// Lower bounds of sixteen uniforms from the tempered even words, times `scale`, compared: `p >= bound`.
    unsafe fn may_win(words: &[u32; 32], p: Self, scale: Self) -> u16;
}

/// Lanes in an array: the oracle, and what the compiler makes vectors of where there is no shell.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Array([f32; 16]);

impl Array {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i])))
    }
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
    #[inline(always)]
    fn mask(self, other: Self, f: impl Fn(f32, f32) -> bool) -> u16 {
        (0..16).fold(0, |mask, i| mask | u16::from(f(self.0[i], other.0[i])) << i)
    }
}

// SAFETY: safe operations only; `unsafe` is the trait's.
impl Lanes for Array {
    #[inline(always)]
    unsafe fn load(from: &[f32; 16]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    unsafe fn store(self, to: &mut [f32; 16]) {
        *to = self.0;
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], term.0[i])))
    }
    #[inline(always)]
    unsafe fn high(self) -> Self {
        Self(std::array::from_fn(|i| self.0[(i + 8) % 16]))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self, zero: u16) -> Self {
        let power = |e: i32| f32::from_bits(((e + 127) << 23) as u32);
        Self(std::array::from_fn(|i| {
            // Below -104 the result is zero whatever the factors are, so the exponent may be cut off there.
            let q = exponent.0[i].max(-160.0) as i32;
            let value = self.0[i] * power(q >> 1) * power(q - (q >> 1));
            if zero >> i & 1 == 1 { 0.0 } else { value }
        }))
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        Self(std::array::from_fn(|i| if mask >> i & 1 == 1 { self.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn blend(self, mask: u16, other: Self) -> Self {
        Self(std::array::from_fn(|i| if mask >> i & 1 == 1 { other.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn expand(mut self, mut mask: u16, from: &[f32; 16]) -> Self {
        let mut next = from.iter();
        while mask != 0
            && let Some(&value) = next.next()
        {
            self.0[mask.trailing_zeros() as usize] = value;
            mask &= mask - 1;
        }
        self
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> u16 {
        self.mask(other, |a, b| a < b)
    }
    #[inline(always)]
    unsafe fn at_least(self, other: Self) -> u16 {
        self.mask(other, |a, b| a >= b)
    }
    #[inline(always)]
    unsafe fn unordered(self, other: Self) -> u16 {
        self.mask(other, |a, b| a.is_nan() || b.is_nan())
    }
    #[inline(always)]
    unsafe fn add_to(self, sums: &mut [f64; 8]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += f64::from(self.0[i]) + f64::from(self.0[i + 8]);
        }
    }
    #[inline(always)]
    unsafe fn add_weighted_to(self, other: Self, from: Self, sums: &mut [f64; 8]) {
        let product = |i: usize| f64::from(self.0[i]) * (f64::from(other.0[i]) - f64::from(from.0[i]));
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += product(i) + product(i + 8);
        }
    }
    #[inline(always)]
    unsafe fn push_ids(masks: [u16; 4], first: u32, out: &mut Vec<u32>) {
        for (i, mask) in (0..).zip(masks) {
            push_ids(mask, first + 16 * i, out);
        }
    }
    #[inline(always)]
    unsafe fn push_some(ids: &[u32; 16], mask: u16, out: &mut Vec<u32>) {
        out.extend(ids.iter().enumerate().filter(|&(i, _)| mask >> i & 1 == 1).map(|(_, id)| id));
    }
    #[inline(always)]
    unsafe fn of_block(tokens: &[u32; 16], block: &[f32; PENALIZED]) -> Self {
        Self(tokens.map(|token| block[token as usize % PENALIZED]))
    }
    #[inline(always)]
    unsafe fn of_chunks(tokens: &[u32; 16], maxima: &[f32; CHUNK]) -> Self {
        Self(tokens.map(|token| maxima[token as usize / CHUNK % CHUNK]))
    }
    #[inline(always)]
    unsafe fn may_win(words: &[u32; 32], p: Self, scale: Self) -> u16 {
        (0..16).fold(0, |mask, i| {
            let bound = (temper(words[2 * i]) & 0x1f_ffff) as f32 * scale.0[i];
            mask | u16::from(p.0[i] > 0.0 && p.0[i] >= bound) << i
        })
    }
}

#[inline(always)]
pub(super) fn push_ids(mut mask: u16, first: u32, out: &mut Vec<u32>) {
    while mask != 0 {
        out.push(first + mask.trailing_zeros());
        mask &= mask - 1;
    }
}

/// Loads the tail of a row, filled up with `fill`.
#[inline(always)]
pub(super) fn padded(tail: &[f32], fill: f32) -> [f32; 16] {
    let mut out = [fill; 16];
    out[..tail.len()].copy_from_slice(tail);
    out
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn load_chunk<L: Lanes>(chunk: &[f32; CHUNK]) -> [L; 4] {
    let quarters = chunk.as_chunks::<16>().0;
    // SAFETY: the caller's duty.
    unsafe { [L::load(&quarters[0]), L::load(&quarters[1]), L::load(&quarters[2]), L::load(&quarters[3])] }
}

#[inline(always)]
pub(super) fn largest(lanes: &[f32; 16]) -> f32 {
    let mut sums = *lanes;
    let mut half = 8;
    while half > 0 {
        for i in 0..half {
            sums[i] = if sums[i] > sums[i + half] { sums[i] } else { sums[i + half] };
        }
        half /= 2;
    }
    sums[0]
}
