//! A double-array trie over bytes: from a node and a byte to the next node in one load.
//!
//! A slot of eight bytes holds the base of its own children, the value of the key that ends there, and the byte that leads
//! to it. The child of a node for byte `c` lies in slot `base ^ c`, so all children of a node lie in one block of 256
//! slots, and no two nodes have the same base: the byte alone then tells whether a slot is this node's child.

/// No value; values are smaller.
pub(super) const NO_VALUE: u32 = (1 << VALUE_BITS) - 1;

const BASE_BITS: u32 = 32;
const VALUE_BITS: u32 = 23;
/// Stands above the byte of a slot that is somebody's child.
const USED: u64 = 1 << 8;
/// Base of a node without children: beyond all slots.
const NO_BASE: u32 = u32::MAX;

/// Where a walk has come to.
#[derive(Clone, Copy)]
pub(super) struct Node(u64);

impl Node {
    fn new(base: u32, value: u32) -> Self {
        Self(u64::from(base) | u64::from(value) << BASE_BITS)
    }

    /// The value of the key that ends here, or [`NO_VALUE`].
    #[inline(always)]
    pub(super) fn value(self) -> u32 {
        (self.0 >> BASE_BITS) as u32 & NO_VALUE
    }
}

/// Keys and a number below [`NO_VALUE`] for each.
pub(super) struct Trie {
    slots: Vec<u64>,
    root: Node,
}

impl Trie {
    /// Builds the trie of `keys`; of equal keys the last one counts, and empty keys are left out.
    ///
    /// # Panics
    /// When a value is too large.
    pub(super) fn new<'k>(keys: impl Iterator<Item = (&'k [u8], u32)>) -> Self {
        let mut keys: Vec<(&[u8], u32)> = keys.filter(|(key, _)| !key.is_empty()).collect();
        // Stable, so that equal keys stay in their order.
        keys.sort_by_key(|&(key, _)| key);
        let mut builder = Builder::default();
        let root = Node::new(builder.build(&keys), NO_VALUE);
        Self { slots: builder.slots, root }
    }

    /// Where every walk begins.
    #[inline(always)]
    pub(super) fn root(&self) -> Node {
        self.root
    }

    /// The next node, if a key goes on like this.
    #[inline(always)]
    pub(super) fn next(&self, node: Node, byte: u8) -> Option<Node> {
        let slot = *self.slots.get((node.0 as u32 ^ u32::from(byte)) as usize)?;
        (slot >> (BASE_BITS + VALUE_BITS) == USED | u64::from(byte)).then_some(Node(slot))
    }
}

/// Slots of a block, and bits of a [`Bits`].
const BLOCK: usize = 256;
/// Blocks that new nodes are tried in.
const OPEN_BLOCKS: usize = 16;
/// Nodes for which a block had no place, after which it is left as it is.
const PATIENCE: u32 = 24;

#[derive(Clone, Copy, Default)]
struct Bits([u64; BLOCK / 64]);

impl Bits {
    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn zeros(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(i, word)| {
            let mut rest = !word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(i * 64 + bit)
            })
        })
    }
}

/// A block that still takes nodes.
struct Open {
    start: usize,
    taken: Bits,
    /// Bases that nodes have, which no other node may have.
    bases: Bits,
    refusals: u32,
}

impl Open {
    /// Takes slots for children with these labels and returns the base that leads to them.
    fn place(&mut self, labels: &[Label]) -> Option<u32> {
        let (first, rest) = labels.split_first()?;
        let base = self.taken.zeros().map(|slot| slot ^ usize::from(first.byte)).find(|&base| {
            !self.bases.has(base) && rest.iter().all(|label| !self.taken.has(base ^ usize::from(label.byte)))
        })?;
        self.bases.set(base);
        for label in labels {
            self.taken.set(base ^ usize::from(label.byte));
        }
        Some((self.start + base) as u32)
    }
}

/// A child that is yet to be placed: its byte, and the keys that pass it.
struct Label {
    byte: u8,
    from: usize,
    to: usize,
}

#[derive(Default)]
struct Builder {
    slots: Vec<u64>,
    open: Vec<Open>,
}

impl Builder {
    /// Places all nodes of the sorted `keys`; returns the base of the root.
    fn build(&mut self, keys: &[(&[u8], u32)]) -> u32 {
        let mut labels = Vec::new();
        collect(keys, 0, keys.len(), 0, &mut labels);
        let root = self.place(&labels);
        // Nodes that have a slot and lack a base: the slot, the keys that pass it, the depth.
        let mut stack = Vec::new();
        let mut base = root;
        let mut depth = 0;
        loop {
            for Label { byte, from, to } in labels.drain(..) {
                stack.push(((base ^ u32::from(byte)) as usize, byte, from, to, depth + 1));
            }
            let Some((slot, byte, from, to, at)) = stack.pop() else { return root };
            let value = collect(keys, from, to, at, &mut labels);
            base = self.place(&labels);
            depth = at;
            self.slots[slot] = Node::new(base, value).0 | (USED | u64::from(byte)) << (BASE_BITS + VALUE_BITS);
        }
    }

    fn place(&mut self, labels: &[Label]) -> u32 {
        if labels.is_empty() {
            return NO_BASE;
        }
        for i in 0..self.open.len() {
            let block = &mut self.open[i];
            if let Some(base) = block.place(labels) {
                return base;
            }
            block.refusals += 1;
        }
        self.open.retain(|block| block.refusals < PATIENCE);
        if self.open.len() == OPEN_BLOCKS {
            self.open.remove(0);
        }
        let mut block = Open { start: self.slots.len(), taken: Bits::default(), bases: Bits::default(), refusals: 0 };
        self.slots.resize(self.slots.len() + BLOCK, 0);
        let base = block.place(labels).expect("an empty block takes any children");
        self.open.push(block);
        base
    }
}

/// The children of the node that `keys[from..to]` pass at `depth`, and the value of the key that ends there.
fn collect(keys: &[(&[u8], u32)], mut from: usize, to: usize, depth: usize, labels: &mut Vec<Label>) -> u32 {
    let mut value = NO_VALUE;
    while from < to && keys[from].0.len() == depth {
        value = keys[from].1;
        assert!(value < NO_VALUE, "a value has {VALUE_BITS} bits");
        from += 1;
    }
    while from < to {
        let byte = keys[from].0[depth];
        let count = keys[from..to].partition_point(|(key, _)| key[depth] == byte);
        labels.push(Label { byte, from, to: from + count });
        from += count;
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn find(trie: &Trie, key: &[u8]) -> Option<u32> {
        let end = key.iter().try_fold(trie.root(), |node, &byte| trie.next(node, byte))?;
        (end.value() != NO_VALUE).then(|| end.value())
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(
            keys in prop::collection::vec(prop::collection::vec(prop_oneof![0..4u8, 250..=255u8, any::<u8>()], 0..6), 0..400),
        ) {
            let map: BTreeMap<&[u8], u32> = keys.iter().zip(0..).map(|(key, value)| (key.as_slice(), value)).collect();
            let trie = Trie::new(keys.iter().zip(0..).map(|(key, value)| (key.as_slice(), value)));
            for key in &keys {
                let expected = map.get(key.as_slice()).copied().filter(|_| !key.is_empty());
                prop_assert_eq!(find(&trie, key), expected);
                for byte in 0..=255 {
                    let longer = [key, &[byte][..]].concat();
                    prop_assert_eq!(find(&trie, &longer), map.get(longer.as_slice()).copied());
                }
            }
        }
    }
}
