//! The merge table: a pair of neighbours to the rank at which they merge.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Merge;
use crate::{
    Error, Result, TokenId,
    kernels::{pages::Pages, prefetch},
};

/// No merge.
pub(super) const NONE: u32 = u32::MAX;

const ID_BITS: u32 = 21;
const RANK_BITS: u32 = 22;

/// The most merges a table may have: ranks share a 64-bit slot with two ids.
pub const MAX_MERGES: usize = (1 << RANK_BITS) - 1;

/// Open addressing with key and rank in one 8-byte slot, at most three quarters full, behind a filter.
///
/// Most pairs that merging asks about do not merge. The filter says so from the second-level cache, where the slots of a
/// large vocabulary (8 MB for o200k) would have to come from the third.
pub(super) struct PairTable {
    /// Complements of `key << 22 | rank`, so that zeroed memory is empty.
    slots: Pages,
    shift: u32,
    /// A bit for each key's hash.
    filter: Pages,
    filter_shift: u32,
    /// Rank to the token it makes, two to a word.
    results: Pages,
    len: usize,
}

/// Merges that are put into the table together.
const AHEAD: usize = 16;

impl PairTable {
    /// Builds the table; of two merges of one pair the later one counts, as in the reference's map.
    pub(super) fn new(merges: &[Merge]) -> Result<Self> {
        if merges.len() > MAX_MERGES {
            return Err(Error::Limit { what: "number of merges", found: merges.len(), limit: MAX_MERGES });
        }
        let size = (merges.len() * 4 / 3).next_power_of_two().max(64);
        // Four bits a slot: with the slots half full one pair in eight passes for nothing.
        let bits = size * 4;
        let [slots, filter, results] = Pages::zeroed_parts([size, bits / 64, merges.len().div_ceil(2)]);
        let table = Self {
            slots,
            shift: 64 - size.trailing_zeros(),
            filter,
            filter_shift: 64 - bits.trailing_zeros(),
            results,
            len: merges.len(),
        };
        let set = |word: &AtomicU64, bits: u64| word.store(word.load(Relaxed) | bits, Relaxed);
        // Slots are fetched a batch ahead, so that the waits for memory overlap.
        let fetch = |merges: &[Merge]| {
            let mut hashes = [0; AHEAD];
            for (known, merge) in hashes.iter_mut().zip(merges) {
                *known = hash(key(merge.left, merge.right));
                prefetch(&table.slots[(*known >> table.shift) as usize]);
            }
            hashes
        };
        let mut batches = merges.chunks(AHEAD);
        let mut next = batches.next().map(|batch| (batch, fetch(batch)));
        let mut rank = 0;
        while let Some((batch, hashes)) = next {
            next = batches.next().map(|batch| (batch, fetch(batch)));
            for (merge, hash) in batch.iter().zip(hashes) {
                let key = key(merge.left, merge.right);
                let (slot, _) = table.find(key, hash);
                table.slots[slot].store(!(key << RANK_BITS | rank as u64), Relaxed);
                let bit = hash >> table.filter_shift;
                set(&table.filter[bit as usize / 64], 1 << (bit % 64));
                set(&table.results[rank / 2], u64::from(merge.result) << (32 * (rank % 2)));
                rank += 1;
            }
        }
        Ok(table)
    }

    /// The slot that holds `key`, or the empty one where it would go, and what it holds.
    #[inline(always)]
    fn find(&self, key: u64, hash: u64) -> (usize, u64) {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift) as usize & mask;
        loop {
            let slot = !self.slots[at].load(Relaxed);
            if slot >> RANK_BITS == key || slot == u64::MAX {
                return (at, slot);
            }
            at = (at + 1) & mask;
        }
    }

    /// The rank at which `left` and `right` merge, or [`NONE`].
    #[inline(always)]
    pub(super) fn rank(&self, left: TokenId, right: TokenId) -> u32 {
        let key = key(left, right);
        let hash = hash(key);
        let bit = hash >> self.filter_shift;
        if self.filter[bit as usize / 64].load(Relaxed) >> (bit % 64) & 1 == 0 {
            return NONE;
        }
        let (_, slot) = self.find(key, hash);
        if slot == u64::MAX { NONE } else { slot as u32 & MAX_MERGES as u32 }
    }

    /// The token that the merge of this rank makes.
    #[inline(always)]
    pub(super) fn result(&self, rank: u32) -> TokenId {
        (self.results[rank as usize / 2].load(Relaxed) >> (32 * (rank % 2))) as TokenId
    }

    /// The pairs that merge.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (TokenId, TokenId)> {
        let slots = self.slots.iter().map(|slot| !slot.load(Relaxed)).filter(|&slot| slot != u64::MAX);
        slots.map(|slot| {
            ((slot >> (RANK_BITS + ID_BITS)) as TokenId, (slot >> RANK_BITS) as TokenId & ((1 << ID_BITS) - 1))
        })
    }

    /// All pairs that merge, by rank.
    pub(super) fn pairs_by_rank(&self) -> Vec<(TokenId, TokenId)> {
        let full = self.slots.iter().map(|slot| !slot.load(Relaxed)).filter(|&slot| slot != u64::MAX);
        let mut slots: Vec<u64> = full.collect();
        slots.sort_unstable_by_key(|slot| slot & MAX_MERGES as u64);
        let id = |bits: u64| (bits & ((1 << ID_BITS) - 1)) as TokenId;
        slots.into_iter().map(|slot| (id(slot >> RANK_BITS >> ID_BITS), id(slot >> RANK_BITS))).collect()
    }

    /// Number of merges.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[inline(always)]
fn key(left: TokenId, right: TokenId) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

#[inline(always)]
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
