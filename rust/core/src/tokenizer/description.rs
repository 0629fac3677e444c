//! What a tokenizer is made of, for people.

use super::Tokenizer;
use crate::{Decoder, Normalizer, PostProcessor, PreTokenizer, kernels, models::Model, pre_tokenizers::Pattern};

/// One stage of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Key of tokenizer.json.
    pub stage: &'static str,
    /// The component and its main options; `none` where there is none.
    pub component: String,
    /// What runs it.
    pub engine: String,
}

/// Characters of a pattern that are shown.
const SHOWN_PATTERN: usize = 32;

impl Tokenizer {
    /// The stages in the order in which a text passes them.
    pub fn description(&self) -> Vec<Stage> {
        let stage = |stage, component: Option<String>, engine: &str| {
            let engine = if component.is_some() { engine } else { "" };
            Stage { stage, component: component.unwrap_or_else(|| "none".into()), engine: engine.into() }
        };
        let isa = kernels::isa().name();
        let splitter = match self.inner.scanner {
            Some(scanner) => format!("native: {scanner:?} scanner, {isa}"),
            None if uses_regex(self.pre_tokenizer()) => "regex engine (Oniguruma)".to_owned(),
            None => "native".to_owned(),
        };
        let post_processor = match self.finish(true) {
            Some(_) => "native, on arrays",
            None => "native, on encodings",
        };
        let added = self.added_vocabulary().len();
        let added = (added > 0).then(|| format!("{added} tokens"));
        vec![
            stage("added_tokens", added, "native"),
            stage("normalizer", self.normalizer().map(normalizer), "native"),
            stage("pre_tokenizer", self.pre_tokenizer().map(pre_tokenizer), &splitter),
            stage("model", Some(model(self.model())), "native"),
            stage("post_processor", self.post_processor().map(self::post_processor), post_processor),
            stage("decoder", self.decoder().map(decoder), "native"),
        ]
    }
}

fn uses_regex(component: Option<&PreTokenizer>) -> bool {
    match component {
        Some(PreTokenizer::Sequence(parts)) => parts.iter().any(|part| uses_regex(Some(part))),
        Some(PreTokenizer::Split(split)) => matches!(split.pattern, Pattern::Regex(_)),
        _ => false,
    }
}

fn sequence<T>(parts: &[T], describe: impl Fn(&T) -> String) -> String {
    if parts.is_empty() {
        return "empty Sequence".into();
    }
    parts.iter().map(describe).collect::<Vec<_>>().join(" > ")
}

fn model(model: &Model) -> String {
    match model {
        Model::Bpe(bpe) => {
            let ignoring = if bpe.ignore_merges() { ", ignore_merges" } else { "" };
            let dropping = if bpe.drops_merges() { ", dropout" } else { "" };
            format!("{} ({} merges{ignoring}{dropping})", model.name(), bpe.merges())
        }
        _ => format!("{} ({} tokens)", model.name(), model.len()),
    }
}

fn normalizer(component: &Normalizer) -> String {
    match component {
        Normalizer::Sequence(parts) => sequence(parts, normalizer),
        Normalizer::Bert(_) => "BertNormalizer".into(),
        Normalizer::Nmt => "Nmt".into(),
        Normalizer::Precompiled(_) => "Precompiled".into(),
        Normalizer::ByteLevel => "ByteLevel".into(),
        Normalizer::Nfc => "NFC".into(),
        Normalizer::Nfd => "NFD".into(),
        Normalizer::Nfkc => "NFKC".into(),
        Normalizer::Nfkd => "NFKD".into(),
        Normalizer::Lowercase => "Lowercase".into(),
        Normalizer::Strip { .. } => "Strip".into(),
        Normalizer::StripAccents => "StripAccents".into(),
        Normalizer::Replace(_) => "Replace".into(),
        Normalizer::Prepend(text) => format!("Prepend({text:?})"),
    }
}

fn pre_tokenizer(component: &PreTokenizer) -> String {
    match component {
        PreTokenizer::Sequence(parts) => sequence(parts, pre_tokenizer),
        PreTokenizer::ByteLevel(byte_level) => {
            let pattern = if byte_level.use_regex { "(use_regex)" } else { "" };
            format!("ByteLevel{pattern}")
        }
        PreTokenizer::Split(split) => {
            let (Pattern::String(pattern) | Pattern::Regex(pattern)) = &split.pattern;
            let dots = if pattern.chars().count() > SHOWN_PATTERN { "…" } else { "" };
            let shown: String = pattern.chars().take(SHOWN_PATTERN).collect();
            format!("Split({shown}{dots})")
        }
        PreTokenizer::Digits(_) => "Digits".into(),
        PreTokenizer::WhitespaceSplit => "WhitespaceSplit".into(),
        PreTokenizer::CharDelimiterSplit(delimiter) => format!("CharDelimiterSplit({delimiter:?})"),
        PreTokenizer::Whitespace => "Whitespace".into(),
        PreTokenizer::Bert => "BertPreTokenizer".into(),
        PreTokenizer::Punctuation(punctuation) => format!("Punctuation({:?})", punctuation.behavior),
        PreTokenizer::Metaspace(metaspace) => {
            let split = if metaspace.split { "" } else { ", no split" };
            format!("Metaspace({:?}, {:?}{split})", metaspace.replacement, metaspace.prepend_scheme)
        }
        PreTokenizer::UnicodeScripts => "UnicodeScripts".into(),
        PreTokenizer::FixedLength(fixed_length) => format!("FixedLength({})", fixed_length.length),
    }
}

fn post_processor(component: &PostProcessor) -> String {
    match component {
        PostProcessor::ByteLevel(_) => "ByteLevel".into(),
        PostProcessor::TemplateProcessing(_) => "TemplateProcessing".into(),
        PostProcessor::RobertaProcessing(_) => "RobertaProcessing".into(),
        PostProcessor::BertProcessing(_) => "BertProcessing".into(),
        PostProcessor::Sequence { processors } => sequence(processors, post_processor),
    }
}

fn decoder(component: &Decoder) -> String {
    match component {
        Decoder::Bpe(_) => "BPEDecoder".into(),
        Decoder::ByteLevel(_) => "ByteLevel".into(),
        Decoder::WordPiece(_) => "WordPiece".into(),
        Decoder::Metaspace(_) => "Metaspace".into(),
        Decoder::Ctc(_) => "CTC".into(),
        Decoder::Sequence { decoders } => sequence(decoders, decoder),
        Decoder::Fuse => "Fuse".into(),
        Decoder::Strip(_) => "Strip".into(),
        Decoder::Replace(_) => "Replace".into(),
        Decoder::ByteFallback => "ByteFallback".into(),
    }
}
