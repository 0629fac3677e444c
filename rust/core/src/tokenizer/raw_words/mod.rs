//! Text without a byte-level model, word by word as it came: a cache knows what the whole pipeline makes of a word.
//!
//! ```text
//! cut the text, before it is normalized, where its parts surely encode to what the whole encodes to
//! for each part: the cache knows its ids, or the pipeline encodes it (general.rs) and the cache remembers
//! ```
//!
//! Normalization, splitting and the model are then paid once per distinct word. What makes a cut safe depends on the
//! pipeline; `plan.rs` knows four cases and the reasons, and leaves every other pipeline to the general path.
//!
//! Spans have a cache of their own. Of most parts they follow from the lengths of the tokens, and only the ids are
//! remembered; of others each id with a code that says where in the part its token lies and whether it opens a word.

mod plan;
mod run;

use plan::{FirstPart, Plan};
pub(super) use run::{Places, RawScratch};

use super::plain_words::PlainWords;
use crate::{
    Normalizer, PreTokenizer, Result, TokenId,
    encoding::{IDS, SPANS, Tokens, WORDS},
    models::{
        Model, ModelScratch,
        words::{DESCRIBED, Words},
    },
    pre_tokenizers::{
        Steps,
        scanners::cuts::{Cut, TAIL_BYTES},
    },
};

/// Bound of each of the two caches, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// What stands for a space in the vocabularies of `SentencePiece`.
const MARK: char = '▁';

/// A pipeline that runs on the parts of a text.
pub(super) struct RawWords {
    cut: Cut,
    /// Encodes the parts; the first one too, unless `first` says otherwise.
    part: Pipeline,
    /// Where nobody asks for words: finer cuts, and the tokens of the words' last characters that they cut off.
    tails: Option<Tails>,
    /// Encodes the first part of a text, where the pipeline puts something before it.
    first: Option<First>,
    /// What parts become of which that is known without the pipeline.
    plain: Option<PlainWords>,
    /// Whether it is known of first parts too.
    plain_first: bool,
    /// How many bytes and characters of its part a token covers, as a rule.
    lengths: Vec<[u16; 2]>,
    /// A token never covers fewer, if every letter of its part stands for one character with as many bytes.
    exact_lengths: bool,
    /// A text is one word, however many parts it has.
    one_word: bool,
    /// Ids of parts.
    ids: Words,
    /// Ids of parts whose spans follow from them; ids and codes of others.
    spanned: Words,
    /// Steps up to the charsmap: if it makes nothing of what they leave of a text's beginning, all spans move.
    charsmap: Option<(Normalizer, crate::normalizers::Precompiled)>,
}

/// The tokens of [`TAIL_BYTES`] that end a word.
struct Tails([TokenId; TAIL_BYTES.len()]);

impl Tails {
    /// For words that Unigram segments: the best way to a character that no token joins to the one before goes through that
    /// one, and is the best way to it whatever follows. With one token for the character there is one way on.
    fn new(normalizers: &[&Normalizer], model: &Model) -> Option<Self> {
        let Model::Unigram(unigram) = model else { return None };
        let spans = |token: &str| {
            token.as_bytes().windows(2).any(|pair| pair[0].is_ascii_alphabetic() && TAIL_BYTES.contains(&pair[1]))
        };
        let in_pattern = |step: &&Normalizer| match step {
            Normalizer::Replace(replace) => {
                replace.as_literal().is_some_and(|literal| literal.bytes().any(|byte| TAIL_BYTES.contains(&byte)))
            }
            _ => false,
        };
        if unigram.vocab().iter().any(|(token, _)| spans(token)) || normalizers.iter().any(in_pattern) {
            return None;
        }
        for letter in ('A'..='Z').chain('a'..='z') {
            for &tail in TAIL_BYTES {
                let mut text = format!("{letter}{}", char::from(tail));
                for step in normalizers {
                    text = step.normalize(&text).ok()?.into_owned();
                }
                if !matches!(text.as_bytes(), [letter, last] if letter.is_ascii_alphabetic() && *last == tail) {
                    return None;
                }
            }
        }
        let (mut ids, mut scratch) = ([0; TAIL_BYTES.len()], ModelScratch::default());
        for (id, &tail) in ids.iter_mut().zip(TAIL_BYTES) {
            let mut tokens = Tokens::with_capacity::<IDS>(1);
            model.encode_piece::<IDS>(char::from(tail).encode_utf8(&mut [0; 1]), 0, &mut scratch, &mut tokens).ok()?;
            match tokens.ids() {
                [only] if Some(*only) != unigram.unk_id() => *id = *only,
                _ => return None,
            }
        }
        Some(Self(ids))
    }

    /// The token of a part that is the end of a word.
    fn token(&self, part: &[u8]) -> Option<TokenId> {
        let &[byte] = part else { return None };
        TAIL_BYTES.iter().position(|&tail| tail == byte).map(|i| self.0[i])
    }
}

/// The pipeline of first parts.
struct First {
    pipeline: Pipeline,
    /// Of first parts that the whole input begins with; others are parts like any.
    of_input_only: bool,
}

/// The stages before the model.
struct Pipeline {
    normalizer: Option<Normalizer>,
    steps: Steps,
}

impl RawWords {
    /// The cuts that are safe for a pipeline, if any are.
    pub(super) fn compile(
        normalizer: Option<&Normalizer>,
        pre_tokenizer: Option<&PreTokenizer>,
        model: &Model,
    ) -> Result<Option<Self>> {
        let mut normalizers = Vec::new();
        flatten(normalizer, &mut normalizers);
        let mut steps = Vec::new();
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.flatten(&mut steps);
        }
        if let Model::Bpe(bpe) = model
            && (bpe.options().dropout.is_some_and(|chance| chance > 0.0) || bpe.options().spans_leave_piece())
        {
            return Ok(None);
        }
        if model.vocab().id_bound() > DESCRIBED as usize {
            return Ok(None);
        }
        let plan = plan::plan(&normalizers, &steps, model);
        let Some(Plan { cut, part_normalizers, part_steps, first, plain, plain_first, one_word }) = plan else {
            return Ok(None);
        };
        let sequence = |steps: &[&Normalizer]| match steps {
            [] => None,
            [one] => Some((*one).clone()),
            all => Some(Normalizer::Sequence(all.iter().map(|&step| step.clone()).collect())),
        };
        let part = Pipeline {
            normalizer: sequence(&part_normalizers),
            steps: Steps::compile(Some(&PreTokenizer::Sequence(part_steps)))?,
        };
        let first = match first {
            FirstPart::LikeOthers => None,
            FirstPart::Whole { of_input_only } => Some(First {
                pipeline: Pipeline { normalizer: normalizer.cloned(), steps: Steps::compile(pre_tokenizer)? },
                of_input_only,
            }),
        };
        // Of affixes the lengths know nothing, nor of other marks, and BPE may drop a mark that stands for nothing.
        let exact_lengths = (one_word || !matches!(model, Model::Bpe(_)))
            && plain.as_ref().and_then(PlainWords::mark).is_none_or(|mark| mark == MARK);
        let charsmap = normalizers.iter().enumerate().find_map(|(i, step)| match step {
            Normalizer::Precompiled(charsmap) => {
                Some((sequence(&normalizers[..i]).unwrap_or(Normalizer::Sequence(Vec::new())), charsmap.clone()))
            }
            _ => None,
        });
        Ok(Some(Self {
            cut,
            tails: if cut == Cut::Blanks { Tails::new(&normalizers, model) } else { None },
            part,
            first,
            plain,
            plain_first,
            lengths: lengths(model, cut),
            exact_lengths,
            one_word,
            ids: Words::new(CACHE_BYTES),
            spanned: Words::new(CACHE_BYTES),
            charsmap,
        }))
    }

    /// Whether parts of a segment's text encode to what the whole encodes to.
    pub(super) fn has_parts<const LEVEL: u8>(&self, text: &str) -> Result<bool> {
        Ok((LEVEL < WORDS || !self.one_word) && self.runs::<LEVEL>(text, 0)?)
    }

    /// The way to encode a segment's text that begins at byte `skipped`: false when only the general path knows.
    pub(super) fn runs<const LEVEL: u8>(&self, text: &str, skipped: usize) -> Result<bool> {
        match &self.charsmap {
            Some((before, charsmap)) if LEVEL >= SPANS && skipped == 0 => {
                let start = &text[..self.cut.part_end(text, 0).min(text.len())];
                Ok(!charsmap.begins_with_nothing(&before.normalize(start)?))
            }
            _ => Ok(true),
        }
    }
}

/// Bytes and characters of a part that each token covers: a mark stands for a space, or for nothing where blanks are dropped;
/// the prefix of tokens that go on stands for nothing. What is unknown is longer than any part: nothing follows from it.
fn lengths(model: &Model, cut: Cut) -> Vec<[u16; 2]> {
    let vocab = model.vocab();
    let prefix = if let Model::WordPiece(wordpiece) = model { wordpiece.prefix() } else { "" };
    let of_mark = usize::from(cut != Cut::Blanks);
    let unk = model.unk_id();
    let falls_back = match model {
        Model::Bpe(bpe) => bpe.options().byte_fallback,
        Model::Unigram(unigram) => unigram.byte_fallback(),
        Model::WordPiece(_) | Model::WordLevel(_) => false,
    };
    let is_byte = |token: &str| token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
    let len = |token: &str| {
        // The tokens of a character's bytes go by the whole of it.
        if falls_back && is_byte(token) {
            return [0; 2];
        }
        let token = token.strip_prefix(prefix).unwrap_or(token);
        let marks = token.matches(MARK).count();
        let lengths =
            [token.len() - marks * (MARK.len_utf8() - of_mark), token.chars().count() - marks * (1 - of_mark)];
        lengths.map(|len| u16::try_from(len).unwrap_or(u16::MAX))
    };
    // A power of two, so that any id may be looked up without a branch.
    (0..vocab.id_bound().next_power_of_two() as TokenId)
        .map(|id| if Some(id) == unk { [u16::MAX; 2] } else { vocab.token(id).map_or([0; 2], len) })
        .collect()
}

fn flatten<'n>(normalizer: Option<&'n Normalizer>, out: &mut Vec<&'n Normalizer>) {
    match normalizer {
        Some(Normalizer::Sequence(steps)) => steps.iter().for_each(|step| flatten(Some(step), out)),
        Some(leaf) => out.push(leaf),
        None => {}
    }
}
