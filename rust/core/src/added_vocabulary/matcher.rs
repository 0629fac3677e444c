//! Finding many fixed strings in one pass: the leftmost match, and among those the longest.
//!
//! Added tokens are rare in text, and even 1,600 of them begin with a handful of byte pairs (`<|`, two spaces, ...). So
//! the text is searched for those pairs with a loop that the compiler turns into vector code, and only where one is
//! found does a radix tree look for the longest token that begins there. An automaton would read every byte through a
//! table, several times slower.

use crate::{
    ids::TokenId,
    kernels::{self, Work},
};

/// A set of tokens to find.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    candidates: Candidates,
    tree: RadixTree,
}

/// A token found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: TokenId,
}

impl Matcher {
    /// A matcher of `tokens`, none of which is empty. Among equal ones the lowest id counts.
    pub(super) fn new<'s>(tokens: impl Iterator<Item = (&'s str, TokenId)>) -> Self {
        let mut tokens: Vec<(&[u8], TokenId)> = tokens.map(|(token, id)| (token.as_bytes(), id)).collect();
        tokens.sort_unstable();
        tokens.dedup_by_key(|(token, _)| *token);
        Self { candidates: Candidates::new(&tokens), tree: RadixTree::new(&tokens) }
    }

    /// The matches in `text` from left to right; each is looked for behind the one before it.
    pub(super) fn matches(&self, text: &str) -> impl Iterator<Item = Match> {
        let bytes = text.as_bytes();
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let start = self.candidates.find(bytes, at)?;
                if let Some((len, id)) = self.tree.longest_prefix(&bytes[start..]) {
                    at = start + len;
                    return Some(Match { start, end: at, id });
                }
                at = start + 1;
            }
        })
    }
}

/// Where a token may begin.
#[derive(Clone, Debug)]
enum Candidates {
    /// The first two bytes of the tokens, all of which have two. Often these are the same, `<|`: to compare four took 3 % of
    /// the time of a text.
    One([[u8; 2]; 1]),
    /// As `One`, padded with repetitions.
    Four([[u8; 2]; 4]),
    Eight([[u8; 2]; 8]),
    /// More pairs than that, or a token of one byte: a bit for each pair of bytes.
    Any(Box<[u64; 1024]>),
}

/// Bytes compared together: two vector registers of the smallest kind, one of the next.
const BLOCK: usize = 32;

impl Candidates {
    fn new(tokens: &[(&[u8], TokenId)]) -> Self {
        let mut pairs: Vec<[u8; 2]> = tokens.iter().filter_map(|(token, _)| token.first_chunk().copied()).collect();
        pairs.dedup();
        let single = tokens.iter().any(|(token, _)| token.len() == 1);
        match pairs.len() {
            1 if !single => Self::One(padded(&pairs)),
            2..=4 if !single => Self::Four(padded(&pairs)),
            5..=8 if !single => Self::Eight(padded(&pairs)),
            _ => {
                let mut bits = Box::new([0; 1024]);
                let mut set = |pair: u16| bits[usize::from(pair) / 64] |= 1u64 << (pair % 64);
                pairs.into_iter().map(u16::from_be_bytes).for_each(&mut set);
                for (token, _) in tokens.iter().filter(|(token, _)| token.len() == 1) {
                    (0..=255).map(|next| u16::from_be_bytes([token[0], next])).for_each(&mut set);
                }
                Self::Any(bits)
            }
        }
    }

    /// The first place at or after `from` where a token may begin.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        match self {
            Self::One(pairs) => find_pair(pairs, bytes, from),
            Self::Four(pairs) => find_pair(pairs, bytes, from),
            Self::Eight(pairs) => find_pair(pairs, bytes, from),
            Self::Any(bits) => {
                let hit = |pair: &[u8]| {
                    let pair = usize::from(pair[0]) << 8 | usize::from(pair[1]);
                    bits[pair / 64] >> (pair % 64) & 1 != 0
                };
                let rest = &bytes[from.min(bytes.len())..];
                // A token of one byte may be the last byte, which begins no pair.
                rest.windows(2).position(hit).or(rest.len().checked_sub(1)).map(|i| from + i)
            }
        }
    }
}

fn padded<const N: usize>(pairs: &[[u8; 2]]) -> [[u8; 2]; N] {
    std::array::from_fn(|i| pairs[i.min(pairs.len() - 1)])
}

fn find_pair<const N: usize>(pairs: &[[u8; 2]; N], bytes: &[u8], from: usize) -> Option<usize> {
    kernels::specialize(kernels::isa(), FindPair { pairs, bytes, from })
}

/// [`find_pair`], as compiled for an instruction set.
struct FindPair<'a, const N: usize> {
    pairs: &'a [[u8; 2]; N],
    bytes: &'a [u8],
    from: usize,
}

impl<const N: usize> Work for FindPair<'_, N> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let Self { pairs, bytes, from } = self;
        let mut at = from;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            if has_pair(pairs, block) {
                return first_pair(pairs, block).map(|i| at + i);
            }
            at += BLOCK;
        }
        let rest = bytes.get(at..)?;
        if rest.len() < 2 {
            return None;
        }
        // Byte by byte only in the shortest of texts: the rest is looked at as the end of a whole block.
        if let Some(block) = bytes.last_chunk()
            && !has_pair(pairs, block)
        {
            return None;
        }
        first_pair(pairs, rest).map(|i| at + i)
    }
}

/// Whether a block has one of the pairs. No early exit: that is what makes it vector code.
#[inline(always)]
fn has_pair<const N: usize>(pairs: &[[u8; 2]; N], block: &[u8; BLOCK + 1]) -> bool {
    let is_pair =
        |a: u8, b: u8| pairs.iter().fold(0, |any, pair| any | (u8::from(a == pair[0]) & u8::from(b == pair[1])));
    (0..BLOCK).fold(0, |any, i| any | is_pair(block[i], block[i + 1])) != 0
}

#[inline(always)]
fn first_pair(pairs: &[[u8; 2]], bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pairs.iter().any(|known| pair == known))
}

/// Tokens by common prefixes.
#[derive(Clone, Debug)]
struct RadixTree {
    /// The root, then the children of each node side by side, sorted by the first byte of their labels.
    nodes: Vec<Node>,
    /// First byte of each node's label.
    first_bytes: Vec<u8>,
    /// The labels, one after the other.
    labels: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// What follows the parent's label.
    label: std::ops::Range<u32>,
    children: std::ops::Range<u32>,
    /// The token that ends with this label.
    token: Option<TokenId>,
}

impl RadixTree {
    /// A tree of `tokens`, which are sorted and distinct.
    fn new(tokens: &[(&[u8], TokenId)]) -> Self {
        let mut tree = Self { nodes: vec![Node::default()], first_bytes: vec![0], labels: Vec::new() };
        // Nodes to fill in: index, tokens below it, and the bytes of theirs that lie above it.
        let mut work = vec![(0, tokens, 0)];
        while let Some((index, tokens, depth)) = work.pop() {
            let [(first, _), ..] = tokens else { continue };
            let (last, _) = tokens[tokens.len() - 1];
            let common = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
            let (start, end) = (tree.labels.len(), depth + common);
            tree.labels.extend_from_slice(&first[depth..end]);
            tree.first_bytes[index] = first.get(depth).copied().unwrap_or(0);
            let token = (first.len() == end).then(|| tokens[0].1);
            let below = &tokens[usize::from(token.is_some())..];
            let first_child = tree.nodes.len();
            for child in below.chunk_by(|(a, _), (b, _)| a[end] == b[end]) {
                work.push((tree.nodes.len(), child, end));
                tree.nodes.push(Node::default());
                tree.first_bytes.push(0);
            }
            let children = first_child as u32..tree.nodes.len() as u32;
            tree.nodes[index] = Node { label: start as u32..tree.labels.len() as u32, children, token };
        }
        tree
    }

    /// Length and id of the longest token that `bytes` begins with.
    fn longest_prefix(&self, bytes: &[u8]) -> Option<(usize, TokenId)> {
        let (mut node, mut depth, mut longest) = (&self.nodes[0], 0, None);
        loop {
            let label = &self.labels[node.label.start as usize..node.label.end as usize];
            if !bytes[depth..].starts_with(label) {
                return longest;
            }
            depth += label.len();
            longest = node.token.map(|id| (depth, id)).or(longest);
            let children = node.children.start as usize..node.children.end as usize;
            let Some(child) = bytes.get(depth).and_then(|&b| memchr::memchr(b, &self.first_bytes[children.clone()]))
            else {
                return longest;
            };
            node = &self.nodes[children.start + child];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: at each place from left to right, the longest token.
    fn naive(tokens: &[String], text: &str) -> Vec<Match> {
        let (mut at, mut found) = (0, Vec::new());
        while at < text.len() {
            let here =
                tokens.iter().enumerate().filter(|(_, token)| text.as_bytes()[at..].starts_with(token.as_bytes()));
            match here.max_by_key(|(i, token)| (token.len(), std::cmp::Reverse(*i))) {
                Some((i, token)) => {
                    found.push(Match { start: at, end: at + token.len(), id: i as TokenId });
                    at += token.len();
                }
                None => at += 1,
            }
        }
        found
    }

    proptest! {
        #[test]
        fn finds_the_leftmost_longest(
            tokens in prop::collection::vec("[ab<é]{1,5}", 1..12),
            pairs in prop::collection::vec("<[abc][abc]{0,3}", 1..9),
            text in "[ab<cé ]{0,150}",
        ) {
            for tokens in [tokens, pairs] {
                let matcher = Matcher::new(tokens.iter().zip(0..).map(|(token, id)| (token.as_str(), id)));
                prop_assert_eq!(matcher.matches(&text).collect::<Vec<_>>(), naive(&tokens, &text));
            }
        }
    }
}
