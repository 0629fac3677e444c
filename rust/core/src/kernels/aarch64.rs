//! The shell for 64-bit ARM: NEON, which every such processor has.

use std::arch::aarch64::{
    uint8x16_t, uint8x16x4_t, vandq_u8, vceqq_u8, vcltq_s8, vdupq_n_s8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8,
    vld1q_u8_x4, vorrq_u8, vpaddq_u8, vqtbl4q_u8, vreinterpretq_s8_u8, vreinterpretq_u64_u8, vst1q_u8_x4, vsubq_u8,
    vtstq_u8,
};

use super::generic::{self, Boundaries, Grammar, Lanes};

/// As [`generic::scan`].
pub(super) fn scan_neon<G: Grammar>(text: &str, from: usize, out: &mut Boundaries) -> usize {
    // SAFETY: NEON is part of the target.
    unsafe { generic::scan::<Neon, G>(text, from, out) }
}

/// As [`generic::character_starts`].
pub(super) fn character_starts_neon(bytes: &[u8], block: impl FnMut(u64)) {
    // SAFETY: NEON is part of the target.
    unsafe { generic::character_starts::<Neon>(bytes, block) }
}

/// Four registers of 16 bytes.
#[derive(Clone, Copy)]
struct Neon(uint8x16x4_t);

/// The weight of each byte in the mask of its eight.
static WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

impl Neon {
    #[inline(always)]
    fn map(self, f: impl Fn(uint8x16_t) -> uint8x16_t) -> Self {
        let uint8x16x4_t(a, b, c, d) = self.0;
        Self(uint8x16x4_t(f(a), f(b), f(c), f(d)))
    }

    /// A bit for every byte, which are all ones or all zeros.
    #[inline(always)]
    fn bits(self) -> u64 {
        // SAFETY: NEON is part of the target, and the load reads the sixteen weights.
        unsafe {
            let weights = vld1q_u8(WEIGHTS.as_ptr());
            let uint8x16x4_t(a, b, c, d) = self.map(|bytes| vandq_u8(bytes, weights)).0;
            // Three times neighbours are added: eight bytes become one.
            let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
            vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
        }
    }
}

// SAFETY of every block below: NEON is part of the target.
impl Lanes for Neon {
    type Table = [uint8x16x4_t; 2];

    #[inline(always)]
    unsafe fn table(ascii: &'static [u8; 128]) -> Self::Table {
        // SAFETY: the two loads read bytes 0..64 and 64..128 of the table.
        unsafe { [vld1q_u8_x4(ascii.as_ptr()), vld1q_u8_x4(ascii.as_ptr().add(64))] }
    }
    #[inline(always)]
    unsafe fn load(bytes: &[u8; 64]) -> Self {
        // SAFETY: reads the 64 bytes of the array.
        Self(unsafe { vld1q_u8_x4(bytes.as_ptr()) })
    }
    #[inline(always)]
    unsafe fn non_ascii(&self) -> u64 {
        // SAFETY: see the impl.
        self.map(|bytes| unsafe { vtstq_u8(bytes, vdupq_n_u8(0x80)) }).bits()
    }
    #[inline(always)]
    unsafe fn continuation(&self) -> u64 {
        // SAFETY: see the impl. As signed bytes 0x80..=0xBF are those below -64.
        self.map(|bytes| unsafe { vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(-64)) }).bits()
    }
    #[inline(always)]
    unsafe fn classes(&self, [low, high]: Self::Table) -> Self {
        // SAFETY: see the impl. A look-up beyond its 64 bytes gives zero, so each byte is found in one of the two.
        self.map(|bytes| unsafe { vorrq_u8(vqtbl4q_u8(low, bytes), vqtbl4q_u8(high, vsubq_u8(bytes, vdupq_n_u8(64)))) })
    }
    #[inline(always)]
    unsafe fn store(&self, to: &mut [u8; 64]) {
        // SAFETY: writes the 64 bytes of the array.
        unsafe { vst1q_u8_x4(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    unsafe fn any(&self, flags: u8) -> u64 {
        // SAFETY: see the impl.
        self.map(|bytes| unsafe { vtstq_u8(bytes, vdupq_n_u8(flags)) }).bits()
    }
    #[inline(always)]
    unsafe fn equal(&self, byte: u8) -> u64 {
        // SAFETY: see the impl.
        self.map(|bytes| unsafe { vceqq_u8(bytes, vdupq_n_u8(byte)) }).bits()
    }
    #[inline(always)]
    unsafe fn extract(mask: u64, select: u64) -> u64 {
        moves(select).into_iter().enumerate().fold(mask & select, |mask, (step, moves)| {
            let moved = mask & moves;
            (mask ^ moved) | moved >> (1 << step)
        })
    }
    #[inline(always)]
    unsafe fn deposit(bits: u64, select: u64) -> u64 {
        let spread = moves(select).into_iter().enumerate().rev();
        spread.fold(bits, |bits, (step, moves)| (bits & !moves) | (bits << (1 << step) & moves)) & select
    }
    #[inline(always)]
    unsafe fn positions(bits: u64, base: u32, to: &mut [u32; 64]) {
        generic::positions_scalar(bits, base, to);
    }
}

/// For each power of two, the bits that move right by it when the bits of `select` move together: "compress" and "expand"
/// of Warren, Hacker's Delight, 7-4 and 7-5. There is no instruction for it as on x86-64.
#[inline(always)]
fn moves(mut select: u64) -> [u64; 6] {
    let mut out = [0; 6];
    // Zeros to the right of each bit will be counted, one binary digit a step.
    let mut zeros = !select << 1;
    for (step, moves) in out.iter_mut().enumerate() {
        let mut parity = zeros ^ zeros << 1;
        parity ^= parity << 2;
        parity ^= parity << 4;
        parity ^= parity << 8;
        parity ^= parity << 16;
        parity ^= parity << 32;
        *moves = parity & select;
        select = (select ^ *moves) | *moves >> (1 << step);
        zeros &= !parity;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_move_as_the_words_say(mask in any::<u64>(), a in any::<u64>(), b in any::<u64>()) {
            for select in [a, a & b, a | b, 0, u64::MAX] {
                let (mut extracted, mut deposited, mut at) = (0, 0, 0);
                for i in (0..64).filter(|i| select >> i & 1 != 0) {
                    extracted |= (mask >> i & 1) << at;
                    deposited |= (mask >> at & 1) << i;
                    at += 1;
                }
                // SAFETY: NEON is part of the target.
                unsafe {
                    prop_assert_eq!(Neon::extract(mask, select), extracted);
                    prop_assert_eq!(Neon::deposit(mask, select), deposited);
                }
            }
        }
    }
}
