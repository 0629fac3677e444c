//! Words to ids through a cache of the words met before: the hot loop of every model.
//!
//! ```text
//! a batch of words at a time:
//! find    the key of each, and where in the cache it belongs; that cache line is asked for
//! emit    the ids that lie there; a word that is not there goes, one by one, to
//! rare    the rest of its chain, the longer tables, or the model, whose answer is remembered
//! fill    with a model that is quicker so: new words leave gaps, which are filled for several batches at once
//! ```
//!
//! 1. One pass does one thing to all words, so that each is a short loop and the waits for memory overlap. Word by word,
//!    with lines asked for sixteen words ahead, took a fifth longer.
//! 2. One branch on the way is all that may surprise the processor: whether the word is at home. Comparing both slots of a
//!    line without a branch, or a small table of the commonest words in front, measured no better.

mod cache;
mod gaps;

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

pub use cache::{CacheHandle, DEFAULT_CACHE_BYTES};
use cache::{INLINE, Table, Tables, WordCache, hash_long, hash_medium, hash_short};
use gaps::Gaps;
pub use gaps::{Open, Place};

use crate::{
    Result, TokenId,
    encoding::Tokens,
    kernels::{self, Isa, Work},
    vocab::MAX_TOKEN_ID,
};

/// The longest words of the three tables. On English web text 99.9 % of words are short; Cyrillic, Greek and Indic words
/// are mostly medium; indentation and rulers in code are long.
const SHORT_WORD: usize = 15;
/// As [`SHORT_WORD`].
pub const MEDIUM_WORD: usize = 47;
/// The longest word that is remembered, in bytes.
pub const LONGEST_WORD: usize = 127;

/// Words in a batch: their keys and places take 3 KB of the first-level cache, the lines asked for 8 KB.
const BATCH: usize = 128;

/// Stands before a description ([`Spelling::describe`]); no vocabulary that describes words has this id.
pub const DESCRIBED: TokenId = MAX_TOKEN_ID;

/// What the owner of [`Words`] knows about them.
pub trait Spelling {
    /// Whether there are words whose spans do not follow from their tokens. Of these a description is remembered,
    /// [`DESCRIBED`] and what [`Self::describe`] makes tokens of.
    const DESCRIBES: bool = false;

    /// Where the first token of the word at byte `from` of `text` begins.
    #[inline(always)]
    fn start(&self, _text: &[u8], from: u32) -> u32 {
        from
    }

    /// The position of byte `at`, at which a word ends, in the unit of spans.
    #[inline(always)]
    fn position(&self, at: u32) -> u32 {
        at
    }

    /// The position of byte `from`, at which a word begins. It goes up by one with every byte before [`Self::start`].
    #[inline(always)]
    fn first_position(&self, from: u32) -> u32 {
        self.position(from)
    }

    /// How much of its word a token covers that is not the last; not asked without spans. Any id may be asked about.
    fn len(&self, id: TokenId) -> usize;

    /// Where a token ends that covers nothing of its word, begins at this position and is not the last.
    #[inline(always)]
    fn end_of_none(&self, at: u32) -> u32 {
        at
    }

    /// Appends the ids of a word, or its description.
    ///
    /// # Errors
    /// Those of the model.
    fn encode(&mut self, word: &[u8], ids: &mut Vec<TokenId>) -> Result<()>;

    /// Whether [`Self::encode_together`] is quicker than [`Self::encode`] one by one.
    fn is_quicker_together(&self) -> bool {
        false
    }

    /// Hands the ids of words of up to [`MEDIUM_WORD`] bytes to `done` with their numbers, in any order.
    ///
    /// # Errors
    /// Those of the model.
    fn encode_together(&mut self, words: &[&[u8]], mut done: impl FnMut(usize, &[TokenId])) -> Result<()> {
        let mut ids = Vec::new();
        for (i, word) in words.iter().enumerate() {
            ids.clear();
            self.encode(word, &mut ids)?;
            done(i, &ids);
        }
        Ok(())
    }

    /// Appends the tokens of a described word, with all that `LEVEL` collects, spans as positions. Words that are too long
    /// to be remembered come without a description.
    ///
    /// # Errors
    /// Those of the model.
    fn describe<const LEVEL: u8>(
        &mut self,
        _text: &[u8],
        _word: Range<u32>,
        _description: &[TokenId],
        _out: &mut Tokens,
    ) -> Result<()> {
        Ok(())
    }
}

/// Words and their ids. Shared by all threads, never larger than a bound, never wrong.
pub struct Words {
    cache: WordCache,
    /// Tells these words from another's in a thread's [`CacheHandle`].
    serial: u64,
    isa: Isa,
}

impl Words {
    /// No words yet, and room for up to about so many bytes of them.
    pub fn new(max_bytes: usize) -> Self {
        Self::over(WordCache::new(max_bytes))
    }

    /// As [`Words::new`], with words known that are one token each, unless that takes more than half of the bound.
    pub fn with_words(max_bytes: usize, words: &[(&[u8], TokenId)]) -> Self {
        Self::over(WordCache::with_words(max_bytes, words))
    }

    fn over(cache: WordCache) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Self { cache, serial: SERIAL.fetch_add(1, Ordering::Relaxed), isa: kernels::isa() }
    }

    /// Appends the ids of the words of `text` that lie between `start` and the last of `ends`, one behind the other.
    ///
    /// `LEVEL` is what [`Tokens`] collects: ids, spans, words. `spelling` is asked for words that are not known.
    ///
    /// # Errors
    /// Those of `spelling`.
    #[inline(always)]
    pub fn encode<const LEVEL: u8>(
        &self,
        text: &[u8],
        start: usize,
        ends: &[u32],
        handle: &mut CacheHandle,
        out: &mut Tokens,
        spelling: &mut impl Spelling,
    ) -> Result<()> {
        let CacheHandle { held, batch, fresh, gaps } = handle;
        let tables = self.cache.tables(self.serial, held);
        let leaves_gaps = spelling.is_quicker_together();
        let rare = Rare { text, tables, isa: self.isa, fresh, spelling, leaves_gaps, gaps };
        kernels::specialize(self.isa, Run::<LEVEL, _> { start, ends, batch, rare, out })?;
        self.cache.grow_if_full(tables);
        Ok(())
    }

    /// Fills the gaps that were left open ([`CacheHandle::leave_open`]), and moves the places behind them.
    ///
    /// # Errors
    /// Those of `spelling`.
    pub fn fill(
        &self,
        handle: &mut CacheHandle,
        out: &mut Tokens,
        spelling: &mut impl Spelling,
        places: &mut [Place],
    ) -> Result<()> {
        let CacheHandle { held, fresh, gaps, .. } = handle;
        if gaps.is_empty() {
            return Ok(());
        }
        let tables = self.cache.tables(self.serial, held);
        gaps.fill(tables, fresh, spelling, out, |_, _| {}, places)?;
        self.cache.grow_if_full(tables);
        Ok(())
    }
}

/// All batches of [`Words::encode`].
struct Run<'r, const LEVEL: u8, S> {
    start: usize,
    ends: &'r [u32],
    batch: &'r mut Batch,
    rare: Rare<'r, S>,
    out: &'r mut Tokens,
}

impl<const LEVEL: u8, S: Spelling> Work for Run<'_, LEVEL, S> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        let Self { start, ends, batch, mut rare, out } = self;
        let mut from = start;
        for ends in ends.chunks(BATCH) {
            batch.find(rare.text, from, ends, rare.tables);
            batch.emit::<LEVEL, _>(from as u32, ends, &mut rare, out)?;
            from = ends[ends.len() - 1] as usize;
        }
        if rare.gaps.are_due() { rare.fill(out, |_, _| {}) } else { Ok(()) }
    }
}

/// A batch of words on its way.
struct Batch {
    keys: [[u64; 2]; BATCH],
    homes: [u32; BATCH],
    /// Words that are not short.
    list: [u8; BATCH],
    /// Tokens of each word.
    counts: [u32; BATCH],
}

impl Default for Batch {
    fn default() -> Self {
        Self { keys: [[0; 2]; BATCH], homes: [0; BATCH], list: [0; BATCH], counts: [0; BATCH] }
    }
}

impl Batch {
    #[inline(always)]
    fn find(&mut self, text: &[u8], start: usize, ends: &[u32], tables: &Tables) {
        let (short, medium): (&Table<2>, &Table<6>) = (&tables.short, &tables.medium);
        let mut from = start;
        let mut listed = 0;
        for (i, &end) in ends.iter().enumerate().take(BATCH) {
            let len = end as usize - from;
            let key = short_key(text, from, len.min(SHORT_WORD));
            let home = short.home(hash_short(&key));
            short.prefetch(home);
            self.keys[i] = key;
            self.homes[i] = home as u32;
            self.list[listed & (BATCH - 1)] = i as u8;
            listed += usize::from(len > SHORT_WORD);
            from = end as usize;
        }
        // Listed first, since a branch on the length would be a coin toss in some languages.
        for &i in &self.list[..listed] {
            let i = usize::from(i);
            let word = &text[if i == 0 { start } else { ends[i - 1] as usize }..ends[i] as usize];
            if word.len() <= MEDIUM_WORD {
                let home = medium.home(hash_medium(&long_key(word)));
                medium.prefetch(home);
                self.homes[i] = home as u32;
            }
        }
    }

    #[inline(always)]
    fn emit<const LEVEL: u8, S: Spelling>(
        &mut self,
        start: u32,
        ends: &[u32],
        rare: &mut Rare<'_, S>,
        out: &mut Tokens,
    ) -> Result<()> {
        out.reserve(ends.len() * INLINE);
        let Self { keys, homes, counts, .. } = self;
        let (short, medium): (&Table<2>, &Table<6>) = (&rare.tables.short, &rare.tables.medium);
        // The number of tokens stays in a register: read back from memory it would bind each word to the one before.
        let mut count = out.len();
        // The first word without spans.
        let mut pending = Pending { word: 0, from: start, token: count };
        let mut from = start;
        for (i, (&end, (key, &home))) in ends.iter().zip(keys.iter().zip(homes.iter())).enumerate() {
            let len = (end - from) as usize;
            let known = if len <= SHORT_WORD {
                short.at_home(key, home as usize)
            } else if len <= MEDIUM_WORD {
                medium.at_home(&long_key(&rare.text[from as usize..end as usize]), home as usize)
            } else {
                None
            };
            if let Some((lanes, ids)) = known
                && !(LEVEL > 0 && S::DESCRIBES && lanes[0] == DESCRIBED)
            {
                // Four lanes whatever the number, so that there is no branch on it.
                out.store_lanes(count, lanes);
                count += ids;
                if LEVEL > 0 {
                    counts[i & (BATCH - 1)] = ids as u32;
                }
            } else {
                out.set_len(count);
                if rare.word::<LEVEL>(i, from, end, out)? {
                    rare.fresh.clear();
                    rare.fresh.extend_from_slice(out.from(count));
                    out.set_len(count);
                    pending.spell::<LEVEL>(&ends[..i], counts, rare, out);
                    rare.spelling.describe::<LEVEL>(rare.text, from..end, rare.fresh.get(1..).unwrap_or(&[]), out)?;
                    pending = Pending { word: i + 1, from: end, token: out.len() };
                } else if LEVEL > 0 {
                    counts[i & (BATCH - 1)] = (out.len() - count) as u32;
                }
                out.reserve((ends.len() - i) * INLINE);
                count = out.len();
            }
            from = end;
        }
        out.set_len(count);
        if LEVEL > 0 {
            rare.fill(out, |place, count| counts[place] = count)?;
        }
        pending.spell::<LEVEL>(ends, counts, rare, out);
        Ok(())
    }
}

/// Words of a batch that have their ids and wait for their spans: from this word, byte and token on.
struct Pending {
    word: usize,
    from: u32,
    token: usize,
}

impl Pending {
    /// Appends the spans of the words up to the last of `ends`: in a loop of its own, since the one that finds the ids
    /// waits for memory and does not gain by more to do.
    fn spell<const LEVEL: u8>(
        self,
        ends: &[u32],
        counts: &[u32; BATCH],
        rare: &Rare<'_, impl Spelling>,
        out: &mut Tokens,
    ) {
        if LEVEL == 0 {
            return;
        }
        let (ends, counts) = (&ends[self.word..], &counts[self.word..ends.len()]);
        out.spans.resize(out.len(), [0; 2]);
        let (ids, spans) = out.ids_and_spans(self.token);
        let Rare { text, isa, ref spelling, .. } = *rare;
        kernels::specialize(isa, Spell { text, from: self.from, ends, counts, ids, spans, spelling: &**spelling });
        if LEVEL > 1 {
            for &count in counts {
                out.push_word(count as usize);
            }
        }
    }
}

/// [`Pending::spell`], as compiled for an instruction set.
struct Spell<'r, S> {
    text: &'r [u8],
    from: u32,
    ends: &'r [u32],
    counts: &'r [u32],
    ids: &'r [TokenId],
    spans: &'r mut [[u32; 2]],
    spelling: &'r S,
}

impl<S: Spelling> Work for Spell<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { text, mut from, ends, counts, ids, spans, spelling } = self;
        let mut token = 0;
        let mut start = spelling.first_position(from);
        for (&end, &count) in ends.iter().zip(counts) {
            let count = count as usize;
            let at = start.wrapping_add(spelling.start(text, from) - from);
            let stop = spelling.position(end);
            if let 1 | 2 = count {
                // Both spans in any case: which of the two numbers it is would be hard to foresee.
                let split = at + spelling.len(ids[token]) as u32;
                let first_stop = if split == at { spelling.end_of_none(at).min(stop) } else { split };
                spans[token] = [at, if count == 1 { stop } else { first_stop }];
                if let Some(next) = spans.get_mut(token + 1) {
                    *next = [split, stop];
                }
            } else {
                let tokens = token..token + count;
                set_spans(&mut spans[tokens.clone()], at, stop, &ids[tokens], spelling);
            }
            token += count;
            (from, start) = (end, stop);
        }
    }
}

/// Sets the spans of tokens that lie one behind the other, the last of which ends with the word.
#[inline(never)]
fn set_spans(spans: &mut [[u32; 2]], from: u32, to: u32, ids: &[TokenId], spelling: &impl Spelling) {
    let mut from = from;
    for (span, &id) in spans.iter_mut().zip(ids) {
        let end = from + spelling.len(id) as u32;
        *span = [from, if end == from { spelling.end_of_none(from).min(to) } else { end }];
        from = end;
    }
    if let Some(last) = spans.last_mut() {
        last[1] = to;
    }
}

/// What is done for a word that is not at home.
struct Rare<'r, S> {
    text: &'r [u8],
    tables: &'r Tables,
    isa: Isa,
    /// Ids of a new word, or its description.
    fresh: &'r mut Vec<TokenId>,
    spelling: &'r mut S,
    /// Whether new words leave gaps.
    leaves_gaps: bool,
    gaps: &'r mut Gaps,
}

impl<S: Spelling> Rare<'_, S> {
    /// Appends the ids of a word that is displaced, long, or new, or has many tokens; or, and then it is true, its
    /// description.
    #[cold]
    #[inline(never)]
    fn word<const LEVEL: u8>(&mut self, place: usize, from: u32, end: u32, out: &mut Tokens) -> Result<bool> {
        let tables = self.tables;
        let word = &self.text[from as usize..end as usize];
        let before = out.len();
        self.fresh.clear();
        if word.len() <= SHORT_WORD {
            let key = short_key(self.text, from as usize, word.len());
            self.cached(place, from..end, &tables.short, &key, hash_short(&key), out)?;
        } else if word.len() <= MEDIUM_WORD {
            let key = long_key(word);
            self.cached(place, from..end, &tables.medium, &key, hash_medium(&key), out)?;
        } else if word.len() <= LONGEST_WORD {
            let key = long_key(word);
            self.cached(place, from..end, &tables.long, &key, hash_long(&key), out)?;
        } else if LEVEL > 0 && S::DESCRIBES {
            return Ok(true);
        } else {
            self.spelling.encode(word, self.fresh)?;
            out.extend_from_slice(self.fresh);
        }
        Ok(LEVEL > 0 && S::DESCRIBES && out.len() > before && out.id(before) == DESCRIBED)
    }

    /// Fills all gaps and remembers what is in them. `set_count` is told how many tokens each place has.
    #[inline(always)]
    fn fill(&mut self, out: &mut Tokens, set_count: impl FnMut(usize, u32)) -> Result<()> {
        let Self { tables, fresh, spelling, gaps, .. } = self;
        if gaps.is_empty() { Ok(()) } else { gaps.fill(tables, fresh, *spelling, out, set_count, &mut []) }
    }

    fn cached<const K: usize>(
        &mut self,
        place: usize,
        word: Range<u32>,
        table: &Table<K>,
        key: &[u64; K],
        hash: u64,
        out: &mut Tokens,
    ) -> Result<()> {
        let home = table.home(hash);
        if let Some(value) = table.get(key, home) {
            self.tables.extend(value, out);
            return Ok(());
        }
        if self.leaves_gaps && word.len() <= MEDIUM_WORD {
            if self.gaps.are_full() {
                self.fill(out, |_, _| {})?;
            }
            self.gaps.push(key, word.len(), hash, place, out.len());
            return Ok(());
        }
        self.spelling.encode(&self.text[word.start as usize..word.end as usize], self.fresh)?;
        out.extend_from_slice(self.fresh);
        self.tables.insert(table, key, home, self.fresh);
        Ok(())
    }
}

/// Masks for the two words of a key, by length.
const KEY_MASKS: [[u64; 2]; 16] = {
    let mut masks = [[0; 2]; 16];
    let mut len = 1;
    while len < 16 {
        masks[len][0] = if len >= 8 { u64::MAX } else { (1 << (8 * len)) - 1 };
        masks[len][1] = if len > 8 { (1 << (8 * (len - 8))) - 1 } else { 0 };
        len += 1;
    }
    masks
};

/// Up to 15 bytes and their number, in 16.
#[inline(always)]
fn short_key(text: &[u8], start: usize, len: usize) -> [u64; 2] {
    let masks = KEY_MASKS[len & 15];
    let [low, high] = if let Some(bytes) = text.get(start..start + 16) {
        [number(&bytes[..8]), number(&bytes[8..])]
    } else {
        let bytes = bytes_from(text, start);
        [bytes as u64, (bytes >> 64) as u64]
    };
    [low & masks[0], high & masks[1] | (len as u64) << 56]
}

/// What follows `start`, one of the last 16 bytes of a text, by whole loads. Copied into a buffer, bytes were waited for when
/// that was read: for the three or four words that end a text of twenty tokens, a tenth of its time.
#[inline(never)]
fn bytes_from(text: &[u8], start: usize) -> u128 {
    let at = |at: usize, value: u64| u128::from(value) << (8 * at);
    // The last 16 bytes, or all. What two loads have both is the same.
    let bytes = if let Some(bytes) = text.last_chunk() {
        u128::from_le_bytes(*bytes)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        at(0, u64::from_le_bytes(*first)) | at(text.len() - 8, u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        at(0, u32::from_le_bytes(*first).into()) | at(text.len() - 4, u32::from_le_bytes(*last).into())
    } else {
        text.iter().rev().fold(0, |bytes, &byte| bytes << 8 | u128::from(byte))
    };
    bytes >> (8 * (start - text.len().saturating_sub(16)))
}

#[inline(always)]
fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// Eight to `8 K - 1` bytes and their number, in `8 K`.
#[inline(always)]
fn long_key<const K: usize>(word: &[u8]) -> [u64; K] {
    let mut key = [0; K];
    let whole = word.len() / 8;
    for (to, bytes) in key.iter_mut().zip(word.chunks_exact(8)) {
        *to = number(bytes);
    }
    // Those behind the last eight, by a load that begins before them.
    let rest = 8 * (word.len() % 8) as u32;
    key[whole] = number(&word[word.len() - 8..]).checked_shr(64 - rest).unwrap_or(0);
    key[K - 1] |= (word.len() as u64) << 56;
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::{IDS, WORDS};

    /// Two ids for some bytes, one for each other.
    struct Letters {
        together: bool,
    }

    impl Letters {
        fn ids(word: &[u8]) -> Vec<TokenId> {
            word.iter()
                .flat_map(|&byte| [TokenId::from(byte), 300].into_iter().take(1 + usize::from(byte % 3 == 0)))
                .collect()
        }
    }

    impl Spelling for Letters {
        fn len(&self, _id: TokenId) -> usize {
            1
        }
        fn encode(&mut self, word: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
            ids.extend(Self::ids(word));
            Ok(())
        }
        fn is_quicker_together(&self) -> bool {
            self.together
        }
        fn encode_together(&mut self, words: &[&[u8]], mut done: impl FnMut(usize, &[TokenId])) -> Result<()> {
            assert!(words.iter().all(|word| (1..=MEDIUM_WORD).contains(&word.len())));
            words.iter().enumerate().rev().for_each(|(i, word)| done(i, &Self::ids(word)));
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn words_are_what_the_model_says(
            lengths in prop::collection::vec(1..140usize, 1..700),
            letters in 1..5u8,
            seed in any::<u64>(),
        ) {
            let ends: Vec<u32> = lengths.iter().scan(0, |at, &len| { *at += len as u32; Some(*at) }).collect();
            let len = ends[ends.len() - 1] as usize;
            // Few letters, so that words come again.
            let text: Vec<u8> = (0..len as u64).map(|i| b'a' + ((i ^ seed).wrapping_mul(seed | 1) >> 60) as u8 % letters).collect();
            let expected: Vec<_> = (0..).zip(&ends).flat_map(|(i, &end)| {
                let from = if i == 0 { 0 } else { ends[i - 1] };
                Letters::ids(&text[from as usize..end as usize])
            }).collect();
            let mut spans = Vec::new();
            for together in [false, true] {
                let words = Words::new(DEFAULT_CACHE_BYTES);
                let mut handle = CacheHandle::default();
                for _ in 0..2 {
                    let mut out = Tokens::with_capacity::<IDS>(0);
                    words.encode::<IDS>(&text, 0, &ends, &mut handle, &mut out, &mut Letters { together }).unwrap();
                    prop_assert_eq!(out.ids(), &expected[..]);
                }
                let words = Words::new(DEFAULT_CACHE_BYTES);
                let mut out = Tokens::with_capacity::<WORDS>(0);
                words.encode::<WORDS>(&text, 0, &ends, &mut handle, &mut out, &mut Letters { together }).unwrap();
                prop_assert_eq!(out.ids(), &expected[..]);
                spans.push((out.spans, out.words));
            }
            prop_assert_eq!(&spans[0], &spans[1]);
        }
    }

    proptest! {
        #[test]
        fn gaps_of_some_texts_are_filled_together(
            texts in prop::collection::vec(prop::collection::vec("[a-f]{1,50}", 0..60), 1..12),
            full in 0..12usize,
        ) {
            let (words, mut handle) = (Words::new(DEFAULT_CACHE_BYTES), CacheHandle::default());
            let (mut out, mut found) = (Tokens::with_capacity::<IDS>(0), Vec::new());
            let mut spelling = Letters { together: true };
            for texts in texts.chunks(full.max(1)) {
                let mut places = Vec::new();
                let mut start = out.len();
                handle.leave_open(Open::Texts);
                for text in texts {
                    let ends: Vec<u32> =
                        text.iter().scan(0, |at, word| { *at += word.len() as u32; Some(*at) }).collect();
                    words.encode::<IDS>(text.concat().as_bytes(), 0, &ends, &mut handle, &mut out, &mut spelling).unwrap();
                    places.push(handle.place(out.len()));
                }
                words.fill(&mut handle, &mut out, &mut spelling, &mut places).unwrap();
                for place in places {
                    found.push(out.ids()[start..place.tokens].to_vec());
                    start = place.tokens;
                }
                prop_assert_eq!(start, out.len());
            }
            let expected: Vec<_> = texts.iter().map(|text| Letters::ids(text.concat().as_bytes())).collect();
            prop_assert_eq!(found, expected);
        }
    }

    proptest! {
        #[test]
        fn keys_are_the_bytes_and_their_number(text in prop::collection::vec(any::<u8>(), 1..60), at in any::<prop::sample::Index>()) {
            let start = at.index(text.len());
            for end in start + 1..=text.len() {
                let word = &text[start..end];
                let expected = |len: usize| {
                    let mut bytes = vec![0; len];
                    bytes[..word.len()].copy_from_slice(word);
                    bytes[len - 1] = word.len() as u8;
                    bytes
                };
                if word.len() <= SHORT_WORD {
                    let key = short_key(&text, start, word.len()).map(u64::to_le_bytes);
                    prop_assert_eq!(key.as_flattened(), &expected(16)[..]);
                } else if word.len() <= MEDIUM_WORD {
                    let key = long_key::<6>(word).map(u64::to_le_bytes);
                    prop_assert_eq!(key.as_flattened(), &expected(48)[..]);
                }
            }
        }
    }

    #[test]
    fn words_stay_what_they_are_while_the_cache_grows_and_is_emptied() {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for i in 0..60_000u64 {
            let number = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40).to_string();
            text.extend_from_slice(&number.as_bytes().repeat(1 + usize::from(i % 3 == 0) * 4));
            ends.push(text.len() as u32);
        }
        for max_bytes in [2 << 20, DEFAULT_CACHE_BYTES] {
            let words = Words::new(max_bytes);
            let mut handle = CacheHandle::default();
            for _ in 0..2 {
                let mut from = 0;
                for ends in ends.chunks(500) {
                    let mut out = Tokens::with_capacity::<IDS>(0);
                    let mut spelling = Letters { together: from % 2 == 0 };
                    words.encode::<IDS>(&text, from, ends, &mut handle, &mut out, &mut spelling).unwrap();
                    let starts = std::iter::once(from).chain(ends.iter().map(|&end| end as usize));
                    let expected: Vec<_> =
                        starts.zip(ends).flat_map(|(from, &end)| Letters::ids(&text[from..end as usize])).collect();
                    assert_eq!(out.ids(), expected);
                    from = ends[ends.len() - 1] as usize;
                }
            }
        }
    }
}
