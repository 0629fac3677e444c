//! The model of a tokenizer.json: vocabulary, scores and merges, read in one pass.

use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::formats::json::{Append, Context, Numbers};
use crate::ids::TokenId;
use crate::models::{
    Bpe, BpeConfig, Merge, Model, Unigram, UnigramConfig, WordLevel, WordLevelConfig, WordPiece, WordPieceConfig,
};
use crate::vocab::{MAX_TOKEN_ID, MAX_VOCAB_BYTES, Spelled, Vocab};

/// The kinds of model, in the order in which the reference tries them on a model without a `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bpe,
    WordPiece,
    WordLevel,
    Unigram,
}

/// The tokens of a model.
pub(super) enum VocabField {
    /// An object of token to id.
    Map(Vocab),
    /// A list of tokens and scores.
    List(Vec<(String, f64)>),
}

/// The fields of a model, as they stand in the file.
#[derive(Default)]
pub(super) struct ModelFields {
    kind: Option<Kind>,
    vocab: Option<VocabField>,
    pub(super) merges: Option<Vec<Merge>>,
    /// The merges came before the vocabulary or the prefix, and were not, or wrongly, resolved.
    pub(super) merges_are_late: bool,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    prefix_is_known: bool,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    max_input_chars_per_word: Option<usize>,
    unk_id: Option<usize>,
}

impl ModelFields {
    /// The tokens, where they are a map.
    pub(super) fn vocab(&self) -> Option<&Vocab> {
        match &self.vocab {
            Some(VocabField::Map(vocab)) => Some(vocab),
            _ => None,
        }
    }

    /// The tokens and scores, where they are a list.
    pub(super) fn scores(&self) -> &[(String, f64)] {
        match &self.vocab {
            Some(VocabField::List(scores)) => scores,
            _ => &[],
        }
    }

    /// Puts the tables in place that were read apart from the other fields.
    pub(super) fn fill(&mut self, vocab: Vocab, merges: Option<Vec<Merge>>) {
        self.vocab = Some(VocabField::Map(vocab));
        self.merges = merges.or(self.merges.take());
    }

    /// Takes vocabulary and merges over from `other`; false if a model of this kind would read them otherwise.
    pub(super) fn take_tables(&mut self, other: Self) -> bool {
        let kind = |fields: &Self| fields.kind.unwrap_or_else(|| fields.guess());
        let fits = kind(self) == kind(&other) && self.prefix_len() == other.prefix_len();
        self.vocab = other.vocab;
        self.merges = other.merges;
        fits
    }

    /// The name of the kind of model that the fields make.
    pub(super) fn kind_name(&self) -> &'static str {
        match self.kind.unwrap_or_else(|| self.guess()) {
            Kind::Bpe => "BPE",
            Kind::WordPiece => "WordPiece",
            Kind::WordLevel => "WordLevel",
            Kind::Unigram => "Unigram",
        }
    }

    /// Bytes of the second token of a merge that its result lacks.
    pub(super) fn prefix_len(&self) -> usize {
        self.continuing_subword_prefix.as_ref().map_or(0, String::len)
    }

    /// Whether a model of this kind would read the fields that belong to `kind`.
    fn may_be(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|known| known == kind)
    }

    /// Checks what only all fields together show, and builds the model.
    ///
    /// # Errors
    /// [`Error::Schema`] for missing fields, a dropout outside 0 to 1, ids that two tokens share, an `unk_id` that no token
    /// has; what the models themselves refuse.
    pub(super) fn into_model(self) -> Result<Model> {
        Ok(match self.kind.unwrap_or_else(|| self.guess()) {
            Kind::Bpe => Model::Bpe(Box::new(Bpe::new(self.into_bpe()?)?)),
            Kind::WordPiece => Model::WordPiece(Box::new(WordPiece::new(WordPieceConfig {
                unk_token: required(self.unk_token, "unk_token")?,
                continuing_subword_prefix: required(self.continuing_subword_prefix, "continuing_subword_prefix")?,
                max_input_chars_per_word: required(self.max_input_chars_per_word, "max_input_chars_per_word")?,
                vocab: map(self.vocab)?,
            }))),
            Kind::WordLevel => Model::WordLevel(Box::new(WordLevel::new(WordLevelConfig {
                unk_token: required(self.unk_token, "unk_token")?,
                vocab: map(self.vocab)?,
            }))),
            Kind::Unigram => {
                let VocabField::List(vocab) = required(self.vocab, "vocab")? else {
                    return Err(wrong_vocab("expected a list of tokens and scores, found an object"));
                };
                Model::Unigram(Box::new(Unigram::new(UnigramConfig {
                    vocab,
                    unk_id: self.unk_id,
                    byte_fallback: self.byte_fallback.unwrap_or_default(),
                })?))
            }
        })
    }

    /// The first kind whose required fields are there, as the reference takes a model without a type.
    fn guess(&self) -> Kind {
        match &self.vocab {
            Some(VocabField::List(_)) => Kind::Unigram,
            _ if self.merges.is_some() || self.unk_token.is_none() => Kind::Bpe,
            _ if self.continuing_subword_prefix.is_some() && self.max_input_chars_per_word.is_some() => Kind::WordPiece,
            _ => Kind::WordLevel,
        }
    }

    pub(super) fn into_bpe(self) -> Result<BpeConfig> {
        let vocab = map(self.vocab)?;
        let merges = required(self.merges, "merges")?;
        if let Some(dropout) = self.dropout
            && !(0.0..=1.0).contains(&dropout)
        {
            let message = format!("expected a number from 0 to 1, found {dropout}");
            return Err(Error::Schema { path: "model.dropout".to_owned(), message });
        }
        Ok(BpeConfig {
            vocab,
            merges,
            unk_token: self.unk_token,
            fuse_unk: self.fuse_unk.unwrap_or_default(),
            byte_fallback: self.byte_fallback.unwrap_or_default(),
            ignore_merges: self.ignore_merges.unwrap_or_default(),
            continuing_subword_prefix: self.continuing_subword_prefix,
            end_of_word_suffix: self.end_of_word_suffix,
            dropout: self.dropout,
        })
    }
}

fn required<T>(value: Option<T>, key: &str) -> Result<T> {
    value.ok_or_else(|| Error::Schema { path: format!("model.{key}"), message: "missing".to_owned() })
}

fn wrong_vocab(message: impl Into<String>) -> Error {
    Error::Schema { path: "model.vocab".to_owned(), message: message.into() }
}

/// A vocabulary of tokens and ids.
fn map(field: Option<VocabField>) -> Result<Vocab> {
    let VocabField::Map(vocab) = required(field, "vocab")? else {
        return Err(wrong_vocab("expected an object of token to id, found a list"));
    };
    // With shared ids the reference decodes to either token, by the accident of a hash seed.
    if let Some((token, other, id)) = vocab.shared_id() {
        return Err(wrong_vocab(format!("tokens {token:?} and {other:?} have the same id {id}")));
    }
    Ok(vocab)
}

pub(super) struct ModelSeed<'c> {
    pub(super) context: &'c Context,
    /// Bytes of the whole file, from which the tables take their first size.
    pub(super) size: usize,
}

impl<'de> DeserializeSeed<'de> for ModelSeed<'_> {
    type Value = ModelFields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ModelFields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ModelSeed<'_> {
    type Value = ModelFields;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("the object of a model")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ModelFields, M::Error> {
        use Kind::{Bpe, Unigram, WordPiece};

        let context = self.context;
        let mut fields = ModelFields::default();
        while let Some(key) = map.next_key::<String>()? {
            context.enter(format!("model.{key}"));
            match key.as_str() {
                "type" => {
                    let name: String = map.next_value()?;
                    fields.kind = Some(match name.as_str() {
                        "BPE" => Bpe,
                        "WordPiece" => WordPiece,
                        "WordLevel" => Kind::WordLevel,
                        "Unigram" => Unigram,
                        _ => return Err(context.fail(Error::UnsupportedComponent { stage: "model", name })),
                    });
                }
                "dropout" if fields.may_be(Bpe) => fields.dropout = map.next_value()?,
                "unk_token" if fields.kind != Some(Unigram) => fields.unk_token = map.next_value()?,
                "continuing_subword_prefix" if fields.may_be(Bpe) || fields.may_be(WordPiece) => {
                    fields.continuing_subword_prefix = map.next_value()?;
                    fields.prefix_is_known = true;
                    fields.merges_are_late |= fields.merges.is_some();
                }
                "end_of_word_suffix" if fields.may_be(Bpe) => fields.end_of_word_suffix = map.next_value()?,
                "fuse_unk" if fields.may_be(Bpe) => fields.fuse_unk = map.next_value()?,
                "byte_fallback" if fields.may_be(Bpe) || fields.may_be(Unigram) => {
                    fields.byte_fallback = map.next_value()?;
                }
                "ignore_merges" if fields.may_be(Bpe) => fields.ignore_merges = map.next_value()?,
                "max_input_chars_per_word" if fields.may_be(WordPiece) => {
                    fields.max_input_chars_per_word = map.next_value()?;
                }
                "unk_id" if fields.may_be(Unigram) => fields.unk_id = map.next_value()?,
                "vocab" => {
                    let seed = VocabSeed { context, kind: fields.kind, size: self.size };
                    fields.vocab = Some(map.next_value_seed(seed)?);
                    fields.merges_are_late |= fields.merges.is_some();
                }
                "merges" if fields.may_be(Bpe) => {
                    if let Some(vocab) = fields.vocab()
                        && fields.prefix_is_known
                    {
                        let seed = MergesSeed { context, vocab, prefix_len: fields.prefix_len() };
                        fields.merges = Some(map.next_value_seed(seed)?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        fields.merges_are_late = true;
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// An object of token to id, or a list of tokens and scores.
struct VocabSeed<'c> {
    context: &'c Context,
    kind: Option<Kind>,
    size: usize,
}

impl<'de> DeserializeSeed<'de> for VocabSeed<'_> {
    type Value = VocabField;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<VocabField, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VocabSeed<'_> {
    type Value = VocabField;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self.kind {
            Some(Kind::Unigram) => "a list of tokens and scores",
            _ => "an object of token to id",
        })
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<VocabField, M::Error> {
        if self.kind == Some(Kind::Unigram) {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        }
        // Guesses that fit files of one merge per token and grow at most once for others.
        let tokens = (self.size / 40).min(1 << 17);
        let mut vocab = Vocab::with_capacity(tokens, tokens * 8);
        let mut token = String::new();
        loop {
            token.clear();
            if map.next_key_seed(Append(&mut token))?.is_none() {
                return Ok(VocabField::Map(vocab));
            }
            let id =
                map.next_value_seed(IdSeed).inspect_err(|_| self.context.enter(format!("model.vocab[{token:?}]")))?;
            if id > u64::from(MAX_TOKEN_ID) {
                let limit = MAX_TOKEN_ID as usize;
                return Err(self.context.fail(Error::Limit {
                    what: "token id in model.vocab",
                    found: id as usize,
                    limit,
                }));
            }
            let bytes = vocab.text_len() + token.len();
            if bytes > MAX_VOCAB_BYTES {
                let limit = MAX_VOCAB_BYTES;
                return Err(self.context.fail(Error::Limit { what: "bytes of all tokens", found: bytes, limit }));
            }
            vocab.insert(&token, id as TokenId);
        }
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut tokens: S) -> Result<VocabField, S::Error> {
        // Only Unigram lists its tokens.
        if self.kind.is_some_and(|kind| kind != Kind::Unigram) {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        let mut vocab = Vec::with_capacity((self.size / 40).min(1 << 18));
        loop {
            let next = match self.context.numbers() {
                Numbers::AsReference => tokens.next_element::<(String, f64)>(),
                Numbers::Exact => {
                    tokens.next_element::<(String, Exact)>().map(|next| next.map(|(token, score)| (token, score.0)))
                }
            };
            let next = next.inspect_err(|_| self.context.enter(format!("model.vocab[{}]", vocab.len())))?;
            let Some(token) = next else { return Ok(VocabField::List(vocab)) };
            vocab.push(token);
        }
    }
}

/// A number read to the last bit, where `serde_json`'s default reading, which is the reference's, may be one off.
struct Exact(f64);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        raw.get().parse().map(Self).map_err(|_| de::Error::invalid_type(de::Unexpected::Other(raw.get()), &"f64"))
    }
}

struct IdSeed;

impl<'de> DeserializeSeed<'de> for IdSeed {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for IdSeed {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a token id")
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<u64, E> {
        Ok(id)
    }
}

/// The list of merges: all of them strings with one space between the tokens, or all of them pairs.
#[derive(Clone, Copy)]
pub(super) struct MergesSeed<'c> {
    pub(super) context: &'c Context,
    pub(super) vocab: &'c Vocab,
    /// Bytes of the second token that are not part of the result.
    pub(super) prefix_len: usize,
}

impl<'de> DeserializeSeed<'de> for MergesSeed<'_> {
    type Value = Vec<Merge>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Merge>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for MergesSeed<'_> {
    type Value = Vec<Merge>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list of merges")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut merges: S) -> Result<Vec<Merge>, S::Error> {
        let mut result = Vec::with_capacity(self.vocab.len());
        let mut batch = Batch::default();
        let mut form = None;
        for index in 0.. {
            batch.index = index;
            let next = merges.next_element_seed(&mut batch);
            let Some(next) = next.inspect_err(|_| self.context.enter(format!("model.merges[{index}]")))? else { break };
            if *form.get_or_insert(next) != next {
                self.context.enter(format!("model.merges[{index}]"));
                return Err(self.context.fail_here("strings and pairs are mixed"));
            }
            if batch.pairs.len() == BATCH {
                self.resolve(&mut batch, &mut result).map_err(|error| self.context.fail(error))?;
            }
        }
        self.resolve(&mut batch, &mut result).map_err(|error| self.context.fail(error))?;
        Ok(result)
    }
}

impl MergesSeed<'_> {
    /// Turns the merges of a batch into ids, and empties it.
    fn resolve(self, batch: &mut Batch, result: &mut Vec<Merge>) -> Result<()> {
        let part = |range: Range<usize>| batch.text.get(range).unwrap_or_default();
        let pair = |place: usize| batch.pairs.get(place).cloned().unwrap_or_default();
        let spelled = |range: Range<usize>| Spelled::new(part(range).as_bytes());
        let left = self.vocab.ids::<BATCH>(&std::array::from_fn::<_, BATCH, _>(|place| spelled(pair(place).left())));
        let right = self.vocab.ids::<BATCH>(&std::array::from_fn::<_, BATCH, _>(|place| spelled(pair(place).right())));
        for (place, pair) in batch.pairs.iter().enumerate() {
            let unknown = |token: &str| Error::UnknownMergeToken { index: pair.index, token: token.to_owned() };
            let left = left[place].ok_or_else(|| unknown(part(pair.left())))?;
            let right = right[place].ok_or_else(|| unknown(part(pair.right())))?;
            let shortened;
            let joined = if self.prefix_len == 0 {
                part(pair.start..pair.end)
            } else {
                // The reference cuts off the bytes of the prefix whether it is there or not.
                let Some(rest) = part(pair.right()).get(self.prefix_len..) else {
                    let message = format!("{:?} does not begin with continuing_subword_prefix", part(pair.right()));
                    return Err(Error::Schema { path: format!("model.merges[{}]", pair.index), message });
                };
                shortened = [part(pair.left()), rest].concat();
                &shortened
            };
            // Lists are usually sorted by result, and may hold one result several times.
            let guess = result.last().map_or(0, |last| last.result);
            let id = match (guess..=guess + 1).find(|&id| self.vocab.token(id) == Some(joined)) {
                Some(id) => id,
                None => self.vocab.id(joined).ok_or_else(|| unknown(joined))?,
            };
            result.push(Merge { left, right, result: id });
        }
        batch.text.clear();
        batch.pairs.clear();
        Ok(())
    }
}

/// Merges that are resolved together.
const BATCH: usize = 32;

/// The tokens of the merges that were read last, one after the other in one buffer: the two of a merge are adjacent, which
/// makes them the text of its result.
#[derive(Default)]
struct Batch {
    text: String,
    pairs: Vec<Pair>,
    /// Position in the list of the merge that is read next.
    index: usize,
}

/// Where the tokens of a merge lie in the text of a batch.
#[derive(Clone, Default)]
struct Pair {
    index: usize,
    start: usize,
    middle: usize,
    end: usize,
}

impl Pair {
    fn left(&self) -> Range<usize> {
        self.start..self.middle
    }

    fn right(&self) -> Range<usize> {
        self.middle..self.end
    }
}

/// How a merge is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Pair,
}

impl<'de> DeserializeSeed<'de> for &mut Batch {
    type Value = Form;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Batch {
    type Value = Form;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a merge: \"left right\" or [\"left\", \"right\"]")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Form, E> {
        // A line like `#version: 0.2`, which old files took over from merges.txt.
        if text.starts_with("#version") {
            return Ok(Form::Text);
        }
        let mut spaces = memchr::memchr_iter(b' ', text.as_bytes());
        let (Some(space), None) = (spaces.next(), spaces.next()) else {
            return Err(E::invalid_value(de::Unexpected::Str(text), &self));
        };
        let start = self.text.len();
        self.text.push_str(&text[..space]);
        self.text.push_str(&text[space + 1..]);
        self.pairs.push(Pair { index: self.index, start, middle: start + space, end: self.text.len() });
        Ok(Form::Text)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut tokens: S) -> Result<Form, S::Error> {
        let start = self.text.len();
        let mut middle = start;
        let mut count = 0;
        while tokens.next_element_seed(Append(&mut self.text))?.is_some() {
            count += 1;
            if count == 1 {
                middle = self.text.len();
            }
        }
        if count != 2 {
            return Err(de::Error::invalid_length(count, &self));
        }
        self.pairs.push(Pair { index: self.index, start, middle, end: self.text.len() });
        Ok(Form::Pair)
    }
}
