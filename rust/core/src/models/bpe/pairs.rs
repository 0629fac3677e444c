//! The merge table: a pair of neighbours to the rank at which they merge.

use std::hint::select_unpredictable;

use super::Merge;
use crate::{
    Error, Result, TokenId,
    kernels::{
        pages::{FixedPages, Pages},
        prefetch,
    },
};

/// No merge.
pub(super) const NONE: u32 = u32::MAX;

const ID_BITS: u32 = 21;
const RANK_BITS: u32 = 22;
const RANK_MASK: u64 = (1 << RANK_BITS) - 1;

/// The most merges a table may have: ranks share a 64-bit slot with two ids.
pub const MAX_MERGES: usize = (1 << RANK_BITS) - 1;

/// Slots in a cache line.
const LINE: usize = 8;

/// A hash table with key and rank in one 8-byte slot, behind a filter.
///
/// A key is somewhere in its line, or in the next one if that is full: one line in twenty is, with half of all slots taken. All
/// slots of a line are compared at once, so that no branch depends on where it is.
///
/// Most pairs that merging asks about do not merge. The filter says so from the second-level cache, where the slots of a
/// large vocabulary (7 MB for o200k) would have to come from memory.
///
/// Two things that should spare more of that memory did not pay. Ranks from which the token that a merge makes follows (all
/// listed vocabularies have their merges in the order of these tokens) instead of a table of results: a new text took 1 or
/// 2 % less time, its first call 5 % more. A second, small table for the first 16,384 merges, with the filter for the others
/// only: nothing, and a tenth more for the first call.
pub(super) struct PairTable {
    /// `key << 22 | rank + 1`, or 0 for none; those of a line are taken from the first on.
    slots: FixedPages,
    lines: u64,
    /// A bit for each key's hash.
    filter: FixedPages,
    bits: u64,
    /// Rank to the token it makes, two to a word.
    results: FixedPages,
}

/// A pair whose line is on its way.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    key: u64,
    line: u32,
    /// Whether the filter lets it through.
    passes: bool,
}

impl Asked {
    pub(super) const NOTHING: Self = Self { key: 0, line: 0, passes: false };
}

/// Merges that are put into the table together.
const AHEAD: usize = 16;

impl PairTable {
    /// Builds the table; of two merges of one pair the later one counts, as in the reference's map.
    pub(super) fn new(merges: &[Merge]) -> Self {
        let lines = (merges.len() * 2).div_ceil(LINE) + 1;
        // Eight bits a merge: one pair in eight passes for nothing.
        let words = (merges.len() * 8).div_ceil(64).max(1);
        let [mut slots, mut filter, mut results] =
            Pages::zeroed_parts([lines * LINE, words, merges.len().div_ceil(2).max(1)]);
        let (slot_words, filter_words, result_words) = (slots.words_mut(), filter.words_mut(), results.words_mut());
        let (line_count, bits) = (lines as u64, words as u64 * 64);
        // Lines are fetched a batch ahead, so that the waits for memory overlap.
        let fetch = |merges: &[Merge], slots: &[u64]| {
            let mut hashes = [0; AHEAD];
            for (known, merge) in hashes.iter_mut().zip(merges) {
                *known = hash(key(merge.left, merge.right));
                prefetch(&slots[scale(*known, line_count) * LINE]);
            }
            hashes
        };
        let mut batches = merges.chunks(AHEAD);
        let mut next = batches.next().map(|batch| (batch, fetch(batch, slot_words)));
        let mut rank = 0;
        while let Some((batch, hashes)) = next {
            next = batches.next().map(|batch| (batch, fetch(batch, slot_words)));
            for (merge, hash) in batch.iter().zip(hashes) {
                let key = key(merge.left, merge.right);
                let mut at = scale(hash, line_count) * LINE;
                while slot_words[at] != 0 && slot_words[at] >> RANK_BITS != key {
                    at = (at + 1) % slot_words.len();
                }
                slot_words[at] = key << RANK_BITS | (rank as u64 + 1);
                let bit = scale(hash, bits);
                filter_words[bit / 64] |= 1 << (bit % 64);
                result_words[rank / 2] |= u64::from(merge.result) << (32 * (rank % 2));
                rank += 1;
            }
        }
        Self { slots: slots.into(), lines: line_count, filter: filter.into(), bits, results: results.into() }
    }

    /// The rank at which `left` and `right` merge, or [`NONE`].
    #[inline(always)]
    pub(super) fn rank(&self, left: TokenId, right: TokenId) -> u32 {
        let key = key(left, right);
        let hash = hash(key);
        if self.passes(hash) { self.find(key, scale(hash, self.lines), true) } else { NONE }
    }

    /// Asks for what [`Self::rank`] would say.
    #[inline(always)]
    pub(super) fn ask(&self, left: TokenId, right: TokenId) -> Asked {
        let key = key(left, right);
        let hash = hash(key);
        let passes = self.passes(hash);
        // A pair that does not merge asks for the first line, like all others of its kind.
        let line = select_unpredictable(passes, scale(hash, self.lines), 0);
        prefetch(&self.slots[line * LINE]);
        Asked { key, line: line as u32, passes }
    }

    /// The rank that was asked for, or [`NONE`].
    #[inline(always)]
    pub(super) fn answer(&self, asked: &Asked) -> u32 {
        let rank = self.find(asked.key, asked.line as usize, asked.passes);
        select_unpredictable(asked.passes, rank, NONE)
    }

    #[inline(always)]
    fn passes(&self, hash: u64) -> bool {
        let bit = scale(hash, self.bits);
        self.filter[bit / 64] >> (bit % 64) & 1 != 0
    }

    /// The rank of a key from a line on, or [`NONE`]. Only behind a key that `passes` it goes on: all others ask for the first
    /// line, and where that is full, as with GPT-2, each looked behind it, a twentieth of the time of a new text.
    #[inline(always)]
    fn find(&self, key: u64, line: usize, passes: bool) -> u32 {
        let slots: &[u64; LINE] = self.slots[line * LINE..][..LINE].try_into().expect("a line");
        let found = slots.iter().fold(0, |found, &slot| found | if slot >> RANK_BITS == key { slot } else { 0 });
        if select_unpredictable(found == 0 && passes, slots[LINE - 1], 0) != 0 {
            return self.find_behind(key, line);
        }
        // One less, and so no merge for none.
        ((found & RANK_MASK) as u32).wrapping_sub(1)
    }

    /// [`Self::find`] behind a full line.
    #[cold]
    fn find_behind(&self, key: u64, line: usize) -> u32 {
        let at = (line + 1) * LINE % self.slots.len();
        let mut behind = self.slots[at..].iter().chain(&self.slots[..at]).take_while(|&&slot| slot != 0);
        behind.find(|&&slot| slot >> RANK_BITS == key).map_or(NONE, |slot| (slot & RANK_MASK) as u32 - 1)
    }

    /// Asks for what [`Self::result`] would say of a rank, if it is one.
    #[inline(always)]
    pub(super) fn prefetch_result(&self, rank: u32) {
        prefetch(&self.results[if rank == NONE { 0 } else { rank as usize / 2 }]);
    }

    /// The token that the merge of this rank makes.
    #[inline(always)]
    pub(super) fn result(&self, rank: u32) -> TokenId {
        (self.results[rank as usize / 2] >> (32 * (rank % 2))) as TokenId
    }

    /// The pairs that merge.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (TokenId, TokenId)> {
        self.slots.iter().filter(|&&slot| slot != 0).map(|&slot| ids(slot))
    }

    /// All pairs that merge, by rank.
    pub(super) fn pairs_by_rank(&self) -> Vec<(TokenId, TokenId)> {
        let mut slots: Vec<u64> = self.slots.iter().copied().filter(|&slot| slot != 0).collect();
        slots.sort_unstable_by_key(|slot| slot & RANK_MASK);
        slots.into_iter().map(ids).collect()
    }
}

/// Whether a table may have so many merges.
///
/// # Errors
/// [`Error::Limit`] when there are more than [`MAX_MERGES`].
pub(super) fn check_merges(merges: usize) -> Result<()> {
    if merges > MAX_MERGES {
        return Err(Error::Limit { what: "number of merges", found: merges, limit: MAX_MERGES });
    }
    Ok(())
}

#[inline(always)]
fn key(left: TokenId, right: TokenId) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

/// The tokens of a slot.
fn ids(slot: u64) -> (TokenId, TokenId) {
    let id = |bits: u64| (bits & ((1 << ID_BITS) - 1)) as TokenId;
    (id(slot >> RANK_BITS >> ID_BITS), id(slot >> RANK_BITS))
}

#[inline(always)]
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A hash as a number below `bound`.
#[inline(always)]
fn scale(hash: u64, bound: u64) -> usize {
    (((hash >> 32) * bound) >> 32) as usize
}
