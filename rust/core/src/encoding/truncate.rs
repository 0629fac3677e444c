//! Cutting encodings to a length; what is cut off stays reachable as overflow.

use std::ops::Range;

use super::Encoding;
use crate::error::{Error, Result};

/// A side of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The beginning.
    Left,
    /// The end.
    #[default]
    Right,
}

impl Direction {
    /// The name in the reference's Python API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// Which text of a pair gives way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruncationStrategy {
    /// The longer one, then both alike.
    #[default]
    LongestFirst,
    /// The first.
    OnlyFirst,
    /// The second.
    OnlySecond,
}

impl TruncationStrategy {
    /// The name in the reference's Python API.
    pub fn name(self) -> &'static str {
        match self {
            Self::LongestFirst => "longest_first",
            Self::OnlyFirst => "only_first",
            Self::OnlySecond => "only_second",
        }
    }
}

/// How long an encoding may be, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Tokens at most.
    pub max_length: usize,
    /// Which text of a pair gives way.
    pub strategy: TruncationStrategy,
    /// Tokens that a part that was cut off shares with its neighbour.
    pub stride: usize,
    /// The side on which tokens are cut off.
    pub direction: Direction,
}

impl Default for Truncation {
    fn default() -> Self {
        Self { max_length: 512, strategy: TruncationStrategy::default(), stride: 0, direction: Direction::default() }
    }
}

impl Truncation {
    /// The same when `added` special tokens need room. As in the reference, which subtracts in 64 bits without a look at
    /// the sign, a length that is too short for the special tokens alone does not cut at all.
    #[must_use]
    pub fn beside(&self, added: usize) -> Self {
        Self { max_length: self.max_length.wrapping_sub(added), ..self.clone() }
    }

    /// The lengths to which a text of `first` tokens, or a pair, is cut.
    ///
    /// # Errors
    /// [`Error::TruncationWithoutPair`] and [`Error::TruncationTooShort`].
    pub fn lengths(&self, first: usize, pair: Option<usize>) -> Result<(usize, usize)> {
        let (max_length, second) = (self.max_length, pair.unwrap_or(0));
        if max_length == 0 {
            return Ok((0, 0));
        }
        let Some(excess) = (first + second).checked_sub(max_length).filter(|&excess| excess > 0) else {
            return Ok((first, second));
        };
        let only = |length: usize| {
            length.checked_sub(excess).filter(|&left| left > 0).ok_or(Error::TruncationTooShort {
                strategy: self.strategy.name(),
                length,
                excess,
            })
        };
        match self.strategy {
            TruncationStrategy::LongestFirst if pair.is_none() => Ok((max_length, 0)),
            TruncationStrategy::LongestFirst => {
                let (mut short, long) = (first.min(second), first.max(second));
                let mut rest = if short > max_length { short } else { short.max(max_length - short) };
                if short + rest > max_length {
                    short = max_length / 2;
                    rest = short + max_length % 2;
                }
                debug_assert!(rest <= long);
                Ok(if first > second { (rest, short) } else { (short, rest) })
            }
            TruncationStrategy::OnlyFirst => Ok((only(first)?, second)),
            TruncationStrategy::OnlySecond if pair.is_none() => Err(Error::TruncationWithoutPair),
            TruncationStrategy::OnlySecond => Ok((first, only(second)?)),
        }
    }

    /// Whether [`Truncation::lengths`] would be the same if what is longer than `max_length` were longer still.
    ///
    /// Not so if that is an error, which names the lengths, nor if two such texts share an odd length, the longer one getting
    /// the token more.
    pub fn is_settled(&self, first: usize, pair: Option<usize>) -> bool {
        let both = first > self.max_length && pair.is_some_and(|second| second > self.max_length);
        let is_halved = both && self.strategy == TruncationStrategy::LongestFirst;
        self.lengths(first, pair).is_ok() && !(is_halved && self.max_length % 2 == 1)
    }

    /// Cuts a text or a pair.
    ///
    /// # Errors
    /// As [`Truncation::lengths`], and [`Error::TruncationStride`].
    pub fn truncate(&self, encoding: &mut Encoding, pair: Option<&mut Encoding>) -> Result<()> {
        let (first, second) = self.lengths(encoding.len(), pair.as_ref().map(|pair| pair.len()))?;
        encoding.truncate(first, self.stride, self.direction)?;
        match pair {
            Some(pair) => pair.truncate(second, self.stride, self.direction),
            None => Ok(()),
        }
    }
}

/// The parts of `len` tokens when at most `max_length` stay together: the one that is kept first, then those that are cut
/// off, each sharing `stride` tokens with the one before. Nothing is left for a length of 0, and all of it is cut off.
///
/// # Errors
/// [`Error::TruncationStride`] when the parts would not advance.
pub fn parts(len: usize, max_length: usize, stride: usize, direction: Direction) -> Result<Vec<Range<usize>>> {
    if max_length >= len {
        return Ok(std::iter::once(0..len).collect());
    }
    if max_length == 0 {
        return Ok(vec![0..0, 0..len]);
    }
    if stride >= max_length {
        return Err(Error::TruncationStride { stride, max_length });
    }
    let step = max_length - stride;
    let mut parts = Vec::with_capacity(len.div_ceil(step));
    // Counted from the side that is kept.
    let mut start = 0;
    loop {
        let end = (start + max_length).min(len);
        parts.push(match direction {
            Direction::Right => start..end,
            Direction::Left => len - end..len - start,
        });
        if end == len {
            return Ok(parts);
        }
        start += step;
    }
}

impl Encoding {
    /// Keeps at most `max_length` tokens; the rest goes to `overflowing` in parts of that length.
    ///
    /// # Errors
    /// [`Error::TruncationStride`] when `stride` is not less than `max_length`.
    pub fn truncate(&mut self, max_length: usize, stride: usize, direction: Direction) -> Result<()> {
        if max_length >= self.len() {
            return Ok(());
        }
        let whole = std::mem::take(self);
        if max_length == 0 {
            self.overflowing.push(whole);
            return Ok(());
        }
        let parts = parts(whole.len(), max_length, stride, direction);
        let parts = match parts {
            Ok(parts) => parts,
            Err(error) => {
                *self = whole;
                return Err(error);
            }
        };
        let mut parts = parts.into_iter().map(|range| whole.part(range));
        *self = parts.next().unwrap_or_default();
        self.overflowing = parts.collect();
        Ok(())
    }

    /// Some of the tokens; the sequences they belonged to and what was cut off before are forgotten, as in the reference.
    fn part(&self, range: Range<usize>) -> Self {
        let texts = self.token_texts.iter().filter(|(token, _)| range.contains(&(*token as usize)));
        Self {
            ids: self.ids[range.clone()].to_vec(),
            type_ids: self.type_ids[range.clone()].to_vec(),
            offsets: self.offsets[range.clone()].to_vec(),
            words: self.words[range.clone()].to_vec(),
            special_tokens_mask: self.special_tokens_mask[range.clone()].to_vec(),
            attention_mask: self.attention_mask[range.clone()].to_vec(),
            token_texts: texts.map(|(token, text)| (token - range.start as u32, text.clone())).collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "lists of ranges are meant")]
    fn parts_overlap_and_end_at_the_other_side() {
        use Direction::{Left, Right};
        for (len, max_length, stride, direction, expected) in [
            (5, 5, 0, Right, vec![0..5]),
            (5, 2, 0, Right, vec![0..2, 2..4, 4..5]),
            (5, 2, 1, Right, vec![0..2, 1..3, 2..4, 3..5]),
            (5, 3, 1, Right, vec![0..3, 2..5]),
            (5, 2, 0, Left, vec![3..5, 1..3, 0..1]),
            (5, 3, 1, Left, vec![2..5, 0..3]),
            (2, 0, 0, Right, vec![0..0, 0..2]),
            (0, 0, 0, Right, vec![0..0]),
        ] {
            assert_eq!(parts(len, max_length, stride, direction).unwrap(), expected, "{len} {max_length} {stride}");
        }
        assert!(matches!(parts(5, 2, 2, Right), Err(Error::TruncationStride { stride: 2, max_length: 2 })));
    }

    #[test]
    fn settled_lengths_stay() {
        use TruncationStrategy::{LongestFirst, OnlyFirst, OnlySecond};
        let (mut settled, mut unsettled) = (0, 0);
        for (strategy, max_length) in
            [LongestFirst, OnlyFirst, OnlySecond].into_iter().flat_map(|s| (0..8).map(move |m| (s, m)))
        {
            let truncation = Truncation { max_length, strategy, ..Truncation::default() };
            let longer = |len: usize| if len > max_length { len..len + 9 } else { len..len + 1 };
            for (first, second) in (0..20).flat_map(|first| (0..21).map(move |second| (first, second))) {
                let pair = (second < 20).then_some(second);
                if !truncation.is_settled(first, pair) {
                    unsettled += 1;
                    continue;
                }
                settled += 1;
                let expected = truncation.lengths(first, pair).unwrap();
                for first in longer(first) {
                    for second in longer(pair.unwrap_or(0)) {
                        let found = truncation.lengths(first, pair.map(|_| second)).unwrap();
                        assert_eq!(
                            (found.0.min(max_length), found.1.min(max_length)),
                            (expected.0.min(max_length), expected.1.min(max_length)),
                            "{strategy:?} {max_length} {first} {second}"
                        );
                    }
                }
            }
        }
        assert!(settled > 4000 && unsettled > 1000, "{settled} {unsettled}");
    }

    #[test]
    fn lengths_by_strategy() {
        use TruncationStrategy::{LongestFirst, OnlyFirst, OnlySecond};
        let cut = |strategy, max_length, first, pair| {
            Truncation { max_length, strategy, ..Truncation::default() }.lengths(first, pair).ok()
        };
        assert_eq!(cut(LongestFirst, 10, 20, None), Some((10, 0)));
        assert_eq!(cut(LongestFirst, 10, 3, Some(20)), Some((3, 7)));
        assert_eq!(cut(LongestFirst, 10, 20, Some(3)), Some((7, 3)));
        assert_eq!(cut(LongestFirst, 11, 20, Some(30)), Some((5, 6)));
        assert_eq!(cut(LongestFirst, 11, 30, Some(20)), Some((6, 5)));
        assert_eq!(cut(OnlyFirst, 10, 20, Some(3)), Some((7, 3)));
        assert_eq!(cut(OnlyFirst, 10, 3, Some(20)), None);
        assert_eq!(cut(OnlySecond, 10, 3, Some(20)), Some((3, 7)));
        assert_eq!(cut(OnlySecond, 10, 20, None), None);
        assert_eq!(cut(OnlySecond, 30, 20, None), Some((20, 0)));
    }
}
