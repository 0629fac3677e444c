//! Words that are tokens as a whole: with `ignore_merges` they need no merging, two in five of the new words of an English
//! text and three in five of code.
//!
//! One such look-up waits for memory three times, as long as the merges take. So words are looked up together:
//!
//! ```text
//! for each: its bucket is asked for
//! for each: the slot that may be it; where the bytes of that token are said to begin is asked for
//! for each: those bytes are asked for
//! for each: they are compared
//! ```

use super::token_bytes::TokenBytes;
use crate::{
    TokenId,
    folded::hash_two,
    kernels::{
        pages::{FixedPages, Pages},
        prefetch,
    },
    vocab::Spelled,
};

/// The longest token in the table, in bytes: its length goes into the sixteenth byte of a key.
pub(super) const LONGEST: usize = 15;

/// Slots of a bucket: a cache line.
const BUCKET: usize = 16;

const ID_BITS: u32 = 21;
const ID_MASK: u32 = (1 << ID_BITS) - 1;

/// Words that are looked up together, so that the waits for memory overlap.
const AHEAD: usize = 32;

/// Bytes to token, for tokens of up to fifteen bytes.
///
/// A slot is four bytes: the id, and bits of the hash that say of nearly every other text that it is not the token's. So a
/// look-up reads one cache line, and a megabyte holds the 128,000 tokens of Llama 3.
pub(super) struct TokenTable {
    slots: FixedPages,
    shift: u32,
}

/// What is known of a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    /// It is this token.
    Token(TokenId),
    /// It is none of the tokens that the table was made of.
    No,
    /// It may have been left out.
    Unknown,
}

/// A word on its way through the table.
#[derive(Clone, Copy)]
struct Asked {
    key: u128,
    hash: u64,
    /// The slots of the bucket that may be it.
    same: u32,
    /// The bucket is full: what is not there may have found no room.
    full: bool,
    /// The first of those, or any token.
    id: TokenId,
}

impl TokenTable {
    /// The tokens below `bound`, but for those that are too long, that no text has, or whose bucket is full.
    pub(super) fn new(bytes: &TokenBytes, bound: usize) -> Self {
        let buckets = (bound * 2 / BUCKET).next_power_of_two().max(2);
        let mut slots = Pages::zeroed(buckets * BUCKET / 2);
        let shift = 64 - buckets.trailing_zeros();
        let words = slots.words_mut();
        let fits = |&id: &TokenId| (1..=LONGEST).contains(&bytes.len(id)) && bytes.is_spelled(id);
        let mut ids = (0..bound as TokenId).filter(fits);
        loop {
            let mut batch = [(0, 0); AHEAD];
            let mut len = 0;
            for (place, id) in batch.iter_mut().zip(&mut ids) {
                let hash = hash(key(bytes.get(id)));
                prefetch(&words[(hash >> shift) as usize * BUCKET / 2]);
                *place = (id, hash);
                len += 1;
            }
            for &(id, hash) in &batch[..len] {
                let at = (hash >> shift) as usize * BUCKET / 2;
                let slot = u64::from(tag(hash) << ID_BITS | id);
                for word in &mut words[at..at + BUCKET / 2] {
                    if *word >> 32 == 0 {
                        *word = if *word == 0 { slot } else { *word | slot << 32 };
                        break;
                    }
                }
            }
            if len < AHEAD {
                return Self { slots: slots.into(), shift };
            }
        }
    }

    #[inline(always)]
    fn bucket(&self, hash: u64) -> &[u64; BUCKET / 2] {
        let at = (hash >> self.shift) as usize * BUCKET / 2;
        self.slots[at..at + BUCKET / 2].try_into().expect("a bucket")
    }

    /// Tells `found` of each word, in order, what is known of it.
    pub(super) fn get_each(&self, bytes: &TokenBytes, words: &[&[u8]], mut found: impl FnMut(usize, Found)) {
        for (number, words) in words.chunks(AHEAD).enumerate() {
            let mut asked = [Asked { key: 0, hash: 0, same: 0, full: false, id: 0 }; AHEAD];
            for (asked, word) in asked.iter_mut().zip(words) {
                if word.len() <= LONGEST {
                    asked.key = key(word);
                    asked.hash = hash(asked.key);
                    prefetch(self.bucket(asked.hash));
                }
            }
            for (asked, word) in asked.iter_mut().zip(words) {
                if word.len() <= LONGEST {
                    let bucket = self.bucket(asked.hash);
                    asked.same = same(bucket, tag(asked.hash));
                    asked.full = bucket[BUCKET / 2 - 1] >> 32 != 0;
                    asked.id = id_at(bucket, asked.same.trailing_zeros());
                    bytes.prefetch_start(asked.id);
                } else {
                    asked.full = true;
                }
            }
            for asked in &asked[..words.len()] {
                if asked.same != 0 {
                    bytes.prefetch(asked.id);
                }
            }
            for (i, asked) in asked[..words.len()].iter().enumerate() {
                found(number * AHEAD + i, self.settle(bytes, asked));
            }
        }
    }

    #[inline(always)]
    fn settle(&self, bytes: &TokenBytes, asked: &Asked) -> Found {
        let mut same = asked.same;
        let mut id = asked.id;
        while same != 0 {
            let (padded, len) = bytes.padded(id);
            if len <= LONGEST && u128::from_le_bytes(*padded) & head(len) | (len as u128) << 120 == asked.key {
                return Found::Token(id);
            }
            same &= same - 1;
            id = id_at(self.bucket(asked.hash), same.trailing_zeros());
        }
        if asked.full { Found::Unknown } else { Found::No }
    }
}

/// The slots of a bucket with a tag, as bits.
#[inline(always)]
fn same(bucket: &[u64; BUCKET / 2], tag: u32) -> u32 {
    let is_same = |slot: u64| u32::from(slot as u32 >> ID_BITS == tag);
    (0..BUCKET / 2).fold(0, |bits, i| bits | is_same(bucket[i]) << (2 * i) | is_same(bucket[i] >> 32) << (2 * i + 1))
}

/// The id in a slot of a bucket, whichever that is.
#[inline(always)]
fn id_at(bucket: &[u64; BUCKET / 2], slot: u32) -> TokenId {
    let slot = slot as usize % BUCKET;
    (bucket[slot / 2] >> (32 * (slot % 2))) as u32 & ID_MASK
}

#[inline(always)]
fn head(len: usize) -> u128 {
    (1 << (8 * len)) - 1
}

/// Up to fifteen bytes and their number.
#[inline(always)]
fn key(word: &[u8]) -> u128 {
    let [low, high] = Spelled::new(word).words().expect("at most fifteen bytes");
    u128::from(low) | u128::from(high) << 64 | (word.len() as u128) << 120
}

#[inline(always)]
fn hash(key: u128) -> u64 {
    hash_two([key as u64, (key >> 64) as u64])
}

/// Never zero, so that a slot that holds a token is not empty.
#[inline(always)]
fn tag(hash: u64) -> u32 {
    hash as u32 >> ID_BITS | 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Vocab, unicode::byte_chars::BYTE_CHARS};

    proptest! {
        #[test]
        fn says_what_the_vocabulary_says(
            tokens in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..400),
            others in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..100),
            odd in prop::collection::vec("[a-z \u{4e00}]{1,8}", 0..20),
        ) {
            let name = |bytes: &[u8]| bytes.iter().map(|&byte| BYTE_CHARS[usize::from(byte)]).collect::<String>();
            let mut vocab = Vocab::default();
            let names = tokens.iter().map(|token| name(token)).chain(odd);
            for name in names {
                let id = vocab.id_bound() as TokenId;
                if vocab.id(&name).is_none() {
                    vocab.insert(&name, id);
                }
            }
            let bytes = TokenBytes::new(&vocab);
            let table = TokenTable::new(&bytes, vocab.id_bound());
            let words: Vec<&[u8]> = tokens.iter().chain(&others).map(Vec::as_slice).collect();
            let mut next = 0;
            table.get_each(&bytes, &words, |i, found| {
                assert_eq!(i, next);
                next += 1;
                let expected = vocab.id(&name(words[i]));
                match found {
                    Found::Token(id) => assert_eq!(Some(id), expected),
                    Found::No => assert_eq!(None, expected),
                    Found::Unknown => {}
                }
            });
            prop_assert_eq!(next, words.len());
        }
    }
}
