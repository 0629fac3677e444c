//! Filling encodings up to a length.

use super::{Direction, Encoding, NO_WORD};
use crate::ids::TokenId;

/// How far encodings are filled up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingStrategy {
    /// To the longest of the batch.
    #[default]
    BatchLongest,
    /// To a length.
    Fixed(usize),
}

/// What encodings are filled up with, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padding {
    /// How far.
    pub strategy: PaddingStrategy,
    /// The side that is filled.
    pub direction: Direction,
    /// The length is raised to a multiple of this; 0 is as good as none.
    pub pad_to_multiple_of: Option<usize>,
    /// Id of the filling.
    pub pad_id: TokenId,
    /// Type id of the filling.
    pub pad_type_id: u32,
    /// Text of the filling.
    pub pad_token: String,
}

impl Default for Padding {
    fn default() -> Self {
        Self {
            strategy: PaddingStrategy::default(),
            direction: Direction::default(),
            pad_to_multiple_of: None,
            pad_id: 0,
            pad_type_id: 0,
            pad_token: "[PAD]".to_owned(),
        }
    }
}

impl Padding {
    /// The length of a batch whose longest encoding has `longest` tokens.
    pub fn length(&self, longest: usize) -> usize {
        let length = match self.strategy {
            PaddingStrategy::BatchLongest => longest,
            PaddingStrategy::Fixed(length) => length,
        };
        match self.pad_to_multiple_of {
            Some(multiple) if multiple > 0 => length.next_multiple_of(multiple),
            _ => length,
        }
    }

    /// Fills up a batch. `token` gives the vocabulary's string of an id.
    pub fn pad<'v>(&self, encodings: &mut [Encoding], token: &dyn Fn(TokenId) -> Option<&'v str>) {
        let length = self.length(encodings.iter().map(Encoding::len).max().unwrap_or(0));
        let text = (token(self.pad_id) != Some(&self.pad_token)).then_some(self.pad_token.as_str());
        for encoding in encodings {
            encoding.pad(length, self.pad_id, self.pad_type_id, text, self.direction);
        }
    }
}

impl Encoding {
    /// Fills up to `length` tokens, also the parts that were cut off. `text` is the filling's, where it is not the
    /// vocabulary's string for `pad_id`.
    pub fn pad(&mut self, length: usize, pad_id: TokenId, pad_type_id: u32, text: Option<&str>, direction: Direction) {
        for part in &mut self.overflowing {
            part.pad(length, pad_id, pad_type_id, text, direction);
        }
        let Some(count) = length.checked_sub(self.len()).filter(|&count| count > 0) else { return };
        let len = self.len();
        let texts = |first: usize| {
            text.into_iter().flat_map(move |text| (first..first + count).map(move |at| (at as u32, text.into())))
        };
        let at = match direction {
            Direction::Right => {
                self.token_texts.extend(texts(len));
                len
            }
            Direction::Left => {
                for (token, _) in &mut self.token_texts {
                    *token += count as u32;
                }
                self.token_texts.splice(..0, texts(0));
                for (_, range) in &mut self.sequence_ranges {
                    *range = range.start + count..range.end + count;
                }
                0
            }
        };
        fill(&mut self.ids, at, count, pad_id);
        fill(&mut self.type_ids, at, count, pad_type_id);
        fill(&mut self.offsets, at, count, (0, 0));
        fill(&mut self.words, at, count, NO_WORD);
        fill(&mut self.special_tokens_mask, at, count, 1);
        fill(&mut self.attention_mask, at, count, 0);
    }
}

fn fill<T: Clone>(values: &mut Vec<T>, at: usize, count: usize, value: T) {
    values.splice(at..at, std::iter::repeat_n(value, count));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let length =
            |strategy, multiple| Padding { strategy, pad_to_multiple_of: multiple, ..Padding::default() }.length(13);
        assert_eq!(length(PaddingStrategy::BatchLongest, None), 13);
        assert_eq!(length(PaddingStrategy::BatchLongest, Some(8)), 16);
        assert_eq!(length(PaddingStrategy::BatchLongest, Some(0)), 13);
        assert_eq!(length(PaddingStrategy::Fixed(8), Some(8)), 8);
        assert_eq!(length(PaddingStrategy::Fixed(9), Some(8)), 16);
    }

    #[test]
    fn left_padding_moves_ranges_and_texts() {
        let mut encoding = Encoding {
            ids: vec![5],
            type_ids: vec![0],
            offsets: vec![(0, 1)],
            words: vec![0],
            special_tokens_mask: vec![0],
            attention_mask: vec![1],
            sequence_ranges: vec![(0, 0..1)],
            token_texts: vec![(0, "a".into())],
            overflowing: Vec::new(),
        };
        encoding.pad(3, 9, 2, Some("-"), Direction::Left);
        assert_eq!((&*encoding.ids, &*encoding.type_ids), (&[9, 9, 5][..], &[2, 2, 0][..]));
        assert_eq!(encoding.sequence_ranges, [(0, 2..3)]);
        assert_eq!([0, 1, 2].map(|token| encoding.token_text(token)), [Some("-"), Some("-"), Some("a")]);
        encoding.pad(2, 9, 2, None, Direction::Right);
        assert_eq!(encoding.len(), 3);
    }
}
