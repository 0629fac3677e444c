//! A tokenizer as the content of a tokenizer.json, byte for byte as the reference writes it.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

use super::canonical::{self, Canonical};
use super::limits::{PaddingFields, TruncationFields};
use crate::added_vocabulary::AddedToken;
use crate::decoders::Decoder;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::models::{Bpe, Model};
use crate::post_processors::PostProcessor;
use crate::tokenizer::Tokenizer;
use crate::vocab::Vocab;

#[derive(Serialize)]
struct File<'t> {
    version: &'static str,
    truncation: Option<TruncationFields>,
    padding: Option<PaddingFields>,
    added_tokens: Vec<AddedTokenFields<'t>>,
    normalizer: Option<Canonical>,
    pre_tokenizer: Option<Canonical>,
    post_processor: Option<&'t PostProcessor>,
    decoder: Option<&'t Decoder>,
    model: ModelFields<'t>,
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the fields of the format")]
struct AddedTokenFields<'t> {
    id: TokenId,
    content: &'t str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl<'t> AddedTokenFields<'t> {
    fn new((id, token): (TokenId, &'t AddedToken)) -> Self {
        Self {
            id,
            content: &token.content,
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            normalized: token.normalized,
            special: token.special,
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum ModelFields<'t> {
    #[serde(rename = "BPE")]
    Bpe {
        dropout: Option<f32>,
        unk_token: &'t Option<String>,
        continuing_subword_prefix: &'t Option<String>,
        end_of_word_suffix: &'t Option<String>,
        fuse_unk: bool,
        byte_fallback: bool,
        ignore_merges: bool,
        vocab: Tokens<'t>,
        merges: Merges<'t>,
    },
    WordPiece {
        unk_token: &'t str,
        continuing_subword_prefix: &'t str,
        max_input_chars_per_word: usize,
        vocab: Tokens<'t>,
    },
    WordLevel {
        vocab: Tokens<'t>,
        unk_token: &'t str,
    },
    Unigram {
        unk_id: Option<TokenId>,
        vocab: Scores<'t>,
        byte_fallback: bool,
    },
}

/// A vocabulary as an object, in order of ids.
struct Tokens<'t> {
    vocab: &'t Vocab,
    /// Tokens that are not in the vocabulary, written there so that a reader gives them their ids.
    kept: Vec<(TokenId, &'t str)>,
}

impl Serialize for Tokens<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut kept = self.kept.iter().peekable();
        let bound = self.vocab.id_bound().max(self.kept.last().map_or(0, |&(id, _)| id as usize + 1));
        for id in 0..bound as TokenId {
            if let Some(token) = self.vocab.token(id) {
                map.serialize_entry(token, &id)?;
            } else if let Some((_, token)) = kept.next_if(|(other, _)| *other == id) {
                map.serialize_entry(token, &id)?;
            }
        }
        map.end()
    }
}

/// Merges as pairs of tokens.
struct Merges<'t>(&'t Bpe);

impl Serialize for Merges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = |id| self.0.vocab().token(id).unwrap_or_default();
        let merges = self.0.merge_pairs();
        let mut list = serializer.serialize_seq(Some(merges.len()))?;
        for (left, right) in merges {
            list.serialize_element(&[token(left), token(right)])?;
        }
        list.end()
    }
}

/// Tokens with their scores.
struct Scores<'t> {
    vocab: &'t Vocab,
    scores: &'t [f64],
}

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = |(id, score)| (self.vocab.token(id as TokenId).unwrap_or_default(), score);
        serializer.collect_seq(self.scores.iter().enumerate().map(token))
    }
}

impl Tokenizer {
    /// The content of a tokenizer.json that reads back as this tokenizer, here and in the reference.
    ///
    /// The reference numbers added tokens anew when it reads a file. Where that would give one another id, as with the gap
    /// before a special token of tiktoken's, the token is written into the vocabulary too, which keeps its id.
    ///
    /// # Errors
    /// [`Error::AddedTokenId`] where that cannot be done, because another kind of model would then find the token by itself.
    pub fn to_json(&self, pretty: bool) -> Result<String> {
        let file = File {
            version: "1.0",
            truncation: self.truncation().map(TruncationFields::from),
            padding: self.padding().map(PaddingFields::from),
            added_tokens: self.added_vocabulary().iter().map(AddedTokenFields::new).collect(),
            normalizer: self.canonical_normalizer(),
            pre_tokenizer: self.canonical_pre_tokenizer(),
            post_processor: self.post_processor(),
            decoder: self.decoder(),
            model: self.model_fields()?,
        };
        Ok(json(&file, pretty))
    }

    /// Writes [`Tokenizer::to_json`] to a file: under another name first, so that what has this name is always whole.
    ///
    /// # Errors
    /// [`Error::Io`], and as [`Tokenizer::to_json`].
    pub fn save(&self, path: &Path, pretty: bool) -> Result<()> {
        let content = self.to_json(pretty)?;
        let fail = |source| Error::Io { path: path.to_owned(), source };
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().ok_or_else(|| fail(std::io::ErrorKind::IsADirectory.into()))?);
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let write = || {
            let mut file = std::fs::File::create(&part)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&part, path)
        };
        write().map_err(|source| {
            let _ = std::fs::remove_file(&part);
            fail(source)
        })
    }

    /// A component as the value of its key in tokenizer.json: `normalizer`, `pre_tokenizer`, `post_processor`, `decoder` or
    /// `model`. None for a component that is not there, and for another key.
    pub fn component_json(&self, stage: &str) -> Option<String> {
        match stage {
            "normalizer" => self.canonical_normalizer().map(|component| json(&component, false)),
            "pre_tokenizer" => self.canonical_pre_tokenizer().map(|component| json(&component, false)),
            "post_processor" => self.post_processor().map(|component| json(component, false)),
            "decoder" => self.decoder().map(|component| json(component, false)),
            "model" => Some(json(&model_fields(self.model(), Vec::new()), false)),
            _ => None,
        }
    }

    fn canonical_normalizer(&self) -> Option<Canonical> {
        self.normalizer().map(|normalizer| canonical::normalizer(normalizer, &self.configs().normalizer))
    }

    fn canonical_pre_tokenizer(&self) -> Option<Canonical> {
        let config: &Value = &self.configs().pre_tokenizer;
        self.pre_tokenizer().map(|pre_tokenizer| canonical::pre_tokenizer(pre_tokenizer, config))
    }

    fn model_fields(&self) -> Result<ModelFields<'_>> {
        let model = self.model();
        let added = self.added_vocabulary().iter().map(|(id, token)| (id, token.content.as_str()));
        let new: Vec<_> = added.filter(|&(id, content)| model.token_to_id(content) != Some(id)).collect();
        // A reader counts on from the number of the model's tokens.
        let first = model.len() as TokenId;
        let Some(&(id, token)) = new.iter().zip(first..).find(|&(&(id, _), next)| id != next).map(|(token, _)| token)
        else {
            return Ok(model_fields(model, Vec::new()));
        };
        let is_free =
            |&(id, token): &(TokenId, &str)| model.id_to_token(id).is_none() && model.token_to_id(token).is_none();
        if !matches!(model, Model::Bpe(_)) || !new.iter().all(is_free) {
            return Err(Error::AddedTokenId { token: token.to_owned(), id });
        }
        Ok(model_fields(model, new))
    }
}

fn model_fields<'t>(model: &'t Model, kept: Vec<(TokenId, &'t str)>) -> ModelFields<'t> {
    let tokens = |vocab, kept| Tokens { vocab, kept };
    match model {
        Model::Bpe(bpe) => {
            let options = bpe.options();
            ModelFields::Bpe {
                dropout: options.dropout,
                unk_token: &options.unk_token,
                continuing_subword_prefix: &options.continuing_subword_prefix,
                end_of_word_suffix: &options.end_of_word_suffix,
                fuse_unk: options.fuse_unk,
                byte_fallback: options.byte_fallback,
                ignore_merges: options.ignore_merges,
                vocab: tokens(bpe.vocab(), kept),
                merges: Merges(bpe),
            }
        }
        Model::WordPiece(wordpiece) => ModelFields::WordPiece {
            unk_token: wordpiece.unk_token(),
            continuing_subword_prefix: wordpiece.prefix(),
            max_input_chars_per_word: wordpiece.max_chars(),
            vocab: tokens(wordpiece.vocab(), kept),
        },
        Model::WordLevel(wordlevel) => {
            ModelFields::WordLevel { vocab: tokens(wordlevel.vocab(), kept), unk_token: wordlevel.unk_token() }
        }
        Model::Unigram(unigram) => ModelFields::Unigram {
            unk_id: unigram.unk_id(),
            vocab: Scores { vocab: unigram.vocab(), scores: unigram.scores() },
            byte_fallback: unigram.byte_fallback(),
        },
    }
}

fn json(value: &impl Serialize, pretty: bool) -> String {
    let written = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    written.expect("strings, numbers and lists are JSON")
}
