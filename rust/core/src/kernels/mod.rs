//! The only unsafe code: instruction sets behind run-time detection, and memory from the operating system.
//!
//! An algorithm is written once over a small trait (`generic.rs`); an instruction set is a thin shell around it
//! (`x86_64.rs`, `aarch64.rs`), picked once per process by [`isa`]. Machines without a shell run the scalar scanners, which are also
//! the oracle in the tests.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod blank;
pub mod floats;
mod generic;
#[cfg(target_os = "linux")]
mod huge;
#[cfg(target_os = "linux")]
mod large;
pub mod mersenne;
#[cfg(target_arch = "x86_64")]
mod mersenne_x86_64;
pub mod pages;
mod queue;
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::sync::OnceLock;

pub use blank::{Blank, Fill};
pub use generic::{Block, Boundaries, Grammar, Starts};
#[cfg(target_os = "linux")]
pub use large::LargeBlocks;
pub use queue::{MinQueue, QueueTask, with_queue};
pub use wide::{WideChar, utf8_of_wide};

use crate::once::once;

/// An instruction set this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// No vector shell: piece by piece.
    Scalar,
    /// NEON, for the scanners; everything else is what the compiler makes of portable code.
    Neon,
    /// AVX2, BMI1, BMI2.
    Avx2,
    /// AVX-512 BW and VBMI, BMI1, BMI2.
    Avx512,
}

impl Isa {
    /// All, the best last.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name that `PENSTOCK_ISA` and `inspect` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// True when this processor runs the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86_64::avx2_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86_64::avx512_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

/// The best instruction set of this machine, or the one that `PENSTOCK_ISA` names if the machine has it.
pub fn isa() -> Isa {
    static CHOICE: OnceLock<Isa> = OnceLock::new();
    *once(&CHOICE, || {
        let available = || Isa::ALL.into_iter().rev().filter(|isa| isa.is_available());
        let wanted = std::env::var("PENSTOCK_ISA").unwrap_or_default();
        available().find(|isa| isa.name() == wanted).or_else(|| available().next()).unwrap_or(Isa::Scalar)
    })
}

/// Harvests piece boundaries of `text` from the piece start `from` until `out` is full or the text ends.
///
/// Returns the position reached: the start of the next piece, or the text's length. `out` then holds the end of every
/// piece between the two.
pub fn scan<G: Grammar>(isa: Isa, text: &str, from: usize, out: &mut Boundaries) -> usize {
    out.clear();
    match isa {
        // SAFETY: `isa()` and the tests hand out a set only after `is_available` said yes.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86_64::scan_avx512::<G>(text, from, out) },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86_64::scan_avx2::<G>(text, from, out) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => aarch64::scan_neon::<G>(text, from, out),
        _ => generic::scan_scalar::<G>(text, from, out),
    }
}

/// What [`specialize`] compiles once for each instruction set.
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it. An implementation and all it calls in loops must be `#[inline(always)]`: what is left a function of its own
    /// is compiled for any machine. That is why this is no closure, which cannot be marked so; large ones were not inlined.
    fn run(self) -> Self::Output;
}

/// Does `work` as compiled for `isa`, so that it may count and move bits in single instructions.
#[inline(always)]
pub fn specialize<W: Work>(isa: Isa, work: W) -> W::Output {
    match isa {
        // SAFETY: as in `scan`; AVX-512 machines have what AVX2 ones have.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => unsafe { x86_64::specialize(work) },
        _ => work.run(),
    }
}

/// Asks the processor to load the cache line of `value`; never faults.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    prefetch_at(std::ptr::from_ref(value));
}

/// As [`prefetch`], of an address where anything or nothing may be.
#[inline(always)]
pub fn prefetch_at<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect but on the cache.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// For every 64 bytes of a text, the last maybe fewer: which of them start a character.
pub fn character_starts(isa: Isa, text: &str, mut block: impl FnMut(u64)) {
    match isa {
        // SAFETY: as in `scan`.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86_64::character_starts_avx512(text.as_bytes(), block) },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86_64::character_starts_avx2(text.as_bytes(), block) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => aarch64::character_starts_neon(text.as_bytes(), block),
        _ => text.as_bytes().chunks(64).for_each(|chunk| block(generic::starts_scalar(chunk))),
    }
}

/// What a pointer that is only ever set to leaked values points to.
pub(crate) fn shared<T>(pointer: &'static std::sync::atomic::AtomicPtr<T>) -> Option<&'static T> {
    // SAFETY: the callers store nothing but null and `Box::leak`ed values, which live for ever and are never mutated.
    unsafe { pointer.load(std::sync::atomic::Ordering::Acquire).as_ref() }
}
