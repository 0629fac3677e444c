//! The Mersenne Twister's step for x86-64 with AVX-512.

use std::arch::x86_64::{
    _mm512_loadu_si512, _mm512_maskz_set1_epi32, _mm512_set1_epi32, _mm512_srli_epi32, _mm512_storeu_si512,
    _mm512_ternarylogic_epi32, _mm512_test_epi32_mask,
};

use super::mersenne::{SHIFT, WORDS, twist_one};

/// The next block, sixteen words at a time; a word depends on words 1, 397 and -227 away.
///
/// # Safety
/// AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn next_block(state: &mut [u32; WORDS]) {
    // SAFETY: the caller's duty. Each load and store below lies within the state: the last one of each loop is named.
    unsafe {
        let words = state.as_mut_ptr();
        // 0..224 reads up to 396 + 224; the three words behind it go one by one.
        for i in (0..224).step_by(16) {
            twist(words.add(i), words.add(i + SHIFT));
        }
        for i in 224..WORDS - SHIFT {
            state[i] = twist_one(state[i], state[i + 1], state[i + SHIFT]);
        }
        let words = state.as_mut_ptr();
        // 227..611 reads up to 611 in the word itself and its successor, and 227 words back.
        for i in (WORDS - SHIFT..611).step_by(16) {
            twist(words.add(i), words.add(i + SHIFT - WORDS));
        }
        for i in 611..WORDS - 1 {
            state[i] = twist_one(state[i], state[i + 1], state[i + SHIFT - WORDS]);
        }
        state[WORDS - 1] = twist_one(state[WORDS - 1], state[0], state[SHIFT - 1]);
    }
}

/// # Safety
/// AVX-512 F; seventeen words at `at` and sixteen at `far`, which may not overlap the first sixteen.
#[inline(always)]
unsafe fn twist(at: *mut u32, far: *const u32) {
    // SAFETY: the caller's duty.
    unsafe {
        let high = _mm512_loadu_si512(at.cast());
        let low = _mm512_loadu_si512(at.add(1).cast());
        let far = _mm512_loadu_si512(far.cast());
        // The top bit of the one, the rest of the other.
        let y = _mm512_ternarylogic_epi32::<0xca>(_mm512_set1_epi32(0x7fff_ffff), low, high);
        let odd = _mm512_test_epi32_mask(low, _mm512_set1_epi32(1));
        let factor = _mm512_maskz_set1_epi32(odd, 0x9908_b0df_u32.cast_signed());
        let next = _mm512_ternarylogic_epi32::<0x96>(far, _mm512_srli_epi32::<1>(y), factor);
        _mm512_storeu_si512(at.cast(), next);
    }
}
