//! What encoding a text gives: ids, and everything else that the caller may ask about them.

mod pad;
pub mod tokens;
mod truncate;

use std::ops::Range;

use crate::ids::TokenId;

pub use pad::{Padding, PaddingStrategy};
pub use tokens::{IDS, SPANS, Tokens, WORDS};
pub use truncate::{Direction, Truncation, TruncationStrategy, parts};

/// In [`Encoding::words`]: the token belongs to no word (special tokens).
pub const NO_WORD: u32 = u32::MAX;

/// One encoded input, single or pair, field by field as the reference's `Encoding`.
///
/// The vectors all have one element per token. Token strings are not stored: they follow from the ids, except for those
/// in `token_texts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<TokenId>,
    /// Which of the sequences of the input the model should take the token for.
    pub type_ids: Vec<u32>,
    /// Where the token lies in its input text, in characters.
    pub offsets: Vec<(u32, u32)>,
    /// Number of the word that the token is part of, or [`NO_WORD`].
    pub words: Vec<u32>,
    /// 1 for tokens that the post-processor added.
    pub special_tokens_mask: Vec<u8>,
    /// 0 for padding.
    pub attention_mask: Vec<u8>,
    /// Tokens that each sequence of the input covers, in the order in which they were set. Empty: one sequence, all tokens.
    pub sequence_ranges: Vec<(usize, Range<usize>)>,
    /// Texts of tokens whose text is not the vocabulary's string for the id, by position, in rising order: matched added
    /// tokens that took blanks along, and special tokens that the post-processor names otherwise.
    pub token_texts: Vec<(u32, Box<str>)>,
    /// What truncation cut off.
    pub overflowing: Vec<Encoding>,
}

impl Encoding {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The text of a token where it differs from the vocabulary's string for its id.
    pub fn token_text(&self, token: usize) -> Option<&str> {
        let position = self.token_texts.binary_search_by_key(&token, |(index, _)| *index as usize).ok()?;
        Some(&self.token_texts[position].1)
    }

    /// Stores the text of every token with the encoding, also in the parts that were cut off, so that no vocabulary is
    /// needed any more. `token` gives the vocabulary's string of an id.
    pub fn own_texts<'v>(&mut self, token: &dyn Fn(TokenId) -> Option<&'v str>) {
        let text = |(at, &id): (usize, &TokenId)| {
            (at as u32, self.token_text(at).or_else(|| token(id)).unwrap_or_default().into())
        };
        self.token_texts = self.ids.iter().enumerate().map(text).collect();
        self.overflowing.iter_mut().for_each(|part| part.own_texts(token));
    }

    /// Number of input sequences put together here.
    pub fn n_sequences(&self) -> usize {
        self.sequence_ranges.len().max(1)
    }

    /// Declares that all tokens belong to the sequence `sequence_id`.
    pub fn set_sequence_id(&mut self, sequence_id: usize) {
        self.set_sequence_range(sequence_id, 0..self.len());
    }

    fn set_sequence_range(&mut self, sequence_id: usize, range: Range<usize>) {
        match self.sequence_ranges.iter_mut().find(|(id, _)| *id == sequence_id) {
            Some(entry) => entry.1 = range,
            None => self.sequence_ranges.push((sequence_id, range)),
        }
    }

    /// Tokens of a sequence; all tokens for a sequence that is not known, as in the reference.
    pub fn sequence_range(&self, sequence_id: usize) -> Range<usize> {
        let found = self.sequence_ranges.iter().find(|(id, _)| *id == sequence_id);
        found.map_or(0..self.len(), |(_, range)| range.clone())
    }

    /// For every token the sequence it belongs to; none for special tokens.
    pub fn sequence_ids(&self) -> Vec<Option<usize>> {
        let mut ids = vec![None; self.len()];
        for sequence_id in 0..self.n_sequences() {
            for id in &mut ids[self.sequence_range(sequence_id)] {
                *id = Some(sequence_id);
            }
        }
        ids
    }

    /// The sequence that holds a token. As in the reference, the position one past the last token is in the only
    /// sequence when no ranges are set.
    pub fn token_to_sequence(&self, token: usize) -> Option<usize> {
        if token > self.len() {
            None
        } else if self.sequence_ranges.is_empty() {
            Some(0)
        } else {
            self.sequence_ranges.iter().find(|(_, range)| range.contains(&token)).map(|(id, _)| *id)
        }
    }

    /// The tokens of a word: first, and one past the last.
    pub fn word_to_tokens(&self, word: u32, sequence_id: usize) -> Option<(usize, usize)> {
        let range = self.sequence_range(sequence_id);
        let words = self.words.get(range.clone())?;
        // Words rise along a sequence, so the reference stops at the first one beyond; what follows is never looked at.
        let end = words.iter().position(|&other| other != NO_WORD && other > word).unwrap_or(words.len());
        let of_word = |&other: &u32| other == word && word != NO_WORD;
        let first = words[..end].iter().position(of_word)?;
        let last = words[..end].iter().rposition(of_word)?;
        Some((range.start + first, range.start + last + 1))
    }

    /// The characters of a word.
    pub fn word_to_chars(&self, word: u32, sequence_id: usize) -> Option<(u32, u32)> {
        let (first, end) = self.word_to_tokens(word, sequence_id)?;
        Some((self.offsets[first].0, self.offsets[end - 1].1))
    }

    /// The sequence and the characters of a token.
    pub fn token_to_chars(&self, token: usize) -> Option<(usize, (u32, u32))> {
        Some((self.token_to_sequence(token)?, *self.offsets.get(token)?))
    }

    /// The sequence and the word of a token.
    pub fn token_to_word(&self, token: usize) -> Option<(usize, u32)> {
        let sequence = self.token_to_sequence(token)?;
        self.words.get(token).copied().filter(|&word| word != NO_WORD).map(|word| (sequence, word))
    }

    /// The first token that covers a character.
    pub fn char_to_token(&self, position: usize, sequence_id: usize) -> Option<usize> {
        let range = self.sequence_range(sequence_id);
        let position = u32::try_from(position).ok()?;
        let covers = |&(start, end): &(u32, u32)| start <= position && position < end;
        self.offsets.get(range.clone())?.iter().position(covers).map(|index| range.start + index)
    }

    /// The word of the first token that covers a character.
    pub fn char_to_word(&self, position: usize, sequence_id: usize) -> Option<u32> {
        let token = self.char_to_token(position, sequence_id)?;
        self.token_to_word(token).map(|(_, word)| word)
    }

    /// Appends another encoding. With `growing_offsets` its offsets continue where these end.
    pub fn merge_with(&mut self, pair: Encoding, growing_offsets: bool) {
        // Every combination of a part that was cut off with the other side, in the reference's order.
        let mut overflowing = Vec::new();
        for own in &self.overflowing {
            overflowing.push(own.merged(&pair, growing_offsets));
            overflowing.extend(pair.overflowing.iter().map(|other| own.merged(other, growing_offsets)));
        }
        overflowing.extend(pair.overflowing.iter().map(|other| self.merged(other, growing_offsets)));

        let len = self.len();
        for (id, range) in pair.sequence_ranges {
            self.set_sequence_range(id, len + range.start..len + range.end);
        }
        let texts = pair.token_texts.into_iter();
        self.token_texts.extend(texts.map(|(token, text)| (token + len as u32, text)));
        let shift = if growing_offsets { self.offsets.last().map_or(0, |last| last.1) } else { 0 };
        self.offsets.extend(pair.offsets.iter().map(|&(start, end)| (start + shift, end + shift)));
        self.ids.extend_from_slice(&pair.ids);
        self.type_ids.extend_from_slice(&pair.type_ids);
        self.words.extend_from_slice(&pair.words);
        self.special_tokens_mask.extend_from_slice(&pair.special_tokens_mask);
        self.attention_mask.extend_from_slice(&pair.attention_mask);
        self.overflowing = overflowing;
    }

    fn merged(&self, other: &Encoding, growing_offsets: bool) -> Encoding {
        let mut result = self.clone();
        result.merge_with(other.clone(), growing_offsets);
        result
    }

    /// Puts encodings together in order.
    pub fn merge(encodings: impl IntoIterator<Item = Encoding>, growing_offsets: bool) -> Encoding {
        let mut encodings = encodings.into_iter();
        let mut result = encodings.next().unwrap_or_default();
        for encoding in encodings {
            result.merge_with(encoding, growing_offsets);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[CLS] one-token two-token-word [SEP] other [SEP]`, as a pair template gives it.
    fn pair() -> Encoding {
        Encoding {
            ids: vec![1, 10, 11, 12, 2, 13, 2],
            type_ids: vec![0, 0, 0, 0, 0, 1, 1],
            offsets: vec![(0, 0), (0, 3), (4, 6), (6, 8), (0, 0), (0, 5), (0, 0)],
            words: vec![NO_WORD, 0, 1, 1, NO_WORD, 0, NO_WORD],
            special_tokens_mask: vec![1, 0, 0, 0, 1, 0, 1],
            attention_mask: vec![1; 7],
            sequence_ranges: vec![(0, 1..4), (1, 5..6)],
            ..Encoding::default()
        }
    }

    #[test]
    fn maps_between_characters_words_and_tokens() {
        let encoding = pair();
        assert_eq!(encoding.n_sequences(), 2);
        assert_eq!(encoding.sequence_ids(), [None, Some(0), Some(0), Some(0), None, Some(1), None]);
        assert_eq!(encoding.token_to_sequence(0), None);
        assert_eq!(encoding.token_to_sequence(5), Some(1));
        assert_eq!(encoding.word_to_tokens(1, 0), Some((2, 4)));
        assert_eq!(encoding.word_to_tokens(0, 1), Some((5, 6)));
        assert_eq!(encoding.word_to_tokens(2, 0), None);
        assert_eq!(encoding.word_to_tokens(NO_WORD, 7), None);
        assert_eq!(encoding.word_to_chars(1, 0), Some((4, 8)));
        assert_eq!(encoding.token_to_chars(3), Some((0, (6, 8))));
        assert_eq!(encoding.token_to_chars(0), None);
        assert_eq!(encoding.token_to_word(3), Some((0, 1)));
        assert_eq!(encoding.token_to_word(4), None);
        assert_eq!(encoding.char_to_token(3, 0), None);
        assert_eq!(encoding.char_to_token(7, 0), Some(3));
        assert_eq!(encoding.char_to_token(4, 1), Some(5));
        assert_eq!(encoding.char_to_word(7, 0), Some(1));
        // A sequence that does not exist stands for all tokens.
        assert_eq!(encoding.char_to_token(0, 9), Some(1));
    }

    #[test]
    fn without_ranges_there_is_one_sequence() {
        let encoding = Encoding { sequence_ranges: Vec::new(), ..pair() };
        assert_eq!(encoding.n_sequences(), 1);
        assert_eq!(encoding.sequence_ids(), [Some(0); 7]);
        assert_eq!(encoding.token_to_sequence(7), Some(0));
        assert_eq!(encoding.token_to_sequence(8), None);
        assert_eq!(encoding.token_to_chars(7), None);
    }

    #[test]
    fn merging_shifts_what_is_counted_in_tokens() {
        let mut left = pair();
        left.token_texts = vec![(1, " x".into())];
        let mut right = pair();
        right.token_texts = vec![(0, "y".into())];
        right.sequence_ranges = vec![(1, 0..7)];
        left.merge_with(right, true);
        assert_eq!((left.token_text(1), left.token_text(7), left.token_text(0)), (Some(" x"), Some("y"), None));
        assert_eq!(left.sequence_ranges, [(0, 1..4), (1, 7..14)]);
        assert_eq!(left.offsets[7..10], [(0, 0), (0, 3), (4, 6)]);
        left.merge_with(Encoding { offsets: vec![(1, 2)], ..Encoding::default() }, true);
        assert_eq!(left.offsets[14], (1, 2));
    }

    #[test]
    fn merging_combines_what_was_cut_off() {
        let part =
            |id: TokenId, overflowing: Vec<Encoding>| Encoding { ids: vec![id], overflowing, ..Encoding::default() };
        let mut left = part(1, vec![part(2, vec![])]);
        left.merge_with(part(3, vec![part(4, vec![])]), false);
        assert_eq!(left.ids, [1, 3]);
        // Both parts cut off, then each beside the other's head, in the reference's order.
        assert_eq!(
            left.overflowing.iter().map(|other| other.ids.clone()).collect::<Vec<_>>(),
            [[2, 3], [2, 4], [1, 4]]
        );
    }
}
