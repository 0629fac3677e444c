//! Ids back to text.

use std::{borrow::Cow, sync::Arc};

use super::Tokenizer;
use crate::{
    AddedVocabulary, TokenId, Vocab,
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

impl Tokenizer {
    /// The text of ids. Ids without a token are passed over, as in the reference.
    pub fn decode(&self, ids: &[TokenId], skip_special_tokens: bool) -> String {
        match &self.inner.decoder {
            Some(decoder) if decoder.is_byte_level() => self.decode_bytes(ids, skip_special_tokens),
            Some(decoder) => decoder.decode(self.decoded_tokens(ids, skip_special_tokens)),
            None => self.decoded_tokens(ids, skip_special_tokens).join(" "),
        }
    }

    fn decoded_tokens(&self, ids: &[TokenId], skip_special_tokens: bool) -> Vec<Cow<'_, str>> {
        let wanted = |id: &&TokenId| !(skip_special_tokens && self.kind(**id) == SPECIAL);
        ids.iter().filter(wanted).filter_map(|&id| self.id_to_token(id).map(Cow::Borrowed)).collect()
    }

    fn kind(&self, id: TokenId) -> u8 {
        self.decode_table.kinds.get(id as usize).copied().unwrap_or(MODEL)
    }

    /// The bytes of the tokens one after the other; what is not UTF-8 then becomes U+FFFD.
    fn decode_bytes(&self, ids: &[TokenId], skip_special_tokens: bool) -> String {
        let Model::Bpe(bpe) = &self.inner.model else {
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
                // Sixteen bytes whatever the token's length: one store instead of a call.
                let (padded, len) = bytes.padded(id);
                if len <= padded.len() {
                    let end = text.len() + len;
                    text.extend_from_slice(padded);
                    text.truncate(end);
                } else {
                    text.extend_from_slice(bytes.get(id));
                }
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
