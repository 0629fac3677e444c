//! Single components, and tokenizers with one of them replaced.

use std::borrow::Cow;

use serde_json::Value;

use super::{json, tokenizer_json};
use crate::decoders::Decoder;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::normalizers::Normalizer;
use crate::post_processors::PostProcessor;
use crate::pre_tokenizers::PreTokenizer;
use crate::tokenizer::{Tokenizer, TokenizerParts, pre_tokenize};

/// A component by itself, as the value of its key in a tokenizer.json.
pub enum Component {
    /// `normalizer`
    Normalizer(Normalizer),
    /// `pre_tokenizer`
    PreTokenizer(PreTokenizer),
    /// `post_processor`
    PostProcessor(PostProcessor),
    /// `decoder`
    Decoder(Decoder),
}

impl Component {
    /// Reads a component.
    ///
    /// # Errors
    /// [`Error::Json`], and those of the stage; [`Error::UnsupportedComponent`] for a key that is no stage.
    pub fn parse(stage: &str, text: &str) -> Result<Self> {
        read(stage, &json::value(text)?)
    }

    /// The text as a normalizer makes it.
    ///
    /// # Errors
    /// Those of the normalizer; [`Error::UnsupportedComponent`] if this is none.
    pub fn normalize(&self, text: &str) -> Result<String> {
        match self {
            Self::Normalizer(normalizer) => normalizer.normalize(text).map(Cow::into_owned),
            _ => Err(other_stage("normalizer")),
        }
    }

    /// The pieces of a text, with the characters that each stands for.
    ///
    /// # Errors
    /// Those of the pre-tokenizer; [`Error::UnsupportedComponent`] if this is none.
    pub fn pre_tokenize(&self, text: &str) -> Result<Vec<(String, [u32; 2])>> {
        match self {
            Self::PreTokenizer(pre_tokenizer) => pre_tokenize(pre_tokenizer, text),
            _ => Err(other_stage("pre_tokenizer")),
        }
    }

    /// The text of tokens.
    ///
    /// # Errors
    /// Those of the decoder; [`Error::UnsupportedComponent`] if this is none.
    pub fn decode(&self, tokens: &[&str]) -> Result<String> {
        match self {
            Self::Decoder(decoder) => decoder.decode(tokens.iter().map(|&token| Cow::Borrowed(token)).collect()),
            _ => Err(other_stage("decoder")),
        }
    }

    /// Finishes an encoding or a pair. `token` gives the vocabulary's string of an id.
    ///
    /// # Errors
    /// [`Error::UnsupportedComponent`] if this is no post-processor.
    pub fn process<'v>(
        &self,
        encoding: Encoding,
        pair: Option<Encoding>,
        add_special_tokens: bool,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Result<Encoding> {
        match self {
            Self::PostProcessor(processor) => Ok(processor.process(encoding, pair, add_special_tokens, token)),
            _ => Err(other_stage("post_processor")),
        }
    }

    /// How many tokens a post-processor adds.
    ///
    /// # Errors
    /// [`Error::UnsupportedComponent`] if this is none.
    pub fn added_tokens(&self, is_pair: bool) -> Result<usize> {
        match self {
            Self::PostProcessor(processor) => Ok(processor.added_tokens(is_pair)),
            _ => Err(other_stage("post_processor")),
        }
    }
}

impl Tokenizer {
    /// The same tokenizer with one component replaced or, without `text`, taken out. Added tokens keep their ids.
    ///
    /// # Errors
    /// As [`Component::parse`], and what building a tokenizer may raise.
    pub fn with_component(&self, stage: &str, text: Option<&str>) -> Result<Self> {
        let config = text.map(json::value).transpose()?.unwrap_or_default();
        let component = if config.is_null() { None } else { Some(read(stage, &config)?) };
        let mut parts = self.parts();
        match (stage, component) {
            ("normalizer", None) => parts.normalizer = None,
            ("pre_tokenizer", None) => parts.pre_tokenizer = None,
            ("post_processor", None) => parts.post_processor = None,
            ("decoder", None) => parts.decoder = None,
            (_, None) => return Err(unknown_stage(stage)),
            (_, Some(Component::Normalizer(normalizer))) => parts.normalizer = Some(normalizer),
            (_, Some(Component::PreTokenizer(pre_tokenizer))) => parts.pre_tokenizer = Some(pre_tokenizer),
            (_, Some(Component::PostProcessor(processor))) => parts.post_processor = Some(processor),
            (_, Some(Component::Decoder(decoder))) => parts.decoder = Some(decoder),
        }
        match stage {
            "normalizer" => parts.configs.normalizer = config,
            "pre_tokenizer" => parts.configs.pre_tokenizer = config,
            _ => {}
        }
        self.rebuilt(parts)
    }

    /// The same tokenizer with another model, the value of `model` in a tokenizer.json. Added tokens keep their ids.
    ///
    /// # Errors
    /// As [`Tokenizer::from_bytes`].
    pub fn with_model(&self, text: &str) -> Result<Self> {
        let model = tokenizer_json::parse_model(text)?;
        self.rebuilt(TokenizerParts { model, ..self.parts() })
    }

    fn rebuilt(&self, parts: TokenizerParts) -> Result<Self> {
        Self::new(parts).map(|tokenizer| tokenizer.with_encode_special_tokens(self.encode_special_tokens()))
    }
}

fn read(stage: &str, value: &Value) -> Result<Component> {
    Ok(match stage {
        "normalizer" => Component::Normalizer(Normalizer::from_config(value, stage)?),
        "pre_tokenizer" => Component::PreTokenizer(PreTokenizer::from_config(value, stage)?),
        "post_processor" => Component::PostProcessor(PostProcessor::from_config(value, stage)?),
        "decoder" => Component::Decoder(Decoder::from_config(value, stage)?),
        _ => return Err(unknown_stage(stage)),
    })
}

fn unknown_stage(stage: &str) -> Error {
    Error::UnsupportedComponent { stage: "component", name: stage.to_owned() }
}

fn other_stage(stage: &'static str) -> Error {
    Error::UnsupportedComponent { stage, name: "a component of another stage".to_owned() }
}
