//! tokenizer.json, the file format of the reference.
//!
//! A file of 200,000 tokens has to load in milliseconds, so nothing is built in between: the vocabulary and the merges, which
//! are nearly all of the file, go from the text straight into the tables that the model is made of (quick.rs; where a file is
//! out of the ordinary, model.rs). The small components are read as values, and each stage makes sense of its own.

mod canonical;
mod draft;
mod limits;
mod model;
mod quick;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use draft::Draft;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use self::model::{MergesSeed, ModelFields, ModelSeed};
use super::json::{At, Context, Numbers, text};
use crate::added_vocabulary::AddedToken;
use crate::decoders::Decoder;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::models::Model;
use crate::normalizers::Normalizer;
use crate::post_processors::PostProcessor;
use crate::pre_tokenizers::PreTokenizer;
use crate::tokenizer::{Configs, TokenizerParts};

/// Reads the content of a tokenizer.json.
///
/// # Errors
/// [`Error::Json`] where the text is not JSON, not UTF-8 or ends early; [`Error::Schema`] where a value is not what the format
/// asks for; [`Error::UnsupportedComponent`] for components that this version does not run;
/// [`Error::UnknownMergeToken`], [`Error::Limit`] and [`Error::Regex`] as their names say.
pub fn parse(bytes: &[u8]) -> Result<TokenizerParts> {
    parts_of(read(bytes, Numbers::AsReference)?, AddedTokenFields::into_token)
}

/// As [`parse`], of a file.
///
/// # Errors
/// [`Error::Io`], and those of [`parse`].
pub fn parse_file(path: &Path) -> Result<TokenizerParts> {
    parts_of(read_file(path, Numbers::AsReference)?, AddedTokenFields::into_token)
}

/// As [`parse`], for what this crate has written: added tokens keep the ids that the file gives them, and scores are read to
/// the last bit.
///
/// # Errors
/// As [`parse`].
pub fn parse_exact(bytes: &[u8]) -> Result<TokenizerParts> {
    parts_of(read(bytes, Numbers::Exact)?, |fields| (Some(fields.id), fields.into_token().1))
}

fn parts_of(file: File, added: impl Fn(AddedTokenFields) -> (Option<TokenId>, AddedToken)) -> Result<TokenizerParts> {
    Ok(TokenizerParts {
        truncation: component(&file.truncation, "truncation", limits::truncation)?,
        padding: component(&file.padding, "padding", limits::padding)?,
        normalizer: component(&file.normalizer, "normalizer", Normalizer::from_config)?,
        pre_tokenizer: component(&file.pre_tokenizer, "pre_tokenizer", PreTokenizer::from_config)?,
        post_processor: component(&file.post_processor, "post_processor", PostProcessor::from_config)?,
        decoder: component(&file.decoder, "decoder", Decoder::from_config)?,
        configs: Configs { normalizer: file.normalizer, pre_tokenizer: file.pre_tokenizer },
        added_tokens: file.added_tokens.into_iter().map(added).collect(),
        model: Arc::new(file.model.ok_or_else(missing_model)?.into_model()?),
    })
}

/// Reads the value of `model` by itself.
///
/// # Errors
/// As [`parse`].
pub fn parse_model(text: &str) -> Result<Arc<Model>> {
    // In a file of its own, so that there is one reader, which also copes with merges before the vocabulary.
    let file = read(format!("{{\"model\":{text}}}").as_bytes(), Numbers::Exact)?;
    Ok(Arc::new(file.model.ok_or_else(missing_model)?.into_model()?))
}

fn component<T>(value: &Value, path: &str, from_config: impl Fn(&Value, &str) -> Result<T>) -> Result<Option<T>> {
    if value.is_null() { Ok(None) } else { from_config(value, path).map(Some) }
}

fn missing_model() -> Error {
    Error::Schema { path: "model".to_owned(), message: "missing".to_owned() }
}

fn read(bytes: &[u8], numbers: Numbers) -> Result<File> {
    match quick::read(bytes, bytes.len()).and_then(|quick| with_tables(quick, numbers)) {
        Some(file) => Ok(file),
        None => read_all(bytes, numbers),
    }
}

fn read_file(path: &Path, numbers: Numbers) -> Result<File> {
    // What can be read only once is read as a whole; so is what cannot be read, for the error.
    if let Ok(file) = std::fs::File::open(path)
        && let Ok(data) = file.metadata()
        && data.is_file()
        && let Some(file) = quick::read(file, data.len() as usize).and_then(|quick| with_tables(quick, numbers))
    {
        return Ok(file);
    }
    read_all(&super::read(path)?, numbers)
}

/// What both readers found; None where the general one has to read all of it.
fn with_tables(quick: quick::Quick, numbers: Numbers) -> Option<File> {
    let mut file = read_all(&quick.rest, numbers).ok()?;
    file.model.as_mut()?.fill(quick.vocab, quick.merges);
    Some(file)
}

fn read_all(bytes: &[u8], numbers: Numbers) -> Result<File> {
    let text = text(bytes)?;
    let context = Context::new(numbers);
    context.enter("tokenizer.json".to_owned());
    let parse_error = |error| context.error(&error);
    let mut parser = serde_json::Deserializer::from_str(text);
    let mut file = FileSeed { context: &context, size: text.len() }.deserialize(&mut parser).map_err(parse_error)?;
    parser.end().map_err(parse_error)?;
    // Merges can be resolved only when the vocabulary and the prefix are known. Files that have them later are rare: they
    // are read a second time.
    if let Some(model) = &mut file.model
        && model.merges_are_late
        && let Some(vocab) = model.vocab()
    {
        context.enter("model.merges".to_owned());
        let seed = MergesSeed { context: &context, vocab, prefix_len: model.prefix_len() };
        let mut parser = serde_json::Deserializer::from_str(text);
        model.merges = At { keys: &["model", "merges"], seed }.deserialize(&mut parser).map_err(parse_error)?;
    }
    Ok(file)
}

/// The fields of the file. Components are null where the file has none.
#[derive(Default)]
struct File {
    truncation: Value,
    padding: Value,
    added_tokens: Vec<AddedTokenFields>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Option<ModelFields>,
}

/// An added token as it stands in the file. All fields are required, others are ignored.
#[derive(Clone, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "they are the fields of the format")]
struct AddedTokenFields {
    id: TokenId,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl AddedTokenFields {
    /// The file's id is not used: the reference numbers the tokens anew, and so does [`TokenizerParts::added_tokens`].
    fn into_token(self) -> (Option<TokenId>, AddedToken) {
        let Self { id: _, content, single_word, lstrip, rstrip, normalized, special } = self;
        (None, AddedToken { content, single_word, lstrip, rstrip, normalized, special })
    }
}

struct FileSeed<'c> {
    context: &'c Context,
    size: usize,
}

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = File;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<File, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = File;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("the object of a tokenizer")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<File, M::Error> {
        let mut file = File::default();
        while let Some(key) = map.next_key::<String>()? {
            self.context.enter(key.clone());
            match key.as_str() {
                "version" => {
                    let version: String = map.next_value()?;
                    if version != "1.0" {
                        return Err(self.context.fail_here(format!("expected \"1.0\", found {version:?}")));
                    }
                }
                "truncation" => file.truncation = map.next_value()?,
                "padding" => file.padding = map.next_value()?,
                "added_tokens" => file.added_tokens = map.next_value()?,
                "normalizer" => file.normalizer = map.next_value()?,
                "pre_tokenizer" => file.pre_tokenizer = map.next_value()?,
                "post_processor" => file.post_processor = map.next_value()?,
                "decoder" => file.decoder = map.next_value()?,
                "model" => {
                    let seed = ModelSeed { context: self.context, size: self.size };
                    file.model = Some(map.next_value_seed(seed)?);
                }
                // As the reference: a key that nobody knows may change what the tokenizer means.
                _ => return Err(de::Error::custom("unknown key")),
            }
        }
        Ok(file)
    }
}
