//! Merging a piece: the lowest rank first, the leftmost of equal ranks.
//!
//! `merge_short` scans for the minimum and is what nearly every piece takes, unless several go side by side
//! (`merge_together.rs`). `merge_heap` is the textbook form for any length. `merge_long` cuts a long piece into windows, and
//! is exact for *any* merge table because of three facts about `enc`, the textbook procedure:
//!
//! 1. Neighbouring tokens of an encoding are the encoding of the text they cover. (What the run does inside that text
//!    never depends on the rest: the globally best pair, when it lies inside, is the best inside.)
//! 2. If `enc(a + b) = [a, b]` for all neighbours of a sequence, the sequence is the encoding of its text. (Look at the
//!    first merge across a seam: up to then both sides ran as they run alone, so it would happen in `enc(a + b)` too.)
//! 3. Hence the only thing to check when two encodings are put side by side is the seam.
//!
//! The idea of building an encoding from compatible neighbours is that of GitHub's `rust-gems/crates/bpe`; windows take
//! the place of its automaton and backtracking, since most of a window is right at once.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    pairs::{NONE, PairTable},
    token_bytes::TokenBytes,
};
use crate::{
    TokenId,
    kernels::{self, Isa, MinQueue, QueueTask},
};

/// The longest piece that `merge_short` takes: positions have six bits beside a rank of 22.
pub(super) const SHORT: usize = 64;

/// Merges bytes into tokens with one merge table.
pub(super) struct Merger {
    pub(super) pairs: PairTable,
    /// The token of each byte.
    byte_ids: Box<[TokenId; 256]>,
    /// Rank of each pair of bytes: half of all look-ups, without a hash.
    byte_ranks: Box<[u32]>,
    /// The bytes of each token.
    pub(super) bytes: TokenBytes,
    pub(super) isa: Isa,
}

impl Merger {
    pub(super) fn new(pairs: PairTable, byte_ids: Box<[TokenId; 256]>, bytes: TokenBytes, isa: Isa) -> Self {
        let rank = |pair: usize| pairs.rank(byte_ids[pair >> 8], byte_ids[pair & 255]);
        let byte_ranks = (0..1 << 16).map(rank).collect();
        Self { pairs, byte_ids, byte_ranks, bytes, isa }
    }

    /// The token of a byte.
    #[inline(always)]
    pub(super) fn byte_id(&self, byte: u8) -> TokenId {
        self.byte_ids[usize::from(byte)]
    }

    /// Appends the tokens of `piece`.
    pub(super) fn merge(&self, piece: &[u8], out: &mut Vec<TokenId>) {
        if piece.len() <= SHORT { self.merge_short(piece, out) } else { self.merge_long(piece, out) }
    }

    /// The rank of the tokens of two bytes.
    #[inline(always)]
    pub(super) fn byte_rank(&self, left: u8, right: u8) -> u32 {
        self.byte_ranks[usize::from(left) << 8 | usize::from(right)]
    }

    fn merge_short(&self, piece: &[u8], out: &mut Vec<TokenId>) {
        kernels::with_queue(self.isa, piece.len(), Short { merger: self, piece, out });
    }

    /// The textbook procedure with a heap, n log n.
    fn merge_heap(&self, piece: &[u8], out: &mut Vec<TokenId>) {
        let ids: Vec<TokenId> = piece.iter().map(|&byte| self.byte_ids[usize::from(byte)]).collect();
        merge_symbols(&self.pairs, ids, |token, _| out.push(token));
    }

    /// Windows with checked seams; see the module's facts.
    fn merge_long(&self, piece: &[u8], out: &mut Vec<TokenId>) {
        /// Tokens at a window's end that the cut may have spoilt. With 2, a seam fails on 3 % of windows of random
        /// letters; with 1 on 20 %.
        const UNSURE: usize = 2;
        /// Bytes merged per byte of the piece before the heap takes over: a guard against tables made to fail seams.
        const BUDGET: usize = 24;

        let base = out.len();
        let (mut at, mut width, mut work) = (0, SHORT, 0);
        let mut window = Vec::with_capacity(SHORT);
        // The window merged last and the seam checked last: long runs repeat both.
        let (mut known, mut known_seam) = (0..0, (NONE, NONE));
        while at < piece.len() {
            let end = piece.len().min(at + width);
            if piece[known.clone()] != piece[at..end] {
                window.clear();
                if end - at <= SHORT {
                    self.merge_short(&piece[at..end], &mut window);
                } else {
                    self.merge_heap(&piece[at..end], &mut window);
                }
                known = at..end;
                work += end - at;
            }
            let sure = if end == piece.len() { window.len() } else { window.len().saturating_sub(UNSURE) };
            if sure == 0 {
                width *= 2;
            } else {
                let seam = (out[base..].last().copied().unwrap_or(NONE), window[0]);
                if seam.0 == NONE || seam == known_seam || self.is_seam(seam.0, seam.1, &mut work) {
                    known_seam = seam;
                    out.extend_from_slice(&window[..sure]);
                    at += self.covered(&window[..sure]);
                    // Keep the width that long tokens needed; return to the quick one when tokens are short again.
                    if window.len() * 8 > width {
                        width = SHORT.max(width / 2);
                    }
                } else {
                    out.pop();
                    at -= self.covered(&[seam.0]);
                    width *= 2;
                }
            }
            if work > BUDGET * piece.len() + (1 << 12) {
                out.truncate(base);
                return self.merge_heap(piece, out);
            }
        }
    }

    fn covered(&self, tokens: &[TokenId]) -> usize {
        tokens.iter().map(|&token| self.bytes.len(token)).sum()
    }

    /// Whether the text of the two tokens encodes to just these two.
    fn is_seam(&self, left: TokenId, right: TokenId, work: &mut usize) -> bool {
        if self.pairs.rank(left, right) != NONE {
            return false;
        }
        let text = [self.bytes.get(left), self.bytes.get(right)].concat();
        *work += text.len();
        let mut tokens = Vec::with_capacity(text.len());
        if text.len() <= SHORT {
            self.merge_short(&text, &mut tokens);
        } else {
            self.merge_heap(&text, &mut tokens);
        }
        tokens == [left, right]
    }
}

/// `merge_short`: a lane for each byte holds `rank << 6 | position` of the pair that starts there, so that a plain minimum
/// finds the lowest rank and, among equals, the leftmost.
struct Short<'m> {
    merger: &'m Merger,
    piece: &'m [u8],
    out: &'m mut Vec<TokenId>,
}

impl QueueTask for Short<'_> {
    type Output = ();

    #[inline(always)]
    fn run<Q: MinQueue>(self, mut queue: Q) {
        let Self { merger, piece, out } = self;
        let n = piece.len();
        // What merging at a position makes: looked up with the rank, long before it is needed.
        let (mut tokens, mut made) = ([0; SHORT], [0; SHORT]);
        // Positions of the neighbours that are still there; 255 (-1) and n mark the ends.
        let (mut before, mut after) = ([0u8; SHORT + 1], [0u8; SHORT + 1]);
        for (i, &byte) in piece.iter().enumerate() {
            tokens[i & (SHORT - 1)] = merger.byte_ids[usize::from(byte)];
            before[i & (SHORT - 1)] = (i as u8).wrapping_sub(1);
            after[i & (SHORT - 1)] = i as u8 + 1;
        }
        let mut lanes = [NONE; SHORT];
        for (i, pair) in piece.windows(2).enumerate() {
            let rank = merger.byte_rank(pair[0], pair[1]);
            if rank != NONE {
                lanes[i & (SHORT - 1)] = rank << 6 | i as u32;
                made[i & (SHORT - 1)] = merger.pairs.result(rank);
            }
        }
        queue.fill(&lanes);
        loop {
            let best = queue.min();
            if best == NONE {
                break;
            }
            let at = best as usize & (SHORT - 1);
            let gone = usize::from(after[at]) & (SHORT - 1);
            let next = usize::from(after[gone]);
            let token = made[at];
            tokens[at] = token;
            after[at] = next as u8;
            before[next] = at as u8;
            queue.set(gone, NONE);
            let left = usize::from(before[at]);
            // Both look-ups are under way before either is waited for.
            let right_rank = if next < n { merger.pairs.rank(token, tokens[next & (SHORT - 1)]) } else { NONE };
            let left_rank = if left < n { merger.pairs.rank(tokens[left & (SHORT - 1)], token) } else { NONE };
            if right_rank == NONE {
                queue.set(at, NONE);
            } else {
                queue.set(at, right_rank << 6 | at as u32);
                made[at] = merger.pairs.result(right_rank);
            }
            if left_rank != NONE {
                queue.set(left, left_rank << 6 | left as u32);
                made[left & (SHORT - 1)] = merger.pairs.result(left_rank);
            } else if left < n {
                queue.set(left, NONE);
            }
        }
        let mut at = 0;
        while at < n {
            out.push(tokens[at & (SHORT - 1)]);
            at = usize::from(after[at]);
        }
    }
}

/// Merges symbols in place of a list, calling `emit` with every final token and the number of symbols it covers.
pub(super) fn merge_symbols(pairs: &PairTable, mut tokens: Vec<TokenId>, mut emit: impl FnMut(TokenId, usize)) {
    let n = tokens.len();
    let mut before: Vec<u32> = (0..n as u32).map(|i| i.wrapping_sub(1)).collect();
    let mut after: Vec<u32> = (1..=n as u32).collect();
    let entry = |rank: u32, at: usize| Reverse(u64::from(rank) << 32 | at as u64);
    let mut heap: BinaryHeap<Reverse<u64>> = (1..n)
        .map(|i| (pairs.rank(tokens[i - 1], tokens[i]), i - 1))
        .filter(|&(rank, _)| rank != NONE)
        .map(|(rank, at)| entry(rank, at))
        .collect();
    while let Some(Reverse(best)) = heap.pop() {
        let (rank, at) = ((best >> 32) as u32, best as u32 as usize);
        let gone = after[at] as usize;
        // An entry is stale when its pair is no longer there: the symbol is gone, or one of the two has grown.
        if tokens[at] == NONE || gone >= n || pairs.rank(tokens[at], tokens[gone]) != rank {
            continue;
        }
        let next = after[gone] as usize;
        tokens[at] = pairs.result(rank);
        tokens[gone] = NONE;
        after[at] = next as u32;
        if next < n {
            before[next] = at as u32;
            let rank = pairs.rank(tokens[at], tokens[next]);
            if rank != NONE {
                heap.push(entry(rank, at));
            }
        }
        if before[at] != NONE {
            let left = before[at] as usize;
            let rank = pairs.rank(tokens[left], tokens[at]);
            if rank != NONE {
                heap.push(entry(rank, left));
            }
        }
    }
    let mut at = 0;
    while at < n {
        let next = after[at] as usize;
        emit(tokens[at], next - at);
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Vocab,
        models::bpe::{
            Merge,
            derivations::own_encodings,
            merge_together::{LONGEST, Together},
        },
        unicode::byte_chars::BYTE_CHARS,
    };

    /// What the words say: merge the lowest rank, the leftmost of equals, until nothing merges.
    fn naive(merges: &[Merge], ids: &[TokenId]) -> Vec<TokenId> {
        let mut ids = ids.to_vec();
        loop {
            let rank = |pair: &[TokenId]| merges.iter().rposition(|m| [m.left, m.right] == pair);
            let best = ids.windows(2).enumerate().filter_map(|(at, pair)| rank(pair).map(|rank| (rank, at))).min();
            let Some((rank, at)) = best else { return ids };
            ids.splice(at..at + 2, [merges[rank].result]);
        }
    }

    /// A merger whose alphabet is all bytes and whose merges are `pairs` of earlier tokens, by index modulo their number;
    /// several merges may make one token, in any order.
    fn merger(pairs: &[(usize, usize)], order: &[usize]) -> (Merger, Vec<Merge>) {
        let mut vocab = Vocab::default();
        let mut names: Vec<String> = BYTE_CHARS.iter().map(char::to_string).collect();
        for (id, name) in names.iter().enumerate() {
            vocab.insert(name, id as TokenId);
        }
        let letters = [b'a', b'b', b'c'].map(usize::from);
        let mut known = letters.to_vec();
        let mut merges = Vec::new();
        for &(left, right) in pairs {
            let (left, right) = (known[left % known.len()], known[right % known.len()]);
            let name = names[left].clone() + &names[right];
            if name.len() > 40 {
                continue;
            }
            let result = vocab.id(&name).unwrap_or_else(|| {
                let id = names.len() as TokenId;
                vocab.insert(&name, id);
                names.push(name);
                known.push(id as usize);
                id
            });
            merges.push(Merge { left: left as TokenId, right: right as TokenId, result });
        }
        // Merges out of the order in which their tokens came to be: tables made by hand, or by a converter.
        for (i, &j) in order.iter().enumerate().take(merges.len()) {
            let j = j % merges.len();
            merges.swap(i, j);
        }
        let byte_ids = Box::new(std::array::from_fn(|byte| byte as TokenId));
        let bytes = TokenBytes::new(&vocab);
        let pairs = PairTable::new(&merges);
        (Merger::new(pairs, byte_ids, bytes, kernels::isa()), merges)
    }

    proptest! {
        #[test]
        fn every_route_gives_the_naive_answer(
            pairs in prop::collection::vec((0..64usize, 0..64usize), 0..40),
            order in prop::collection::vec(0..64usize, 0..8),
            text in prop::collection::vec(prop::sample::select(b"abc".to_vec()), 0..400),
            repeat in 1..4usize,
            lengths in prop::collection::vec(1..=LONGEST, 1..40),
        ) {
            let (merger, merges) = merger(&pairs, &order);
            let ids = |text: &[u8]| text.iter().map(|&byte| TokenId::from(byte)).collect::<Vec<_>>();
            let bound = 256 + merges.len();
            for id in own_encodings(&merger, &merges, bound, merges.len(), |_| true).unwrap_or_default() {
                prop_assert_eq!(naive(&merges, &ids(merger.bytes.get(id))), [id]);
            }
            let text = text.repeat(repeat);
            let symbols = ids(&text);
            for piece in [&text[..], &text[..text.len().min(SHORT)], &text[..text.len().min(16)]] {
                let expected = naive(&merges, &symbols[..piece.len()]);
                let mut found = Vec::new();
                merger.merge(piece, &mut found);
                prop_assert_eq!(&found, &expected);
                let mut found = Vec::new();
                merger.merge_heap(piece, &mut found);
                prop_assert_eq!(&found, &expected);
                let mut found = Vec::new();
                merger.merge_long(piece, &mut found);
                prop_assert_eq!(&found, &expected);
            }
            let mut rest = &text[..];
            let cut = |len: usize| rest.split_off(..len.min(rest.len())).filter(|piece| !piece.is_empty());
            let pieces: Vec<&[u8]> = lengths.into_iter().map_while(cut).collect();
            let expected: Vec<_> = pieces.iter().map(|piece| naive(&merges, &ids(piece))).collect();
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                let mut found = vec![Vec::new(); pieces.len()];
                let done = |i: usize, tokens: &[TokenId]| found[i].extend_from_slice(tokens);
                kernels::specialize(isa, Together { merger: &merger, pieces: &pieces, done });
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
