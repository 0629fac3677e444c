//! Shells for x86-64: AVX2 and AVX-512.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_storeu_si128, _mm256_add_epi8, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_storeu_si256, _mm512_add_epi32, _mm512_alignr_epi64, _mm512_and_si512,
    _mm512_castsi512_si128, _mm512_castsi512_si256, _mm512_cmpeq_epi8_mask, _mm512_cmpeq_epi16_mask,
    _mm512_cmpeq_epi32_mask, _mm512_cmpge_epu32_mask, _mm512_cmplt_epi8_mask, _mm512_cvtepi16_epi8,
    _mm512_cvtepi32_epi8, _mm512_cvtepu8_epi32, _mm512_cvtepu16_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_mask_mov_epi32, _mm512_mask_set1_epi32, _mm512_maskz_compress_epi8, _mm512_maskz_loadu_epi16,
    _mm512_maskz_loadu_epi32, _mm512_min_epu32, _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutex2var_epi8,
    _mm512_reduce_min_epu32, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_test_epi8_mask, _mm512_test_epi16_mask, _pdep_u64, _pext_u64,
};

use super::{
    generic::{self, Boundaries, Grammar, Lanes},
    queue::{MinQueue, QueueTask},
    wide::WideChar,
};

pub(super) fn avx2_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("lzcnt")
}

pub(super) fn avx512_available() -> bool {
    avx2_available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// # Safety
/// [`avx512_available`] must hold.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn scan_avx512<G: Grammar>(text: &str, from: usize, out: &mut Boundaries) -> usize {
    // SAFETY: the caller's duty.
    unsafe { generic::scan::<Avx512, G>(text, from, out) }
}

/// # Safety
/// [`avx2_available`] must hold.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn scan_avx2<G: Grammar>(text: &str, from: usize, out: &mut Boundaries) -> usize {
    // SAFETY: the caller's duty.
    unsafe { generic::scan::<Avx2, G>(text, from, out) }
}

/// # Safety
/// [`avx512_available`] must hold.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn character_starts_avx512(bytes: &[u8], block: impl FnMut(u64)) {
    // SAFETY: the caller's duty.
    unsafe { generic::character_starts::<Avx512>(bytes, block) }
}

/// # Safety
/// [`avx2_available`] must hold.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn character_starts_avx2(bytes: &[u8], block: impl FnMut(u64)) {
    // SAFETY: the caller's duty.
    unsafe { generic::character_starts::<Avx2>(bytes, block) }
}

/// # Safety
/// [`avx2_available`] must hold.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn specialize<W: super::Work>(work: W) -> W::Output {
    work.run()
}

/// The number of each byte of a register.
static NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut i = 0;
    while i < 64 {
        numbers[i] = i as u8;
        i += 1;
    }
    numbers
};

/// One register of 64 bytes.
#[derive(Clone, Copy)]
struct Avx512(__m512i);

// SAFETY of every block below: callers of `Lanes` promise AVX-512 BW and VBMI, and BMI2.
impl Lanes for Avx512 {
    type Table = (__m512i, __m512i);

    #[inline(always)]
    unsafe fn table(ascii: &'static [u8; 128]) -> Self::Table {
        // SAFETY: the two loads read bytes 0..64 and 64..128 of the table.
        unsafe { (_mm512_loadu_si512(ascii.as_ptr().cast()), _mm512_loadu_si512(ascii.as_ptr().add(64).cast())) }
    }
    #[inline(always)]
    unsafe fn load(bytes: &[u8; 64]) -> Self {
        // SAFETY: reads the 64 bytes of the array.
        Self(unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) })
    }
    #[inline(always)]
    unsafe fn non_ascii(&self) -> u64 {
        // SAFETY: see the impl.
        unsafe { _mm512_movepi8_mask(self.0) }
    }
    #[inline(always)]
    unsafe fn continuation(&self) -> u64 {
        // SAFETY: see the impl. As signed bytes 0x80..=0xBF are those below -64.
        unsafe { _mm512_cmplt_epi8_mask(self.0, _mm512_set1_epi8(-64)) }
    }
    #[inline(always)]
    unsafe fn classes(&self, (low, high): Self::Table) -> Self {
        // SAFETY: see the impl.
        Self(unsafe { _mm512_permutex2var_epi8(low, self.0, high) })
    }
    #[inline(always)]
    unsafe fn store(&self, to: &mut [u8; 64]) {
        // SAFETY: writes the 64 bytes of the array.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn any(&self, flags: u8) -> u64 {
        // SAFETY: see the impl.
        unsafe { _mm512_test_epi8_mask(self.0, _mm512_set1_epi8(flags as i8)) }
    }
    #[inline(always)]
    unsafe fn equal(&self, byte: u8) -> u64 {
        // SAFETY: see the impl.
        unsafe { _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(byte as i8)) }
    }
    #[inline(always)]
    unsafe fn extract(mask: u64, select: u64) -> u64 {
        // SAFETY: see the impl.
        unsafe { _pext_u64(mask, select) }
    }
    #[inline(always)]
    unsafe fn deposit(bits: u64, select: u64) -> u64 {
        // SAFETY: see the impl.
        unsafe { _pdep_u64(bits, select) }
    }
    #[inline(always)]
    unsafe fn positions(bits: u64, base: u32, to: &mut [u32; 64]) {
        // SAFETY: see the impl; each store writes one of the four quarters of the array.
        unsafe {
            let numbers = _mm512_loadu_si512(NUMBERS.as_ptr().cast());
            let mut packed = _mm512_maskz_compress_epi8(bits, numbers);
            let base = _mm512_set1_epi32(base as i32);
            let mut left = bits.count_ones();
            for quarter in to.as_chunks_mut::<16>().0 {
                let sixteen = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed));
                _mm512_storeu_si512(quarter.as_mut_ptr().cast(), _mm512_add_epi32(sixteen, base));
                if left <= 16 {
                    break;
                }
                left -= 16;
                packed = _mm512_alignr_epi64::<2>(packed, packed);
            }
        }
    }
}

/// The class of 32 bytes. Row `r` of the table serves the bytes `16 r` to `16 r + 15`.
///
/// # Safety
/// [`avx2_available`] must hold.
#[inline(always)]
unsafe fn look_up(bytes: __m256i, rows: &[__m256i; 8]) -> __m256i {
    // SAFETY: the caller's duty.
    unsafe {
        let mut out = _mm256_setzero_si256();
        let mut r = 0i32;
        while r < 8 {
            let shifted = _mm256_add_epi8(bytes, _mm256_set1_epi8((-16 * r) as i8));
            // In the row exactly when what is left lies in 0..16.
            let inside = _mm256_cmpeq_epi8(_mm256_min_epu8(shifted, _mm256_set1_epi8(15)), shifted);
            out = _mm256_or_si256(out, _mm256_and_si256(inside, _mm256_shuffle_epi8(rows[r as usize], shifted)));
            r += 1;
        }
        out
    }
}

/// Two registers of 32 bytes.
#[derive(Clone, Copy)]
struct Avx2(__m256i, __m256i);

impl Avx2 {
    #[inline(always)]
    unsafe fn bits(&self) -> u64 {
        // SAFETY: callers promise AVX2.
        unsafe { u64::from(_mm256_movemask_epi8(self.0) as u32) | u64::from(_mm256_movemask_epi8(self.1) as u32) << 32 }
    }
}

// SAFETY of every block below: callers of `Lanes` promise AVX2 and BMI2.
impl Lanes for Avx2 {
    /// Eight rows of sixteen classes, each row in both halves of a register.
    type Table = [__m256i; 8];

    #[inline(always)]
    unsafe fn table(ascii: &'static [u8; 128]) -> Self::Table {
        let mut rows = [[0u8; 32]; 8];
        for (row, out) in ascii.chunks_exact(16).zip(&mut rows) {
            out[..16].copy_from_slice(row);
            out[16..].copy_from_slice(row);
        }
        // SAFETY: each load reads the 32 bytes of a row.
        unsafe {
            let mut table = [_mm256_setzero_si256(); 8];
            let mut r = 0;
            while r < 8 {
                table[r] = _mm256_loadu_si256(rows[r].as_ptr().cast());
                r += 1;
            }
            table
        }
    }
    #[inline(always)]
    unsafe fn load(bytes: &[u8; 64]) -> Self {
        // SAFETY: the two loads read bytes 0..32 and 32..64 of the array.
        unsafe { Self(_mm256_loadu_si256(bytes.as_ptr().cast()), _mm256_loadu_si256(bytes.as_ptr().add(32).cast())) }
    }
    #[inline(always)]
    unsafe fn non_ascii(&self) -> u64 {
        // SAFETY: see the impl.
        unsafe { self.bits() }
    }
    #[inline(always)]
    unsafe fn continuation(&self) -> u64 {
        // SAFETY: see the impl.
        unsafe {
            let least = _mm256_set1_epi8(-64);
            Self(_mm256_cmpgt_epi8(least, self.0), _mm256_cmpgt_epi8(least, self.1)).bits()
        }
    }
    #[inline(always)]
    unsafe fn classes(&self, table: Self::Table) -> Self {
        // SAFETY: see the impl.
        unsafe { Self(look_up(self.0, &table), look_up(self.1, &table)) }
    }
    #[inline(always)]
    unsafe fn store(&self, to: &mut [u8; 64]) {
        // SAFETY: the two stores write bytes 0..32 and 32..64 of the array.
        unsafe {
            _mm256_storeu_si256(to.as_mut_ptr().cast(), self.0);
            _mm256_storeu_si256(to.as_mut_ptr().add(32).cast(), self.1);
        }
    }
    #[inline(always)]
    unsafe fn any(&self, flags: u8) -> u64 {
        // SAFETY: see the impl.
        unsafe {
            let flags = _mm256_set1_epi8(flags as i8);
            let zero = _mm256_setzero_si256();
            let (a, b) = (_mm256_and_si256(self.0, flags), _mm256_and_si256(self.1, flags));
            !Self(_mm256_cmpeq_epi8(a, zero), _mm256_cmpeq_epi8(b, zero)).bits()
        }
    }
    #[inline(always)]
    unsafe fn equal(&self, byte: u8) -> u64 {
        // SAFETY: see the impl.
        unsafe {
            let byte = _mm256_set1_epi8(byte as i8);
            Self(_mm256_cmpeq_epi8(self.0, byte), _mm256_cmpeq_epi8(self.1, byte)).bits()
        }
    }
    #[inline(always)]
    unsafe fn extract(mask: u64, select: u64) -> u64 {
        // SAFETY: see the impl.
        unsafe { _pext_u64(mask, select) }
    }
    #[inline(always)]
    unsafe fn deposit(bits: u64, select: u64) -> u64 {
        // SAFETY: see the impl.
        unsafe { _pdep_u64(bits, select) }
    }
    #[inline(always)]
    unsafe fn positions(bits: u64, base: u32, to: &mut [u32; 64]) {
        generic::positions_scalar(bits, base, to);
    }
}

/// All of a text as UTF-8; its length, or nothing where it holds a surrogate.
///
/// # Safety
/// [`avx512_available`] must hold, and at `to` there must be 64 bytes more than the text needs.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn write_utf8_avx512<C: WideChar>(text: &[C], to: *mut u8) -> Option<usize> {
    let (mut at, mut len) = (0, 0);
    while at < text.len() {
        // SAFETY: the caller's duty; the bytes up to `len` are those of the characters up to `at`.
        let (count, bytes) = unsafe { C::write_block(&text[at..], to.add(len))? };
        (at, len) = (at + count, len + bytes);
    }
    Some(len)
}

/// As [`WideChar::write_block`].
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn write_utf8_of_two_bytes(from: &[u16], to: *mut u8) -> Option<(usize, usize)> {
    let count = from.len().min(32);
    // SAFETY: a masked load reads the characters that exist; both stores lie within the room and the slack, the second half's
    // since the first half took no more than its characters need.
    unsafe {
        let chars = _mm512_maskz_loadu_epi16(u32::MAX >> (32 - count), from.as_ptr().cast());
        if _mm512_test_epi16_mask(chars, _mm512_set1_epi16(0xFF80_u16 as i16)) == 0 {
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi16_epi8(chars));
            return Some((count, count));
        }
        let surrogate = _mm512_set1_epi16(0xD800_u16 as i16);
        let top = _mm512_and_si512(chars, _mm512_set1_epi16(0xF800_u16 as i16));
        if _mm512_cmpeq_epi16_mask(top, surrogate) != 0 {
            return None;
        }
        let low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(chars));
        let mut bytes = write_utf8_of_sixteen(low, count, to);
        if count > 16 {
            let high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(chars));
            bytes += write_utf8_of_sixteen(high, count - 16, to.add(bytes));
        }
        Some((count, bytes))
    }
}

/// As [`WideChar::write_block`].
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn write_utf8_of_four_bytes(from: &[u32], to: *mut u8) -> Option<(usize, usize)> {
    let count = from.len().min(16);
    // SAFETY: as above.
    unsafe {
        let chars = _mm512_maskz_loadu_epi32(u16::MAX >> (16 - count), from.as_ptr().cast());
        if _mm512_cmpge_epu32_mask(chars, _mm512_set1_epi32(0x80)) == 0 {
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(chars));
            return Some((count, count));
        }
        let surrogates = _mm512_cmpeq_epi32_mask(_mm512_srli_epi32::<11>(chars), _mm512_set1_epi32(0x1B));
        if surrogates | _mm512_cmpge_epu32_mask(chars, _mm512_set1_epi32(0x11_0000)) != 0 {
            return None;
        }
        Some((count, write_utf8_of_sixteen(chars, count, to)))
    }
}

/// Writes up to sixteen code points, those behind `count` being zero, and returns how many bytes those in front take.
///
/// # Safety
/// [`avx512_available`] must hold, and 64 bytes must be writable.
#[inline(always)]
unsafe fn write_utf8_of_sixteen(chars: __m512i, count: usize, to: *mut u8) -> usize {
    // SAFETY: the caller's duty.
    unsafe {
        let all = |value: i32| _mm512_set1_epi32(value);
        let or = |a, b| _mm512_or_si512(a, b);
        let six = |bits| or(_mm512_and_si512(bits, all(0x3F)), all(0x80));
        let (last, middle) = (six(chars), six(_mm512_srli_epi32::<6>(chars)));
        let two = or(or(_mm512_srli_epi32::<6>(chars), all(0xC0)), _mm512_slli_epi32::<8>(last));
        let three = or(
            or(_mm512_srli_epi32::<12>(chars), all(0xE0)),
            or(_mm512_slli_epi32::<8>(middle), _mm512_slli_epi32::<16>(last)),
        );
        let mut bytes = _mm512_mask_mov_epi32(chars, _mm512_cmpge_epu32_mask(chars, all(0x80)), two);
        bytes = _mm512_mask_mov_epi32(bytes, _mm512_cmpge_epu32_mask(chars, all(0x800)), three);
        let long = _mm512_cmpge_epu32_mask(chars, all(0x1_0000));
        if long != 0 {
            let second = six(_mm512_srli_epi32::<12>(chars));
            let four = or(
                or(_mm512_srli_epi32::<18>(chars), _mm512_slli_epi32::<8>(second)),
                or(_mm512_slli_epi32::<16>(middle), _mm512_slli_epi32::<24>(last)),
            );
            bytes = _mm512_mask_mov_epi32(bytes, long, or(four, all(0xF0)));
        }
        // The first byte of a lane counts even if it is zero; the others are used if they are not.
        let marked = or(bytes, all(0xFF));
        let used = _mm512_test_epi8_mask(marked, marked);
        _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi8(used, bytes));
        used.count_ones() as usize - (16 - count.min(16))
    }
}

/// # Safety
/// [`avx512_available`] must hold.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn run_queue<const REGISTERS: usize, T: QueueTask>(task: T) -> T::Output {
    task.run(Registers::<REGISTERS>::new())
}

/// A [`MinQueue`] of 16 lanes a register, which never goes through memory: a wide load right after a narrow store to the
/// same place has to wait until the store is done.
struct Registers<const N: usize>([__m512i; N]);

impl<const N: usize> Registers<N> {
    #[inline(always)]
    fn new() -> Self {
        // SAFETY: made in `run_queue` only, whose caller promises AVX-512.
        Self([unsafe { _mm512_set1_epi32(-1) }; N])
    }
}

impl<const N: usize> MinQueue for Registers<N> {
    #[inline(always)]
    fn fill(&mut self, values: &[u32; 64]) {
        let mut i = 0;
        while i < N {
            // SAFETY: as in `new`; N is 4 at most, so the load reads sixteen of the 64 values.
            self.0[i] = unsafe { _mm512_loadu_si512(values[16 * i..16 * i + 16].as_ptr().cast()) };
            i += 1;
        }
    }
    #[inline(always)]
    fn set(&mut self, lane: usize, value: u32) {
        let bit = 1u64 << lane;
        let mut i = 0;
        while i < N {
            // SAFETY: as in `new`.
            self.0[i] = unsafe { _mm512_mask_set1_epi32(self.0[i], (bit >> (16 * i)) as u16, value as i32) };
            i += 1;
        }
    }
    #[inline(always)]
    fn min(&self) -> u32 {
        let mut least = self.0[0];
        let mut i = 1;
        while i < N {
            // SAFETY: as in `new`.
            least = unsafe { _mm512_min_epu32(least, self.0[i]) };
            i += 1;
        }
        // SAFETY: as in `new`.
        unsafe { _mm512_reduce_min_epu32(least) }
    }
}
