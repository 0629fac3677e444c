//! The characters that a vocabulary is written with, numbered.
//!
//! Models look tokens up letter by letter, a letter being the number of a character: the commonest in the vocabulary come
//! first, so that tables over letters are dense whatever the script. A character takes one step where its bytes would take
//! up to four.

use std::cmp::Reverse;

/// The number of a character.
pub type Letter = u32;

/// Characters of a page.
const PAGE: usize = 256;

/// Characters and their numbers. Those that no token has are numbered too, behind all others.
#[derive(Default)]
pub struct Alphabet {
    /// The page of a character's upper bits, by number; page 0 is that of characters without a number.
    pages: Vec<u16>,
    letters: Vec<[Letter; PAGE]>,
    /// The character of each number but 0.
    chars: Vec<char>,
}

impl Alphabet {
    /// The letters of models that ask for none: every character by its code point.
    pub const ANY: &'static Self = &Self { pages: Vec::new(), letters: Vec::new(), chars: Vec::new() };

    /// Whether it is [`Self::ANY`].
    #[inline(always)]
    pub fn is_any(&self) -> bool {
        self.chars.is_empty()
    }

    /// Numbers the characters of these tokens.
    pub(super) fn new<'t>(tokens: impl Iterator<Item = &'t str>) -> Self {
        let mut alphabet =
            Self { pages: vec![0; char::MAX as usize / PAGE + 1], letters: vec![[0; PAGE]], chars: Vec::new() };
        for c in tokens.flat_map(str::chars) {
            let page = &mut alphabet.pages[c as usize / PAGE];
            if *page == 0 {
                *page = alphabet.letters.len() as u16;
                alphabet.letters.push([0; PAGE]);
            }
            let count = &mut alphabet.letters[usize::from(*page)][c as usize % PAGE];
            if *count == 0 {
                alphabet.chars.push(c);
            }
            *count = count.saturating_add(1);
        }
        let mut chars = std::mem::take(&mut alphabet.chars);
        chars.sort_by_cached_key(|&c| (Reverse(alphabet.find(c)), c));
        for (number, &c) in (1..).zip(&chars) {
            let page = usize::from(alphabet.pages[c as usize / PAGE]);
            alphabet.letters[page][c as usize % PAGE] = number;
        }
        alphabet.chars = chars;
        alphabet
    }

    #[inline(always)]
    fn find(&self, c: char) -> Letter {
        let page = self.pages.get(c as usize / PAGE).map_or(0, |&page| usize::from(page));
        self.letters.get(page).map_or(0, |page| page[c as usize % PAGE])
    }

    /// Whether a token has this character; true of any without tokens.
    pub fn has(&self, c: char) -> bool {
        self.is_any() || self.find(c) != 0
    }

    /// The number of a character.
    #[inline(always)]
    pub fn letter(&self, c: char) -> Letter {
        match self.find(c) {
            0 => self.chars.len() as Letter + 1 + c as u32,
            letter => letter,
        }
    }

    /// The character of a number.
    #[inline(always)]
    pub fn char(&self, letter: Letter) -> char {
        let unknown = || char::from_u32(letter - 1 - self.chars.len() as u32);
        self.chars.get(letter as usize - 1).copied().or_else(unknown).expect("the number of a character")
    }

    /// The text that letters spell.
    pub fn spell(&self, letters: &[Letter]) -> String {
        letters.iter().map(|&letter| self.char(letter)).collect()
    }
}

/// A text as letters.
#[derive(Default)]
pub struct Letters {
    /// The letters.
    pub letters: Vec<Letter>,
    /// Where each begins, in bytes, and where the last ends; empty if nobody asked.
    pub starts: Vec<u32>,
}

impl Letters {
    /// The letters of `text`, which begins at byte `base` of something; where they begin with `starts`.
    pub fn write(&mut self, alphabet: &Alphabet, text: &str, base: u32, starts: bool) {
        self.letters.clear();
        self.letters.extend(text.chars().map(|c| alphabet.letter(c)));
        self.starts.clear();
        if starts {
            self.starts.extend(text.char_indices().map(|(at, _)| base + at as u32));
            self.starts.push(base + text.len() as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_a_number_of_its_own() {
        let some = Alphabet::new(["low", "lowest", "▁中", "", "ol\u{10FFFF}\0"].into_iter());
        for alphabet in [&some, Alphabet::ANY] {
            for c in '\0'..=char::MAX {
                assert_eq!(alphabet.char(alphabet.letter(c)), c);
            }
        }
        assert_eq!((some.letter('l'), some.letter('o'), some.letter('w')), (1, 2, 3));
        assert_eq!(some.letter('x'), 11 + 'x' as u32);
    }
}
