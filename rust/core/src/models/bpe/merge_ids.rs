//! Merging symbols that are not bytes: the characters of `SentencePiece` models.
//!
//! The procedure is that of merge.rs, and so are the facts behind `merge_windows`. What is different is that most
//! neighbours never merge, however their own sides grow: a [`SeamFilter`] knows all pairs of symbols that some merge joins,
//! and between others the text falls apart at once. Of Chinese text that leaves hardly more than single characters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::merge::{Merger, SHORT, merge_symbols};
use super::pairs::NONE;
use crate::{
    TokenId,
    kernels::{self, MinQueue, QueueTask, pages::Pages},
};

/// A token and the number of symbols it covers.
pub(super) type Merged = (TokenId, u32);

/// Pairs of symbols between which a merge may reach; says yes to some others.
pub(super) struct SeamFilter {
    bits: Pages,
    shift: u32,
}

impl SeamFilter {
    /// The filter for all pairs; each is the last symbol of a token and the first of one that it merges with.
    pub(super) fn new(pairs: &[(TokenId, TokenId)]) -> Self {
        // Sixteen bits a pair: one foreign pair in sixteen passes.
        let bits = (pairs.len() * 16).next_power_of_two().max(1 << 12);
        let filter = Self { bits: Pages::zeroed(bits / 64), shift: 64 - bits.trailing_zeros() };
        let set = |word: &AtomicU64, bit: u64| word.store(word.load(Relaxed) | bit, Relaxed);
        for &(left, right) in pairs {
            let at = filter.place(left, right);
            set(&filter.bits[at / 64], 1 << (at % 64));
        }
        filter
    }

    #[inline(always)]
    fn place(&self, left: TokenId, right: TokenId) -> usize {
        let key = u64::from(left) << 32 | u64::from(right);
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ key.wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(32))
            .wrapping_mul(0x1656_67B1_9E37_79F9) as usize
            >> self.shift
    }

    #[inline(always)]
    fn may_join(&self, left: TokenId, right: TokenId) -> bool {
        let at = self.place(left, right);
        self.bits[at / 64].load(Relaxed) >> (at % 64) & 1 == 1
    }
}

/// Appends what `ids` merge into.
pub(super) fn merge_ids(merger: &Merger, seams: Option<&SeamFilter>, ids: &[TokenId], out: &mut Vec<Merged>) {
    let Some(seams) = seams else { return merge_run(merger, ids, out) };
    let mut start = 0;
    for at in 1..=ids.len() {
        if at == ids.len() || !seams.may_join(ids[at - 1], ids[at]) {
            merge_run(merger, &ids[start..at], out);
            start = at;
        }
    }
}

fn merge_run(merger: &Merger, ids: &[TokenId], out: &mut Vec<Merged>) {
    match *ids {
        [] => {}
        [only] => out.push((only, 1)),
        [left, right] => match merger.pairs.rank(left, right) {
            NONE => out.extend([(left, 1), (right, 1)]),
            rank => out.push((merger.pairs.result(rank), 2)),
        },
        _ if ids.len() <= SHORT => merge_short(merger, ids, out),
        _ => merge_windows(merger, ids, out),
    }
}

fn merge_short(merger: &Merger, ids: &[TokenId], out: &mut Vec<Merged>) {
    // Most runs are short: to clear lists of 64 for them was a tenth of the time.
    if ids.len() <= 16 {
        kernels::with_queue(merger.isa, ids.len(), Short::<16> { merger, ids, out });
    } else {
        kernels::with_queue(merger.isa, ids.len(), Short::<SHORT> { merger, ids, out });
    }
}

fn merge_heap(merger: &Merger, ids: &[TokenId], out: &mut Vec<Merged>) {
    merge_symbols(&merger.pairs, ids.to_vec(), |token, count| out.push((token, count as u32)));
}

/// Windows with checked seams, as in merge.rs.
fn merge_windows(merger: &Merger, ids: &[TokenId], out: &mut Vec<Merged>) {
    /// Tokens at a window's end that the cut may have spoilt.
    const UNSURE: usize = 2;
    /// Symbols merged per symbol before the heap takes over.
    const BUDGET: usize = 24;

    let base = out.len();
    let (mut at, mut width, mut work) = (0, SHORT, 0);
    let mut window: Vec<Merged> = Vec::with_capacity(SHORT);
    let (mut known, mut known_seam) = (0..0, (NONE, NONE));
    while at < ids.len() {
        let end = ids.len().min(at + width);
        if ids[known.clone()] != ids[at..end] {
            window.clear();
            if end - at <= SHORT {
                merge_short(merger, &ids[at..end], &mut window);
            } else {
                merge_heap(merger, &ids[at..end], &mut window);
            }
            known = at..end;
            work += end - at;
        }
        let sure = if end == ids.len() { window.len() } else { window.len().saturating_sub(UNSURE) };
        if sure == 0 {
            width *= 2;
        } else {
            let left = out[base..].last().copied();
            let right = window[0];
            let seam = (left.map_or(NONE, |(token, _)| token), right.0);
            if left.is_none_or(|left| seam == known_seam || is_seam(merger, ids, at, left, right, &mut work)) {
                known_seam = seam;
                out.extend_from_slice(&window[..sure]);
                at += covered(&window[..sure]);
                if window.len() * 8 > width {
                    width = SHORT.max(width / 2);
                }
            } else {
                out.pop();
                at -= covered(left.as_slice());
                width *= 2;
            }
        }
        if work > BUDGET * ids.len() + (1 << 12) {
            out.truncate(base);
            return merge_heap(merger, ids, out);
        }
    }
}

fn covered(tokens: &[Merged]) -> usize {
    tokens.iter().map(|&(_, count)| count as usize).sum()
}

/// Whether the symbols of the two tokens on both sides of `at` merge to just these two.
fn is_seam(merger: &Merger, ids: &[TokenId], at: usize, left: Merged, right: Merged, work: &mut usize) -> bool {
    if merger.pairs.rank(left.0, right.0) != NONE {
        return false;
    }
    let symbols = &ids[at - left.1 as usize..at + right.1 as usize];
    *work += symbols.len();
    let mut tokens = Vec::with_capacity(symbols.len());
    if symbols.len() <= SHORT {
        merge_short(merger, symbols, &mut tokens);
    } else {
        merge_heap(merger, symbols, &mut tokens);
    }
    tokens == [left, right]
}

/// As `merge_short` of merge.rs, from up to `N` symbols, a power of two.
struct Short<'m, const N: usize> {
    merger: &'m Merger,
    ids: &'m [TokenId],
    out: &'m mut Vec<Merged>,
}

impl<const N: usize> QueueTask for Short<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run<Q: MinQueue>(self, mut queue: Q) {
        let Self { merger, ids, out } = self;
        let pairs = &merger.pairs;
        let n = ids.len();
        let (mut tokens, mut made, mut before, mut after) = ([0; N], [0; N], [0u8; N], [0u8; N]);
        let mut lanes = [NONE; SHORT];
        for (i, &id) in ids.iter().enumerate() {
            tokens[i & (N - 1)] = id;
            before[i & (N - 1)] = (i as u8).wrapping_sub(1);
            after[i & (N - 1)] = i as u8 + 1;
        }
        for (i, pair) in ids.windows(2).enumerate() {
            let rank = pairs.rank(pair[0], pair[1]);
            if rank != NONE {
                lanes[i & (N - 1)] = rank << 6 | i as u32;
                made[i & (N - 1)] = pairs.result(rank);
            }
        }
        queue.fill(&lanes);
        loop {
            let best = queue.min();
            if best == NONE {
                break;
            }
            let at = best as usize & (N - 1);
            let gone = usize::from(after[at]) & (N - 1);
            let next = usize::from(after[gone]);
            let token = made[at];
            tokens[at] = token;
            after[at] = next as u8;
            if next < n {
                before[next & (N - 1)] = at as u8;
            }
            queue.set(gone, NONE);
            let left = usize::from(before[at]);
            let right_rank = if next < n { pairs.rank(token, tokens[next & (N - 1)]) } else { NONE };
            let left_rank = if left < n { pairs.rank(tokens[left & (N - 1)], token) } else { NONE };
            if right_rank == NONE {
                queue.set(at, NONE);
            } else {
                queue.set(at, right_rank << 6 | at as u32);
                made[at] = pairs.result(right_rank);
            }
            if left_rank != NONE {
                queue.set(left, left_rank << 6 | left as u32);
                made[left & (N - 1)] = pairs.result(left_rank);
            } else if left < n {
                queue.set(left, NONE);
            }
        }
        let mut at = 0;
        while at < n {
            let next = usize::from(after[at]);
            out.push((tokens[at], (next - at) as u32));
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Vocab,
        models::bpe::{Merge, TokenBytes, pairs::PairTable},
    };

    /// What the words say: merge the lowest rank, the leftmost of equals, until nothing merges.
    fn naive(merges: &[Merge], ids: &[TokenId]) -> Vec<Merged> {
        let mut ids: Vec<Merged> = ids.iter().map(|&id| (id, 1)).collect();
        loop {
            let rank = |pair: &[Merged]| merges.iter().rposition(|m| [m.left, m.right] == [pair[0].0, pair[1].0]);
            let best = ids.windows(2).enumerate().filter_map(|(at, pair)| rank(pair).map(|rank| (rank, at))).min();
            let Some((rank, at)) = best else { return ids };
            let count = ids[at].1 + ids[at + 1].1;
            ids.splice(at..at + 2, [(merges[rank].result, count)]);
        }
    }

    proptest! {
        #[test]
        fn every_route_gives_the_naive_answer(
            pairs in prop::collection::vec((0..64usize, 0..64usize), 0..40),
            order in prop::collection::vec(0..64usize, 0..8),
            text in prop::collection::vec(0..4u32, 0..400),
            repeat in 1..4usize,
        ) {
            // Tokens by their symbols; the first four are the symbols.
            let mut names: Vec<Vec<u32>> = (0..4).map(|symbol| vec![symbol]).collect();
            let mut merges = Vec::new();
            for &(left, right) in &pairs {
                // Three symbols merge, the fourth never does.
                let known: Vec<usize> = (0..names.len()).filter(|&id| id != 3).collect();
                let (left, right) = (known[left % known.len()], known[right % known.len()]);
                let name = [&names[left][..], &names[right][..]].concat();
                if name.len() > 40 {
                    continue;
                }
                let result = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                });
                merges.push(Merge { left: left as u32, right: right as u32, result: result as u32 });
            }
            for (i, &j) in order.iter().enumerate().take(merges.len()) {
                let j = j % merges.len();
                merges.swap(i, j);
            }
            let joins = |m: &Merge| (*names[m.left as usize].last().unwrap(), names[m.right as usize][0]);
            let seams = SeamFilter::new(&merges.iter().map(joins).collect::<Vec<_>>());
            let byte_ids = Box::new([0; 256]);
            let table = PairTable::new(&merges);
            let merger = Merger::new(table, byte_ids, TokenBytes::new(&Vocab::default()), kernels::isa());
            let text = text.repeat(repeat);
            for ids in [&text[..], &text[..text.len().min(SHORT)], &text[..text.len().min(16)]] {
                let expected = naive(&merges, ids);
                for seams in [None, Some(&seams)] {
                    let mut found = Vec::new();
                    merge_ids(&merger, seams, ids, &mut found);
                    prop_assert_eq!(&found, &expected);
                }
                let mut found = Vec::new();
                merge_windows(&merger, ids, &mut found);
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
