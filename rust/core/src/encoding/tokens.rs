//! The growing output of an encode: ids, and on request the bytes and the piece that each came from.

use crate::{TokenId, kernels::pages::advise_huge};

/// Collect ids only.
pub const IDS: u8 = 0;
/// Collect spans too.
pub const SPANS: u8 = 1;
/// Collect the piece of each token too.
pub const WORDS: u8 = 2;

/// Tokens in order. Room is memory that nothing touches before tokens come near, so reserving for one token a byte costs
/// address space only.
#[derive(Default)]
pub struct Tokens {
    /// Zeroes from `len` on: some at a time, so that they are overwritten before they leave the cache.
    ids: Vec<TokenId>,
    len: usize,
    /// Byte spans, when collected.
    pub spans: Vec<[u32; 2]>,
    /// Index of the piece of each token, when collected.
    pub words: Vec<u32>,
    /// With spans: what added tokens matched, where it is not the token's string or has blanks at its ends; by index.
    pub texts: Vec<(u32, Box<str>)>,
    /// With spans: those that do not lie in the text by the usual rules, by index; their entries in `spans` mean nothing
    /// until the whole text is known.
    pub odd_spans: Vec<(u32, [u32; 2])>,
    /// Index of the next piece.
    pub next_word: u32,
}

impl Tokens {
    /// Ids that may be stored beyond the length.
    const SLACK: usize = 8;
    /// Ids that are zeroed at a time.
    const STEP: usize = 4096;

    /// Room for `tokens` and what `LEVEL` collects about them.
    pub fn with_capacity<const LEVEL: u8>(tokens: usize) -> Self {
        let room = |level: u8| if LEVEL >= level { tokens } else { 0 };
        let mut ids = Vec::with_capacity(tokens + Self::SLACK);
        advise_huge(ids.spare_capacity_mut());
        let mut spans = Vec::with_capacity(room(SPANS));
        advise_huge(spans.spare_capacity_mut());
        Self { ids, spans, words: Vec::with_capacity(room(WORDS)), ..Self::default() }
    }

    /// Forgets all tokens, and has room as after [`Tokens::with_capacity`].
    pub fn restart<const LEVEL: u8>(&mut self, tokens: usize) {
        let has_room = |level: u8, capacity: usize| LEVEL < level || capacity >= tokens;
        let room = self.ids.capacity().saturating_sub(Self::SLACK);
        if has_room(IDS, room) && has_room(SPANS, self.spans.capacity()) && has_room(WORDS, self.words.capacity()) {
            self.clear();
        } else {
            *self = Self::with_capacity::<LEVEL>(tokens);
        }
    }

    /// Forgets all tokens and counts pieces from zero again.
    pub fn clear(&mut self) {
        self.len = 0;
        self.spans.clear();
        self.words.clear();
        self.texts.clear();
        self.odd_spans.clear();
        self.next_word = 0;
    }

    /// Makes room for `tokens` more.
    #[inline(always)]
    pub fn reserve(&mut self, tokens: usize) {
        let needed = self.len + tokens + Self::SLACK;
        if needed > self.ids.len() {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        if needed > self.ids.capacity() {
            self.ids.reserve_exact(needed.max(self.ids.capacity() * 3 / 2) - self.ids.len());
        }
        self.ids.resize(needed.max(self.ids.capacity().min(self.ids.len() + Self::STEP)), 0);
    }

    /// Number of tokens.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without tokens.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ids.
    pub fn ids(&self) -> &[TokenId] {
        &self.ids[..self.len]
    }

    /// The ids from a token on.
    pub fn from(&self, start: usize) -> &[TokenId] {
        &self.ids[start..self.len]
    }

    /// One id.
    #[inline(always)]
    pub fn id(&self, i: usize) -> TokenId {
        self.ids[i]
    }

    /// Ids and spans from a token on.
    pub fn ids_and_spans(&mut self, start: usize) -> (&[TokenId], &mut [[u32; 2]]) {
        (&self.ids[start..self.len], &mut self.spans[start..])
    }

    /// Stores four ids from index `at` on, in reserved room; [`Tokens::set_len`] says how many of them count.
    #[inline(always)]
    pub fn store_lanes(&mut self, at: usize, lanes: [TokenId; 4]) {
        let room: &mut [TokenId; 4] = (&mut self.ids[at..at + 4]).try_into().expect("four lanes");
        *room = lanes;
    }

    /// Declares that `len` tokens are stored.
    #[inline(always)]
    pub fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.ids.len());
        self.len = len;
    }

    /// Forgets all tokens from `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.spans.truncate(len);
            self.words.truncate(len);
            let kept = self.texts.partition_point(|(token, _)| (*token as usize) < len);
            self.texts.truncate(kept);
            self.odd_spans.retain(|&(token, _)| (token as usize) < len);
        }
    }

    /// Appends one id.
    #[inline(always)]
    pub fn push(&mut self, id: TokenId) {
        self.reserve(1);
        self.ids[self.len] = id;
        self.len += 1;
    }

    /// Appends ids.
    pub fn extend(&mut self, ids: impl Iterator<Item = TokenId>) {
        ids.for_each(|id| self.push(id));
    }

    /// Appends a run of ids.
    pub fn extend_from_slice(&mut self, ids: &[TokenId]) {
        self.reserve(ids.len());
        self.ids[self.len..self.len + ids.len()].copy_from_slice(ids);
        self.len += ids.len();
    }

    /// Inserts runs of ids, `ids` in all, each before a token. Runs come in the order of their tokens.
    pub fn insert_runs<'r>(&mut self, ids: usize, runs: impl DoubleEndedIterator<Item = (usize, &'r [TokenId])>) {
        self.reserve(ids);
        let (mut end, mut shift) = (self.len, ids);
        for (at, run) in runs.rev() {
            self.ids.copy_within(at..end, at + shift);
            shift -= run.len();
            self.ids[at + shift..at + shift + run.len()].copy_from_slice(run);
            end = at;
        }
        self.len += ids;
    }

    /// Appends all of another's tokens; piece indices do not move.
    pub fn append(&mut self, other: &Self) {
        self.reserve(other.len);
        self.ids[self.len..self.len + other.len].copy_from_slice(other.ids());
        self.spans.extend_from_slice(&other.spans);
        self.texts.extend(other.texts.iter().map(|(index, text)| (index + self.len as u32, text.clone())));
        self.odd_spans.extend(other.odd_spans.iter().map(|&(index, span)| (index + self.len as u32, span)));
        self.len += other.len;
    }

    /// Appends the span of one token.
    #[inline(always)]
    pub fn push_span(&mut self, start: u32, end: u32) {
        self.spans.push([start, end]);
    }

    /// Appends the spans of the ids from index `first` on, of which each covers `len` bytes, one behind the other from
    /// byte `start`.
    #[inline(always)]
    pub fn append_spans(&mut self, first: usize, start: u32, len: impl Fn(TokenId) -> u32) {
        let mut at = start;
        self.spans.extend(self.ids[first..self.len].iter().map(|&id| {
            let start = at;
            at += len(id);
            [start, at]
        }));
    }

    /// Gives the last `count` tokens the next piece index.
    #[inline(always)]
    pub fn push_word(&mut self, count: usize) {
        for _ in 0..count {
            self.words.push(self.next_word);
        }
        self.next_word += 1;
    }

    /// The ids, in memory of their size.
    pub fn into_ids(mut self) -> Vec<TokenId> {
        self.ids.truncate(self.len);
        self.ids.shrink_to_fit();
        self.ids
    }
}
