//! The merge table: a pair of neighbours to the rank at which they merge.

use super::Merge;
use crate::{Error, Result, TokenId};

/// No merge.
pub(super) const NONE: u32 = u32::MAX;

const ID_BITS: u32 = 21;
const RANK_BITS: u32 = 22;

/// The most merges a table may have: ranks share a 64-bit slot with two ids.
pub const MAX_MERGES: usize = (1 << RANK_BITS) - 1;

/// Open addressing with key and rank in one 8-byte slot, at most half full.
pub(super) struct PairTable {
    slots: Box<[u64]>,
    shift: u32,
    /// Rank to the token it makes.
    results: Box<[TokenId]>,
}

impl PairTable {
    /// Builds the table; of two merges of one pair the later one counts, as in the reference's map.
    pub(super) fn new(merges: &[Merge]) -> Result<Self> {
        if merges.len() > MAX_MERGES {
            return Err(Error::Limit { what: "number of merges", found: merges.len(), limit: MAX_MERGES });
        }
        let size = (merges.len() * 2).next_power_of_two().max(16);
        let mut table = Self {
            slots: vec![u64::MAX; size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
            results: merges.iter().map(|merge| merge.result).collect(),
        };
        for (rank, merge) in merges.iter().enumerate() {
            let slot = table.find(key(merge.left, merge.right));
            table.slots[slot] = key(merge.left, merge.right) << RANK_BITS | rank as u64;
        }
        Ok(table)
    }

    /// The slot that holds `key`, or the empty one where it would go.
    #[inline(always)]
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize & mask;
        while self.slots[at] != u64::MAX && self.slots[at] >> RANK_BITS != key {
            at = (at + 1) & mask;
        }
        at
    }

    /// The rank at which `left` and `right` merge, or [`NONE`].
    #[inline(always)]
    pub(super) fn rank(&self, left: TokenId, right: TokenId) -> u32 {
        let slot = self.slots[self.find(key(left, right))];
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
