//! The distinct words of a corpus and how often each occurs.

use std::sync::{Mutex, PoisonError};

use crate::{Result, threads, vocab::hash};

/// Text per task: long enough that a task's start does not show, short enough that threads end together.
const TASK_BYTES: usize = 256 << 10;

/// A hash table from word to count.
///
/// Words lie one behind the other in one buffer, so that a new word costs no allocation; a slot holds half of the hash
/// beside the number of the entry, so that a probe reads an entry only when those bits agree.
#[derive(Debug)]
pub struct WordCounts {
    text: Vec<u8>,
    entries: Vec<Entry>,
    /// 0 when free, else hash bits above, entry number + 1 below.
    slots: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    len: u32,
    /// The lower half of the hash, for growing.
    hash: u32,
    count: u64,
}

/// A constant seed: the table is emptied in sorted order, and words that collide cost time, not memory.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const NUMBER: u64 = 0xffff_ffff;

/// Stands before a word that is spelled already; no UTF-8 has this byte.
const SPELLED: u8 = 0xff;

impl Default for WordCounts {
    fn default() -> Self {
        Self { text: Vec::new(), entries: Vec::new(), slots: vec![0; 1 << 10] }
    }
}

impl WordCounts {
    /// Counts a word once more.
    #[inline]
    pub fn add(&mut self, word: &str) {
        self.add_bytes(word.as_bytes(), 1);
    }

    /// Counts a word that is spelled already once more.
    #[cold]
    pub fn add_spelled(&mut self, word: &str) {
        self.add_bytes(&[&[SPELLED], word.as_bytes()].concat(), 1);
    }

    #[inline]
    fn add_bytes(&mut self, word: &[u8], count: u64) {
        let hash = hash(SEED, word);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let value = self.slots[slot];
            if value == 0 {
                return self.insert(word, count, hash, slot);
            }
            if (value ^ hash) & !NUMBER == 0 {
                let entry = &mut self.entries[(value & NUMBER) as usize - 1];
                if entry.len as usize == word.len() && self.text[entry.start..entry.start + word.len()] == *word {
                    entry.count += count;
                    return;
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, word: &[u8], count: u64, hash: u64, slot: usize) {
        // A text has at most 4 GiB, so its words have.
        self.entries.push(Entry { start: self.text.len(), len: word.len() as u32, hash: hash as u32, count });
        self.text.extend_from_slice(word);
        self.slots[slot] = hash & !NUMBER | self.entries.len() as u64;
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![0; old.len() * 2];
        let mask = self.slots.len() - 1;
        for value in old.into_iter().filter(|&value| value != 0) {
            // Up to 2^32 slots the lower half of the hash says where a word belongs.
            let home = self.entries[(value & NUMBER) as usize - 1].hash as usize;
            let mut slot = home & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = value;
        }
    }

    fn merge(&mut self, other: &Self) {
        for entry in &other.entries {
            self.add_bytes(&other.text[entry.start..entry.start + entry.len as usize], entry.count);
        }
    }

    fn words(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let word = |entry: &Entry| &self.text[entry.start..entry.start + entry.len as usize];
        self.entries.iter().map(move |entry| (word(entry), entry.count))
    }
}

/// Counts the words of texts that arrive in batches, on all cores.
#[derive(Debug, Default)]
pub struct WordCounter {
    /// Tables that no task holds just now: at most one for each thread.
    tables: Mutex<Vec<WordCounts>>,
}

impl WordCounter {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the words of texts; `split` cuts one text and hands each word to [`WordCounts::add`].
    ///
    /// # Errors
    /// Those of `split`. What was counted before then stays counted.
    pub fn count(&self, texts: &[&str], split: &(dyn Fn(&str, &mut WordCounts) -> Result<()> + Sync)) -> Result<()> {
        let tasks = group(texts);
        let done = threads::map(&tasks, |texts| {
            let mut table = self.lock().pop().unwrap_or_default();
            let result = texts.iter().try_for_each(|text| split(text, &mut table));
            self.lock().push(table);
            result
        });
        done.into_iter().collect()
    }

    /// Counts a word `count` times more.
    pub fn add(&self, word: &str, count: u64) {
        let mut tables = self.lock();
        if tables.is_empty() {
            tables.push(WordCounts::default());
        }
        tables[0].add_bytes(&[&[SPELLED], word.as_bytes()].concat(), count);
    }

    /// The words so far, sorted, and leaves none; `spell` writes a word as the vocabulary does.
    pub fn take_words(&self, spell: impl Fn(&str, &mut String)) -> Words {
        let mut tables = std::mem::take(&mut *self.lock());
        let largest = (0..tables.len()).max_by_key(|&i| tables[i].entries.len());
        let mut all = largest.map(|i| tables.swap_remove(i)).unwrap_or_default();
        for table in tables {
            all.merge(&table);
        }
        Words::new(all.words().map(|(word, count)| {
            // Words came in as `str` and were stored whole.
            let text = |word| std::str::from_utf8(word).unwrap_or_default();
            match word {
                [SPELLED, word @ ..] => (text(word).to_owned(), count),
                word => {
                    let mut spelled = String::new();
                    spell(text(word), &mut spelled);
                    (spelled, count)
                }
            }
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WordCounts>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs of texts of about [`TASK_BYTES`].
fn group<'a, 't>(texts: &'a [&'t str]) -> Vec<&'a [&'t str]> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, text) in texts.iter().enumerate() {
        bytes += text.len();
        if bytes >= TASK_BYTES {
            groups.push(&texts[start..=i]);
            (start, bytes) = (i + 1, 0);
        }
    }
    if start < texts.len() {
        groups.push(&texts[start..]);
    }
    groups
}

/// Distinct words, sorted, each with its count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    words: Vec<(String, u64)>,
}

impl Words {
    /// Words and counts in any order; counts of the same word are added.
    pub fn new(words: impl IntoIterator<Item = (String, u64)>) -> Self {
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_unstable();
        words.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Self { words }
    }

    /// Number of distinct words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words and their counts, in order of the words.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.words.iter().map(|(word, count)| (word.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(texts: &[&str]) -> Words {
        let counter = WordCounter::new();
        let split = |text: &str, words: &mut WordCounts| {
            text.split(' ').for_each(|word| words.add(word));
            Ok(())
        };
        counter.count(texts, &split).unwrap();
        counter.take_words(|word, out| out.push_str(word))
    }

    #[test]
    fn counts_like_a_map() {
        let mut expected = std::collections::BTreeMap::new();
        let texts: Vec<String> = (0..3000u32)
            .map(|i| (0..40).map(|j| format!("{}é", (i * 31 + j * j) % 7001)).collect::<Vec<_>>().join(" "))
            .collect();
        for word in texts.iter().flat_map(|text| text.split(' ')) {
            *expected.entry(word.to_owned()).or_insert(0u64) += 1;
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let words = count(&texts);
        assert_eq!(words.iter().map(|(word, n)| (word.to_owned(), n)).collect::<Vec<_>>(), Vec::from_iter(expected));
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(count(&[]).is_empty());
        assert_eq!(count(&[""]), Words::new([(String::new(), 1)]));
    }

    #[test]
    fn words_spelled_alike_are_one() {
        let words = Words::new([("b".into(), 1), ("a".into(), 2), ("b".into(), 3)]);
        assert_eq!(words.iter().collect::<Vec<_>>(), [("a", 2), ("b", 4)]);
    }
}
