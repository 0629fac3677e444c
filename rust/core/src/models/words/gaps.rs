//! New words that wait for their ids, so that many are merged at once.
//!
//! A text of some hundred words has ten new ones, hardly enough to let the waits of their merges overlap. So whoever encodes
//! more may leave the gaps open over the stretches of a text, or over texts. A thousand new texts of 512 tokens take a twelfth
//! less time so, one long text a twentieth.

use std::ops::Range;

use super::{
    BATCH, SHORT_WORD, Spelling,
    cache::{CacheHandle, Tables},
    long_key, short_key,
};
use crate::{Result, TokenId, encoding::Tokens};

/// Words that keep the merges busy. With more than twice as many a first text took longer: words that come again while they
/// wait are new each time.
const MANY: usize = 48;
/// As [`MANY`], of several texts: with fewer the gain was a third smaller.
const MANY_OF_TEXTS: usize = 96;

/// So few words, as in a text of a line or two, are merged one by one: to lay out what it takes for several (10 KB) took
/// longer than the waits of their merges. With 1 or 2 the gain was a little smaller.
const FEW: usize = 4;

/// When gaps are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Open {
    /// At the end of each stretch.
    #[default]
    No,
    /// At the end of the text, and before when there are many.
    Stretches,
    /// By [`super::Words::fill`] alone: places between tokens are remembered.
    Texts,
}

/// Where the ids of new words are still to go.
#[derive(Default)]
pub(super) struct Gaps {
    open: Vec<Gap>,
    /// The words, one behind the other, as their keys.
    words: Vec<u8>,
    kept: Open,
}

struct Gap {
    /// The word, by bytes of [`Gaps::words`].
    word: Range<usize>,
    /// Its place in its batch.
    place: usize,
    /// The hash of its key.
    hash: u64,
    /// The token before which its own go.
    at: usize,
    /// Those, once known.
    ids: Range<usize>,
}

impl Gap {
    /// Puts the word, which lies in `words`, and its ids into the tables.
    fn remember(&self, words: &[u8], tables: &Tables, ids: &[TokenId]) {
        let Self { word, hash, .. } = self;
        if word.len() <= SHORT_WORD {
            let key = short_key(words, word.start, word.len());
            tables.insert(&tables.short, &key, tables.short.home(*hash), ids);
        } else {
            let key = long_key(&words[word.clone()]);
            tables.insert(&tables.medium, &key, tables.medium.home(*hash), ids);
        }
    }
}

/// A place between tokens, while gaps before it are open.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Tokens before it; all of them once the gaps are filled.
    pub tokens: usize,
    /// Gaps before it.
    gaps: usize,
}

impl CacheHandle {
    /// Says when the gaps that the next texts leave for their new words are filled; what an interrupted call has left is
    /// forgotten. Tokens are not whole before [`super::Words::fill`], which whoever leaves gaps open calls in the end.
    pub fn leave_open(&mut self, open: Open) {
        self.gaps.open.clear();
        self.gaps.words.clear();
        self.gaps.kept = open;
    }

    /// [`Self::leave_open`], as it was set.
    pub fn leaves_open(&self) -> Open {
        self.gaps.kept
    }

    /// Whether texts have left as many gaps as should be filled together.
    pub fn has_many_gaps(&self) -> bool {
        self.gaps.open.len() >= MANY_OF_TEXTS
    }

    /// The place behind some tokens.
    pub fn place(&self, tokens: usize) -> Place {
        Place { tokens, gaps: self.gaps.open.len() }
    }
}

impl Gaps {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether they are filled before another one comes: as many as words in a batch.
    pub(super) fn are_full(&self) -> bool {
        self.open.len() >= BATCH && self.kept != Open::Texts
    }

    /// Whether they are filled at the end of a stretch.
    pub(super) fn are_due(&self) -> bool {
        match self.kept {
            Open::No => true,
            Open::Stretches => self.open.len() >= MANY,
            Open::Texts => false,
        }
    }

    /// Opens a gap for a word of `len` bytes, which its key begins with: a fixed number of bytes is copied by a few stores.
    pub(super) fn push<const K: usize>(&mut self, key: &[u64; K], len: usize, hash: u64, place: usize, at: usize) {
        let start = self.words.len();
        self.words.extend_from_slice(key.map(u64::to_le_bytes).as_flattened());
        self.open.push(Gap { word: start..start + len, place, hash, at, ids: 0..0 });
    }

    /// Fills all gaps and remembers what is in them. `set_count` is told how many tokens each place in the batch has.
    #[cold]
    #[inline(never)]
    pub(super) fn fill(
        &mut self,
        tables: &Tables,
        fresh: &mut Vec<TokenId>,
        spelling: &mut impl Spelling,
        out: &mut Tokens,
        mut set_count: impl FnMut(usize, u32),
        places: &mut [Place],
    ) -> Result<()> {
        let Self { open: gaps, words, .. } = self;
        fresh.clear();
        if gaps.len() <= FEW {
            for gap in &mut *gaps {
                let (word, start) = (&words[gap.word.clone()], fresh.len());
                spelling.encode(word, fresh)?;
                gap.ids = start..fresh.len();
                gap.remember(words, tables, &fresh[start..]);
            }
        } else {
            for gaps in gaps.chunks_mut(BATCH) {
                encode_words(gaps, words, tables, fresh, spelling)?;
            }
        }
        let mut total = 0;
        let mut places = places.iter_mut().peekable();
        for (number, gap) in gaps.iter().enumerate() {
            while let Some(place) = places.next_if(|place| place.gaps <= number) {
                place.tokens += total;
            }
            set_count(gap.place, gap.ids.len() as u32);
            total += gap.ids.len();
        }
        places.for_each(|place| place.tokens += total);
        out.insert_runs(total, gaps.drain(..).map(|gap| (gap.at, &fresh[gap.ids])));
        words.clear();
        Ok(())
    }
}

/// Appends the ids of the words in some gaps.
fn encode_words(
    gaps: &mut [Gap],
    bytes: &[u8],
    tables: &Tables,
    fresh: &mut Vec<TokenId>,
    spelling: &mut impl Spelling,
) -> Result<()> {
    // Text repeats its new words: each is looked for once.
    let mut words: [&[u8]; BATCH] = [&[]; BATCH];
    let (mut first_gaps, mut number_of) = ([0; BATCH], [0; BATCH]);
    let mut numbers = [u8::MAX; 2 * BATCH];
    let mut count = 0;
    for (i, gap) in gaps.iter().enumerate() {
        let word = &bytes[gap.word.clone()];
        let mut at = gap.hash as usize % numbers.len();
        while numbers[at] != u8::MAX && words[usize::from(numbers[at])] != word {
            at = (at + 1) % numbers.len();
        }
        if numbers[at] == u8::MAX {
            numbers[at] = count as u8;
            (words[count], first_gaps[count]) = (word, i);
            count += 1;
        }
        number_of[i] = numbers[at];
    }
    let mut places: [Range<usize>; BATCH] = [const { 0..0 }; BATCH];
    spelling.encode_together(&words[..count], |number, ids| {
        places[number] = fresh.len()..fresh.len() + ids.len();
        fresh.extend_from_slice(ids);
        gaps[first_gaps[number]].remember(bytes, tables, ids);
    })?;
    for (gap, number) in gaps.iter_mut().zip(number_of) {
        gap.ids = places[usize::from(number)].clone();
    }
    Ok(())
}
