//! A word of many symbols: a linked list of them, and where each pair stands.
//!
//! Scanning a word for a pair costs its length, which for a corpus without spaces is that of the corpus, once a merge. Here
//! a merge costs what it changes, so that such a corpus takes linear time as well.

use std::collections::HashMap;

use super::pair_counts::{Pair, pair};
use crate::models::Merge;

/// No symbol.
const NONE: u32 = u32::MAX;

/// The symbols of one long word.
pub(super) struct LongWord {
    symbols: Vec<Symbol>,
    /// The left symbol of every occurrence of a pair, among others that have since merged with another.
    places: HashMap<Pair, Vec<u32>>,
}

#[derive(Clone, Copy)]
struct Symbol {
    token: u32,
    previous: u32,
    next: u32,
    /// Characters.
    len: u32,
}

impl LongWord {
    pub(super) fn new(tokens: &[u32]) -> Self {
        let last = tokens.len() as u32 - 1;
        let symbol = |(at, &token): (usize, &u32)| {
            let at = at as u32;
            let next = if at == last { NONE } else { at + 1 };
            Symbol { token, previous: at.checked_sub(1).unwrap_or(NONE), next, len: 1 }
        };
        let mut places: HashMap<Pair, Vec<u32>> = HashMap::new();
        for (at, window) in tokens.windows(2).enumerate() {
            places.entry(pair(window[0], window[1])).or_default().push(at as u32);
        }
        Self { symbols: tokens.iter().enumerate().map(symbol).collect(), places }
    }

    /// Every pair of neighbours, from left to right, before the first merge.
    pub(super) fn pairs(&self, mut take: impl FnMut(Pair)) {
        for window in self.symbols.windows(2) {
            take(pair(window[0].token, window[1].token));
        }
    }

    /// Merges a pair wherever it stands, from left to right; `change` hears which pairs went (`false`) and came (`true`).
    pub(super) fn merge(&mut self, merge: Merge, max_len: usize, mut change: impl FnMut(Pair, bool)) {
        let Some(mut places) = self.places.remove(&pair(merge.left, merge.right)) else { return };
        places.sort_unstable();
        places.dedup();
        for at in places {
            let first = self.symbols[at as usize];
            if first.token != merge.left || first.next == NONE {
                continue;
            }
            let second = self.symbols[first.next as usize];
            if second.token != merge.right {
                continue;
            }
            let len = first.len + second.len;
            let fits = |symbol: Symbol| ((symbol.len + len) as usize) < max_len;
            if first.previous != NONE {
                let before = self.symbols[first.previous as usize];
                change(pair(before.token, merge.left), false);
                if fits(before) {
                    change(pair(before.token, merge.result), true);
                }
                self.places.entry(pair(before.token, merge.result)).or_default().push(first.previous);
            }
            self.symbols[first.next as usize].token = NONE;
            self.symbols[at as usize] = Symbol { token: merge.result, next: second.next, len, ..first };
            if second.next != NONE {
                self.symbols[second.next as usize].previous = at;
                let after = self.symbols[second.next as usize];
                change(pair(merge.right, after.token), false);
                if fits(after) {
                    change(pair(merge.result, after.token), true);
                }
                self.places.entry(pair(merge.result, after.token)).or_default().push(at);
            }
        }
    }
}
