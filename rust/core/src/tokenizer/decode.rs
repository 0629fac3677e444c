//! Ids back to text.

use std::{borrow::Cow, sync::Arc};

use super::Tokenizer;
use crate::{
    AddedVocabulary, Result, TokenId, Vocab,
    decoders::{PerToken, Place},
    models::{
        Model,
        bpe::{TokenBytes, append_token_bytes},
    },
};

/// How an id is decoded, one byte each.
const MODEL: u8 = 0;
const ADDED: u8 = 1;
const SPECIAL: u8 = 2;

/// What decoding asks about ids, answered by a table.
#[derive(Clone)]
pub(super) struct DecodeTable {
    kinds: Arc<[u8]>,
}

impl DecodeTable {
    pub(super) fn new(added: &AddedVocabulary, model: &Vocab) -> Self {
        let bound = added.iter().map(|(id, _)| id as usize + 1).max().unwrap_or(0);
        let mut kinds = vec![MODEL; bound.max(model.id_bound())];
        for (id, _) in added.iter() {
            kinds[id as usize] = if added.is_special(id) { SPECIAL } else { ADDED };
        }
        let kinds = kinds.into();
        Self { kinds }
    }
}

/// The text of every token of the model between others, for decoders that turn each token into text by itself. Made when
/// first needed.
pub(super) struct TokenTexts {
    texts: TokenBytes,
    /// 1 for a token that stands for a byte, which is then its text; 2 for an id without a token.
    kinds: Vec<u8>,
}

const TEXT: u8 = 0;
const BYTE: u8 = 1;
const NONE: u8 = 2;

impl TokenTexts {
    pub(super) fn new(parts: &PerToken<'_>, vocab: &Vocab) -> Result<Self> {
        let mut kinds = Vec::with_capacity(vocab.id_bound());
        let mut failed = None;
        let texts = TokenBytes::build(vocab.id_bound(), vocab.text_len(), |id, out| {
            let Some(token) = vocab.token(id) else {
                kinds.push(NONE);
                return;
            };
            match parts.text(token, Place::default()) {
                Ok(text) => {
                    let byte = parts.byte(&text);
                    kinds.push(if byte.is_some() { BYTE } else { TEXT });
                    match byte {
                        Some(byte) => out.push(byte),
                        None => out.extend_from_slice(text.as_bytes()),
                    }
                }
                Err(error) => failed = Some(error),
            }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(Self { texts, kinds }),
        }
    }
}

/// Text in the making. Bytes of tokens like `<0x0A>` are part of it only once they make up characters.
struct Text {
    bytes: Vec<u8>,
    /// Where a run of such bytes began.
    run: Option<usize>,
}

impl Text {
    fn push_byte(&mut self, byte: u8) {
        self.run.get_or_insert(self.bytes.len());
        self.bytes.push(byte);
    }

    /// Ends a run: as characters, or as one replacement character a byte.
    #[inline]
    fn end_run(&mut self) {
        if let Some(start) = self.run.take()
            && std::str::from_utf8(&self.bytes[start..]).is_err()
        {
            let count = self.bytes.len() - start;
            self.bytes.truncate(start);
            self.bytes.extend("\u{fffd}".repeat(count).bytes());
        }
    }
}

impl Tokenizer {
    /// The text of ids. Ids without a token are passed over, as in the reference.
    ///
    /// # Errors
    /// [`crate::Error::RegexSearch`] when a decoder's regex gives up on a token.
    pub fn decode(&self, ids: &[TokenId], skip_special_tokens: bool) -> Result<String> {
        let Some(decoder) = &self.inner.decoder else {
            return Ok(self.decoded_tokens(ids, skip_special_tokens).join(" "));
        };
        if decoder.is_byte_level() {
            return Ok(self.decode_bytes(ids, skip_special_tokens));
        }
        match decoder.per_token() {
            Some(parts) => self.decode_texts(&parts, ids, skip_special_tokens),
            None => decoder.decode(self.decoded_tokens(ids, skip_special_tokens)),
        }
    }

    /// As [`Tokenizer::decode`], by the decoder's own steps: what the faster ways are compared with.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_by_steps(&self, ids: &[TokenId], skip_special_tokens: bool) -> Result<String> {
        let tokens = self.decoded_tokens(ids, skip_special_tokens);
        self.inner.decoder.as_ref().map_or_else(|| Ok(tokens.join(" ")), |decoder| decoder.decode(tokens.clone()))
    }

    fn decoded_tokens(&self, ids: &[TokenId], skip_special_tokens: bool) -> Vec<Cow<'_, str>> {
        let wanted = |id: &&TokenId| !(skip_special_tokens && self.kind(**id) == SPECIAL);
        ids.iter().filter(wanted).filter_map(|&id| self.id_to_token(id).map(Cow::Borrowed)).collect()
    }

    fn kind(&self, id: TokenId) -> u8 {
        self.decode_table.kinds.get(id as usize).copied().unwrap_or(MODEL)
    }

    /// The texts of the tokens one after the other.
    fn decode_texts(&self, parts: &PerToken<'_>, ids: &[TokenId], skip_special_tokens: bool) -> Result<String> {
        let table = if let Some(table) = self.inner.token_texts.get() {
            table
        } else {
            let table = TokenTexts::new(parts, self.inner.model.vocab())?;
            self.inner.token_texts.get_or_init(|| table)
        };
        let is_token = |&id: &TokenId| match self.kind(id) {
            MODEL => table.kinds.get(id as usize).is_some_and(|&kind| kind != NONE),
            kind => !(skip_special_tokens && kind == SPECIAL),
        };
        let (Some(first), Some(last)) = (ids.iter().position(is_token), ids.iter().rposition(is_token)) else {
            return self.decode_by_steps(&[], skip_special_tokens);
        };
        let mut text = Text { bytes: Vec::with_capacity((last - first + 1) * 5 + TokenBytes::SLACK), run: None };
        self.push_text(parts, ids[first], Place { is_first: true, is_last: first == last }, &mut text)?;
        let between = ids.get(first + 1..last).unwrap_or_default();
        for &id in between {
            let kind = self.kind(id);
            if kind == MODEL {
                match table.kinds.get(id as usize) {
                    Some(&TEXT) => {
                        text.end_run();
                        table.texts.append(id, &mut text.bytes);
                    }
                    Some(&BYTE) => text.push_byte(table.texts.get(id)[0]),
                    _ => {}
                }
            } else if !(skip_special_tokens && kind == SPECIAL) {
                self.push_text(parts, id, Place::default(), &mut text)?;
            }
        }
        if first < last {
            self.push_text(parts, ids[last], Place { is_first: false, is_last: true }, &mut text)?;
        }
        text.end_run();
        let mut text = into_text(text.bytes);
        for strip in &parts.strips {
            let trimmed = strip.trimmed(&text);
            let start = trimmed.as_ptr().addr() - text.as_ptr().addr();
            let end = start + trimmed.len();
            text.truncate(end);
            text.drain(..start);
        }
        Ok(text)
    }

    fn push_text(&self, parts: &PerToken<'_>, id: TokenId, place: Place, out: &mut Text) -> Result<()> {
        let text = parts.text(self.id_to_token(id).unwrap_or_default(), place)?;
        if let Some(byte) = parts.byte(&text) {
            out.push_byte(byte);
        } else {
            out.end_run();
            out.bytes.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }

    /// The bytes of the tokens one after the other; what is not UTF-8 then becomes U+FFFD.
    fn decode_bytes(&self, ids: &[TokenId], skip_special_tokens: bool) -> String {
        let Model::Bpe(bpe) = &*self.inner.model else {
            let mut text = Vec::new();
            for token in self.decoded_tokens(ids, skip_special_tokens) {
                append_token_bytes(&token, &mut text);
            }
            return into_text(text);
        };
        let bytes = bpe.token_bytes();
        let mut text: Vec<u8> = Vec::with_capacity(ids.len() * 5 + TokenBytes::SLACK);
        for &id in ids {
            let kind = self.kind(id);
            if kind == MODEL {
                bytes.append(id, &mut text);
            } else if !(skip_special_tokens && kind == SPECIAL) {
                append_token_bytes(self.id_to_token(id).unwrap_or_default(), &mut text);
            }
        }
        into_text(text)
    }
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
