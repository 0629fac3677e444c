//! Learns merges: the most frequent pair of neighbours becomes a token, again and again.
//!
//! ```text
//! symbols of every distinct word, count of every pair, a queue of pairs
//! until the vocabulary is full:
//!     take the pair with the highest count (of equals, the one with the lowest ids) off the queue
//!     if its count has changed since it was put there: put it back
//!     merge it in the words where it came up; count what that changes; queue the pairs that came up
//! ```
//!
//! The result is the reference's, token by token, and that needs its bookkeeping to the letter: a token that two merges
//! make (`ab c` and `a bc`) lets a pair come up twice, and then it has two entries in the queue, each with the words of its
//! own time; and a merged pair keeps its count, which only its absence from the queue makes harmless. What differs is
//! the cost: symbols lie in one array, pair counts in one table, a change allocates nothing, and a long word is merged in
//! proportion to what changes in it.
//!
//! Where the reference leaves something to the seed of its hash maps, a rule stands here. Symbols with a prefix or a suffix
//! get their ids in order of their text (the reference: in order of its word map). When `limit_alphabet` cuts between
//! characters of the same count, those with the lowest code points stay. Pairs that come up in one merge are queued in the
//! order of the words, which decides between two entries of one pair with the same count. Counts are 64 bits wide, where the reference's wrap around at 2^31.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::{
    Watch, Words, check_vocab_size,
    long_word::LongWord,
    pair_counts::{Pair, PairCounts, pair, tokens},
    queue::{Entry, Queue},
};
use crate::{Result, TokenId, Vocab, models::Merge};

/// Learns a BPE model.
#[derive(Clone, Debug)]
pub struct BpeTrainer {
    /// Tokens to stop at. The alphabet and the special tokens are never cut, so there may be more.
    pub vocab_size: usize,
    /// A pair that occurs less often is not merged.
    pub min_frequency: u64,
    /// The first tokens of the vocabulary, in order; one that comes twice counts once.
    pub special_tokens: Vec<String>,
    /// How many characters the alphabet may have; the most frequent ones stay.
    pub limit_alphabet: Option<usize>,
    /// Characters of the alphabet that the corpus need not have.
    pub initial_alphabet: Vec<char>,
    /// Stands before every symbol but the first of a word.
    pub continuing_subword_prefix: Option<String>,
    /// Stands behind the last symbol of a word.
    pub end_of_word_suffix: Option<String>,
    /// Characters that a merged token may have.
    pub max_token_length: Option<usize>,
}

impl Default for BpeTrainer {
    fn default() -> Self {
        Self {
            vocab_size: 30_000,
            min_frequency: 0,
            special_tokens: Vec::new(),
            limit_alphabet: None,
            initial_alphabet: Vec::new(),
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            max_token_length: None,
        }
    }
}

/// What [`BpeTrainer`] learned.
#[derive(Clone, Debug, Default)]
pub struct TrainedBpe {
    /// Special tokens, the alphabet, marked symbols, merged tokens, in this order.
    pub vocab: Vocab,
    /// The merges in order of rank.
    pub merges: Vec<Merge>,
}

impl BpeTrainer {
    /// Learns from the words of a corpus.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) for a `vocab_size` beyond [`MAX_TOKEN_ID`](crate::vocab::MAX_TOKEN_ID),
    /// [`Error::Interrupted`](crate::Error::Interrupted) when `watch` says so.
    pub fn train(&self, words: &Words, watch: &mut Watch<'_>) -> Result<TrainedBpe> {
        self.train_with(words, watch, LONG)
    }

    fn train_with(&self, words: &Words, watch: &mut Watch<'_>, long: usize) -> Result<TrainedBpe> {
        check_vocab_size(self.vocab_size)?;
        let mut vocab = Vocab::with_capacity(self.vocab_size, self.vocab_size * 8);
        for token in &self.special_tokens {
            push(&mut vocab, token);
        }
        for c in self.alphabet(words) {
            push(&mut vocab, c.encode_utf8(&mut [0; 4]));
        }
        let alphabet = Alphabet::new(self, words, &mut vocab);
        let corpus = Corpus::new(words, &alphabet, self.max_token_length, long);
        match self.max_token_length {
            Some(limit) => self.merge::<true>(corpus, vocab, limit, watch),
            None => self.merge::<false>(corpus, vocab, usize::MAX, watch),
        }
    }

    /// The characters that become tokens, in order of code points.
    fn alphabet(&self, words: &Words) -> Vec<char> {
        let mut counts = vec![0u64; char::MAX as usize + 1];
        for (word, count) in words.iter() {
            for c in word.chars() {
                counts[c as usize] = counts[c as usize].saturating_add(count);
            }
        }
        for &c in &self.initial_alphabet {
            counts[c as usize] = u64::MAX;
        }
        let mut alphabet: Vec<char> = ('\0'..=char::MAX).filter(|&c| counts[c as usize] > 0).collect();
        if let Some(limit) = self.limit_alphabet {
            alphabet.sort_by_key(|&c| (Reverse(counts[c as usize]), c));
            alphabet.truncate(limit);
            alphabet.sort_unstable();
        }
        alphabet
    }

    /// The loop: pairs become tokens until the vocabulary is full or no pair is frequent enough.
    fn merge<const LIMITED: bool>(
        &self,
        mut corpus: Corpus,
        mut vocab: Vocab,
        max_len: usize,
        watch: &mut Watch<'_>,
    ) -> Result<TrainedBpe> {
        const STAGE: &str = "Compute merges";
        let mut counts = corpus.count_pairs();
        let mut waiting = Waiting::default();
        counts.take_grown(|pair, count, words| waiting.push(pair, count, words));
        let mut merges = Vec::new();
        let prefix = self.continuing_subword_prefix.as_deref().unwrap_or_default();
        watch.step(STAGE, vocab.len().min(self.vocab_size), self.vocab_size)?;
        while vocab.len() < self.vocab_size {
            let Some(top) = waiting.queue.pop() else { break };
            // A count below zero, which only a length limit together with colliding marks can bring about, is a huge one
            // in the reference.
            let count = counts.count(top.pair) as u64;
            if top.count != count {
                waiting.queue.push(Entry { count, ..top });
                continue;
            }
            if count < 1 || self.min_frequency > count {
                break;
            }
            let (left, right) = tokens(top.pair);
            let second = vocab.token(right).unwrap_or_default();
            let joined =
                [vocab.token(left).unwrap_or_default(), second.strip_prefix(prefix).unwrap_or(second)].concat();
            let merge = Merge { left, right, result: push(&mut vocab, &joined) };
            merges.push(merge);
            for word in std::mem::take(&mut waiting.words[top.words as usize]) {
                corpus.merge::<LIMITED>(word, merge, max_len, &mut counts);
            }
            counts.take_grown(|pair, count, words| waiting.push(pair, count, words));
            watch.step(STAGE, vocab.len().min(self.vocab_size - 1), self.vocab_size)?;
        }
        watch.step(STAGE, self.vocab_size, self.vocab_size)?;
        Ok(TrainedBpe { vocab, merges: last_of_each(merges) })
    }
}

/// The id of a token, new if it has none.
fn push(vocab: &mut Vocab, token: &str) -> TokenId {
    vocab.id(token).unwrap_or_else(|| {
        let id = vocab.len() as TokenId;
        vocab.insert(token, id);
        id
    })
}

/// Of merges of one pair, which the reference keeps in a map, the last.
fn last_of_each(mut merges: Vec<Merge>) -> Vec<Merge> {
    let mut seen = HashSet::with_capacity(merges.len());
    merges.reverse();
    merges.retain(|merge| seen.insert((merge.left, merge.right)));
    merges.reverse();
    merges
}

/// The queue, and the words of each of its entries, taken when it is used.
#[derive(Default)]
struct Waiting {
    queue: Queue,
    words: Vec<Vec<u32>>,
}

impl Waiting {
    fn push(&mut self, pair: Pair, count: i64, words: Vec<u32>) {
        if count > 0 {
            self.queue.push(Entry { count: count as u64, pair, words: self.words.len() as u32 });
            self.words.push(words);
        }
    }
}

/// No token.
const NONE: TokenId = TokenId::MAX;

/// The first symbols of words: a token for each character, by where in the word it stands.
struct Alphabet {
    /// Indexed by [`Alphabet::place`], then by code point; empty where no symbol is needed.
    tokens: [Vec<TokenId>; 4],
    prefix: bool,
    suffix: bool,
}

impl Alphabet {
    /// Gives ids to the symbols with prefix or suffix that occur.
    fn new(trainer: &BpeTrainer, words: &Words, vocab: &mut Vocab) -> Self {
        let (prefix, suffix) = (&trainer.continuing_subword_prefix, &trainer.end_of_word_suffix);
        let mut this = Self { tokens: Default::default(), prefix: prefix.is_some(), suffix: suffix.is_some() };
        // Characters that are a token by themselves, a special one perhaps, may be symbols; the others are left out.
        let mut plain = vec![NONE; char::MAX as usize + 1];
        for (token, id) in vocab.iter() {
            let mut chars = token.chars();
            if let (Some(c), None) = (chars.next(), chars.next()) {
                plain[c as usize] = id;
            }
        }
        let mut marked = Vec::new();
        for (word, _) in words.iter() {
            for (place, c) in this.places(word) {
                if place == 0 || plain[c as usize] == NONE {
                    continue;
                }
                let tokens = &mut this.tokens[place];
                if tokens.is_empty() {
                    *tokens = vec![NONE; char::MAX as usize + 1];
                }
                if tokens[c as usize] == NONE {
                    tokens[c as usize] = 0;
                    let mark = |mark: &Option<String>, bit| mark.clone().filter(|_| place & bit != 0);
                    let (prefix, suffix) = (mark(prefix, PREFIX), mark(suffix, SUFFIX));
                    marked.push((format!("{}{c}{}", prefix.unwrap_or_default(), suffix.unwrap_or_default()), place, c));
                }
            }
        }
        marked.sort_unstable();
        for (symbol, place, c) in marked {
            this.tokens[place][c as usize] = push(vocab, &symbol);
        }
        this.tokens[0] = plain;
        this
    }

    /// The characters of a word, with the marks that their places ask for.
    fn places<'w>(&self, word: &'w str) -> impl Iterator<Item = (usize, char)> + use<'w> {
        let (prefix, suffix) = (self.prefix, self.suffix);
        word.char_indices().map(move |(at, c)| {
            let inside = prefix && at > 0;
            let last = suffix && at + c.len_utf8() == word.len();
            (if inside { PREFIX } else { 0 } | if last { SUFFIX } else { 0 }, c)
        })
    }

    /// Replaces `out` by the symbols of a word; characters outside of the alphabet are left out.
    fn symbols(&self, word: &str, out: &mut Vec<TokenId>) {
        out.clear();
        out.extend(self.places(word).filter_map(|(place, c)| {
            let token = *self.tokens[place].get(c as usize)?;
            (token != NONE).then_some(token)
        }));
    }
}

/// Bits of a place: the symbol has the prefix, the suffix.
const PREFIX: usize = 1;
const SUFFIX: usize = 2;

/// Symbols from which on a word is a [`LongWord`]. A scan costs about a nanosecond a symbol, the list and its map about
/// fifty times that for each change.
const LONG: usize = 256;

/// The distinct words as symbols that merge. The short ones come first.
struct Corpus {
    /// Of all short words, one behind the other; the gaps that merges leave stay.
    symbols: Vec<TokenId>,
    /// Characters of each symbol; kept only under a length limit.
    lengths: Vec<u32>,
    short: Vec<ShortWord>,
    long: Vec<(LongWord, i64)>,
}

#[derive(Clone, Copy)]
struct ShortWord {
    start: usize,
    len: u32,
    count: i64,
}

impl Corpus {
    fn new(words: &Words, alphabet: &Alphabet, max_token_length: Option<usize>, long_from: usize) -> Self {
        let (mut symbols, mut short, mut long) = (Vec::new(), Vec::with_capacity(words.len()), Vec::new());
        let mut word_symbols = Vec::new();
        for (word, count) in words.iter() {
            alphabet.symbols(word, &mut word_symbols);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            if word_symbols.len() >= long_from {
                long.push((LongWord::new(&word_symbols), count));
            } else if word_symbols.len() > 1 {
                short.push(ShortWord { start: symbols.len(), len: word_symbols.len() as u32, count });
                symbols.extend_from_slice(&word_symbols);
            }
        }
        let lengths = if max_token_length.is_some() { vec![1; symbols.len()] } else { Vec::new() };
        Self { symbols, lengths, short, long }
    }

    /// Counts every pair of neighbours.
    fn count_pairs(&self) -> PairCounts {
        let mut counts = PairCounts::new();
        for (number, word) in self.short.iter().enumerate() {
            for window in self.symbols[word.start..word.start + word.len as usize].windows(2) {
                counts.grow(pair(window[0], window[1]), word.count, number as u32);
            }
        }
        for (number, (word, count)) in self.long.iter().enumerate() {
            let number = (self.short.len() + number) as u32;
            word.pairs(|pair| counts.grow(pair, *count, number));
        }
        counts
    }

    /// Merges a pair wherever it stands in a word.
    fn merge<const LIMITED: bool>(&mut self, word: u32, merge: Merge, max_len: usize, counts: &mut PairCounts) {
        let number = word as usize;
        let change = |count: i64| {
            move |pair, came: bool| {
                if came { counts.grow(pair, count, word) } else { counts.shrink(pair, count) }
            }
        };
        if let Some(short) = self.short.get_mut(number) {
            let range = short.start..short.start + short.len as usize;
            let lengths = if LIMITED { &mut self.lengths[range.clone()] } else { &mut [] };
            let len = merge_short::<LIMITED>(&mut self.symbols[range], lengths, merge, max_len, change(short.count));
            short.len = len as u32;
        } else {
            let (long, count) = &mut self.long[number - self.short.len()];
            long.merge(merge, max_len, change(*count));
        }
    }
}

/// Merges a pair wherever it stands, from left to right, and returns how many symbols are left; `change` hears which pairs
/// went (`false`) and came (`true`). Under a length limit, a pair that would be too long does not come up.
#[inline]
fn merge_short<const LIMITED: bool>(
    symbols: &mut [TokenId],
    lengths: &mut [u32],
    merge: Merge,
    max_len: usize,
    mut change: impl FnMut(Pair, bool),
) -> usize {
    let fits = |first: u32, second: u32| !LIMITED || ((first + second) as usize) < max_len;
    let length = |lengths: &[u32], at: usize| if LIMITED { lengths[at] } else { 0 };
    let (mut read, mut write) = (0, 0);
    while read < symbols.len() {
        if symbols[read] != merge.left || symbols.get(read + 1) != Some(&merge.right) {
            symbols[write] = symbols[read];
            if LIMITED {
                lengths[write] = lengths[read];
            }
            read += 1;
            write += 1;
            continue;
        }
        let len = length(lengths, read) + if LIMITED { lengths[read + 1] } else { 0 };
        if write > 0 {
            let before = symbols[write - 1];
            change(pair(before, merge.left), false);
            if fits(length(lengths, write - 1), len) {
                change(pair(before, merge.result), true);
            }
        }
        symbols[write] = merge.result;
        if LIMITED {
            lengths[write] = len;
        }
        read += 2;
        write += 1;
        if let Some(&after) = symbols.get(read) {
            change(pair(merge.right, after), false);
            if fits(length(lengths, read), len) {
                change(pair(merge.result, after), true);
            }
        }
    }
    write
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learned(trained: &TrainedBpe) -> (Vec<(String, TokenId)>, Vec<Merge>) {
        (trained.vocab.iter().map(|(token, id)| (token.to_owned(), id)).collect(), trained.merges.clone())
    }

    proptest! {
        /// Words that are scanned and words that are lists learn the same.
        #[test]
        fn long_words_are_words(
            words in prop::collection::btree_map("[abé]{1,40}", 1u64..9, 0..12),
            max_token_length in prop::option::of(0usize..8),
            prefix in prop::option::of("[a#]{1,2}"),
            suffix in prop::option::of("[b/]{1,2}"),
        ) {
            let trainer = BpeTrainer {
                vocab_size: 60,
                max_token_length,
                continuing_subword_prefix: prefix,
                end_of_word_suffix: suffix,
                ..BpeTrainer::default()
            };
            let words = Words::new(words);
            let train = |long| trainer.train_with(&words, &mut Watch::new(&mut |_| false), long).unwrap();
            let scanned = learned(&train(usize::MAX));
            for long in [2, 5, 12] {
                prop_assert_eq!(&learned(&train(long)), &scanned);
            }
        }
    }

    #[test]
    fn roses_are_red() {
        let counts =
            [("roses", 1), ("are", 2), ("red", 1), ("violets", 1), ("blue", 1), ("is", 2), ("big", 1), ("and", 1)];
        let words = Words::new(counts.map(|(word, count)| (word.to_owned(), count)));
        let trainer = BpeTrainer { min_frequency: 2, ..BpeTrainer::default() };
        let trained = trainer.train(&words, &mut Watch::new(&mut |_| false)).unwrap();
        let merged: Vec<_> = trained.merges.iter().filter_map(|merge| trained.vocab.token(merge.result)).collect();
        // Once `re` is there, `es` is left in one place only.
        assert_eq!(merged, ["re", "are", "is"]);
    }

    #[test]
    fn a_watcher_can_stop_it() {
        let words = Words::new([("abcabcabc".to_owned(), 3)]);
        let result = BpeTrainer::default().train(&words, &mut Watch::new(&mut |_| true));
        assert!(matches!(result, Err(crate::Error::Interrupted)));
    }
}
