//! A double-array trie over letters: from a node and a letter to the next node in one load.
//!
//! The child of a node for letter `l` lies in slot `base + l`, and no two nodes have the same base: the letter in a slot
//! then tells whether it is this node's child. Letters are numbered by frequency ([`Alphabet`]), which keeps the children
//! of a node close to each other. Nodes with many keys behind them are met in every word and lie close together; the others
//! are placed depth first, which keeps the rest of a word, and words of one script, in one place.

use std::cmp::Reverse;

use super::alphabet::{Alphabet, Letter};
use crate::kernels::pages::advise_huge;

/// Set in a label where a key ends.
const ENDS: u32 = 1 << 31;

/// A node, as its parent sees it.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot<V> {
    /// Where its own children lie.
    base: u32,
    /// The letter that leads here, and whether a key ends here.
    label: u32,
    value: V,
}

impl<V: Copy> Slot<V> {
    /// The value of the key that ends here; for other nodes the default.
    #[inline(always)]
    pub(super) fn value_or_default(&self) -> V {
        self.value
    }

    /// The value of the key that ends here.
    #[inline(always)]
    pub(super) fn value(&self) -> Option<V> {
        (self.label & ENDS != 0).then_some(self.value)
    }

    /// Where the walk goes on.
    #[inline(always)]
    pub(super) fn base(&self) -> u32 {
        self.base
    }
}

/// Keys and a value for each.
pub(super) struct Trie<V> {
    slots: Vec<Slot<V>>,
}

/// Where every walk begins.
pub(super) const ROOT: u32 = 0;

impl Trie<u32> {
    /// Builds the trie of `keys`; of equal keys the last one counts, and empty keys are left out.
    pub(super) fn new<'k>(alphabet: &Alphabet, keys: impl Iterator<Item = (&'k str, u32)>) -> Self {
        let mut keys: Vec<Key<'_>> = (0..)
            .zip(keys)
            .filter(|(_, (key, _))| !key.is_empty())
            .map(|(i, (key, value))| Key::new(key, i, value))
            .collect();
        keys.sort_unstable_by(|a, b| (a.start, a.text, a.index).cmp(&(b.start, b.text, b.index)));
        let mut builder = Builder::default();
        builder.place_all(&drafts(alphabet, &keys));
        Self { slots: builder.finish() }
    }

    /// The trie with other values, those of nodes where no key ends being `default`.
    pub(super) fn map<V>(&self, default: V, value: impl Fn(u32) -> V) -> Trie<V>
    where
        V: Copy,
    {
        let slot = |slot: &Slot<u32>| {
            let value = if slot.label & ENDS == 0 { default } else { value(slot.value) };
            Slot { base: slot.base, label: slot.label, value }
        };
        let mut slots = Vec::with_capacity(self.slots.len());
        advise_huge(slots.spare_capacity_mut());
        slots.extend(self.slots.iter().map(slot));
        Trie { slots }
    }

    /// The value of every slot.
    pub(super) fn values(&self) -> Box<[u32]> {
        self.slots.iter().map(|slot| slot.value).collect()
    }
}

impl<V: Copy> Trie<V> {
    /// The child for a letter of the node with this base, and the number of its slot.
    #[inline(always)]
    pub(super) fn next(&self, base: u32, letter: Letter) -> Option<(usize, Slot<V>)> {
        let at = base as usize + letter as usize;
        let slot = *self.slots.get(at)?;
        (slot.label & !ENDS == letter).then_some((at, slot))
    }
}

/// A key on its way into the trie.
struct Key<'k> {
    /// Its first bytes, which decide most comparisons.
    start: u64,
    text: &'k str,
    index: usize,
    value: u32,
}

impl<'k> Key<'k> {
    fn new(text: &'k str, index: usize, value: u32) -> Self {
        let mut start = [0; 8];
        let len = text.len().min(8);
        start[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { start: u64::from_be_bytes(start), text, index, value }
    }
}

/// No node.
const NONE: u32 = u32::MAX;

/// A node that has no place yet.
struct Draft {
    letter: Letter,
    value: Option<u32>,
    parent: u32,
    /// Its last child, and the child of its parent before it.
    last: u32,
    before: u32,
}

/// The nodes of sorted keys, the root first.
fn drafts(alphabet: &Alphabet, keys: &[Key<'_>]) -> Vec<Draft> {
    let mut drafts = vec![Draft { letter: 0, value: None, parent: NONE, last: NONE, before: NONE }];
    // The nodes of the key before, from the root.
    let mut path = vec![0];
    let mut before = "";
    for key in keys {
        let shared = before.chars().zip(key.text.chars()).take_while(|(a, b)| a == b).count();
        path.truncate(shared + 1);
        for c in key.text.chars().skip(shared) {
            let parent = path[path.len() - 1];
            let node = drafts.len() as u32;
            let before = drafts[parent as usize].last;
            let draft = Draft { letter: alphabet.letter(c), value: None, parent, last: NONE, before };
            drafts.push(draft);
            drafts[parent as usize].last = node;
            path.push(node);
        }
        drafts[path[path.len() - 1] as usize].value = Some(key.value);
        before = key.text;
    }
    drafts
}

/// A growing set of numbers.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, at: usize) {
        if at / 64 >= self.0.len() {
            self.0.resize((at / 64 + 1).next_power_of_two(), 0);
        }
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// Which of the 64 numbers from `at` on are in it.
    #[inline(always)]
    fn from(&self, at: usize) -> u64 {
        let word = |i: usize| self.0.get(i).copied().unwrap_or(0);
        let (low, high) = (word(at / 64), word(at / 64 + 1));
        if at.is_multiple_of(64) { low } else { low >> (at % 64) | high << (64 - at % 64) }
    }
}

/// Keys behind a node from which on it is placed by their number. With all nodes placed so, Chinese took a fifth longer; with
/// none, English a tenth.
const BUSY: u32 = 64;
/// Windows of 64 places that are tried before a node goes to the end.
const WINDOWS: usize = 16;
/// Places taken of a window's 64 from which on new nodes are not tried there.
const CROWDED: u32 = 56;

#[derive(Default)]
struct Builder {
    slots: Vec<Slot<u32>>,
    taken: Bits,
    bases: Bits,
    /// Where the first window begins.
    from: usize,
}

impl Builder {
    /// Places the children of every node.
    fn place_all(&mut self, drafts: &[Draft]) {
        let mut keys: Vec<u32> = drafts.iter().map(|draft| u32::from(draft.value.is_some())).collect();
        for (node, draft) in drafts.iter().enumerate().skip(1).rev() {
            keys[draft.parent as usize] += keys[node];
        }
        let mut order: Vec<u32> = (0..drafts.len() as u32).filter(|&node| drafts[node as usize].last != NONE).collect();
        order.sort_by_key(|&node| Reverse(Some(keys[node as usize]).filter(|&keys| keys >= BUSY)));
        let mut slots = vec![0; drafts.len()];
        let mut letters = Vec::new();
        for node in order {
            let children = || {
                let child = |node: u32| (node != NONE).then_some(node);
                std::iter::successors(child(drafts[node as usize].last), move |&node| {
                    child(drafts[node as usize].before)
                })
            };
            letters.clear();
            letters.extend(children().map(|child| drafts[child as usize].letter));
            // The root has the most keys.
            let base = if node == 0 { self.take(ROOT as usize, &letters) } else { self.place(&letters) };
            if node != 0 {
                self.slots[slots[node as usize] as usize].base = base;
            }
            for child in children() {
                let Draft { letter, value, .. } = drafts[child as usize];
                let ends = if value.is_some() { ENDS } else { 0 };
                slots[child as usize] = base + letter;
                self.slots[(base + letter) as usize] =
                    Slot { base: NONE, label: letter | ends, value: value.unwrap_or_default() };
            }
        }
    }

    /// Finds a base under which all of these letters have a free place.
    fn place(&mut self, letters: &[Letter]) -> u32 {
        let least = letters.iter().copied().min().unwrap_or_default() as usize;
        while self.taken.from(self.from).count_ones() >= CROWDED {
            self.from += 64;
        }
        let mut window = self.from.max(least);
        for tried in 0.. {
            if tried == WINDOWS {
                window = window.max(self.slots.len());
            }
            let base = window - least;
            let closed = |closed, &letter: &Letter| closed | self.taken.from(base + letter as usize);
            let open = !letters.iter().fold(self.bases.from(base), closed);
            if open != 0 {
                return self.take(base + open.trailing_zeros() as usize, letters);
            }
            window += 64;
        }
        unreachable!("behind the last slot every place is free")
    }

    fn take(&mut self, base: usize, letters: &[Letter]) -> u32 {
        self.bases.set(base);
        for &letter in letters {
            let slot = base + letter as usize;
            self.taken.set(slot);
            if slot >= self.slots.len() {
                self.slots.resize(slot + 1, Slot::default());
            }
        }
        base as u32
    }

    fn finish(mut self) -> Vec<Slot<u32>> {
        // Walks from nodes without children leave the slots.
        let end = self.slots.len() as u32;
        self.slots.iter_mut().filter(|slot| slot.base == NONE).for_each(|slot| slot.base = end);
        self.slots
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn find(trie: &Trie<u32>, letters: &[Letter]) -> Option<u32> {
        let (mut base, mut value) = (ROOT, None);
        for &letter in letters {
            let (_, slot) = trie.next(base, letter)?;
            (base, value) = (slot.base(), slot.value());
        }
        value
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(keys in prop::collection::vec("[a-dx-zé中\u{10FFFF}]{0,6}|\\PC{0,3}", 0..400)) {
            let map: BTreeMap<&str, u32> = keys.iter().zip(0..).map(|(key, value)| (key.as_str(), value)).collect();
            let alphabet = Alphabet::new(keys.iter().map(String::as_str));
            let trie = Trie::new(&alphabet, keys.iter().zip(0..).map(|(key, value)| (key.as_str(), value)));
            let letters = |key: &str| key.chars().map(|c| alphabet.letter(c)).collect::<Vec<_>>();
            for key in &keys {
                let expected = map.get(key.as_str()).copied().filter(|_| !key.is_empty());
                prop_assert_eq!(find(&trie, &letters(key)), expected);
                for c in "abcdefxyzé中文\0\u{10FFFF}".chars().chain(keys.iter().flat_map(|key| key.chars().take(1)).take(20)) {
                    let longer = format!("{key}{c}");
                    prop_assert_eq!(find(&trie, &letters(&longer)), map.get(longer.as_str()).copied());
                }
            }
        }
    }
}
