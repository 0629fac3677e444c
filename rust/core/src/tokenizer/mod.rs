//! The pipeline of a tokenizer.json, put together and run.

mod batch;
mod beginning;
mod bytes;
mod chars;
mod components;
mod decode;
mod description;
mod encode;
mod finish;
mod general;
mod joined;
mod lists;
mod options;
mod padded;
mod parts;
mod plain_words;
mod raw_words;
mod stream;
mod words;

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

pub use batch::Ragged;
pub use components::pre_tokenize;
pub use description::Stage;
pub use encode::{Input, Scratch};
pub use lists::Lists;
pub use options::EncodeOptions;
pub use padded::{Element, Fields, Padded};
pub use stream::DecodeStream;
pub use words::Word;

use serde_json::Value;

use decode::{DecodeTable, TokenTexts};
use finish::Finish;
use raw_words::RawWords;

use crate::{
    Decoder, PostProcessor, PreTokenizer, Result, TokenId,
    added_vocabulary::{AddedToken, AddedVocabulary},
    encoding::{Padding, Truncation},
    models::Model,
    normalizers::Normalizer,
    pre_tokenizers::{Scanner, Splitter, Steps},
};

/// The components of a tokenizer, as loaded.
pub struct TokenizerParts {
    /// `normalizer`
    pub normalizer: Option<Normalizer>,
    /// `pre_tokenizer`
    pub pre_tokenizer: Option<PreTokenizer>,
    /// `model`
    pub model: Arc<Model>,
    /// `post_processor`
    pub post_processor: Option<PostProcessor>,
    /// `decoder`
    pub decoder: Option<Decoder>,
    /// `added_tokens`, in order. One without an id is numbered as the reference does when it loads a file: by the model
    /// where it has the token, else behind the last.
    pub added_tokens: Vec<(Option<TokenId>, AddedToken)>,
    /// `truncation`: the default of a call
    pub truncation: Option<Truncation>,
    /// `padding`: the default of a call
    pub padding: Option<Padding>,
    /// What components were read from.
    pub configs: Configs,
}

/// Components as they stand in a tokenizer.json, for those that know less about it once they are ready to run.
#[derive(Clone, Debug, Default)]
pub struct Configs {
    /// `normalizer`, null without one.
    pub normalizer: Value,
    /// `pre_tokenizer`, null without one.
    pub pre_tokenizer: Value,
}

/// A tokenizer: immutable, shared between threads without a lock.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    added_vocabulary: AddedVocabulary,
    decode_table: DecodeTable,
    /// Special tokens in a text are encoded as any other text.
    encode_special_tokens: bool,
    truncation: Option<Truncation>,
    padding: Option<Padding>,
}

/// What stays the same when tokens are added.
struct Inner {
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizer>,
    /// The pre-tokenizer as it runs.
    steps: Steps,
    /// What may run in place of `steps` where the pre-tokenizer only cuts, up to a last `ByteLevel`.
    splitter: Option<Splitter>,
    /// Where a text may be cut before it is normalized: what runs in place of all stages.
    raw_words: Option<RawWords>,
    /// The model looks at the bytes of what the splitter cuts.
    on_bytes: bool,
    /// The scanner, where it is all that the splitter does.
    scanner: Option<Scanner>,
    model: Arc<Model>,
    post_processor: Option<PostProcessor>,
    decoder: Option<Decoder>,
    /// What the post-processor does to one text, without and with special tokens, where that is simple enough to be done
    /// to plain arrays.
    finish: [Option<Finish>; 2],
    /// For decoders that turn each token into text by itself.
    token_texts: OnceLock<TokenTexts>,
    configs: Configs,
}

impl Tokenizer {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`Error::Regex`](crate::Error::Regex) for a pattern that does not compile.
    pub fn new(parts: TokenizerParts) -> Result<Self> {
        let steps = Steps::compile(parts.pre_tokenizer.as_ref())?;
        let splitter = Splitter::compile(parts.pre_tokenizer.as_ref())?;
        let on_bytes = splitter.as_ref().is_some_and(|splitter| splitter.byte_level)
            && matches!(&*parts.model, Model::Bpe(bpe) if bpe.runs_on_bytes());
        let (added_vocabulary, _) = AddedVocabulary::new().with_numbered_tokens(
            &parts.added_tokens,
            parts.model.vocab(),
            parts.normalizer.as_ref(),
        )?;
        let raw_words = if on_bytes {
            None
        } else {
            RawWords::compile(parts.normalizer.as_ref(), parts.pre_tokenizer.as_ref(), &parts.model)?
        };
        let finish = [false, true].map(|add| Finish::new(parts.post_processor.as_ref(), parts.model.vocab(), add));
        let inner = Inner {
            scanner: splitter.as_ref().filter(|_| on_bytes).and_then(Splitter::scanner),
            steps,
            raw_words,
            on_bytes,
            finish,
            normalizer: parts.normalizer,
            pre_tokenizer: parts.pre_tokenizer,
            splitter,
            model: parts.model,
            post_processor: parts.post_processor,
            decoder: parts.decoder,
            token_texts: OnceLock::new(),
            configs: parts.configs,
        };
        let decode_table = DecodeTable::new(&added_vocabulary, inner.model.vocab());
        Ok(Self {
            inner: Arc::new(inner),
            added_vocabulary,
            decode_table,
            encode_special_tokens: false,
            truncation: parts.truncation,
            padding: parts.padding,
        })
    }

    /// The parts of this tokenizer, to put together another one.
    pub fn parts(&self) -> TokenizerParts {
        let inner = &self.inner;
        TokenizerParts {
            normalizer: inner.normalizer.clone(),
            pre_tokenizer: inner.pre_tokenizer.clone(),
            model: Arc::clone(&inner.model),
            post_processor: inner.post_processor.clone(),
            decoder: inner.decoder.clone(),
            added_tokens: self.added_vocabulary.iter().map(|(id, token)| (Some(id), token.clone())).collect(),
            truncation: self.truncation.clone(),
            padding: self.padding.clone(),
            configs: inner.configs.clone(),
        }
    }

    /// The configurations that components were read from.
    pub fn configs(&self) -> &Configs {
        &self.inner.configs
    }

    /// The same tokenizer with more added tokens, and how many of them were new.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) when the ids run out.
    pub fn with_added_tokens(&self, tokens: &[AddedToken]) -> Result<(Self, usize)> {
        let inner = &self.inner;
        let (added_vocabulary, count) =
            self.added_vocabulary.with_tokens(tokens, inner.model.vocab(), inner.normalizer.as_ref())?;
        let decode_table = DecodeTable::new(&added_vocabulary, inner.model.vocab());
        Ok((Self { added_vocabulary, decode_table, ..self.clone() }, count))
    }

    /// The same tokenizer with special tokens in texts encoded as text, or not.
    #[must_use]
    pub fn with_encode_special_tokens(&self, encode_special_tokens: bool) -> Self {
        Self { encode_special_tokens, ..self.clone() }
    }

    /// Whether special tokens in a text are encoded as text.
    pub fn encode_special_tokens(&self) -> bool {
        self.encode_special_tokens
    }

    /// The tokens added to the model's vocabulary.
    pub fn added_vocabulary(&self) -> &AddedVocabulary {
        &self.added_vocabulary
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.inner.model
    }

    /// The normalizer.
    pub fn normalizer(&self) -> Option<&Normalizer> {
        self.inner.normalizer.as_ref()
    }

    /// The pre-tokenizer as configured.
    pub fn pre_tokenizer(&self) -> Option<&PreTokenizer> {
        self.inner.pre_tokenizer.as_ref()
    }

    /// What may run in place of the pre-tokenizer where that only cuts, up to a last `ByteLevel`.
    pub fn splitter(&self) -> Option<&Splitter> {
        self.inner.splitter.as_ref()
    }

    /// The post-processor.
    pub fn post_processor(&self) -> Option<&PostProcessor> {
        self.inner.post_processor.as_ref()
    }

    /// The decoder.
    pub fn decoder(&self) -> Option<&Decoder> {
        self.inner.decoder.as_ref()
    }

    /// The id of a token; added tokens first.
    pub fn token_to_id(&self, token: &str) -> Option<TokenId> {
        self.added_vocabulary.token_to_id(token).or_else(|| self.inner.model.token_to_id(token))
    }

    /// The token of an id; added tokens first.
    pub fn id_to_token(&self, id: TokenId) -> Option<&str> {
        self.added_vocabulary.id_to_token(id).or_else(|| self.inner.model.id_to_token(id))
    }

    /// One more than the largest id, 0 when there is none: the length of a table indexed by id.
    pub fn id_bound(&self) -> usize {
        let added = self.added_vocabulary.iter().map(|(id, _)| id as usize + 1).max();
        added.unwrap_or(0).max(self.inner.model.vocab().id_bound())
    }

    /// The ids whose tokens may have other texts in an encoding than [`Self::id_to_token`] says: added tokens that take
    /// blanks with them, and what Unigram does not know.
    pub fn ids_of_several_texts(&self) -> impl Iterator<Item = TokenId> {
        let model = &self.inner.model;
        let unknown = matches!(**model, Model::Unigram(_)).then(|| model.unk_id()).flatten();
        self.added_vocabulary.of_several_texts(model.vocab()).chain(unknown)
    }

    /// Number of tokens.
    pub fn vocab_size(&self, with_added_tokens: bool) -> usize {
        let model = self.inner.model.vocab();
        let added = if with_added_tokens {
            self.added_vocabulary.iter().filter(|(_, token)| model.id(&token.content).is_none()).count()
        } else {
            0
        };
        self.inner.model.len() + added
    }

    /// All tokens with their ids, in no particular order; an added token comes after the model's token of the same name.
    pub fn vocab(&self, with_added_tokens: bool) -> impl Iterator<Item = (Cow<'_, str>, TokenId)> {
        let added = self.added_vocabulary.iter().filter(move |_| with_added_tokens);
        let model = self.inner.model.vocab().iter().map(|(token, id)| (Cow::Borrowed(token), id));
        model.chain(added.map(|(id, token)| (Cow::Borrowed(token.content.as_str()), id)))
    }

    /// Number of special tokens that encoding a text or a pair adds.
    pub fn num_special_tokens_to_add(&self, is_pair: bool) -> usize {
        self.inner.post_processor.as_ref().map_or(0, |post_processor| post_processor.added_tokens(is_pair))
    }
}
