//! Token strings and their ids: one arena of text, one hash table over it, one table from id to text.
//!
//! A vocabulary is built once, when a tokenizer is loaded, and only read afterwards. Building 200,000 tokens has to cost
//! milliseconds, so there is no allocation per token and no general-purpose hasher: a slot of the table is one `u64` that
//! holds 32 bits of the hash next to the number of the entry, and a probe reads the arena only when those bits agree.

use std::hash::{BuildHasher, RandomState};

use crate::ids::TokenId;

/// The largest token id that a tokenizer may use, for tokens of the model and added tokens alike.
///
/// Tables indexed by id are sized by the largest one, so a file of twenty bytes must not be able to ask for gigabytes.
/// The largest vocabularies in use are below 300,000.
pub const MAX_TOKEN_ID: TokenId = (1 << 21) - 1;

/// The most bytes that the tokens of one vocabulary may have together; positions in the arena are 32 bits.
pub const MAX_VOCAB_BYTES: usize = u32::MAX as usize >> 1;

/// Odd constant of the folded multiply (the fraction of pi).
const MULTIPLIER: u64 = 0x243f_6a88_85a3_08d3;

/// Start of an id that no token has, and id of no entry. Both are beyond what the limits allow.
const VACANT: u32 = u32::MAX;

/// One token.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    id: TokenId,
}

/// Token strings by id and ids by token string.
///
/// Ids need not be dense, and two tokens may share an id: both strings then map to it, and the id maps to the one
/// inserted last.
#[derive(Clone, Debug)]
pub struct Vocab {
    text: String,
    entries: Vec<Entry>,
    /// Start and length of the token of each id.
    by_id: Vec<(u32, u32)>,
    /// Open addressing with linear probing: 0 when free, else hash bits above, entry number + 1 below.
    slots: Vec<u64>,
    /// Random per vocabulary, so that no file can be written whose tokens all collide.
    seed: u64,
}

impl Default for Vocab {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl Vocab {
    /// An empty vocabulary with room for `tokens` tokens of `bytes` bytes in all. Both are hints.
    pub fn with_capacity(tokens: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            entries: Vec::with_capacity(tokens),
            by_id: Vec::with_capacity(tokens),
            slots: vec![0; slot_count(tokens)],
            seed: RandomState::new().hash_one(0u64),
        }
    }

    /// Gives `token` the id `id`, and returns the id it had before, as a map would.
    ///
    /// # Panics
    /// When `id` exceeds [`MAX_TOKEN_ID`] or the text of all tokens [`MAX_VOCAB_BYTES`]; whoever reads a file checks both.
    pub fn insert(&mut self, token: &str, id: TokenId) -> Option<TokenId> {
        assert!(id <= MAX_TOKEN_ID, "token id {id} is beyond the limit of {MAX_TOKEN_ID}");
        let hash = hash(self.seed, token.as_bytes());
        match self.find(token, hash) {
            Ok(index) => {
                let entry = &mut self.entries[index];
                let old = std::mem::replace(&mut entry.id, id);
                let place = (entry.start, entry.len);
                if self.by_id[old as usize] == place {
                    self.by_id[old as usize].0 = VACANT;
                }
                self.set_place(id, place);
                while self.by_id.last().is_some_and(|place| place.0 == VACANT) {
                    self.by_id.pop();
                }
                Some(old)
            }
            Err(slot) => {
                assert!(
                    token.len() <= MAX_VOCAB_BYTES - self.text.len(),
                    "the vocabulary exceeds {MAX_VOCAB_BYTES} bytes"
                );
                let place = (self.text.len() as u32, token.len() as u32);
                self.text.push_str(token);
                self.entries.push(Entry { start: place.0, len: place.1, id });
                self.set_place(id, place);
                self.slots[slot] = slot_value(hash, self.entries.len());
                if self.entries.len() * 2 > self.slots.len() {
                    self.grow();
                }
                None
            }
        }
    }

    /// Gives the id `id` the text `token`, which other ids may have as well; the token has the id that it was given last.
    /// This is how lists of tokens behave, where a position is an id.
    ///
    /// # Panics
    /// As [`Vocab::insert`].
    pub fn insert_listed(&mut self, token: &str, id: TokenId) {
        if let Some(old) = self.insert(token, id) {
            let place = self.by_id[id as usize];
            self.set_place(old, place);
        }
    }

    /// The id of `token`.
    pub fn id(&self, token: &str) -> Option<TokenId> {
        self.find(token, hash(self.seed, token.as_bytes())).ok().map(|index| self.entries[index].id)
    }

    /// The ids of several tokens at once.
    ///
    /// A look-up waits for memory three times (slot, entry, text). Taking each of these steps for all tokens before the
    /// next lets the waits overlap, which resolves the merges of a large file in a third of the time.
    pub fn ids<const N: usize>(&self, tokens: [&str; N]) -> [Option<TokenId>; N] {
        let mask = self.slots.len() - 1;
        let hashes = tokens.map(|token| hash(self.seed, token.as_bytes()));
        let values = hashes.map(|hash| self.slots[hash as usize & mask]);
        let nothing = Entry { start: 0, len: 0, id: VACANT };
        let entries =
            values.map(|value| self.entries.get((value as u32 as usize).wrapping_sub(1)).copied().unwrap_or(nothing));
        std::array::from_fn(|index| {
            let (entry, token) = (entries[index], tokens[index]);
            if entry.id != VACANT && same(self.bytes_of(entry), token.as_bytes()) {
                return Some(entry.id);
            }
            self.find(token, hashes[index]).ok().map(|index| self.entries[index].id)
        })
    }

    /// The token with the id `id`.
    pub fn token(&self, id: TokenId) -> Option<&str> {
        let &(start, len) = self.by_id.get(id as usize)?;
        (start != VACANT).then(|| self.text_at(start, len))
    }

    /// How many different tokens there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One more than the largest id, 0 when there is none: the length of a table indexed by id.
    pub fn id_bound(&self) -> usize {
        self.by_id.len()
    }

    /// Bytes of all tokens together.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// All tokens with their ids, in the order of their first insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TokenId)> {
        self.entries.iter().map(|entry| (self.text_at(entry.start, entry.len), entry.id))
    }

    fn text_at(&self, start: u32, len: u32) -> &str {
        &self.text[start as usize..(start + len) as usize]
    }

    /// The text of an entry as bytes, which needs no look at character boundaries.
    fn bytes_of(&self, entry: Entry) -> &[u8] {
        &self.text.as_bytes()[entry.start as usize..(entry.start + entry.len) as usize]
    }

    fn set_place(&mut self, id: TokenId, place: (u32, u32)) {
        let index = id as usize;
        if index >= self.by_id.len() {
            self.by_id.resize(index + 1, (VACANT, 0));
        }
        self.by_id[index] = place;
    }

    /// The entry that holds `token`, or the free slot where it belongs.
    #[inline]
    fn find(&self, token: &str, hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let value = self.slots[slot];
            if value == 0 {
                return Err(slot);
            }
            if (value ^ hash) >> 32 == 0 {
                let index = value as u32 as usize - 1;
                if same(self.bytes_of(self.entries[index]), token.as_bytes()) {
                    return Ok(index);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for (index, entry) in self.entries.iter().enumerate() {
            let hash = hash(self.seed, self.text_at(entry.start, entry.len).as_bytes());
            let mut slot = hash as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = slot_value(hash, index + 1);
        }
        self.slots = slots;
    }
}

/// Slots for `tokens` tokens, of which at most half are taken.
fn slot_count(tokens: usize) -> usize {
    (tokens.min(MAX_TOKEN_ID as usize) * 2).next_power_of_two().max(16)
}

fn slot_value(hash: u64, number: usize) -> u64 {
    hash & 0xffff_ffff_0000_0000 | number as u64
}

/// Folded multiply over eight bytes at a time, the last eight overlapping the ones before.
#[inline]
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mut state = seed ^ len as u64;
    let last = if let Some(tail) = bytes.last_chunk::<8>() {
        let mut start = 0;
        while start + 8 < len {
            state = fold(state ^ word(&bytes[start..]));
            start += 8;
        }
        u64::from_le_bytes(*tail)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
    } else if len > 0 {
        u64::from(bytes[0]) | u64::from(bytes[len / 2]) << 8 | u64::from(bytes[len - 1]) << 16
    } else {
        0
    };
    fold(fold(state ^ last) ^ seed)
}

/// Equality of tokens, most of which are too short for a call of `memcmp` to pay.
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match left.len() {
        0..4 => left.iter().zip(right).all(|(left, right)| left == right),
        4..8 => left.first_chunk::<4>() == right.first_chunk() && left.last_chunk::<4>() == right.last_chunk(),
        8..=16 => left.first_chunk::<8>() == right.first_chunk() && left.last_chunk::<8>() == right.last_chunk(),
        _ => left == right,
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn fold(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(MULTIPLIER);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn agrees_with_a_map_on_many_tokens() {
        let mut vocab = Vocab::default();
        let mut map = HashMap::new();
        for number in 0..20_000u32 {
            // Every length from 0 to 40, many shared prefixes and suffixes, and repeats with other ids.
            let token = format!("{}{}", "é".repeat((number % 19) as usize), number % 15_000);
            let token = if number == 7 { String::new() } else { token };
            assert_eq!(vocab.insert(&token, number), map.insert(token.clone(), number), "{token}");
        }
        assert_eq!(vocab.len(), map.len());
        assert_eq!(vocab.id_bound(), 20_000);
        for (token, &id) in &map {
            assert_eq!(vocab.id(token), Some(id));
            assert_eq!(vocab.token(id), Some(token.as_str()));
            assert_eq!(vocab.id(&format!("{token}x")), map.get(&format!("{token}x")).copied());
        }
        assert_eq!(vocab.iter().map(|(token, id)| (token.to_owned(), id)).collect::<HashMap<_, _>>(), map);
    }

    #[test]
    fn a_token_that_moves_leaves_its_id_free() {
        let mut vocab = Vocab::default();
        assert_eq!(vocab.insert("a", 5), None);
        assert_eq!(vocab.insert("a", 1), Some(5));
        assert_eq!((vocab.len(), vocab.id_bound()), (1, 2));
        assert_eq!((vocab.token(5), vocab.token(1), vocab.token(0)), (None, Some("a"), None));
    }

    #[test]
    fn two_tokens_may_share_an_id() {
        let mut vocab = Vocab::default();
        vocab.insert("a", 0);
        vocab.insert("b", 0);
        assert_eq!((vocab.id("a"), vocab.id("b"), vocab.token(0)), (Some(0), Some(0), Some("b")));
        vocab.insert("a", 1);
        assert_eq!((vocab.id("b"), vocab.token(0), vocab.token(1)), (Some(0), Some("b"), Some("a")));
    }

    #[test]
    fn a_list_may_repeat_a_token() {
        let mut vocab = Vocab::default();
        for (id, token) in ["a", "b", "a", "c", "a"].into_iter().enumerate() {
            vocab.insert_listed(token, id as TokenId);
        }
        assert_eq!((vocab.len(), vocab.id_bound()), (3, 5));
        assert_eq!((vocab.id("a"), vocab.id("b"), vocab.id("c")), (Some(4), Some(1), Some(3)));
        assert_eq!([0, 1, 2, 3, 4].map(|id| vocab.token(id).unwrap()), ["a", "b", "a", "c", "a"]);
    }

    #[test]
    fn the_largest_id_is_accepted() {
        let mut vocab = Vocab::default();
        vocab.insert("far", MAX_TOKEN_ID);
        assert_eq!(vocab.token(MAX_TOKEN_ID), Some("far"));
        assert_eq!(vocab.token(u32::MAX), None);
    }

    #[test]
    #[should_panic(expected = "beyond the limit")]
    fn an_id_beyond_the_limit_panics() {
        Vocab::default().insert("far", MAX_TOKEN_ID + 1);
    }
}
