//! Folded multiplication, of which the hashes of words and tokens are made: two cycles more than a CRC instruction, the same
//! on every machine.

/// Odd numbers without a pattern.
pub(crate) const SEEDS: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93, 0xA076_1D64_78BD_642F];

/// The halves of a product, folded into one.
#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of sixteen bytes.
#[inline(always)]
pub(crate) fn hash_two(words: [u64; 2]) -> u64 {
    fold(words[0] ^ SEEDS[0], words[1] ^ SEEDS[1])
}
