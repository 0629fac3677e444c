//! Values that differ from those of a row, without a copy of it.

use super::CHUNK;
use super::lanes::{Lanes, padded};

/// What differs from a row, without a copy of it. There is a word for each chunk, with a bit for each token; no words if
/// nothing differs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'c> {
    /// Tokens whose value stands in `values`.
    pub listed: &'c [u64],
    /// Number of those tokens before each chunk.
    pub starts: &'c [u32],
    /// Their values, ascending by token, and [`BEHIND`] more.
    pub values: &'c [f32],
    /// Tokens whose value stands in `own`, whatever `values` says.
    pub stored: &'c [u64],
    /// As long as the row.
    pub own: &'c [f32],
}

/// What stands behind the values of a list of changes, so that as many are read wherever one is: more than a chunk's masks
/// can point to, which spares a check for each.
pub const BEHIND: usize = 2 * CHUNK + 16;

impl Changes<'_> {
    /// The value of a token, which is `x` in the row.
    #[inline]
    pub fn value(&self, id: usize, x: f32) -> f32 {
        let (chunk, bit) = (id / CHUNK, 1 << (id % CHUNK));
        let word = |words: &[u64]| words.get(chunk).copied().unwrap_or(0);
        if word(self.stored) & bit != 0 {
            self.own[id]
        } else if word(self.listed) & bit != 0 {
            self.values[self.starts[chunk] as usize + (word(self.listed) & (bit - 1)).count_ones() as usize]
        } else {
            x
        }
    }

    /// Whether nothing differs.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.stored.is_empty()
    }

    /// Whether a token of the chunk differs.
    #[inline(always)]
    pub(super) fn touch(&self, chunk: usize) -> bool {
        self.listed.get(chunk).copied().unwrap_or(0) | self.stored.get(chunk).copied().unwrap_or(0) != 0
    }

    /// The values of the tokens from `at` on, which is a multiple of 16; `x` are those of the row, `count` of them.
    ///
    /// # Safety
    /// The instruction set of `L`.
    #[inline(always)]
    pub(super) unsafe fn apply<L: Lanes>(&self, x: L, at: usize, count: usize) -> L {
        let (chunk, bit) = (at / CHUNK, at % CHUNK);
        let mut out = x;
        // SAFETY: the caller's duty.
        unsafe {
            if let Some(&listed) = self.listed.get(chunk) {
                let before = (listed & ((1 << bit) - 1)).count_ones() as usize;
                out = out.expand((listed >> bit) as u16, sixteen(self.of_chunk(chunk), before));
            }
            match self.stored.get(chunk).map_or(0, |stored| (stored >> bit) as u16) {
                0 => out,
                stored => out.blend(stored, L::load(&padded(&self.own[at..at + count], 0.0))),
            }
        }
    }

    /// The values of a whole chunk.
    ///
    /// # Safety
    /// The instruction set of `L`.
    #[inline(always)]
    pub(super) unsafe fn apply_to_chunk<L: Lanes>(&self, x: [L; 4], chunk: usize) -> [L; 4] {
        let mut out = x;
        // SAFETY: the caller's duty.
        unsafe {
            if let Some(&listed) = self.listed.get(chunk) {
                let (values, mut at) = (self.of_chunk(chunk), 0);
                for (i, out) in out.iter_mut().enumerate() {
                    let mask = (listed >> (16 * i)) as u16;
                    *out = out.expand(mask, sixteen(values, at));
                    at += mask.count_ones() as usize;
                }
            }
            if let Some(&stored) = self.stored.get(chunk)
                && stored != 0
            {
                let own = self.own[CHUNK * chunk..CHUNK * (chunk + 1)].as_chunks::<16>().0;
                for (i, out) in out.iter_mut().enumerate() {
                    *out = out.blend((stored >> (16 * i)) as u16, L::load(&own[i]));
                }
            }
        }
        out
    }

    /// The values of a chunk's listed tokens, and what stands behind them.
    #[inline(always)]
    fn of_chunk(&self, chunk: usize) -> &[f32; BEHIND] {
        self.values[self.starts[chunk] as usize..].first_chunk().expect("more stands behind the values")
    }
}

#[inline(always)]
fn sixteen(values: &[f32; BEHIND], at: usize) -> &[f32; 16] {
    values[at..].first_chunk().expect("no more than a chunk comes before them")
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn write_changed_with<L: Lanes>(row: &[f32], changes: Changes<'_>, out: &mut [f32]) {
    // SAFETY: the caller's duty.
    unsafe {
        for (i, (own, out)) in row.chunks(16).zip(out.chunks_mut(16)).enumerate() {
            let mut all = [0.0; 16];
            changes.apply(L::load(&padded(own, 0.0)), 16 * i, own.len()).store(&mut all);
            out.copy_from_slice(&all[..own.len()]);
        }
    }
}
