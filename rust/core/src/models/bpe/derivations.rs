//! Which tokens merging makes of their own texts: those need no merging when a word is one of them.
//!
//! Where every merge that makes a token ranks before every merge that takes it, merging goes through the ranks from the
//! lowest to the highest, once. A part of a token then exists from the rank that makes it to the rank that takes it. Let `l`
//! and `r` be tokens that merging makes of their texts, and a merge take them. Their texts side by side become these two,
//! and then the token, unless some merge joins a part `x` of the right edge of `l` and a part `y` of the left edge of `r`
//! before. That happens exactly if for some such two
//!
//! ```text
//! rank(x, y) < rank that takes x   and   rank(x, y) <= rank that takes y
//! ```
//!
//! since both exist when the rank of their pair has its turn; among equal ranks the leftmost is first, which is why `x` is
//! gone and `y` is not. (Of all such pairs the one with the lowest rank joins, if no other does before.)

use super::{Merge, merge::Merger, pairs::NONE};
use crate::TokenId;

const ID_BITS: u32 = 21;
const ID_MASK: u64 = (1 << ID_BITS) - 1;

/// How a token comes to be: rank + 1 of the merge that makes it, 0 for a single byte; what that takes.
#[derive(Clone, Copy, PartialEq)]
struct Origin(u64);

impl Origin {
    /// Merging does not make the token of its text, or it is not known to.
    const NONE: Self = Self(u64::MAX);
    const BYTE: Self = Self(0);

    fn new(rank: usize, merge: &Merge) -> Self {
        Self((rank as u64 + 1) << (2 * ID_BITS) | u64::from(merge.left) << ID_BITS | u64::from(merge.right))
    }

    #[inline(always)]
    fn order(self) -> u32 {
        (self.0 >> (2 * ID_BITS)) as u32
    }

    #[inline(always)]
    fn left(self) -> TokenId {
        (self.0 >> ID_BITS & ID_MASK) as TokenId
    }

    #[inline(always)]
    fn right(self) -> TokenId {
        (self.0 & ID_MASK) as TokenId
    }
}

/// Tokens that merging makes of their texts, in order of rank: the first `limit` of which `wanted` is true. None where merges
/// are in an order that the rule above does not cover.
///
/// Ids and texts of the vocabulary must be one to one.
pub(super) fn own_encodings(
    merger: &Merger,
    merges: &[Merge],
    tokens: usize,
    limit: usize,
    wanted: impl Fn(TokenId) -> bool,
) -> Option<Vec<TokenId>> {
    let mut origins = vec![Origin::NONE; tokens];
    for byte in 0..=255 {
        origins[merger.byte_id(byte) as usize] = Origin::BYTE;
    }
    let mut taken = vec![0u64; tokens.div_ceil(64)];
    let mut found = Vec::with_capacity(limit);
    for (rank, merge) in merges.iter().enumerate() {
        let made = merge.result as usize;
        if taken[made / 64] >> (made % 64) & 1 == 1 {
            return None;
        }
        for id in [merge.left, merge.right] {
            taken[id as usize / 64] |= 1 << (id % 64);
        }
        // A token that several merges make comes from the one that the rule allows; a pair listed twice has its last rank.
        if found.len() < limit
            && origins[made] == Origin::NONE
            && origins[merge.left as usize] != Origin::NONE
            && origins[merge.right as usize] != Origin::NONE
            && become_two(merger, &origins, merge.left, merge.right)
            && merger.pairs.rank(merge.left, merge.right) as usize == rank
        {
            origins[made] = Origin::new(rank, merge);
            if wanted(merge.result) {
                found.push(merge.result);
            }
        }
    }
    Some(found)
}

/// Whether the texts of two tokens side by side become these two, if a merge of the two as a whole is left out.
#[inline(always)]
fn become_two(merger: &Merger, origins: &[Origin], left: TokenId, right: TokenId) -> bool {
    let (mut x, mut y) = (left, right);
    let (mut from_x, mut from_y) = (origins[x as usize], origins[y as usize]);
    // One more than the ranks that take them.
    let (mut end_x, mut end_y) = (NONE, NONE);
    loop {
        let (order_x, order_y) = (from_x.order(), from_y.order());
        if order_x | order_y == 0 {
            return true;
        }
        // Back in time: of the two, what was made last is taken apart.
        if order_x > order_y {
            (end_x, x) = (order_x, from_x.right());
            from_x = origins[x as usize];
        } else {
            (end_y, y) = (order_y, from_y.left());
            from_y = origins[y as usize];
        }
        let rank = merger.pairs.rank(x, y);
        if rank != NONE && rank + 1 < end_x && rank < end_y {
            return false;
        }
    }
}
