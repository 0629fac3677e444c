//! A word cache in front of anything that turns a short text into ids: `models/bpe/cache.rs` for other users than the hot
//! loop of byte-level BPE.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bpe::{
    cache::{
        LONG_PIECE, MEDIUM_PIECE, SHORT_PIECE, Table, Tables, Value, WordCache, hash_long, hash_medium, hash_short,
    },
    long_key, short_key,
};
use crate::{Result, TokenId, encoding::Tokens};

pub use super::bpe::cache::CacheHandle;

/// The longest word that is remembered, in bytes.
pub const LONGEST_WORD: usize = LONG_PIECE;

/// Words and their ids. Shared by all threads, never larger than a bound, never wrong.
pub struct Words {
    cache: WordCache,
    /// Tells these words from another's in a thread's [`CacheHandle`].
    serial: u64,
}

/// Words whose slots are asked for ahead of the probes.
const AHEAD: usize = 16;

impl Words {
    /// No words yet, and room for up to about so many bytes of them.
    pub fn new(max_bytes: usize) -> Self {
        Self { cache: WordCache::new(max_bytes), serial: next_serial() }
    }

    /// Appends the ids of the words of `text` that lie between `start` and the last of `ends`, one behind the other.
    /// `encode` appends those of a word that is not known.
    ///
    /// # Errors
    /// What `encode` returns.
    #[inline(always)]
    pub fn encode(
        &self,
        text: &[u8],
        start: usize,
        ends: &[u32],
        handle: &mut CacheHandle,
        out: &mut Tokens,
        mut encode: impl FnMut(&[u8], &mut Vec<TokenId>) -> Result<()>,
    ) -> Result<()> {
        let Some(&last) = ends.last() else { return Ok(()) };
        out.reserve(2 * (last as usize - start) + 8);
        let tables = self.cache.tables(self.serial, handle);
        let mut ring = [Slot::default(); AHEAD];
        let mut next = start as u32;
        for (slot, &end) in ring.iter_mut().zip(ends) {
            *slot = Slot::find(text, next as usize, (end - next) as usize, tables);
            next = end;
        }
        // The number of tokens stays in a register.
        let mut len = out.len();
        let mut from = start as u32;
        for (i, &end) in ends.iter().enumerate() {
            let slot = ring[i % AHEAD];
            if let Some(&later) = ends.get(i + AHEAD) {
                ring[i % AHEAD] = Slot::find(text, next as usize, (later - next) as usize, tables);
                next = later;
            }
            let value = slot.get(text, from as usize, (end - from) as usize, tables);
            if let Some((lanes, count)) = value.and_then(Value::lanes) {
                out.store_lanes(len, lanes);
                len += count;
            } else {
                out.set_len(len);
                let word = &text[from as usize..end as usize];
                match value {
                    Some(value) => tables.extend(value, out),
                    None => Self::encode_new(word, tables, out, &mut encode)?,
                }
                len = out.len();
            }
            from = end;
        }
        out.set_len(len);
        self.cache.grow_if_full(tables);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn encode_new(
        word: &[u8],
        tables: &Tables,
        out: &mut Tokens,
        encode: &mut impl FnMut(&[u8], &mut Vec<TokenId>) -> Result<()>,
    ) -> Result<()> {
        if word.len() <= SHORT_PIECE {
            let key = short_key(word, 0, word.len());
            insert_new(word, &tables.short, &key, hash_short(&key), tables, out, encode)
        } else if word.len() <= MEDIUM_PIECE {
            let key = long_key(word);
            insert_new(word, &tables.medium, &key, hash_medium(&key), tables, out, encode)
        } else if word.len() <= LONG_PIECE {
            let key = long_key(word);
            let hash = hash_long(&key);
            match tables.long.get(&key, tables.long.home(hash)) {
                Some(value) => {
                    tables.extend(value, out);
                    Ok(())
                }
                None => insert_new(word, &tables.long, &key, hash, tables, out, encode),
            }
        } else {
            let mut result = Ok(());
            out.append_with(|ids| result = encode(word, ids));
            result
        }
    }
}

fn insert_new<const K: usize>(
    word: &[u8],
    table: &Table<K>,
    key: &[u64; K],
    hash: u64,
    tables: &Tables,
    out: &mut Tokens,
    encode: &mut impl FnMut(&[u8], &mut Vec<TokenId>) -> Result<()>,
) -> Result<()> {
    let before = out.len();
    let mut result = Ok(());
    out.append_with(|ids| result = encode(word, ids));
    if result.is_ok() {
        tables.insert(table, key, hash, out.from(before));
    }
    result
}

/// A number that no other cache of this process has.
fn next_serial() -> u64 {
    // Those of byte-level encoders count up from zero.
    static SERIAL: AtomicU64 = AtomicU64::new(1 << 63);
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

/// Key of a short word and where it is looked for; meaningless for a longer one.
#[derive(Clone, Copy, Default)]
struct Slot {
    key: [u64; 2],
    home: usize,
}

impl Slot {
    #[inline(always)]
    fn find(text: &[u8], start: usize, len: usize, tables: &Tables) -> Self {
        let key = short_key(text, start, len.min(SHORT_PIECE));
        let home = tables.short.home(hash_short(&key));
        tables.short.prefetch(home);
        Self { key, home }
    }

    /// What the cache knows of the word; long words are not asked about here.
    #[inline(always)]
    fn get(&self, text: &[u8], start: usize, len: usize, tables: &Tables) -> Option<Value> {
        if len <= SHORT_PIECE {
            tables.short.get(&self.key, self.home)
        } else if len <= MEDIUM_PIECE {
            let key = long_key(&text[start..start + len]);
            tables.medium.get(&key, tables.medium.home(hash_medium(&key)))
        } else {
            None
        }
    }
}
