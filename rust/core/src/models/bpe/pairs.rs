//! The merge table: a pair of neighbours to the rank at which they merge.

use super::Merge;
use crate::{Error, Result, TokenId};

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
    slots: Box<[u64]>,
    shift: u32,
    /// A bit for each key's hash.
    filter: Box<[u64]>,
    filter_shift: u32,
    /// Rank to the token it makes.
    results: Box<[TokenId]>,
}

impl PairTable {
    /// Builds the table; of two merges of one pair the later one counts, as in the reference's map.
    pub(super) fn new(merges: &[Merge]) -> Result<Self> {
        if merges.len() > MAX_MERGES {
            return Err(Error::Limit { what: "number of merges", found: merges.len(), limit: MAX_MERGES });
        }
        let size = (merges.len() * 4 / 3).next_power_of_two().max(64);
        // Four bits a slot: with the slots half full one pair in eight passes for nothing.
        let bits = size * 4;
        let mut table = Self {
            filter: vec![0; bits / 64].into_boxed_slice(),
            filter_shift: 64 - bits.trailing_zeros(),
            slots: vec![u64::MAX; size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
            results: merges.iter().map(|merge| merge.result).collect(),
        };
        for (rank, merge) in merges.iter().enumerate() {
            let key = key(merge.left, merge.right);
            let slot = table.find(key, hash(key));
            table.slots[slot] = key << RANK_BITS | rank as u64;
            let bit = hash(key) >> table.filter_shift;
            table.filter[bit as usize / 64] |= 1 << (bit % 64);
        }
        Ok(table)
    }

    /// The slot that holds `key`, or the empty one where it would go.
    #[inline(always)]
    fn find(&self, key: u64, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift) as usize & mask;
        while self.slots[at] != u64::MAX && self.slots[at] >> RANK_BITS != key {
            at = (at + 1) & mask;
        }
        at
    }

    /// The rank at which `left` and `right` merge, or [`NONE`].
    #[inline(always)]
    pub(super) fn rank(&self, left: TokenId, right: TokenId) -> u32 {
        let key = key(left, right);
        let hash = hash(key);
        let bit = hash >> self.filter_shift;
        if self.filter[bit as usize / 64] >> (bit % 64) & 1 == 0 {
            return NONE;
        }
        let slot = self.slots[self.find(key, hash)];
        if slot == u64::MAX { NONE } else { slot as u32 & MAX_MERGES as u32 }
    }

    /// The token that the merge of this rank makes.
    #[inline(always)]
    pub(super) fn result(&self, rank: u32) -> TokenId {
        self.results[rank as usize]
    }

    /// Number of merges.
    pub(super) fn len(&self) -> usize {
        self.results.len()
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
