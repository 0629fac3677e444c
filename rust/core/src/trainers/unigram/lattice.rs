//! The pieces of a model under training, and sums over all segmentations of a word into pieces.

use super::{corpus::Corpus, digamma};
use crate::threads;

/// No piece, no node.
const NONE: u32 = u32::MAX;

/// Pieces with probabilities. The first ones are the characters, which always stay.
pub(super) struct Pieces {
    chars: usize,
    /// Where in the corpus a piece stands, for example; meaningless for the characters.
    places: Vec<(usize, usize)>,
    /// Natural logarithms.
    log_probs: Vec<f64>,
    probs: Vec<f64>,
    trie: Trie,
}

/// How often each piece is expected, over all segmentations of all words.
pub(super) type Expectation = Vec<f64>;

impl Pieces {
    /// The characters.
    pub(super) fn new(char_counts: &[u64]) -> Self {
        Self {
            chars: char_counts.len(),
            places: vec![(0, 1); char_counts.len()],
            log_probs: Vec::new(),
            probs: char_counts.iter().map(|&count| (count as f64).max(super::LEAST_COUNT)).collect(),
            trie: Trie::default(),
        }
    }

    /// One piece more, with a weight; [`Pieces::start`] makes probabilities of the weights.
    pub(super) fn push(&mut self, start: usize, len: usize, weight: f64) {
        self.places.push((start, len));
        self.probs.push(weight);
    }

    /// Makes probabilities of the weights.
    pub(super) fn start(&mut self, corpus: &Corpus) {
        let sum: f64 = self.probs.iter().sum();
        self.log_probs = self.probs.iter().map(|weight| (weight / sum).ln()).collect();
        self.index(corpus);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Expected counts under the present probabilities.
    pub(super) fn expect(&self, corpus: &Corpus) -> Expectation {
        let sums = threads::map(&corpus.parts(), |part| {
            let mut expected = vec![0.0; self.len()];
            let mut lattice = Lattice::default();
            for (word, count) in corpus.part(part.clone()) {
                lattice.expect(self, word, count as f64, &mut expected);
            }
            expected
        });
        add_up(sums, self.len())
    }

    /// Probabilities from expected counts, with a prior that favours few pieces (the digamma of variational Bayes); rare
    /// pieces are dropped.
    pub(super) fn fit_sparse(&mut self, expected: &Expectation, rare: f64, least: f64) {
        let keep: Vec<bool> = (0..self.len()).map(|piece| piece < self.chars || expected[piece] >= rare).collect();
        let counts: Vec<f64> =
            expected.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(count, _)| count.max(least)).collect();
        self.retain(&keep);
        let sum = digamma(counts.iter().sum::<f64>());
        self.log_probs = counts.into_iter().map(|count| digamma(count) - sum).collect();
        self.exponentiate();
    }

    /// Probabilities from expected counts, the likeliest.
    pub(super) fn fit(&mut self, expected: &Expectation, least: f64) {
        let sum: f64 = expected.iter().map(|count| count.max(least)).sum();
        self.log_probs = expected.iter().map(|count| (count.max(least) / sum).ln()).collect();
        self.exponentiate();
    }

    /// Drops pieces until `size` are left, those first that cost the least likelihood.
    ///
    /// What a piece costs is estimated: every word that has the piece in its best segmentation gets the best segmentation of
    /// the piece itself in its place.
    pub(super) fn prune(&mut self, corpus: &Corpus, size: usize) {
        let uses = self.best_counts(corpus);
        let sum: f64 = uses.iter().sum();
        let numbers: Vec<usize> = (self.chars..self.len()).collect();
        let tasks: Vec<&[usize]> = numbers.chunks(4096).collect();
        let losses = threads::map(&tasks, |pieces| {
            let mut lattice = Lattice::default();
            pieces.iter().map(|&piece| self.loss(corpus, piece, &uses, sum, &mut lattice)).collect::<Vec<_>>()
        });
        let losses: Vec<f64> = losses.into_iter().flatten().collect();
        let mut order = numbers;
        order.sort_by(|&left, &right| losses[right - self.chars].total_cmp(&losses[left - self.chars]));
        let mut keep = vec![false; self.len()];
        keep[..self.chars].fill(true);
        for piece in order.into_iter().take(size.saturating_sub(self.chars)) {
            keep[piece] = true;
        }
        self.retain(&keep);
        self.index(corpus);
    }

    /// How often each piece is in the best segmentation of a word.
    fn best_counts(&self, corpus: &Corpus) -> Vec<f64> {
        let sums = threads::map(&corpus.parts(), |part| {
            let mut uses = vec![0.0; self.len()];
            let mut lattice = Lattice::default();
            for (word, count) in corpus.part(part.clone()) {
                lattice.best(self, word, NONE);
                lattice.best_path(|piece| uses[piece as usize] += count as f64);
            }
            uses
        });
        add_up(sums, self.len())
    }

    /// The log likelihood that goes with a piece.
    fn loss(&self, corpus: &Corpus, piece: usize, uses: &[f64], sum: f64, lattice: &mut Lattice) -> f64 {
        let count = uses[piece];
        if count == 0.0 {
            return f64::NEG_INFINITY;
        }
        let (start, len) = self.places[piece];
        lattice.best(self, &corpus.symbols[start..start + len], piece as u32);
        let (mut parts, mut log_prob) = (0.0, 0.0);
        lattice.best_path(|part| {
            parts += 1.0;
            log_prob += (uses[part as usize] + count).ln();
        });
        let after = (sum + count * (parts - 1.0)).ln();
        count * (count.ln() - sum.ln() - (log_prob - parts * after))
    }

    fn retain(&mut self, keep: &[bool]) {
        let numbers: Vec<u32> = keep
            .iter()
            .scan(0, |next, &keep| {
                let number = if keep { *next } else { NONE };
                *next += u32::from(keep);
                Some(number)
            })
            .collect();
        only(&mut self.places, keep);
        only(&mut self.log_probs, keep);
        self.trie.renumber(&numbers);
        self.exponentiate();
    }

    fn exponentiate(&mut self) {
        self.probs.clear();
        self.probs.extend(self.log_probs.iter().map(|log_prob| log_prob.exp()));
    }

    /// Builds the trie anew, small again.
    fn index(&mut self, corpus: &Corpus) {
        self.trie = Trie::with_capacity(self.places.len());
        for piece in 0..self.len() {
            let (start, len) = self.places[piece];
            let symbol = [piece as u32];
            let text = if piece < self.chars { &symbol[..] } else { &corpus.symbols[start..start + len] };
            self.trie.insert(text, piece as u32);
        }
        self.exponentiate();
    }

    /// The pieces with their log probabilities, the likeliest first.
    pub(super) fn into_strings(self, corpus: &Corpus) -> Vec<(String, f64)> {
        let text = |piece: usize| match piece {
            piece if piece < self.chars => corpus.alphabet[piece].to_string(),
            piece => {
                let (start, len) = self.places[piece];
                corpus.symbols[start..start + len].iter().map(|&symbol| corpus.alphabet[symbol as usize]).collect()
            }
        };
        let mut pieces: Vec<(String, f64)> =
            (0..self.len()).map(|piece| (text(piece), self.log_probs[piece])).collect();
        pieces.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        pieces
    }
}

/// Keeps the values that `keep` says.
fn only<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next() == Some(&true));
}

/// Adds the parts' sums, in the order of the parts.
fn add_up(sums: Vec<Vec<f64>>, len: usize) -> Vec<f64> {
    let mut total = vec![0.0; len];
    for sum in sums {
        for (total, value) in total.iter_mut().zip(sum) {
            *total += value;
        }
    }
    total
}

/// Pieces by their characters: one hash table of edges, and the piece of each node.
#[derive(Default)]
struct Trie {
    /// Node and symbol above, child below; both plus one, so that zero is free.
    edges: Vec<(u64, u32)>,
    pieces: Vec<u32>,
    used: usize,
}

impl Trie {
    fn with_capacity(pieces: usize) -> Self {
        Self { edges: vec![(0, 0); (pieces * 4).next_power_of_two().max(64)], pieces: vec![NONE], used: 0 }
    }

    fn insert(&mut self, text: &[u32], piece: u32) {
        let mut node = 0;
        for &symbol in text {
            let slot = self.slot(node, symbol);
            if self.edges[slot].0 == 0 {
                if self.used * 2 >= self.edges.len() {
                    self.grow();
                }
                let slot = self.slot(node, symbol);
                self.edges[slot] = (key(node, symbol), self.pieces.len() as u32);
                self.pieces.push(NONE);
                self.used += 1;
                node = self.pieces.len() as u32 - 1;
            } else {
                node = self.edges[slot].1;
            }
        }
        self.pieces[node as usize] = piece;
    }

    #[inline]
    fn child(&self, node: u32, symbol: u32) -> Option<u32> {
        let (key, child) = self.edges[self.slot(node, symbol)];
        (key != 0).then_some(child)
    }

    #[inline]
    fn slot(&self, node: u32, symbol: u32) -> usize {
        let key = key(node, symbol);
        let mask = self.edges.len() - 1;
        let product = u128::from(key) * 0x9e37_79b9_7f4a_7c15;
        let mut slot = ((product >> 64) as u64 ^ product as u64) as usize & mask;
        while self.edges[slot].0 != key && self.edges[slot].0 != 0 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.edges);
        self.edges = vec![(0, 0); old.len() * 2];
        for (key, child) in old.into_iter().filter(|edge| edge.0 != 0) {
            let slot = self.slot((key >> 32) as u32 - 1, key as u32 - 1);
            self.edges[slot] = (key, child);
        }
    }

    /// Gives pieces other numbers; those without one go.
    fn renumber(&mut self, numbers: &[u32]) {
        for piece in self.pieces.iter_mut().filter(|piece| **piece != NONE) {
            *piece = numbers[*piece as usize];
        }
    }
}

#[inline]
fn key(node: u32, symbol: u32) -> u64 {
    (u64::from(node) + 1) << 32 | (u64::from(symbol) + 1)
}

/// One word's segmentations; the buffers are used again for the next word.
#[derive(Default)]
struct Lattice {
    edges: Vec<Edge>,
    forward: Vec<Wide>,
    backward: Vec<Wide>,
    /// Best log probability up to a position, and the last piece on the way there.
    best: Vec<(f64, usize, u32)>,
}

#[derive(Clone, Copy)]
struct Edge {
    start: usize,
    end: usize,
    piece: u32,
}

impl Lattice {
    /// Adds to `expected` how often each piece is expected in a word that occurs `count` times.
    fn expect(&mut self, pieces: &Pieces, word: &[u32], count: f64, expected: &mut [f64]) {
        let Self { edges, forward, backward, .. } = self;
        edges.clear();
        forward.clear();
        forward.resize(word.len() + 1, Wide::ZERO);
        forward[0] = Wide::ONE;
        for start in 0..word.len() {
            let before = forward[start].normal();
            forward[start] = before;
            pieces.each_at(word, start, |end, piece| {
                edges.push(Edge { start, end, piece });
                forward[end].add(before.mantissa * pieces.probs[piece as usize], before.exponent);
            });
        }
        let total = forward[word.len()].normal();
        backward.clear();
        backward.resize(word.len() + 1, Wide::ZERO);
        backward[word.len()] = Wide::ONE;
        for edge in edges.iter().rev() {
            // Every edge that starts where this one ends has been here.
            let after = backward[edge.end].normal();
            backward[edge.end] = after;
            let rest = after.mantissa * pieces.probs[edge.piece as usize];
            backward[edge.start].add(rest, after.exponent);
            let before = forward[edge.start];
            let share =
                scaled(before.mantissa * rest / total.mantissa, before.exponent + after.exponent - total.exponent);
            expected[edge.piece as usize] += count * share;
        }
    }

    /// Finds the best segmentation without the piece `without`.
    fn best(&mut self, pieces: &Pieces, word: &[u32], without: u32) {
        let best = &mut self.best;
        best.clear();
        best.resize(word.len() + 1, (f64::NEG_INFINITY, 0, NONE));
        best[0].0 = 0.0;
        for start in 0..word.len() {
            let before = best[start].0;
            pieces.each_at(word, start, |end, piece| {
                let score = before + pieces.log_probs[piece as usize];
                if score > best[end].0 && piece != without {
                    best[end] = (score, start, piece);
                }
            });
        }
    }

    /// The pieces of the best segmentation, from the last to the first.
    fn best_path(&self, mut take: impl FnMut(u32)) {
        let mut end = self.best.len() - 1;
        while end > 0 {
            let (_, start, piece) = self.best[end];
            take(piece);
            end = start;
        }
    }
}

impl Pieces {
    /// The pieces that begin at a position of a word, with their ends.
    #[inline]
    fn each_at(&self, word: &[u32], start: usize, mut take: impl FnMut(usize, u32)) {
        let mut node = 0;
        for (end, &symbol) in word.iter().enumerate().skip(start) {
            let Some(child) = self.trie.child(node, symbol) else { break };
            node = child;
            let piece = self.trie.pieces[node as usize];
            if piece != NONE {
                take(end + 1, piece);
            }
        }
    }
}

/// A number `mantissa * UNIT^exponent`: a product of many probabilities has no other end.
#[derive(Clone, Copy, Debug)]
struct Wide {
    mantissa: f64,
    exponent: i64,
}

/// 2^256.
const UNIT: f64 = f64::from_bits((1023 + 256) << 52);
/// About 2^-128.
const SMALL: f64 = 1e-38;

impl Wide {
    const ZERO: Self = Self { mantissa: 0.0, exponent: i64::MIN / 4 };
    const ONE: Self = Self { mantissa: 1.0, exponent: 0 };

    /// Adds a number with a mantissa of its own.
    #[inline]
    fn add(&mut self, mantissa: f64, exponent: i64) {
        if exponent <= self.exponent {
            self.mantissa += scaled(mantissa, exponent - self.exponent);
        } else {
            *self = Self { mantissa: mantissa + scaled(self.mantissa, self.exponent - exponent), exponent };
        }
    }

    /// The same number with a mantissa near 1.
    #[inline]
    fn normal(mut self) -> Self {
        while self.mantissa < SMALL && self.mantissa > 0.0 {
            self = Self { mantissa: self.mantissa * UNIT, exponent: self.exponent - 1 };
        }
        self
    }
}

/// A mantissa as a plain number; what lies several units below is nothing beside what it is added to.
#[inline]
fn scaled(mantissa: f64, exponent: i64) -> f64 {
    match exponent {
        0 => mantissa,
        -2..=2 => mantissa * UNIT.powi(exponent as i32),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trainers::Words;

    /// Every way to cut a word into pieces.
    fn segmentations(word: &[u32], pieces: &[(Vec<u32>, f64)]) -> Vec<Vec<usize>> {
        if word.is_empty() {
            return vec![vec![]];
        }
        let mut all = Vec::new();
        for (number, (piece, _)) in pieces.iter().enumerate() {
            if let Some(rest) = word.strip_prefix(piece.as_slice()) {
                all.extend(segmentations(rest, pieces).into_iter().map(|mut tail| {
                    tail.insert(0, number);
                    tail
                }));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn sums_over_all_segmentations(
            words in prop::collection::btree_map("[ab]{1,8}", 1u64..4, 1..5),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 2usize..5, 1u32..9), 0..6),
            scale in prop::sample::select(vec![1.0, 1e-30, 1e-120]),
        ) {
            let corpus = Corpus::new(&Words::new(words), &[]);
            let mut pieces = Pieces::new(&corpus.char_counts);
            for (at, len, weight) in cuts {
                let (from, to, _) = corpus.bounds().nth(at.index(corpus.bounds().count())).unwrap();
                let text = |&(start, len): &(usize, usize)| &corpus.symbols[start..start + len];
                let place = (from, len.min(to - from));
                if place.1 > 1 && pieces.places[pieces.chars..].iter().all(|known| text(known) != text(&place)) {
                    pieces.push(place.0, place.1, f64::from(weight));
                }
            }
            pieces.start(&corpus);
            // Improbable pieces, so that a sum leaves the range of a plain number.
            pieces.log_probs.iter_mut().for_each(|log_prob| *log_prob += f64::ln(scale));
            pieces.exponentiate();
            let list: Vec<(Vec<u32>, f64)> = (0..pieces.len())
                .map(|piece| match piece {
                    piece if piece < pieces.chars => (vec![piece as u32], pieces.log_probs[piece]),
                    piece => {
                        let (start, len) = pieces.places[piece];
                        (corpus.symbols[start..start + len].to_vec(), pieces.log_probs[piece])
                    }
                })
                .collect();

            let mut expected = vec![0.0; list.len()];
            let mut lattice = Lattice::default();
            for (from, to, count) in corpus.bounds() {
                let word = &corpus.symbols[from..to];
                let all = segmentations(word, &list);
                let scores: Vec<f64> = all.iter().map(|cut| cut.iter().map(|&piece| list[piece].1).sum()).collect();
                let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = scores.iter().map(|score| (score - best).exp()).sum();
                for (cut, score) in all.iter().zip(&scores) {
                    for &piece in cut {
                        expected[piece] += count as f64 * (score - best).exp() / total;
                    }
                }
                lattice.best(&pieces, word, NONE);
                let mut found = 0.0;
                lattice.best_path(|piece| found += list[piece as usize].1);
                prop_assert!((found - best).abs() <= best.abs() * 1e-12);
            }
            for (got, want) in pieces.expect(&corpus).iter().zip(&expected) {
                prop_assert!((got - want).abs() <= 1e-9 * want.max(1.0), "{got} {want}");
            }
        }
    }
}
