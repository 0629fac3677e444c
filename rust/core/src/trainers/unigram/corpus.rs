//! Words as numbered characters.

use crate::trainers::Words;

/// The distinct words of a corpus, one behind the other, each character as its number in the alphabet.
pub(super) struct Corpus {
    /// All characters, in order of code points.
    pub(super) alphabet: Vec<char>,
    /// How often each occurs.
    pub(super) char_counts: Vec<u64>,
    pub(super) symbols: Vec<u32>,
    /// Word `i` is `symbols[ends[i]..ends[i + 1]]`.
    ends: Vec<usize>,
    counts: Vec<u64>,
}

/// Parts into which work on the words is cut. The number is fixed, because sums of parts depend on where the cuts are.
const PARTS: usize = 16;

impl Corpus {
    pub(super) fn new(words: &Words, initial_alphabet: &[char]) -> Self {
        let mut numbers = vec![0u32; char::MAX as usize + 1];
        for c in words.iter().flat_map(|(word, _)| word.chars()).chain(initial_alphabet.iter().copied()) {
            numbers[c as usize] = 1;
        }
        let alphabet: Vec<char> = ('\0'..=char::MAX).filter(|&c| numbers[c as usize] > 0).collect();
        for (number, &c) in alphabet.iter().enumerate() {
            numbers[c as usize] = number as u32;
        }
        let mut char_counts = vec![0u64; alphabet.len()];
        let (mut symbols, mut ends, mut counts) = (Vec::new(), vec![0], Vec::with_capacity(words.len()));
        for (word, count) in words.iter() {
            for c in word.chars() {
                let number = numbers[c as usize];
                char_counts[number as usize] = char_counts[number as usize].saturating_add(count);
                symbols.push(number);
            }
            ends.push(symbols.len());
            counts.push(count);
        }
        Self { alphabet, char_counts, symbols, ends, counts }
    }

    /// Where the words begin and end, and their counts.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        self.ends.windows(2).zip(&self.counts).map(|(bounds, &count)| (bounds[0], bounds[1], count))
    }

    /// Some of the words, with their counts.
    pub(super) fn part(&self, words: std::ops::Range<usize>) -> impl Iterator<Item = (&[u32], u64)> {
        words.map(|word| (&self.symbols[self.ends[word]..self.ends[word + 1]], self.counts[word]))
    }

    /// Ranges of words of about the same length together.
    pub(super) fn parts(&self) -> Vec<std::ops::Range<usize>> {
        let cut = |part: usize| {
            self.ends.partition_point(|&end| end < self.symbols.len() * part / PARTS).min(self.counts.len())
        };
        let mut parts: Vec<_> = (0..PARTS).map(|part| cut(part)..cut(part + 1)).collect();
        // Words without characters stand behind the last cut.
        if let Some(last) = parts.last_mut() {
            last.end = self.counts.len();
        }
        parts
    }
}
