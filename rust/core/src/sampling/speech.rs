//! The steps of single speech and audio models: Whisper's timestamps, Bark's codebooks and end, Dia's channels.

use super::{candidates::Candidates, edits::index_of, error::Result};

/// Error of torch's log-probabilities and of their sum, and that relative to their size.
const ERROR: f64 = 2e-5;
const RELATIVE_ERROR: f64 = 1e-6;

/// Which tokens Whisper's pairs of timestamps allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timestamps {
    /// Length of the prompt.
    pub begin: usize,
    /// The first timestamp; the others are behind it.
    pub first: usize,
    /// The token that says that there are none.
    pub none: i64,
    /// The end token, behind all text.
    pub eos: usize,
    /// The last timestamp that may come first, counted from the first one.
    pub max_initial: Option<usize>,
    /// Whether a timestamp is forced where all of them together are likelier than any text token.
    pub detect: bool,
}

impl Timestamps {
    /// Removes the tokens that must not come next.
    ///
    /// # Errors
    /// [`super::Error::TokenId`] if the vocabulary lacks the token that says that there are no timestamps.
    pub fn apply(self, row: &mut Candidates<'_>, ids: &[i64]) -> Result<()> {
        let values = row.edit();
        let size = values.len();
        let none = index_of(size, self.none, "the token without timestamps")?;
        let mut remove =
            |from: usize, to: usize| values[from.min(size)..to.min(size).max(from.min(size))].fill(f32::NEG_INFINITY);
        remove(none, none + 1);
        let first = self.first;
        let so_far = &ids[self.begin.min(ids.len())..];
        let is_timestamp = |&id: &i64| usize::try_from(id).is_ok_and(|id| id >= first);
        let ends_in_one = so_far.last().is_some_and(is_timestamp);
        let ends_in_two = so_far.len() < 2 || is_timestamp(&so_far[so_far.len() - 2]);
        match (ends_in_one, ends_in_two) {
            (true, true) => remove(first, size),
            (true, false) => remove(0, self.eos),
            _ => {}
        }
        if let Some(&last) = so_far.iter().rfind(|id| is_timestamp(id)) {
            // The one that closes a pair may be the same again.
            let least = last as usize + usize::from(!ends_in_one || ends_in_two);
            remove(first, least);
        }
        if ids.len() == self.begin {
            remove(0, first);
            if let Some(max) = self.max_initial {
                remove(first + max + 1, size);
            }
        }
        if self.detect && row.check().is_ok() {
            self.force(row);
        }
        Ok(())
    }

    /// Removes text where all timestamps together are likelier than any of it.
    fn force(self, row: &mut Candidates<'_>) {
        let max = f64::from(row.max());
        let values = row.edit();
        let (text, timestamps) = values.split_at_mut(self.first.min(values.len()));
        let best = text.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let of = |x: f32| (f64::from(x) - max).exp();
        let sum: f64 = timestamps.iter().map(|&x| of(x)).sum();
        // Of two that nothing is left of neither is larger.
        let ahead = if sum > 0.0 { sum.ln() - (f64::from(best) - max) } else { f64::NEG_INFINITY };
        if ahead > 0.0 {
            text.fill(f32::NEG_INFINITY);
        }
        let total = sum + text.iter().map(|&x| of(x)).sum::<f64>();
        let size = (f64::from(best) - max).abs().min(f64::MAX) + total.ln().abs();
        row.uncertain |= ahead.abs() <= ERROR + RELATIVE_ERROR * size;
    }
}

/// Keeps the tokens of one of Bark's two codebooks, which take turns from the length `start` on.
pub fn one_codebook(row: &mut Candidates<'_>, length: usize, start: usize, semantic: usize, codebook: usize) {
    let values = row.edit();
    let size = values.len();
    let (first, second) = (semantic.min(size), (semantic + codebook).min(size));
    if length.abs_diff(start).is_multiple_of(2) {
        values[..first].fill(f32::NEG_INFINITY);
        values[second..].fill(f32::NEG_INFINITY);
    } else {
        values[..second].fill(f32::NEG_INFINITY);
    }
}

/// Keeps nothing but these tokens once one of them is likelier than `least`.
///
/// # Errors
/// [`super::Error::TokenId`] for one that the vocabulary lacks.
pub fn end_above(row: &mut Candidates<'_>, ids: &[i64], least: f32) -> Result<()> {
    let size = row.vocabulary();
    let ids: Vec<usize> = ids.iter().map(|&id| index_of(size, id, "the end token")).collect::<Result<_>>()?;
    row.edit();
    if row.check().is_err() {
        return Ok(());
    }
    let factor = 1.0 / row.terms().torch;
    if ids.iter().any(|&id| row.scratch.terms[id] * factor > least) {
        let values = row.edit();
        let kept: Vec<(usize, f32)> = ids.iter().map(|&id| (id, values[id])).collect();
        values.fill(f32::NEG_INFINITY);
        for (id, value) in kept {
            values[id] = value;
        }
    }
    Ok(())
}

/// The end is the first channel's: there it is the only token if it is the largest, and none otherwise. Tokens behind it are
/// none of any channel.
///
/// # Errors
/// [`super::Error::TokenId`] if the vocabulary lacks the end token.
pub fn end_of_channel(row: &mut Candidates<'_>, channel: usize, eos: usize) -> Result<()> {
    let eos = index_of(row.vocabulary(), i64::try_from(eos).unwrap_or(i64::MAX), "the end token")?;
    let values = row.edit();
    values[eos + usize::from(channel == 0)..].fill(f32::NEG_INFINITY);
    // As torch sees it, NaN is larger than any number.
    let mut top = 0;
    for (at, &value) in values.iter().enumerate() {
        if !values[top].is_nan() && (value > values[top] || value.is_nan()) {
            top = at;
        }
    }
    if top == eos {
        values[..eos].fill(f32::NEG_INFINITY);
    } else {
        values[eos] = f32::NEG_INFINITY;
    }
    Ok(())
}
