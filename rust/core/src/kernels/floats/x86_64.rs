//! The passes for x86-64: AVX-512 by hand, AVX2 by the compiler from the arrays.

use std::arch::x86_64::{
    __m512, __m512d, _CMP_GE_OQ, _CMP_LT_OQ, _CMP_UNORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_setr_ps,
    _mm256_castpd_ps, _mm512_add_epi32, _mm512_add_pd, _mm512_add_ps, _mm512_and_si512, _mm512_castps_pd,
    _mm512_castps128_ps512, _mm512_castps512_ps256, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_cvtps_pd,
    _mm512_div_ps, _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_insertf32x4, _mm512_loadu_pd, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_cmp_ps_mask, _mm512_mask_expand_ps, _mm512_mask_mov_ps,
    _mm512_maskz_compress_epi32, _mm512_maskz_mov_ps, _mm512_maskz_scalef_ps, _mm512_max_ps, _mm512_mul_pd,
    _mm512_mul_ps, _mm512_permutex2var_epi32, _mm512_permutex2var_ps, _mm512_roundscale_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_slli_epi32, _mm512_srli_epi32,
    _mm512_storeu_pd, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_pd, _mm512_sub_ps, _mm512_test_epi32_mask,
    _mm512_xor_si512,
};

use super::{CHUNK, Lanes, PENALIZED};

/// One register.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// The lower and the upper eight lanes in double precision.
///
/// # Safety
/// AVX-512 F and DQ.
#[inline(always)]
unsafe fn halves(lanes: __m512) -> [__m512d; 2] {
    // SAFETY: the caller's duty.
    unsafe {
        let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes));
        [_mm512_cvtps_pd(_mm512_castps512_ps256(lanes)), _mm512_cvtps_pd(_mm256_castpd_ps(upper))]
    }
}

// SAFETY of every block below: callers of `Lanes` promise AVX-512 F and DQ.
impl Lanes for Avx512 {
    #[inline(always)]
    unsafe fn load(from: &[f32; 16]) -> Self {
        // SAFETY: reads the sixteen values of the array.
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }
    #[inline(always)]
    unsafe fn store(self, to: &mut [f32; 16]) {
        // SAFETY: writes the sixteen values of the array.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_div_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
    }
    #[inline(always)]
    unsafe fn high(self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_shuffle_f32x4::<0x4e>(self.0, self.0) })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self, zero: u16) -> Self {
        // SAFETY: see the impl. Rounds once, as the two steps do, of which the first is exact.
        Self(unsafe { _mm512_maskz_scalef_ps(!zero, self.0, exponent.0) })
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_maskz_mov_ps(mask, self.0) })
    }
    #[inline(always)]
    unsafe fn blend(self, mask: u16, other: Self) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_mask_mov_ps(self.0, mask, other.0) })
    }
    #[inline(always)]
    unsafe fn expand(self, mask: u16, from: &[f32; 16]) -> Self {
        // SAFETY: see the impl; reads the sixteen values of the array.
        Self(unsafe { _mm512_mask_expand_ps(self.0, mask, _mm512_loadu_ps(from.as_ptr())) })
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> u16 {
        // SAFETY: see the impl.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    unsafe fn at_least(self, other: Self) -> u16 {
        // SAFETY: see the impl.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    unsafe fn unordered(self, other: Self) -> u16 {
        // SAFETY: see the impl.
        unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, other.0) }
    }
    #[inline(always)]
    unsafe fn add_weighted_to(self, other: Self, from: Self, sums: &mut [f64; 8]) {
        // SAFETY: see the impl; the array has eight values.
        unsafe {
            let [low, high] = halves(self.0);
            let [other_low, other_high] = halves(other.0);
            let [from_low, from_high] = halves(from.0);
            let low = _mm512_mul_pd(low, _mm512_sub_pd(other_low, from_low));
            let high = _mm512_mul_pd(high, _mm512_sub_pd(other_high, from_high));
            let sum = _mm512_add_pd(_mm512_loadu_pd(sums.as_ptr()), _mm512_add_pd(low, high));
            _mm512_storeu_pd(sums.as_mut_ptr(), sum);
        }
    }
    #[inline(always)]
    unsafe fn add_to(self, sums: &mut [f64; 8]) {
        // SAFETY: see the impl; the array has eight values.
        unsafe {
            let [low, high] = halves(self.0);
            let sum = _mm512_add_pd(_mm512_loadu_pd(sums.as_ptr()), _mm512_add_pd(low, high));
            _mm512_storeu_pd(sums.as_mut_ptr(), sum);
        }
    }
    #[inline(always)]
    unsafe fn push_ids(masks: [u16; 4], first: u32, out: &mut Vec<u32>) {
        out.reserve(CHUNK);
        // SAFETY: see the impl. There is room for the 64 ids of a chunk behind the list; what a store writes beyond the ids of
        // its mask is written over or left out, and the last store ends with the room at the latest.
        unsafe {
            let mut ids = _mm512_add_epi32(
                _mm512_set1_epi32(first.cast_signed()),
                _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            );
            let mut len = out.len();
            for mask in masks {
                _mm512_storeu_si512(out.as_mut_ptr().add(len).cast(), _mm512_maskz_compress_epi32(mask, ids));
                len += mask.count_ones() as usize;
                ids = _mm512_add_epi32(ids, _mm512_set1_epi32(16));
            }
            out.set_len(len);
        }
    }
    #[inline(always)]
    unsafe fn push_some(ids: &[u32; 16], mask: u16, out: &mut Vec<u32>) {
        out.reserve(ids.len());
        // SAFETY: see the impl; there is room for the sixteen values of the store, of which as many count as are in the mask.
        unsafe {
            let some = _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(ids.as_ptr().cast()));
            _mm512_storeu_si512(out.as_mut_ptr().add(out.len()).cast(), some);
            out.set_len(out.len() + mask.count_ones() as usize);
        }
    }
    #[inline(always)]
    unsafe fn of_block(tokens: &[u32; 16], block: &[f32; PENALIZED]) -> Self {
        let value = |i: usize| block[tokens[i] as usize % PENALIZED];
        // SAFETY: see the impl. One by one, which takes half of what a gathering load does.
        unsafe {
            let four = |i: usize| _mm_setr_ps(value(i), value(i + 1), value(i + 2), value(i + 3));
            let low = _mm512_insertf32x4::<1>(_mm512_castps128_ps512(four(0)), four(4));
            Self(_mm512_insertf32x4::<3>(_mm512_insertf32x4::<2>(low, four(8)), four(12)))
        }
    }
    #[inline(always)]
    unsafe fn of_chunks(tokens: &[u32; 16], maxima: &[f32; CHUNK]) -> Self {
        let quarters = maxima.as_chunks::<16>().0;
        // SAFETY: see the impl; reads sixteen tokens. A permutation looks at five bits of an index, the mask at the sixth.
        unsafe {
            let chunk = _mm512_srli_epi32::<6>(_mm512_loadu_si512(tokens.as_ptr().cast()));
            let [a, b, c, d] = [0, 1, 2, 3].map(|i: usize| Self::load(&quarters[i]).0);
            let low = _mm512_permutex2var_ps(a, chunk, b);
            let high = _mm512_permutex2var_ps(c, chunk, d);
            Self(_mm512_mask_mov_ps(low, _mm512_test_epi32_mask(chunk, _mm512_set1_epi32(32)), high))
        }
    }
    #[inline(always)]
    unsafe fn may_win(words: &[u32; 32], p: Self, scale: Self) -> u16 {
        // SAFETY: see the impl; the two loads read the thirty-two words.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let first = _mm512_loadu_si512(words.as_ptr().cast());
            let second = _mm512_loadu_si512(words.as_ptr().add(16).cast());
            let mut y = _mm512_permutex2var_epi32(first, even, second);
            y = _mm512_xor_si512(y, _mm512_srli_epi32::<11>(y));
            let mask = |bits: u32| _mm512_set1_epi32(bits.cast_signed());
            y = _mm512_xor_si512(y, _mm512_and_si512(_mm512_slli_epi32::<7>(y), mask(0x9d2c_5680)));
            y = _mm512_xor_si512(y, _mm512_and_si512(_mm512_slli_epi32::<15>(y), mask(0xefc6_0000)));
            y = _mm512_xor_si512(y, _mm512_srli_epi32::<18>(y));
            let high = _mm512_cvtepi32_ps(_mm512_and_si512(y, mask(0x1f_ffff)));
            let positive = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_setzero_ps(), p.0);
            _mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(positive, p.0, _mm512_mul_ps(high, scale.0))
        }
    }
}

macro_rules! shells {
    ($module:ident, $lanes:ty, $features:literal) => {
        /// The passes, compiled for one instruction set.
        pub(super) mod $module {
            use super::super::{self as floats, Changes, Extent, Listed, Penalized, Rule, SumLanes, TermSum, Terms};

            type Lanes = $lanes;

            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn maxima_with(row: &[f32], out: &mut [f32]) -> Extent {
                // SAFETY: the caller's duty.
                unsafe { floats::maxima_with::<Lanes>(row, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn renew_maxima_with(row: &[f32], changes: Changes<'_>, chunks: &[u32], out: &mut [f32]) {
                // SAFETY: the caller's duty.
                unsafe { floats::renew_maxima_with::<Lanes>(row, changes, chunks, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn penalize_with(
                row: &[f32],
                listed: Listed<'_>,
                rules: &[Rule],
                maxima: &mut [f32],
                values: Penalized<'_>,
            ) -> (f32, Extent) {
                // SAFETY: the caller's duty.
                unsafe { floats::penalize_with::<Lanes>(row, listed, rules, maxima, values) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn write_changed_with(row: &[f32], changes: Changes<'_>, out: &mut [f32]) {
                // SAFETY: the caller's duty.
                unsafe { floats::write_changed_with::<Lanes>(row, changes, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn argmax_with(row: &[f32]) -> (usize, Extent) {
                // SAFETY: the caller's duty.
                unsafe { floats::argmax_with::<Lanes>(row) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn exp_terms_with(row: &[f32], changes: Changes<'_>, how: Terms, out: &mut [f32]) -> TermSum {
                // SAFETY: the caller's duty.
                unsafe { floats::exp_terms_with::<Lanes>(row, changes, how, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn positions_with(
                row: &[f32],
                changes: Changes<'_>,
                maxima: &[f32],
                bound: f32,
                limit: usize,
                out: &mut Vec<u32>,
            ) {
                // SAFETY: the caller's duty.
                unsafe { floats::positions_with::<Lanes>(row, changes, maxima, bound, limit, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn exp_terms_around_with(
                row: &[f32],
                listed: Listed<'_>,
                new: &[f32],
                how: Terms,
                out: &mut [f32],
            ) -> (f64, f64) {
                // SAFETY: the caller's duty.
                unsafe { floats::exp_terms_around_with::<Lanes>(row, listed, new, how, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn zone_with(terms: &[f32], from: f32, to: f32, out: &mut Vec<u32>) -> f64 {
                // SAFETY: the caller's duty.
                unsafe { floats::zone_with::<Lanes>(terms, from, to, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn cut_terms_with(terms: &mut [f32], bound: f32, lanes: SumLanes) -> TermSum {
                // SAFETY: the caller's duty.
                unsafe { floats::cut_terms_with::<Lanes>(terms, bound, lanes) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn divide_above_with(from: &[f32], keys: &[f32], bound: f32, temperature: f32, out: &mut [f32]) {
                // SAFETY: the caller's duty.
                unsafe { floats::divide_above_with::<Lanes>(from, keys, bound, temperature, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn divide_within_with(from: &[f32], low: f32, high: f32, temperature: f32, out: &mut [f32]) {
                // SAFETY: the caller's duty.
                unsafe { floats::divide_within_with::<Lanes>(from, low, high, temperature, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn weighted_sum_with(row: &[f32], terms: &[f32], temperature: f32, max: f32) -> f64 {
                // SAFETY: the caller's duty.
                unsafe { floats::weighted_sum_with::<Lanes>(row, terms, temperature, max) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn around_with(row: &[f32], terms: &[f32], bounds: [f32; 4], out: &mut Vec<u32>) -> f64 {
                // SAFETY: the caller's duty.
                unsafe { floats::around_with::<Lanes>(row, terms, bounds, out) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn scale_with(values: &mut [f32], factor: f32) {
                // SAFETY: the caller's duty.
                unsafe { floats::scale_with::<Lanes>(values, factor) }
            }
            /// # Safety
            /// The features must be there.
            #[target_feature(enable = $features)]
            pub unsafe fn race_with(
                words: &[u32],
                p: &[f32],
                best: f32,
                candidate: &mut dyn FnMut(usize) -> f32,
            ) -> f32 {
                // SAFETY: the caller's duty.
                unsafe { floats::race_with::<Lanes>(words, p, best, candidate) }
            }
        }
    };
}

shells!(avx512, super::Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt,lzcnt");
shells!(avx2, super::super::Array, "avx2,fma,bmi1,bmi2,popcnt,lzcnt");
