//! The `.model` file of `SentencePiece`, turned into a tokenizer as transformers does it for a tokenizer without a class of
//! its own.
//!
//! The conversion is transformers', not `SentencePiece`'s: neither the space before a text nor the removal of double spaces
//! is part of it, since those are added by the classes of single models.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::protobuf::{Message, Value};
use crate::added_vocabulary::AddedToken;
use crate::decoders::Decoder;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::models::{Bpe, BpeConfig, Merge, Model, Unigram, UnigramConfig};
use crate::normalizers::Normalizer;
use crate::post_processors::PostProcessor;
use crate::tokenizer::{Configs, TokenizerParts};
use crate::vocab::{MAX_TOKEN_ID, MAX_VOCAB_BYTES, Vocab};

/// A model that adds scores; the others become byte-pair encoders.
const UNIGRAM: u64 = 1;
/// A piece that is no text but a command.
const CONTROL: u64 = 3;
/// A piece that is never cut.
const USER_DEFINED: u64 = 4;

/// A token of the file.
struct Piece<'b> {
    text: &'b str,
    score: f32,
    kind: u64,
}

/// What the file says, with protobuf's defaults where it says nothing.
struct File<'b> {
    pieces: Vec<Piece<'b>>,
    model_type: u64,
    byte_fallback: bool,
    unk_id: i32,
    bos_id: i32,
    eos_id: i32,
    unk_piece: &'b str,
    bos_piece: &'b str,
    eos_piece: &'b str,
    charsmap: &'b [u8],
}

/// Reads the content of a `.model` file.
///
/// # Errors
/// [`Error::Protobuf`] where the bytes are no message, [`Error::Schema`] where the message is no model, and what building the
/// components may raise.
pub fn parse(bytes: &[u8]) -> Result<TokenizerParts> {
    let file = File::read(bytes)?;
    if file.pieces.is_empty() {
        return Err(Error::Schema { path: "pieces".to_owned(), message: "there are none".to_owned() });
    }
    if file.pieces.len() > MAX_TOKEN_ID as usize {
        return Err(Error::Limit { what: "number of pieces", found: file.pieces.len(), limit: MAX_TOKEN_ID as usize });
    }
    let found = file.pieces.iter().map(|piece| piece.text.len()).sum();
    if found > MAX_VOCAB_BYTES {
        return Err(Error::Limit { what: "length of all pieces in bytes", found, limit: MAX_VOCAB_BYTES });
    }
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let mut normalizers = vec![spaces];
    if !file.charsmap.is_empty() {
        let charsmap = STANDARD.encode(file.charsmap);
        normalizers.insert(0, json!({"type": "Precompiled", "precompiled_charsmap": charsmap}));
    }
    let normalizer = json!({"type": "Sequence", "normalizers": normalizers});
    let mut decoders = vec![json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})];
    if file.byte_fallback {
        decoders.extend([json!({"type": "ByteFallback"}), json!({"type": "Fuse"})]);
    }
    let decoder = json!({"type": "Sequence", "decoders": decoders});
    let sequence = |id: &str, type_id: u32| json!({"Sequence": {"id": id, "type_id": type_id}});
    let post_processor = json!({
        "type": "TemplateProcessing",
        "single": [sequence("A", 0)],
        "pair": [sequence("A", 0), sequence("B", 1)],
        "special_tokens": {},
    });
    Ok(TokenizerParts {
        normalizer: Some(Normalizer::from_config(&normalizer, "normalizer")?),
        pre_tokenizer: None,
        model: Arc::new(file.model()?),
        post_processor: Some(PostProcessor::from_config(&post_processor, "post_processor")?),
        decoder: Some(Decoder::from_config(&decoder, "decoder")?),
        added_tokens: file.added_tokens(),
        truncation: None,
        padding: None,
        configs: Configs { normalizer, pre_tokenizer: Json::Null },
    })
}

impl<'b> File<'b> {
    fn read(bytes: &'b [u8]) -> Result<Self> {
        let mut file = Self {
            pieces: Vec::new(),
            model_type: UNIGRAM,
            byte_fallback: false,
            unk_id: 0,
            bos_id: 1,
            eos_id: 2,
            unk_piece: "<unk>",
            bos_piece: "<s>",
            eos_piece: "</s>",
            charsmap: &[],
        };
        let mut message = Message::new(bytes);
        while let Some((number, value)) = message.next_field()? {
            match (number, value) {
                (1, Value::Bytes(bytes)) => file.read_piece(message.inner(bytes))?,
                (2, Value::Bytes(bytes)) => file.read_trainer(message.inner(bytes))?,
                (3, Value::Bytes(bytes)) => file.read_normalizer(message.inner(bytes))?,
                _ => {}
            }
        }
        Ok(file)
    }

    fn read_piece(&mut self, mut message: Message<'b>) -> Result<()> {
        let mut piece = Piece { text: "", score: 0.0, kind: 1 };
        while let Some((number, value)) = message.next_field()? {
            match (number, value) {
                (1, _) => piece.text = message.text(value)?,
                (2, Value::Fixed32(bytes)) => piece.score = f32::from_le_bytes(bytes),
                (3, Value::Varint(kind)) => piece.kind = kind,
                _ => {}
            }
        }
        self.pieces.push(piece);
        Ok(())
    }

    fn read_trainer(&mut self, mut message: Message<'b>) -> Result<()> {
        while let Some((number, value)) = message.next_field()? {
            match (number, value) {
                (3, Value::Varint(kind)) => self.model_type = kind,
                (35, Value::Varint(flag)) => self.byte_fallback = flag != 0,
                (40, Value::Varint(id)) => self.unk_id = id as i32,
                (41, Value::Varint(id)) => self.bos_id = id as i32,
                (42, Value::Varint(id)) => self.eos_id = id as i32,
                (45, _) => self.unk_piece = message.text(value)?,
                (46, _) => self.bos_piece = message.text(value)?,
                (47, _) => self.eos_piece = message.text(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, mut message: Message<'b>) -> Result<()> {
        while let Some((number, value)) = message.next_field()? {
            if let (2, Value::Bytes(charsmap)) = (number, value) {
                self.charsmap = charsmap;
            }
        }
        Ok(())
    }

    fn model(&self) -> Result<Model> {
        if self.model_type == UNIGRAM {
            let unk_id = usize::try_from(self.unk_id).map_err(|_| Error::Schema {
                path: "trainer_spec.unk_id".to_owned(),
                message: format!("expected the number of a piece, found {}", self.unk_id),
            })?;
            let scored = |(i, piece): (usize, &Piece<'_>)| Ok((piece.text.to_owned(), copied(i, piece.score)?));
            return Ok(Model::Unigram(Box::new(Unigram::new(UnigramConfig {
                vocab: self.pieces.iter().enumerate().map(scored).collect::<Result<_>>()?,
                unk_id: Some(unk_id),
                byte_fallback: self.byte_fallback,
            })?)));
        }
        // Of a piece that is there twice the last one counts.
        let last: HashMap<&str, usize> = self.pieces.iter().enumerate().map(|(id, piece)| (piece.text, id)).collect();
        let mut vocab = Vocab::with_capacity(last.len(), self.pieces.iter().map(|piece| piece.text.len()).sum());
        for (id, piece) in self.pieces.iter().enumerate().filter(|(id, piece)| last[piece.text] == *id) {
            vocab.insert(piece.text, id as TokenId);
        }
        let merges = self.merges(&last);
        Ok(Model::Bpe(Box::new(Bpe::new(BpeConfig {
            vocab,
            merges,
            unk_token: Some(self.unk_piece.to_owned()),
            fuse_unk: true,
            byte_fallback: self.byte_fallback,
            ..BpeConfig::default()
        })?)))
    }

    /// Every way to put a piece together from two others, in order of its number; shorter left parts first.
    fn merges(&self, ids: &HashMap<&str, usize>) -> Vec<Merge> {
        // A part has the length of some piece, which rules out nearly all cuts of a piece of absurd length.
        let lengths: HashSet<usize> = ids.keys().map(|piece| piece.len()).collect();
        let mut merges = Vec::new();
        for (result, piece) in self.pieces.iter().enumerate().filter(|(id, piece)| ids[piece.text] == *id) {
            let text = piece.text;
            let cuts = text.char_indices().map(|(at, _)| at).skip(1);
            for at in cuts.filter(|at| lengths.contains(at) && lengths.contains(&(text.len() - at))) {
                if let (Some(&left), Some(&right)) = (ids.get(&text[..at]), ids.get(&text[at..])) {
                    merges.push(Merge { left: left as TokenId, right: right as TokenId, result: result as TokenId });
                }
            }
        }
        merges
    }

    /// The named special tokens, then control and user-defined pieces.
    fn added_tokens(&self) -> Vec<(Option<TokenId>, AddedToken)> {
        let or = |piece: &'b str, default: &'b str| if piece.is_empty() { default } else { piece };
        let named = [
            (self.bos_id, or(self.bos_piece, "<s>")),
            (self.eos_id, or(self.eos_piece, "</s>")),
            (self.unk_id, or(self.unk_piece, "<unk>")),
        ];
        let named = named.into_iter().filter(|&(id, _)| id >= 0).map(|(_, piece)| (piece, true));
        let listed = self.pieces.iter().filter(|piece| matches!(piece.kind, CONTROL | USER_DEFINED));
        let tokens = named.chain(listed.map(|piece| (piece.text, piece.kind == CONTROL)));
        tokens
            .map(|(text, special)| (None, AddedToken { normalized: false, ..AddedToken::new(text, special) }))
            .collect()
    }
}

/// The score of a piece as transformers ends up with it: it copies the tokenizer by way of JSON, which has no infinity and no
/// NaN, read by a parser whose last bit may differ.
fn copied(piece: usize, score: f32) -> Result<f64> {
    let copied = serde_json::to_string(&f64::from(score)).and_then(|text| serde_json::from_str(&text));
    copied.map_err(|_| Error::Schema {
        path: format!("pieces[{piece}].score"),
        message: format!("expected a finite number, found {score}"),
    })
}
