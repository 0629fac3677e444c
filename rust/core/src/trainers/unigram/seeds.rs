//! The first pieces: every character, and the substrings of words that make up the most text.
//!
//! The suffixes of all words are sorted as far as a piece can reach. Substrings that go on in more than one way are then
//! where neighbours part; how often one occurs is a difference of running sums. A suffix array would do the same, but
//! it orders what lies beyond the longest piece as well, and has no notion of a word's end.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::{corpus::Corpus, lattice::Pieces};
use crate::threads;

/// A suffix: its first characters as one number, which decides most comparisons, and where it begins.
#[derive(Clone, Copy)]
struct Suffix {
    key: u64,
    start: usize,
    /// One past the last character that a piece can have.
    end: usize,
    /// How often its word occurs.
    count: u64,
    /// The whole of a word.
    whole: bool,
}

/// Characters in a key, of 21 bits each.
const KEY: usize = 3;
const BITS: u32 = 21;

/// A substring: where it occurs for example, and how often.
#[derive(Clone, Copy)]
struct Candidate {
    start: usize,
    len: usize,
    count: u64,
}

/// Characters and substrings with at most `max_len` characters; `size` pieces at most, but all characters.
pub(super) fn seeds(corpus: &Corpus, max_len: usize, size: usize, excluded: &HashSet<&str>) -> Pieces {
    let groups = suffixes(corpus, max_len);
    let found = threads::map(&groups, |group| candidates(corpus, group));
    let mut candidates: Vec<Candidate> = found.into_iter().flatten().collect();
    let text = |candidate: &Candidate| &corpus.symbols[candidate.start..candidate.start + candidate.len];
    let score = |candidate: &Candidate| candidate.count.saturating_mul(candidate.len as u64);
    candidates
        .sort_unstable_by(|left, right| (Reverse(score(left)), text(left)).cmp(&(Reverse(score(right)), text(right))));
    if !excluded.is_empty() {
        candidates.retain(|candidate| {
            let piece: String = text(candidate).iter().map(|&symbol| corpus.alphabet[symbol as usize]).collect();
            !excluded.contains(piece.as_str())
        });
    }
    candidates.truncate(size.saturating_sub(corpus.alphabet.len()));
    let mut pieces = Pieces::new(&corpus.char_counts);
    for candidate in &candidates {
        pieces.push(candidate.start, candidate.len, score(candidate) as f64);
    }
    pieces.start(corpus);
    pieces
}

/// The suffixes of all words in order, in one group for each first character.
fn suffixes(corpus: &Corpus, max_len: usize) -> Vec<Vec<Suffix>> {
    let mut groups: Vec<Vec<Suffix>> = vec![Vec::new(); corpus.alphabet.len()];
    for (from, to, count) in corpus.bounds() {
        for start in from..to {
            let end = to.min(start.saturating_add(max_len));
            // A suffix that ends within the key comes before those that go on.
            let key = (start..start + KEY)
                .fold(0, |key, at| key << BITS | if at < end { u64::from(corpus.symbols[at]) + 1 } else { 0 });
            let suffix = Suffix { key, start, end, count, whole: start == from && end == to };
            groups[corpus.symbols[start] as usize].push(suffix);
        }
    }
    let order = |left: &Suffix, right: &Suffix| {
        let rest = |suffix: &Suffix| &corpus.symbols[(suffix.start + KEY).min(suffix.end)..suffix.end];
        left.key.cmp(&right.key).then_with(|| rest(left).cmp(rest(right)))
    };
    threads::map(&groups, |group| {
        let mut group = group.clone();
        group.sort_unstable_by(order);
        group
    })
}

/// The substrings of two characters or more at which sorted suffixes part, and words that occur nowhere else.
fn candidates(corpus: &Corpus, suffixes: &[Suffix]) -> Vec<Candidate> {
    /// An open run of suffixes that share their first `len` characters.
    struct Run {
        len: usize,
        count_before: u64,
    }
    let mut found = Vec::new();
    let mut open: Vec<Run> = Vec::new();
    let (mut count, mut shared_before) = (0u64, 0);
    for (i, suffix) in suffixes.iter().enumerate() {
        let shared = suffixes.get(i + 1).map_or(0, |next| common(corpus, suffix, next));
        let len = suffix.end - suffix.start;
        if suffix.whole && len > 1 && suffix.count > 1 && shared.max(shared_before) < len {
            found.push(Candidate { start: suffix.start, len, count: suffix.count });
        }
        let count_before = count;
        count = count.saturating_add(suffix.count);
        let mut reaches = count_before;
        while open.last().is_some_and(|run| run.len > shared) {
            let run = open.pop().expect("just looked at");
            reaches = run.count_before;
            if run.len > 1 {
                found.push(Candidate { start: suffix.start, len: run.len, count: count - run.count_before });
            }
        }
        if open.last().is_none_or(|run| run.len < shared) {
            open.push(Run { len: shared, count_before: reaches });
        }
        shared_before = shared;
    }
    found
}

/// How many characters two suffixes share at the start.
fn common(corpus: &Corpus, left: &Suffix, right: &Suffix) -> usize {
    let text = |suffix: &Suffix| &corpus.symbols[suffix.start..suffix.end];
    text(left).iter().zip(text(right)).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::trainers::Words;

    /// Every substring of at least two characters that occurs in two places and goes on in two ways (an end is always a way
    /// of its own), and every word that occurs nowhere else but more than once.
    fn naive(words: &[(&str, u64)], max_len: usize) -> BTreeMap<String, u64> {
        let mut places: BTreeMap<String, Vec<(Option<char>, u64, bool)>> = BTreeMap::new();
        for &(word, count) in words {
            let chars: Vec<char> = word.chars().collect();
            for start in 0..chars.len() {
                for end in start + 2..=chars.len().min(start + max_len) {
                    let whole = end - start == chars.len();
                    let piece: String = chars[start..end].iter().collect();
                    // Where a piece can grow no longer, what follows does not matter.
                    let next = chars.get(end).copied().filter(|_| end - start < max_len);
                    places.entry(piece).or_default().push((next, count, whole));
                }
            }
        }
        let chosen = places.into_iter().filter(|(_, places)| match places.as_slice() {
            [(_, count, whole)] => *whole && *count > 1,
            places => places.iter().any(|(next, ..)| next.is_none() || *next != places[0].0),
        });
        chosen.map(|(piece, places)| (piece, places.iter().map(|(_, count, _)| count).sum())).collect()
    }

    fn found(words: &[(&str, u64)], max_len: usize) -> BTreeMap<String, u64> {
        let corpus = Corpus::new(&Words::new(words.iter().map(|&(word, count)| (word.to_owned(), count))), &[]);
        let groups = suffixes(&corpus, max_len);
        let all: Vec<_> = groups.iter().flat_map(|group| candidates(&corpus, group)).collect();
        let text = |candidate: &Candidate| {
            let symbols = &corpus.symbols[candidate.start..candidate.start + candidate.len];
            symbols.iter().map(|&symbol| corpus.alphabet[symbol as usize]).collect::<String>()
        };
        let map: BTreeMap<_, _> = all.iter().map(|candidate| (text(candidate), candidate.count)).collect();
        assert_eq!(map.len(), all.len(), "a candidate came twice");
        map
    }

    #[test]
    fn are_the_substrings_of_the_definition() {
        let words =
            [("banana", 3), ("bandana", 2), ("an", 7), ("ana", 1), ("日本日本", 2), ("x", 9), ("yy", 4), ("zzzzzz", 1)];
        for max_len in 1..8 {
            assert_eq!(found(&words, max_len), naive(&words, max_len), "{max_len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn are_the_substrings_of_the_definition_of_any_words(
            words in proptest::collection::btree_map("[abé]{1,9}", 1u64..5, 0..12),
            max_len in 1usize..9,
        ) {
            let words: Vec<_> = words.iter().map(|(word, &count)| (word.as_str(), count)).collect();
            proptest::prop_assert_eq!(found(&words, max_len), naive(&words, max_len));
        }
    }
}
