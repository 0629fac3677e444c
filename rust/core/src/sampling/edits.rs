//! Edits: steps that change the values of a few tokens, before any filter.

use std::collections::BTreeMap;

use crate::kernels::{Isa, floats::Rule};

use super::{
    candidates::{Candidates, Patch},
    error::{Error, Result},
    guidance::{self, Mix},
    seen::Seen,
    speech::{self, Timestamps},
    watermarks::{GreenList, Mark, SynthId},
};

/// What an edit knows of its row.
#[derive(Clone, Copy, Debug, Default)]
pub struct History<'a> {
    /// The tokens so far, prompt included.
    pub ids: &'a [i64],
    /// Tokens at the start that are padding.
    pub padding: usize,
    /// Tokens at the start that belong to the prompt.
    pub prompt: usize,
    /// The encoder's tokens.
    pub encoder_ids: &'a [i64],
    /// One bit for each token, 32 to a word, the first in the lowest bit: tokens that a grammar allows.
    pub allowed: Option<&'a [i32]>,
    /// The same, for a prefix constraint.
    pub prefix_allowed: Option<&'a [i32]>,
    /// Index of the row in its batch.
    pub row: usize,
    /// The scores of a second pass of the model.
    pub guide: Option<&'a [f32]>,
    /// What a watermark's tournament knows; none where it has nothing to do.
    pub mark: Option<Mark>,
    /// Whether nothing but one token is left.
    pub is_forced: bool,
}

/// A bias on the last token of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Bias {
    /// The tokens before it.
    pub prefix: Vec<i64>,
    /// The token.
    pub last: u32,
    /// What is added.
    pub bias: f32,
}

/// One edit with its options, in the form of its transformers processor.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds biases; in transformers' order, sequences of one token first.
    SequenceBias(Vec<Bias>),
    /// Divides positive values of tokens seen, and multiplies negative ones.
    RepetitionPenalty(f32),
    /// The same for the encoder's tokens.
    EncoderRepetitionPenalty(f32),
    /// Subtracts for each occurrence, and once for any, among the tokens behind the prompt.
    CountPenalty {
        /// For each occurrence.
        frequency: f32,
        /// Once.
        presence: f32,
    },
    /// Bans tokens that would repeat an n-gram.
    NoRepeatNgram(usize),
    /// Bans tokens that would repeat an n-gram of the encoder's tokens.
    EncoderNoRepeatNgram(usize),
    /// Bans tokens while the row is shorter than this.
    MinLength {
        /// The length.
        length: usize,
        /// The end tokens.
        ids: Vec<i64>,
    },
    /// Nothing but these tokens, when the row has this length.
    Forced {
        /// The length.
        at: usize,
        /// The tokens.
        ids: Vec<i64>,
    },
    /// NaN becomes 0, infinities the largest and smallest finite values.
    RemoveInvalid,
    /// Raises the end tokens once the row is longer than `start`.
    ExponentialDecay {
        /// The length.
        start: usize,
        /// The factor of each token beyond it.
        factor: f64,
        /// The end tokens.
        ids: Vec<i64>,
    },
    /// Bans tokens, always or at one length.
    Suppress {
        /// The only length at which it acts.
        at: Option<usize>,
        /// The tokens.
        ids: Vec<i64>,
    },
    /// Bans what the row's grammar mask does not allow.
    Allowed,
    /// Adds negative infinity to what the prefix constraint does not allow; frees what it allows if nothing is left.
    PrefixAllowed,
    /// Mixes the scores with those of a second pass.
    Guided(Mix, f32),
    /// Raises the tokens of a list that tokens before it seed.
    GreenList(GreenList),
    /// Marks probabilities by a tournament.
    SynthId(SynthId),
    /// Whisper's pairs of timestamps.
    Timestamps(Timestamps),
    /// Bark's codebooks, in turns.
    Codebooks {
        /// Length at which the first one begins.
        start: usize,
        /// Tokens before the codebooks.
        semantic: usize,
        /// Tokens of the first.
        codebook: usize,
    },
    /// Nothing but the end tokens once one of them is likely.
    EndAbove {
        /// The end tokens.
        ids: Vec<i64>,
        /// What one of them has to exceed.
        least: f32,
    },
    /// The end in the first of some channels only, and there alone or not at all.
    EndOfChannel {
        /// Rows that belong together, one for each channel.
        channels: usize,
        /// The end token.
        eos: usize,
    },
    /// Nothing but a token in rows that are forced.
    ForcedRow(i64),
}

/// Buffers of edits, clean between uses.
#[derive(Debug, Default)]
pub struct EditScratch {
    touched: Vec<u32>,
    sums: Vec<f32>,
    permutation: Vec<u32>,
}

/// The tokens that the penalties of a row look at, each counted once for the steps of a loop: those behind the padding, those
/// behind the prompt, and the encoder's.
#[derive(Debug, Default)]
pub struct Contexts {
    seen: [Seen; 3],
    /// Those that this step has counted.
    are_counted: [bool; 3],
}

impl Contexts {
    /// One of them.
    pub(super) fn of(&self, context: usize) -> &Seen {
        &self.seen[context]
    }

    /// Begins a step, before its edits count tokens.
    pub(super) fn begin(&mut self) {
        self.are_counted = [false; 3];
    }

    /// Counts the tokens of a context, once for all penalties of a step; gives the first one beyond the vocabulary.
    fn update(&mut self, context: usize, isa: Isa, ids: &[i64], vocabulary: usize) -> Result<Option<i64>, i64> {
        let seen = &mut self.seen[context];
        if !std::mem::replace(&mut self.are_counted[context], true) {
            seen.update(isa, ids, vocabulary)?;
        }
        Ok(seen.beyond())
    }
}

impl Edit {
    /// Whether the edit does nothing for this row, so that the logits need no copy.
    pub fn is_idle(&self, history: &History<'_>) -> bool {
        let length = history.ids.len();
        match self {
            Self::SequenceBias(_)
            | Self::RemoveInvalid
            | Self::Guided(..)
            | Self::Timestamps(_)
            | Self::Codebooks { .. }
            | Self::EndAbove { .. }
            | Self::EndOfChannel { .. } => false,
            Self::RepetitionPenalty(_) => length <= history.padding,
            Self::EncoderRepetitionPenalty(_) | Self::EncoderNoRepeatNgram(_) => history.encoder_ids.is_empty(),
            Self::CountPenalty { .. } => length <= history.prompt,
            Self::NoRepeatNgram(n) => length < *n,
            Self::MinLength { length: min, .. } => length >= *min,
            Self::Forced { at, .. } => length != *at,
            Self::ExponentialDecay { start, .. } => length <= *start,
            Self::Suppress { at, .. } => at.is_some_and(|at| at != length),
            Self::Allowed => history.allowed.is_none(),
            Self::PrefixAllowed => history.prefix_allowed.is_none(),
            Self::GreenList(list) => length < list.width,
            Self::SynthId(_) => history.mark.is_none(),
            Self::ForcedRow(_) => !history.is_forced,
        }
    }

    /// Whether the edit counts the tokens of a context.
    pub fn counts_tokens(&self) -> bool {
        matches!(self, Self::RepetitionPenalty(_) | Self::EncoderRepetitionPenalty(_) | Self::CountPenalty { .. })
    }

    /// The place of a penalty's tokens among the contexts, the tokens, and what becomes of their values.
    pub(super) fn penalty<'h>(&self, history: &History<'h>) -> Option<(usize, &'h [i64], Rule)> {
        let &History { ids, padding, prompt, encoder_ids, .. } = history;
        match self {
            _ if self.is_idle(history) => None,
            Self::RepetitionPenalty(penalty) => Some((0, &ids[padding..], Rule::Scaled(*penalty))),
            Self::CountPenalty { frequency, presence } => {
                Some((usize::from(prompt != padding), &ids[prompt..], Rule::Lowered(*frequency, *presence)))
            }
            Self::EncoderRepetitionPenalty(penalty) => Some((2, encoder_ids, Rule::Scaled(*penalty))),
            _ => None,
        }
    }

    /// Counts the tokens that a penalty looks at.
    ///
    /// # Errors
    /// [`Error::TokenId`] for an id that transformers would refuse too.
    pub fn count(&self, history: &History<'_>, isa: Isa, vocabulary: usize, contexts: &mut Contexts) -> Result<()> {
        let Some((context, ids, _)) = self.penalty(history) else { return Ok(()) };
        let what = if context == 2 { "the encoder's token" } else { "the history's token" };
        let refused = |id| Error::TokenId { what, id, vocabulary };
        match contexts.update(context, isa, ids, vocabulary).map_err(refused)? {
            // transformers' repetition penalty gathers such ids from a column of their own.
            Some(id) if !matches!(self, Self::RepetitionPenalty(_)) => Err(refused(id)),
            _ => Ok(()),
        }
    }

    /// Changes the values of a row, unless the edit is a penalty: those are applied together ([`super::Plan::filter`]).
    ///
    /// # Errors
    /// [`Error::TokenId`] for an id that transformers would refuse too, [`Error::Length`] for a short mask.
    pub fn apply(&self, row: &mut Candidates<'_>, history: &History<'_>, scratch: &mut EditScratch) -> Result<()> {
        if self.is_idle(history) {
            return Ok(());
        }
        match self {
            Self::SequenceBias(biases) => return add_biases(biases, &mut row.patch(), history.ids, scratch),
            // Penalties look at contexts, not at the history.
            Self::RepetitionPenalty(_) | Self::EncoderRepetitionPenalty(_) | Self::CountPenalty { .. } => {}
            Self::NoRepeatNgram(n) => ban_ngrams(&mut row.patch(), history.ids, history.ids, *n)?,
            Self::EncoderNoRepeatNgram(n) => {
                if history.ids.len() + 1 >= *n {
                    ban_ngrams(&mut row.patch(), history.encoder_ids, history.ids, *n)?;
                }
            }
            Self::MinLength { ids, .. } | Self::Suppress { ids, .. } => {
                let mut values = row.patch();
                for &id in ids {
                    if let Some(id) = in_vocabulary(values.len(), id) {
                        values.set(id, f32::NEG_INFINITY);
                    }
                }
            }
            Self::Forced { ids, .. } => force(row.edit(), ids)?,
            Self::ForcedRow(id) => force(row.edit(), &[*id])?,
            Self::Guided(mix, scale) => guidance::apply(row, *mix, *scale, history.guide)?,
            Self::GreenList(list) => list.apply(row, history.ids, &mut scratch.permutation)?,
            Self::SynthId(tournament) => tournament.apply(row, history),
            Self::Timestamps(timestamps) => timestamps.apply(row, history.ids)?,
            Self::Codebooks { start, semantic, codebook } => {
                speech::one_codebook(row, history.ids.len(), *start, *semantic, *codebook);
            }
            Self::EndAbove { ids, least } => speech::end_above(row, ids, *least)?,
            Self::EndOfChannel { channels, eos } => speech::end_of_channel(row, history.row % channels, *eos)?,
            Self::RemoveInvalid => row.edit().iter_mut().for_each(|value| {
                *value = if value.is_nan() { 0.0 } else { value.clamp(f32::MIN, f32::MAX) };
            }),
            Self::ExponentialDecay { start, factor, ids } => {
                let grown = (factor.powf((history.ids.len() - start) as f64) - 1.0) as f32;
                let mut values = row.patch();
                let before: Vec<(usize, f32)> = ids
                    .iter()
                    .map(|&id| {
                        index_of(values.len(), id, "the end token").map(|id| (id, values.get(id).unwrap_or(0.0)))
                    })
                    .collect::<Result<_>>()?;
                for (id, x) in before {
                    values.set(id, x + if x.is_finite() { x.abs() * grown } else { 0.0 });
                }
            }
            Self::Allowed => {
                let mask = mask_of(history.allowed, row.vocabulary(), "the allowed-token mask")?;
                mask_out(row.edit(), mask, |value| *value = f32::NEG_INFINITY);
            }
            Self::PrefixAllowed => {
                let mask = mask_of(history.prefix_allowed, row.vocabulary(), "the prefix mask")?;
                let values = row.edit();
                mask_out(values, mask, |value| *value += f32::NEG_INFINITY);
                if values.iter().all(|&value| value == f32::NEG_INFINITY) {
                    values.fill(0.0);
                    mask_out(values, mask, |value| *value = f32::NEG_INFINITY);
                }
            }
        }
        Ok(())
    }
}

/// The index of an id.
///
/// # Errors
/// [`Error::TokenId`] for one that the vocabulary lacks.
pub(super) fn index_of(vocabulary: usize, id: i64, what: &'static str) -> Result<usize> {
    // Python's indices count from the end as well.
    let index = if id < 0 { id + vocabulary as i64 } else { id };
    in_vocabulary(vocabulary, index).ok_or(Error::TokenId { what, id, vocabulary })
}

/// The index of an id that the vocabulary has.
fn in_vocabulary(vocabulary: usize, id: i64) -> Option<usize> {
    usize::try_from(id).ok().filter(|&id| id < vocabulary)
}

/// Leaves nothing but these tokens.
fn force(values: &mut [f32], ids: &[i64]) -> Result<()> {
    values.fill(f32::NEG_INFINITY);
    for &id in ids {
        values[index_of(values.len(), id, "the forced token")?] = 0.0;
    }
    Ok(())
}

/// Bans the token behind each place in `from` where the last `n - 1` tokens of `ids` stand.
fn ban_ngrams(values: &mut Patch<'_, '_>, from: &[i64], ids: &[i64], n: usize) -> Result<()> {
    let suffix = &ids[ids.len() + 1 - n..];
    let vocabulary = values.len();
    for window in from.windows(n) {
        let (start, last) = window.split_at(n - 1);
        if start == suffix {
            let id = last[0];
            match usize::try_from(id) {
                Ok(index) if index < vocabulary => values.set(index, f32::NEG_INFINITY),
                Ok(_) => {}
                Err(_) => return Err(Error::TokenId { what: "the history's token", id, vocabulary }),
            }
        }
    }
    Ok(())
}

/// Biases of one token are added up before they meet the value.
fn add_biases(biases: &[Bias], values: &mut Patch<'_, '_>, ids: &[i64], scratch: &mut EditScratch) -> Result<()> {
    let EditScratch { sums, touched, .. } = scratch;
    sums.resize(values.len().max(sums.len()), 0.0);
    touched.clear();
    for Bias { prefix, last, bias } in biases {
        if *last as usize >= values.len() {
            for &id in &*touched {
                sums[id as usize] = 0.0;
            }
            return Err(Error::TokenId { what: "the biased token", id: i64::from(*last), vocabulary: values.len() });
        }
        if ids.ends_with(prefix) {
            sums[*last as usize] += bias;
            touched.push(*last);
        }
    }
    for &id in &*touched {
        // Taken once; a second visit finds zero.
        let bias = std::mem::take(&mut sums[id as usize]);
        let id = id as usize;
        values.set(id, values.get(id).unwrap_or(0.0) + bias);
    }
    Ok(())
}

fn mask_of<'m>(mask: Option<&'m [i32]>, vocabulary: usize, what: &'static str) -> Result<&'m [i32]> {
    let (mask, expected) = (mask.unwrap_or_default(), vocabulary.div_ceil(32));
    if mask.len() < expected {
        return Err(Error::Length { what, found: mask.len(), expected });
    }
    Ok(mask)
}

fn mask_out(values: &mut [f32], mask: &[i32], remove: impl Fn(&mut f32)) {
    for (values, &word) in values.chunks_mut(32).zip(mask) {
        match word {
            -1 => {}
            0 => values.iter_mut().for_each(&remove),
            _ => {
                for (i, value) in values.iter_mut().enumerate() {
                    if word >> i & 1 == 0 {
                        remove(value);
                    }
                }
            }
        }
    }
}

/// Biases in the order in which transformers adds them: single tokens, then by length in order of first appearance.
///
/// # Errors
/// [`Error::TokenId`] for a negative id.
pub fn ordered_biases(sequences: impl IntoIterator<Item = (Vec<i64>, f32)>) -> Result<Vec<Bias>> {
    let mut lengths = Vec::new();
    let mut groups: BTreeMap<usize, Vec<Bias>> = BTreeMap::new();
    for (mut sequence, bias) in sequences {
        let Some(last) = sequence.pop() else { continue };
        let last =
            u32::try_from(last).map_err(|_| Error::TokenId { what: "the biased token", id: last, vocabulary: 0 })?;
        if !lengths.contains(&sequence.len()) {
            lengths.push(sequence.len());
        }
        groups.entry(sequence.len()).or_default().push(Bias { prefix: sequence, last, bias });
    }
    let mut out = groups.remove(&0).unwrap_or_default();
    for length in lengths {
        out.extend(groups.remove(&length).unwrap_or_default());
    }
    Ok(out)
}
