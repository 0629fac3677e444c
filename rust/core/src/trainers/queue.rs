//! Pairs by count, the most frequent first.

use std::cmp::Reverse;

use super::pair_counts::Pair;

/// A heap in which a node has eight children: fewer levels than two would give, and the children lie side by side.
///
/// Which of two equal entries comes up first follows from the form of the heap, and shows in what is learned. So it has the
/// reference's form: an entry rises past smaller ones only, and the hole at the root goes down to the last of its largest
/// children, all the way, before the entry from the end takes its place and rises.
#[derive(Default)]
pub(super) struct Queue {
    entries: Vec<Entry>,
}

/// A pair with its count and its list of words at the time it was queued.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) count: u64,
    pub(super) pair: Pair,
    pub(super) words: u32,
}

impl Entry {
    /// Of pairs that are equally frequent, the one with the lowest ids is the largest entry.
    fn key(self) -> (u64, Reverse<Pair>) {
        (self.count, Reverse(self.pair))
    }
}

const CHILDREN: usize = 8;

impl Queue {
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.rise(self.entries.len() - 1);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let last = self.entries.pop()?;
        let Some(top) = self.entries.first().copied() else { return Some(last) };
        let mut hole = 0;
        loop {
            let first = hole * CHILDREN + 1;
            let end = (first + CHILDREN).min(self.entries.len());
            // Of equals, `max_by_key` gives the last.
            let Some(child) = (first..end).max_by_key(|&child| self.entries[child].key()) else { break };
            self.entries[hole] = self.entries[child];
            hole = child;
        }
        self.entries[hole] = last;
        self.rise(hole);
        Some(top)
    }

    fn rise(&mut self, mut at: usize) {
        let entry = self.entries[at];
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if entry.key() <= self.entries[parent].key() {
                break;
            }
            self.entries[at] = self.entries[parent];
            at = parent;
        }
        self.entries[at] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_highest_count_then_the_lowest_pair() {
        let mut queue = Queue::default();
        let mut expected = Vec::new();
        for i in 0..5000u64 {
            let (count, pair) = (i * i % 97, i * 31 % 501);
            queue.push(Entry { count, pair, words: i as u32 });
            expected.push((count, Reverse(pair)));
            if i % 3 == 0 {
                expected.sort_unstable();
                assert_eq!(queue.pop().map(Entry::key), expected.pop());
            }
        }
        expected.sort_unstable();
        while let Some(key) = expected.pop() {
            assert_eq!(queue.pop().map(Entry::key), Some(key));
        }
        assert!(queue.pop().is_none());
    }
}
