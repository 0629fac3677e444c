//! The word cache: what a piece of text encoded to last time.
//!
//! One cache serves every thread of a tokenizer, so a word that one thread has met is known to all, and memory is bounded
//! for the tokenizer, not for each thread. Tables are insert-only: a reader takes no lock and can never see half an
//! entry, because the last word of a key is published after everything else. A full table is replaced by a larger one,
//! and the largest by an empty one; readers move over at their next call.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::{Batch, SHORT_WORD, gaps::Gaps, short_key};
use crate::{
    TokenId,
    encoding::Tokens,
    folded::{SEEDS, fold, hash_two},
    kernels::pages::Pages,
};

/// Default bound of a tokenizer's cache, in bytes.
pub const DEFAULT_CACHE_BYTES: usize = 128 << 20;

/// Bytes beyond which no table grows fourfold, but to the double: to clear pages that stay empty costs more than to copy
/// entries then. With 4 MB a new multilingual document took twice the time, since it filled one generation after the other.
const LARGE: usize = 16 << 20;

/// Slots looked at before a look-up gives up.
const PROBES: usize = 16;
/// Key word of a slot that a writer has claimed: its length byte belongs to no piece.
const BUSY: u64 = u64::MAX;
/// Ids stored in the slot itself.
pub(super) const INLINE: usize = 4;
/// `count` of a value whose ids lie in the spill area.
const SPILLED: u32 = 7;
const COUNT_SHIFT: u32 = 29;
const ID_MASK: u32 = (1 << COUNT_SHIFT) - 1;

/// What a slot holds: up to four ids, or where more of them lie.
#[derive(Clone, Copy)]
pub(super) struct Value([u64; 2]);

impl Value {
    fn inline(ids: &[TokenId]) -> Self {
        let lane = |i: usize| u64::from(ids.get(i).copied().unwrap_or(0));
        Self([lane(0) | (ids.len() as u64) << COUNT_SHIFT | lane(1) << 32, lane(2) | lane(3) << 32])
    }

    fn spilled(offset: usize, count: usize) -> Self {
        Self([u64::from(SPILLED << COUNT_SHIFT) | (offset as u64) << 32, count as u64])
    }

    /// The four lanes, the first without its count, and the count; none when the ids are spilled.
    #[inline(always)]
    pub(super) fn lanes(self) -> Option<([TokenId; INLINE], usize)> {
        let [a, b] = self.0;
        let count = a as u32 >> COUNT_SHIFT;
        (count != SPILLED)
            .then_some(([a as u32 & ID_MASK, (a >> 32) as u32, b as u32, (b >> 32) as u32], count as usize))
    }

    fn spill(self) -> (usize, usize) {
        ((self.0[0] >> 32) as usize, self.0[1] as usize)
    }
}

/// A hash table with keys of `K` words, the last of which has the piece's length in its top byte.
pub(super) struct Table<const K: usize> {
    words: Pages,
    mask: usize,
    shift: u32,
    used: AtomicUsize,
}

impl<const K: usize> Table<K> {
    const WIDTH: usize = K + 2;

    fn new(slots: usize) -> Self {
        Self {
            words: Pages::zeroed(slots * Self::WIDTH),
            mask: slots - 1,
            shift: 64 - slots.trailing_zeros(),
            used: AtomicUsize::new(0),
        }
    }

    fn slots(&self) -> usize {
        self.mask + 1
    }

    #[inline(always)]
    fn slot(&self, at: usize) -> &[AtomicU64] {
        &self.words[at * Self::WIDTH..][..Self::WIDTH]
    }

    /// Where the search for a key begins.
    #[inline(always)]
    pub(super) fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize & self.mask
    }

    /// Asks for the cache line of a slot ahead of the search.
    #[inline(always)]
    pub(super) fn prefetch(&self, home: usize) {
        crate::kernels::prefetch(&self.words[home * Self::WIDTH]);
    }

    /// The ids of a key that is in its first slot and has few.
    #[inline(always)]
    pub(super) fn at_home(&self, key: &[u64; K], home: usize) -> Option<([TokenId; INLINE], usize)> {
        let slot = self.slot(home);
        // Acquire pairs with the release in `insert`: whoever sees the last key word sees the rest.
        let last = slot[K - 1].load(Ordering::Acquire);
        let differs = (0..K - 1).fold(last ^ key[K - 1], |bits, i| bits | (slot[i].load(Ordering::Relaxed) ^ key[i]));
        if differs != 0 {
            return None;
        }
        Value([slot[K].load(Ordering::Relaxed), slot[K + 1].load(Ordering::Relaxed)]).lanes()
    }

    #[inline(always)]
    pub(super) fn get(&self, key: &[u64; K], home: usize) -> Option<Value> {
        let mut at = home;
        for _ in 0..PROBES {
            let slot = self.slot(at);
            // Acquire pairs with the release in `insert`: whoever sees the last key word sees the rest.
            let last = slot[K - 1].load(Ordering::Acquire);
            if last == key[K - 1] && (0..K - 1).all(|i| slot[i].load(Ordering::Relaxed) == key[i]) {
                return Some(Value([slot[K].load(Ordering::Relaxed), slot[K + 1].load(Ordering::Relaxed)]));
            }
            if last == 0 {
                return None;
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// Adds an entry unless it is there or all the places it may take are taken.
    fn insert(&self, key: &[u64; K], home: usize, value: Value) {
        let mut at = home;
        for _ in 0..PROBES {
            let slot = self.slot(at);
            let last = &slot[K - 1];
            if let Err(other) = last.compare_exchange(0, BUSY, Ordering::Acquire, Ordering::Acquire) {
                if other == key[K - 1] && (0..K - 1).all(|i| slot[i].load(Ordering::Relaxed) == key[i]) {
                    return;
                }
            } else {
                for i in 0..K - 1 {
                    slot[i].store(key[i], Ordering::Relaxed);
                }
                slot[K].store(value.0[0], Ordering::Relaxed);
                slot[K + 1].store(value.0[1], Ordering::Relaxed);
                last.store(key[K - 1], Ordering::Release);
                self.used.fetch_add(1, Ordering::Relaxed);
                return;
            }
            at = (at + 1) & self.mask;
        }
        // A table in which this happens is about to be replaced.
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it is fuller than one `part` of what it may be. Half full, one word in four is not in its first slot; at three
    /// eighths one in five is not, but the pages of the larger table take longer to clear than that saves.
    fn is_filled(&self, part: usize) -> bool {
        self.used.load(Ordering::Relaxed) * 2 * part > self.slots()
    }

    /// Copies all entries into another table. In the order of their slots, which is that of their hashes: so both tables are
    /// gone through from the beginning to the end.
    fn copy(&self, other: &Self, hash: impl Fn(&[u64; K]) -> u64) {
        for at in 0..self.slots() {
            let slot = self.slot(at);
            let last = slot[K - 1].load(Ordering::Acquire);
            if last != 0 && last != BUSY {
                let key = std::array::from_fn(|i| if i == K - 1 { last } else { slot[i].load(Ordering::Relaxed) });
                let value = Value([slot[K].load(Ordering::Relaxed), slot[K + 1].load(Ordering::Relaxed)]);
                other.insert(&key, other.home(hash(&key)), value);
            }
        }
    }
}

/// Sizes of the parts of one generation: slots of the three tables, words of the spill area.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sizes {
    short: usize,
    medium: usize,
    long: usize,
    spill: usize,
}

impl Sizes {
    /// The first generation: under 1.5 MB, which short jobs never outgrow.
    const FIRST: Self = Self { short: 1 << 14, medium: 1 << 12, long: 1 << 10, spill: 1 << 14 };

    fn bytes(self) -> usize {
        8 * (self.short * 4 + self.medium * 8 + self.long * 18 + self.spill)
    }
}

/// One generation of the cache. It shares with the one before what has not grown.
pub(super) struct Tables {
    pub(super) short: Arc<Table<2>>,
    pub(super) medium: Arc<Table<6>>,
    pub(super) long: Arc<Table<16>>,
    spill: Arc<Spill>,
    /// Tells a reader through [`WordCache`] whether these are still the current ones.
    generation: u64,
}

/// Ids of pieces with more than four tokens, [`PACKED`] to a word.
struct Spill {
    words: Pages,
    used: AtomicUsize,
}

impl Spill {
    fn new(words: usize) -> Self {
        Self { words: Pages::zeroed(words), used: AtomicUsize::new(0) }
    }

    fn is_filled(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.words.len()
    }

    /// The same ids, at the same places.
    fn copy(&self, words: usize) -> Self {
        let other = Self::new(words);
        let used = self.used.load(Ordering::Relaxed).min(self.words.len());
        for (to, word) in other.words.iter().zip(&self.words[..used]) {
            to.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        other.used.store(used, Ordering::Relaxed);
        other
    }
}

/// Ids in a word of the spill area, 21 bits each.
const PACKED: usize = 3;
const PACKED_BITS: u32 = 21;

impl Tables {
    fn new(sizes: Sizes, generation: u64) -> Self {
        Self {
            short: Arc::new(Table::new(sizes.short)),
            medium: Arc::new(Table::new(sizes.medium)),
            long: Arc::new(Table::new(sizes.long)),
            spill: Arc::new(Spill::new(sizes.spill)),
            generation,
        }
    }

    /// The sizes that a successor should have: parts that are full grow by `factor`. With the spill area, which takes all
    /// others along, those that are half as full as may be do so as well.
    fn grown(&self, factor: usize) -> Sizes {
        let grow = |is_full: bool, size: usize, words: usize| {
            let factor = if size * words * 8 * factor > LARGE { factor.min(2) } else { factor };
            if is_full { size * factor } else { size }
        };
        let part = if self.spill.is_filled() { 2 } else { 1 };
        Sizes {
            short: grow(self.short.is_filled(part), self.short.slots(), 4),
            medium: grow(self.medium.is_filled(part), self.medium.slots(), 8),
            long: grow(self.long.is_filled(part), self.long.slots(), 18),
            spill: grow(self.spill.is_filled(), self.spill.words.len(), 1),
        }
    }

    fn is_full(&self) -> bool {
        self.short.is_filled(1) || self.medium.is_filled(1) || self.long.is_filled(1) || self.spill.is_filled()
    }

    /// Tables of other sizes with the same entries.
    ///
    /// Those that keep their size are shared, unless the spill area is replaced: a thread that still holds the old one may
    /// put ids there, and speak of them in its tables only. Ids in the spill area keep their places: to look each of them up
    /// and to store it anew took longer than all the rest.
    fn resized(&self, sizes: Sizes, generation: u64) -> Self {
        let share = sizes.spill == self.spill.words.len();
        Self {
            short: resized(&self.short, sizes.short, share, hash_short),
            medium: resized(&self.medium, sizes.medium, share, hash_medium),
            long: resized(&self.long, sizes.long, share, hash_long),
            // Last, so that whatever an entry speaks of is among them: it was there before the entry, which another thread
            // may have added a moment ago.
            spill: if share { Arc::clone(&self.spill) } else { Arc::new(self.spill.copy(sizes.spill)) },
            generation,
        }
    }

    /// Appends the ids of a value, wherever they lie.
    pub(super) fn extend(&self, value: Value, out: &mut Tokens) {
        if let Some((lanes, count)) = value.lanes() {
            out.extend(lanes.into_iter().take(count));
        } else {
            let (offset, count) = value.spill();
            out.reserve(count + PACKED);
            for word in &self.spill.words[offset..offset + count.div_ceil(PACKED)] {
                let word = word.load(Ordering::Relaxed);
                let id = |i: u32| (word >> (i * PACKED_BITS)) as TokenId & ((1 << PACKED_BITS) - 1);
                out.store_lanes(out.len(), [id(0), id(1), id(2), 0]);
                out.set_len(out.len() + PACKED);
            }
            out.set_len(out.len() - (count.next_multiple_of(PACKED) - count));
        }
    }

    fn value(&self, ids: &[TokenId]) -> Option<Value> {
        if ids.len() <= INLINE {
            return Some(Value::inline(ids));
        }
        let words = ids.len().div_ceil(PACKED);
        let offset = self.spill.used.fetch_add(words, Ordering::Relaxed);
        let room = self.spill.words.get(offset..offset + words)?;
        for (to, ids) in room.iter().zip(ids.chunks(PACKED)) {
            let word = ids.iter().rev().fold(0, |word, &id| word << PACKED_BITS | u64::from(id));
            to.store(word, Ordering::Relaxed);
        }
        Some(Value::spilled(offset, ids.len()))
    }

    /// Remembers a piece in one of the tables; its spilled ids are published together with its key.
    pub(super) fn insert<const K: usize>(&self, table: &Table<K>, key: &[u64; K], home: usize, ids: &[TokenId]) {
        if let Some(value) = self.value(ids) {
            table.insert(key, home, value);
        }
    }
}

/// A table with the same entries: the same one, if it may be shared and has the size already.
fn resized<const K: usize>(
    table: &Arc<Table<K>>,
    slots: usize,
    share: bool,
    hash: impl Fn(&[u64; K]) -> u64,
) -> Arc<Table<K>> {
    if share && slots == table.slots() {
        return Arc::clone(table);
    }
    let other = Table::new(slots);
    table.copy(&other, hash);
    Arc::new(other)
}

/// The current tables of a tokenizer.
pub(super) struct WordCache {
    current: Mutex<Arc<Tables>>,
    generation: AtomicU64,
    max_bytes: usize,
}

/// A thread's hold on the tables of the tokenizer it used last, and its buffers.
#[derive(Default)]
pub struct CacheHandle {
    pub(super) held: Held,
    pub(super) batch: Box<Batch>,
    pub(super) fresh: Vec<TokenId>,
    pub(super) gaps: Gaps,
}

/// Tables and whose they are.
#[derive(Default)]
pub(super) struct Held(Option<(u64, Arc<Tables>)>);

impl WordCache {
    pub(super) fn new(max_bytes: usize) -> Self {
        let tables = Tables::new(Sizes::FIRST, 0);
        Self { current: Mutex::new(Arc::new(tables)), generation: AtomicU64::new(0), max_bytes }
    }

    /// A cache that knows words of one token each.
    pub(super) fn with_words(max_bytes: usize, words: &[(&[u8], TokenId)]) -> Self {
        /// Words that are put into the table together, so that the waits for memory overlap.
        const AHEAD: usize = 16;
        /// Slots for each of them: most of the words of a text are then in their first slot, and it takes megabytes of text
        /// until the table has to grow. With half as many, known text took a tenth more time.
        const SLOTS: usize = 16;

        let first = Sizes::FIRST;
        let short = (words.len() * SLOTS).next_power_of_two();
        // When the spill area grows, everything is copied: so it has room from the beginning, which is not even touched before
        // it is used.
        let sizes = if short > first.short {
            Sizes { short, medium: first.medium * 4, long: first.long * 2, spill: first.spill * 64 }
        } else {
            first
        };
        if sizes.bytes() > max_bytes / 2 {
            return Self::new(max_bytes);
        }
        let tables = Tables::new(sizes, 0);
        for words in words.chunks(AHEAD) {
            let places: [_; AHEAD] = std::array::from_fn(|i| {
                let &(word, id) = words.get(i).filter(|(word, _)| (1..=SHORT_WORD).contains(&word.len()))?;
                let key = short_key(word, 0, word.len());
                let home = tables.short.home(hash_short(&key));
                tables.short.prefetch(home);
                Some((key, home, id))
            });
            for (key, home, id) in places.into_iter().flatten() {
                tables.short.insert(&key, home, Value::inline(&[id]));
            }
        }
        Self { current: Mutex::new(Arc::new(tables)), generation: AtomicU64::new(0), max_bytes }
    }

    /// The current tables, through the handle of this thread. `owner` tells tokenizers apart.
    pub(super) fn tables<'h>(&self, owner: u64, handle: &'h mut Held) -> &'h Tables {
        let generation = self.generation.load(Ordering::Acquire);
        if !matches!(&handle.0, Some((o, tables)) if *o == owner && tables.generation == generation) {
            handle.0 = Some((owner, self.acquire()));
        }
        &handle.0.as_ref().expect("set above").1
    }

    /// Never blocks for good: in a forked child the lock may be held by a thread that does not exist there.
    fn acquire(&self) -> Arc<Tables> {
        for _ in 0..1 << 12 {
            if let Ok(current) = self.current.try_lock() {
                return Arc::clone(&current);
            }
            std::thread::yield_now();
        }
        Arc::new(Tables::new(Sizes::FIRST, u64::MAX))
    }

    /// Replaces full tables: by larger ones with the same entries, or by empty ones once the bound is reached.
    pub(super) fn grow_if_full(&self, tables: &Tables) {
        if !tables.is_full() {
            return;
        }
        let Ok(mut current) = self.current.try_lock() else { return };
        if current.generation != tables.generation {
            return;
        }
        let room = [4, 2].into_iter().map(|factor| tables.grown(factor)).find(|sizes| sizes.bytes() <= self.max_bytes);
        let generation = tables.generation + 1;
        let next = match room {
            Some(sizes) => tables.resized(sizes, generation),
            None => Tables::new(tables.grown(1), generation),
        };
        self.generation.store(next.generation, Ordering::Release);
        *current = Arc::new(next);
    }
}

/// The hash of a key of the table of short words.
#[inline(always)]
pub(super) fn hash_short(key: &[u64; 2]) -> u64 {
    hash_two(*key)
}

/// As [`hash_short`].
#[inline(always)]
pub(super) fn hash_medium(key: &[u64; 6]) -> u64 {
    hash_two([key[0], key[1]])
        ^ fold(key[2] ^ SEEDS[1], key[3] ^ SEEDS[2]).rotate_left(23)
        ^ fold(key[4] ^ SEEDS[2], key[5] ^ SEEDS[0]).rotate_left(41)
}

/// As [`hash_short`].
pub(super) fn hash_long(key: &[u64; 16]) -> u64 {
    key.chunks_exact(2).fold(0, |hash, pair| fold(pair[0] ^ SEEDS[0] ^ hash, pair[1] ^ SEEDS[1]).rotate_left(23))
}
