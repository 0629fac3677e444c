//! Token strings and their ids: one arena of text, one hash table over it, one table from id to token.
//!
//! A vocabulary is built once, when a tokenizer is loaded, and only read afterwards. Building 200,000 tokens has to cost
//! milliseconds, and resolving half a million merges asks for a million tokens. So there is no allocation per token and no
//! general-purpose hasher, and what a look-up touches is small enough for the second-level cache: a slot of the table is one
//! `u32` that holds the number of the entry below and the upper bits of the hash above, and the arena is read only when
//! those bits agree.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use crate::folded::fold;
use crate::ids::TokenId;
use crate::kernels::prefetch;

/// The largest token id that a tokenizer may use, for tokens of the model and added tokens alike.
///
/// Tables indexed by id are sized by the largest one, so a file of twenty bytes must not be able to ask for gigabytes.
/// The largest vocabularies in use are below 300,000.
pub const MAX_TOKEN_ID: TokenId = (1 << 21) - 1;

/// The most bytes that the tokens of one vocabulary may have together; positions in the arena are 32 bits.
pub const MAX_VOCAB_BYTES: usize = u32::MAX as usize >> 1;

/// Odd constant of the folded multiply (the fraction of pi).
const MULTIPLIER: u64 = 0x243f_6a88_85a3_08d3;

/// Tokens whose slots are fetched together.
const AHEAD: usize = 32;

/// Entry of an id that no token has.
const VACANT: u32 = u32::MAX;

/// Token strings by id and ids by token string.
///
/// Ids need not be dense, and two tokens may share an id: both strings then map to it, and the id maps to the one
/// inserted last.
#[derive(Clone, Debug)]
pub struct Vocab {
    text: String,
    /// Entry `i` is `text[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    /// None while each entry's id is its number, as in nearly all files.
    numbers: Option<Numbers>,
    /// Open addressing with linear probing: 0 when free, else entry number + 1 below and hash bits above.
    slots: Vec<u32>,
    /// Random per vocabulary, so that no file can be written whose tokens all collide.
    seed: u64,
}

/// Ids that are not the numbers of their entries.
#[derive(Clone, Debug)]
struct Numbers {
    /// The id of each entry.
    ids: Vec<TokenId>,
    /// The entry of each id.
    by_id: Vec<u32>,
}

impl Numbers {
    fn in_order(tokens: usize) -> Self {
        let ids: Vec<_> = (0..tokens as TokenId).collect();
        Self { by_id: ids.clone(), ids }
    }

    /// None if two tokens share an id.
    fn of(ids: Vec<TokenId>, bound: usize) -> Option<Self> {
        let mut by_id = vec![VACANT; bound];
        for (entry, &id) in ids.iter().enumerate() {
            if std::mem::replace(&mut by_id[id as usize], entry as u32) != VACANT {
                return None;
            }
        }
        Some(Self { ids, by_id })
    }

    fn set_entry(&mut self, id: TokenId, entry: u32) {
        let index = id as usize;
        if index >= self.by_id.len() {
            self.by_id.resize(index + 1, VACANT);
        }
        self.by_id[index] = entry;
    }

    /// How many ids have a token.
    fn taken(&self) -> usize {
        self.by_id.iter().filter(|&&entry| entry != VACANT).count()
    }
}

impl Default for Vocab {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl Vocab {
    /// An empty vocabulary with room for `tokens` tokens of `bytes` bytes in all. Both are hints.
    pub fn with_capacity(tokens: usize, bytes: usize) -> Self {
        let mut starts = Vec::with_capacity(tokens + 1);
        starts.push(0);
        Self {
            text: String::with_capacity(bytes),
            starts,
            numbers: None,
            slots: vec![0; slot_count(tokens)],
            seed: random_seed(),
        }
    }

    /// The vocabulary of tokens that lie one behind the other in `text`, where `starts` has the start of each and the end of
    /// the last, and `ids` the ids where those are not 0, 1, 2 and so on; None unless all tokens and all ids differ and are
    /// within the limits, and every token is UTF-8.
    pub fn from_listed(text: Vec<u8>, starts: Vec<u32>, ids: Option<Vec<TokenId>>) -> Option<Self> {
        let text = String::from_utf8(text).ok()?;
        let count = starts.len().checked_sub(1)?;
        let bound = ids.as_ref().map_or(count, |ids| ids.iter().max().map_or(0, |&id| id as usize + 1));
        let fits = text.len() <= MAX_VOCAB_BYTES && bound <= MAX_TOKEN_ID as usize + 1;
        let whole = starts[0] == 0 && starts[count] as usize == text.len();
        let matching = ids.as_ref().is_none_or(|ids| ids.len() == count);
        if !fits || !whole || !matching || !starts.iter().all(|&start| text.is_char_boundary(start as usize)) {
            return None;
        }
        let numbers = match ids {
            Some(ids) => Some(Numbers::of(ids, bound)?),
            None => None,
        };
        let mut vocab = Self { text, starts, numbers, slots: vec![0; slot_count(count)], seed: random_seed() };
        let mask = vocab.slots.len() - 1;
        let mut hashes = [0; AHEAD];
        for first in (0..count).step_by(AHEAD) {
            let entries = first..count.min(first + AHEAD);
            for (hash, entry) in hashes.iter_mut().zip(entries.clone()) {
                *hash = vocab.spelled(entry).hash(vocab.seed);
                prefetch(&vocab.slots[*hash as usize & mask]);
            }
            for (&hash, entry) in hashes.iter().zip(entries) {
                let slot = vocab.find(&vocab.spelled(entry), hash).err()?;
                vocab.slots[slot] = vocab.slot_value(hash, entry);
            }
        }
        Some(vocab)
    }

    /// Gives `token` the id `id`, and returns the id it had before, as a map would.
    ///
    /// # Panics
    /// When `id` exceeds [`MAX_TOKEN_ID`] or the text of all tokens [`MAX_VOCAB_BYTES`]; whoever reads a file checks both.
    pub fn insert(&mut self, token: &str, id: TokenId) -> Option<TokenId> {
        assert!(id <= MAX_TOKEN_ID, "token id {id} is beyond the limit of {MAX_TOKEN_ID}");
        let spelled = Spelled::new(token.as_bytes());
        let hash = spelled.hash(self.seed);
        match self.find(&spelled, hash) {
            Ok(entry) => {
                let old = self.id_of(entry);
                if id != old {
                    let numbers = self.numbers();
                    numbers.ids[entry] = id;
                    if numbers.by_id[old as usize] == entry as u32 {
                        numbers.by_id[old as usize] = VACANT;
                    }
                    numbers.set_entry(id, entry as u32);
                    while numbers.by_id.last() == Some(&VACANT) {
                        numbers.by_id.pop();
                    }
                } else if let Some(numbers) = &mut self.numbers {
                    numbers.set_entry(id, entry as u32);
                }
                Some(old)
            }
            Err(slot) => {
                assert!(
                    token.len() <= MAX_VOCAB_BYTES - self.text.len(),
                    "the vocabulary exceeds {MAX_VOCAB_BYTES} bytes"
                );
                let entry = self.len();
                if self.numbers.is_some() || id as usize != entry {
                    let numbers = self.numbers();
                    numbers.ids.push(id);
                    numbers.set_entry(id, entry as u32);
                }
                self.text.push_str(token);
                self.starts.push(self.text.len() as u32);
                self.slots[slot] = self.slot_value(hash, entry);
                if self.len() * 2 > self.slots.len() {
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
        if let Some(old) = self.insert(token, id)
            && let Some(numbers) = &mut self.numbers
        {
            let entry = numbers.by_id[id as usize];
            numbers.set_entry(old, entry);
        }
    }

    /// The id of `token`.
    pub fn id(&self, token: &str) -> Option<TokenId> {
        let token = Spelled::new(token.as_bytes());
        self.find(&token, token.hash(self.seed)).ok().map(|entry| self.id_of(entry))
    }

    /// The ids of up to `N` tokens at once.
    ///
    /// A look-up waits for memory three times (slot, place, text). Taking each of these steps for all tokens before the
    /// next lets the waits overlap, which resolves the merges of a large file in a third of the time.
    pub fn ids<const N: usize>(&self, tokens: &[Spelled<'_>]) -> [Option<TokenId>; N] {
        let mask = self.slots.len() - 1;
        let known = self.len() as u32;
        let (mut hashes, mut entries) = ([0; N], [VACANT; N]);
        for (hash, token) in hashes.iter_mut().zip(tokens) {
            *hash = token.hash(self.seed);
            prefetch(&self.slots[*hash as usize & mask]);
        }
        for ((entry, &hash), _) in entries.iter_mut().zip(&hashes).zip(tokens) {
            *entry = self.probe(hash);
            if *entry < known {
                prefetch(&self.starts[*entry as usize]);
                if let Some(numbers) = &self.numbers {
                    prefetch(&numbers.ids[*entry as usize]);
                }
            }
        }
        for &entry in entries.iter().filter(|&&entry| entry < known) {
            if let Some(first) = self.text.as_bytes().get(self.starts[entry as usize] as usize) {
                prefetch(first);
            }
        }
        let mut found = [None; N];
        for (index, token) in tokens.iter().enumerate().filter(|&(index, _)| entries[index] < known) {
            let entry = entries[index] as usize;
            found[index] = if self.spelled(entry).same(token) {
                Some(self.id_of(entry))
            } else {
                self.find(token, hashes[index]).ok().map(|entry| self.id_of(entry))
            };
        }
        found
    }

    /// The token with the id `id`.
    pub fn token(&self, id: TokenId) -> Option<&str> {
        self.entry_of(id).map(|entry| self.text_of(entry))
    }

    /// Whether the token with the id `id` is what two others make.
    #[inline(always)]
    pub fn is_joined(&self, id: TokenId, joined: &Joined<'_>) -> bool {
        let Some(entry) = self.entry_of(id) else { return false };
        let token = self.spelled(entry);
        let middle = joined.left.len();
        token.bytes.len() == middle + joined.right.len()
            && match joined.words {
                Some([low, high]) => (token.low ^ low) | (token.high ^ high) == 0,
                None => token.bytes[..middle] == *joined.left && token.bytes[middle..] == *joined.right,
            }
    }

    /// Two tokens that have the same id, and that id.
    pub fn shared_id(&self) -> Option<(&str, &str, TokenId)> {
        if self.numbers.as_ref().is_none_or(|numbers| numbers.taken() == self.len()) {
            return None;
        }
        let other = |id| self.token(id).unwrap_or_default();
        self.iter().find(|&(token, id)| other(id) != token).map(|(token, id)| (token, other(id), id))
    }

    /// Whether every token has an id of its own, and every id that is taken has one token.
    pub fn is_one_to_one(&self) -> bool {
        self.numbers.as_ref().is_none_or(|numbers| {
            let agrees = |(entry, &id): (u32, &TokenId)| numbers.by_id.get(id as usize) == Some(&entry);
            numbers.taken() == self.len() && (0..).zip(&numbers.ids).all(agrees)
        })
    }

    /// How many different tokens there are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// True when there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the largest id, 0 when there is none: the length of a table indexed by id.
    pub fn id_bound(&self) -> usize {
        self.numbers.as_ref().map_or(self.len(), |numbers| numbers.by_id.len())
    }

    /// Bytes of all tokens together.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// All tokens with their ids, in the order of their first insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TokenId)> {
        (0..self.len()).map(|entry| (self.text_of(entry), self.id_of(entry)))
    }

    fn text_of(&self, entry: usize) -> &str {
        &self.text[self.starts[entry] as usize..self.starts[entry + 1] as usize]
    }

    /// The text of an entry, which needs no look at character boundaries.
    #[inline(always)]
    fn spelled(&self, entry: usize) -> Spelled<'_> {
        Spelled::within(self.text.as_bytes(), self.starts[entry] as usize..self.starts[entry + 1] as usize)
    }

    #[inline(always)]
    fn id_of(&self, entry: usize) -> TokenId {
        self.numbers.as_ref().map_or(entry as TokenId, |numbers| numbers.ids[entry])
    }

    /// The entry that an id stands for.
    #[inline(always)]
    fn entry_of(&self, id: TokenId) -> Option<usize> {
        let entry =
            self.numbers.as_ref().map_or(id, |numbers| numbers.by_id.get(id as usize).copied().unwrap_or(VACANT));
        ((entry as usize) < self.len()).then_some(entry as usize)
    }

    /// The ids, which are about to differ from the numbers of their entries.
    fn numbers(&mut self) -> &mut Numbers {
        let tokens = self.len();
        self.numbers.get_or_insert_with(|| Numbers::in_order(tokens))
    }

    /// The bits of a slot that hold the number of an entry: with half of the slots free, one more than it fits as well.
    #[inline]
    fn number_mask(&self) -> u32 {
        (self.slots.len() - 1) as u32
    }

    fn slot_value(&self, hash: u64, entry: usize) -> u32 {
        (hash >> 32) as u32 & !self.number_mask() | (entry as u32 + 1)
    }

    /// The first entry whose hash bits agree, or [`VACANT`].
    #[inline]
    fn probe(&self, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let value = self.slots[slot];
            if value == 0 {
                return VACANT;
            }
            if (value ^ (hash >> 32) as u32) & !self.number_mask() == 0 {
                return (value & self.number_mask()) - 1;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The entry that holds `token`, or the free slot where it belongs.
    #[inline]
    fn find(&self, token: &Spelled<'_>, hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let value = self.slots[slot];
            if value == 0 {
                return Err(slot);
            }
            if (value ^ (hash >> 32) as u32) & !self.number_mask() == 0 {
                let entry = (value & self.number_mask()) as usize - 1;
                if self.spelled(entry).same(token) {
                    return Ok(entry);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        let mask = self.slots.len() - 1;
        for entry in 0..self.len() {
            let hash = self.spelled(entry).hash(self.seed);
            let mut slot = hash as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = self.slot_value(hash, entry);
        }
    }
}

fn random_seed() -> u64 {
    RandomState::new().hash_one(0u64)
}

/// Slots for `tokens` tokens, of which at most half are taken.
fn slot_count(tokens: usize) -> usize {
    (tokens.min(MAX_TOKEN_ID as usize) * 2).next_power_of_two().max(16)
}

/// Bytes of a token that are held in two words. Nearly all tokens are shorter.
const WINDOW: usize = 16;

/// The bits that the first bytes of a word take.
const MASKS: [u64; 9] = {
    let mut masks = [u64::MAX; 9];
    let mut len = 0;
    while len < 8 {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

/// A token, and its first sixteen bytes as numbers.
///
/// The lengths of tokens follow no order that a processor could predict. Comparing and hashing a whole window at once, with
/// zeros behind the token's end, takes no branch that depends on them.
#[derive(Clone, Copy)]
pub struct Spelled<'t> {
    bytes: &'t [u8],
    low: u64,
    high: u64,
}

impl<'t> Spelled<'t> {
    /// A token by itself.
    #[inline]
    pub fn new(bytes: &'t [u8]) -> Self {
        let len = bytes.len();
        let (low, high) = if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            let high = match bytes.get(8..).and_then(<[u8]>::first_chunk) {
                Some(high) => u64::from_le_bytes(*high),
                None if len == 8 => 0,
                None => u64::from_le_bytes(*last) >> (8 * (16 - len)),
            };
            (u64::from_le_bytes(*first), high)
        } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4)), 0)
        } else if let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) {
            (u64::from(first) | u64::from(bytes[len / 2]) << (8 * (len / 2)) | u64::from(last) << (8 * (len - 1)), 0)
        } else {
            (0, 0)
        };
        Self { bytes, low, high }
    }

    /// The token at a place of a text, of which what follows is read along.
    #[inline(always)]
    pub fn within(text: &'t [u8], place: Range<usize>) -> Self {
        match text.get(place.start..).and_then(<[u8]>::first_chunk::<WINDOW>) {
            Some(window) => {
                let (low, high) = split(window);
                let len = place.len();
                let (first, second) = (MASKS[len.min(8)], MASKS[len.clamp(8, WINDOW) - 8]);
                Self { bytes: &text[place], low: low & first, high: high & second }
            }
            None => Self::new(&text[place]),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'t [u8] {
        self.bytes
    }

    /// A number that no other token has, for tokens of up to seven bytes: most parts of merges.
    #[inline(always)]
    pub fn short(&self) -> Option<u64> {
        (self.bytes.len() < 8).then_some(self.low | (self.bytes.len() as u64) << 56)
    }

    /// The first sixteen bytes, with zeros behind the token's end, as two words; None if there are more.
    #[inline(always)]
    pub fn words(&self) -> Option<[u64; 2]> {
        (self.bytes.len() <= WINDOW).then_some([self.low, self.high])
    }

    /// Equality of tokens.
    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        // At once: which of them differs first follows no order either.
        let differ = (self.low ^ other.low) | (self.high ^ other.high) | (self.bytes.len() ^ other.bytes.len()) as u64;
        differ == 0 && (self.bytes.len() <= WINDOW || self.bytes == other.bytes)
    }

    /// Folded multiply of the window, and of what is behind it eight bytes at a time, the last eight overlapping the ones
    /// before.
    #[inline(always)]
    fn hash(&self, seed: u64) -> u64 {
        let len = self.bytes.len();
        let mut state = seed ^ len as u64;
        if len > WINDOW {
            let mut start = WINDOW;
            while start + 8 < len {
                state = fold(state ^ word(&self.bytes[start..]), MULTIPLIER);
                start += 8;
            }
            state = fold(state ^ word(&self.bytes[len - 8..]), MULTIPLIER);
        }
        fold(fold(self.low ^ state, MULTIPLIER ^ self.high) ^ seed, MULTIPLIER)
    }
}

/// One token behind another.
pub struct Joined<'t> {
    left: &'t [u8],
    right: &'t [u8],
    words: Option<[u64; 2]>,
}

impl<'t> Joined<'t> {
    /// Two tokens.
    #[inline(always)]
    pub fn new(left: &Spelled<'t>, right: &Spelled<'t>) -> Self {
        let middle = left.bytes.len();
        let words = (middle < WINDOW && middle + right.bytes.len() <= WINDOW).then(|| {
            let whole = |part: &Spelled<'_>| u128::from(part.low) | u128::from(part.high) << 64;
            let whole = whole(left) | whole(right) << (8 * middle);
            [whole as u64, (whole >> 64) as u64]
        });
        Self { left: left.bytes, right: right.bytes, words }
    }

    /// Their text.
    pub fn text(&self) -> Vec<u8> {
        [self.left, self.right].concat()
    }
}

#[inline(always)]
fn split(window: &[u8; WINDOW]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*window);
    (whole as u64, (whole >> 64) as u64)
}

/// A hash of bytes, as the vocabulary uses it.
#[inline]
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    Spelled::new(bytes).hash(seed)
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
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
    fn a_window_is_the_token_whatever_follows_it() {
        let text: Vec<u8> = (0..100u8).map(|byte| byte.wrapping_mul(89) | 1).collect();
        for len in 0..40 {
            for start in [0, 7, 100 - len] {
                let (alone, within) =
                    (Spelled::new(&text[start..start + len]), Spelled::within(&text, start..start + len));
                assert!(alone.same(&within), "{len}");
                assert_eq!((alone.low, alone.high, alone.bytes), (within.low, within.high, within.bytes), "{len}");
                assert_eq!(alone.hash(3), within.hash(3));
                let padded = |index: usize| if index < len { text[start + index] } else { 0 };
                assert_eq!(alone.low.to_le_bytes(), std::array::from_fn(padded), "{len}");
                assert_eq!(alone.high.to_le_bytes(), std::array::from_fn(|index| padded(index + 8)), "{len}");
            }
        }
    }

    #[test]
    fn joined_tokens_are_found_at_every_seam() {
        let word = "abcdefghijklmnopqrstuvwxyz";
        let mut vocab = Vocab::default();
        for len in 0..=word.len() {
            vocab.insert(&word[..len], len as TokenId);
        }
        for len in 0..=word.len() {
            for middle in 0..=len {
                let part = |range: Range<usize>| Spelled::new(&word.as_bytes()[range]);
                let joined = Joined::new(&part(0..middle), &part(middle..len));
                assert_eq!(joined.text(), &word.as_bytes()[..len]);
                for id in 0..=word.len() + 1 {
                    assert_eq!(vocab.is_joined(id as TokenId, &joined), id == len, "{len} {middle} {id}");
                }
            }
        }
        let found = vocab.ids::<3>(&[Spelled::new(b"abc"), Spelled::new(b"abd"), Spelled::new(word.as_bytes())]);
        assert_eq!(found, [Some(3), None, Some(26)]);
    }

    #[test]
    fn a_token_that_moves_leaves_its_id_free() {
        let mut vocab = Vocab::default();
        assert_eq!(vocab.insert("a", 5), None);
        assert_eq!(vocab.insert("a", 1), Some(5));
        assert_eq!((vocab.len(), vocab.id_bound()), (1, 2));
        assert_eq!(vocab.ids::<3>(&[Spelled::new(b"a"), Spelled::new(b"b")]), [Some(1), None, None]);
        assert_eq!((vocab.token(5), vocab.token(1), vocab.token(0)), (None, Some("a"), None));
    }

    #[test]
    fn two_tokens_may_share_an_id() {
        let mut vocab = Vocab::default();
        vocab.insert("a", 0);
        vocab.insert("b", 0);
        assert_eq!((vocab.id("a"), vocab.id("b"), vocab.token(0)), (Some(0), Some(0), Some("b")));
        assert!(!vocab.is_one_to_one());
        vocab.insert("a", 1);
        assert_eq!((vocab.id("b"), vocab.token(0), vocab.token(1)), (Some(0), Some("b"), Some("a")));
        assert!(vocab.is_one_to_one());
    }

    #[test]
    fn a_list_may_repeat_a_token() {
        let mut vocab = Vocab::default();
        for (id, token) in ["a", "b", "a", "c", "a"].into_iter().enumerate() {
            vocab.insert_listed(token, id as TokenId);
        }
        assert_eq!((vocab.len(), vocab.id_bound()), (3, 5));
        assert!(!vocab.is_one_to_one());
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
