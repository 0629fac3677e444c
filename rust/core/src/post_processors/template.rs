use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{read, special_tokens};
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::ids::TokenId;

/// One of the texts of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Sequence {
    /// The first, which is always there.
    A,
    /// The second text of a pair.
    B,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Piece {
    /// A text of the input.
    Sequence {
        /// Which text.
        id: Sequence,
        /// Type id of its tokens.
        type_id: u32,
    },
    /// A special token.
    SpecialToken {
        /// Its key in the list of special tokens.
        id: String,
        /// Type id of its tokens.
        type_id: u32,
    },
}

/// What stands in the output, in order.
pub type Template = Vec<Piece>;

/// What a special token of a template stands for: one token or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SpecialToken {
    /// Its name in the file.
    pub id: String,
    /// The ids.
    pub ids: Vec<TokenId>,
    /// The text of each.
    pub tokens: Vec<String>,
}

/// Special tokens, sequences and type ids by a template for a single text and one for a pair.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TemplateProcessing {
    single: Template,
    pair: Template,
    #[serde(serialize_with = "in_order")]
    special_tokens: HashMap<String, SpecialToken>,
}

fn in_order<S: Serializer>(tokens: &HashMap<String, SpecialToken>, serializer: S) -> Result<S::Ok, S::Error> {
    tokens.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

impl TemplateProcessing {
    /// Reads the component and checks that its templates can be filled; the reference panics on first use if not.
    ///
    /// # Errors
    /// [`Error::Schema`] when a field is missing or of the wrong type, when a template uses a special token that is not
    /// declared, or when the template for a single text uses the second text.
    pub fn from_config(value: &Value, path: &str) -> Result<Self> {
        let template: Self = read(value, path)?;
        let fail = |key: &str, message: String| Err(Error::Schema { path: format!("{path}.{key}"), message });
        for (key, pieces) in [("single", &template.single), ("pair", &template.pair)] {
            for piece in pieces {
                match piece {
                    Piece::SpecialToken { id, .. } if !template.special_tokens.contains_key(id) => {
                        return fail(key, format!("special token {id:?} is missing in `special_tokens`"));
                    }
                    Piece::Sequence { id: Sequence::B, .. } if key == "single" => {
                        return fail(key, "a single text has no sequence B".to_owned());
                    }
                    _ => {}
                }
            }
        }
        for (key, special) in &template.special_tokens {
            if special.ids.len() != special.tokens.len() {
                return fail(
                    "special_tokens",
                    format!("{key:?} has {} ids and {} tokens", special.ids.len(), special.tokens.len()),
                );
            }
        }
        Ok(template)
    }

    /// The template of a text or of a pair.
    pub fn pieces(&self, is_pair: bool) -> &[Piece] {
        if is_pair { &self.pair } else { &self.single }
    }

    /// The ids of a special token of the templates.
    pub fn special_token_ids(&self, id: &str) -> &[TokenId] {
        &self.special_tokens[id].ids
    }

    pub(super) fn largest_id(&self) -> TokenId {
        self.special_tokens.values().flat_map(|special| &special.ids).copied().max().unwrap_or(0)
    }

    pub(super) fn added_tokens(&self, is_pair: bool) -> usize {
        let pieces = self.pieces(is_pair);
        let count = |piece: &Piece| match piece {
            Piece::Sequence { .. } => 0,
            Piece::SpecialToken { id, .. } => self.special_tokens[id].ids.len(),
        };
        pieces.iter().map(count).sum()
    }

    pub(super) fn single_affixes(&self, add_special_tokens: bool) -> Option<(Vec<TokenId>, Vec<TokenId>)> {
        let is_text = |piece: &Piece| matches!(piece, Piece::Sequence { .. });
        let place = self.single.iter().position(is_text)?;
        if self.single[place + 1..].iter().any(is_text) {
            return None;
        }
        let ids = |pieces: &[Piece]| {
            let mut ids = Vec::new();
            for piece in pieces {
                if let Piece::SpecialToken { id, .. } = piece
                    && add_special_tokens
                {
                    ids.extend_from_slice(&self.special_tokens[id].ids);
                }
            }
            ids
        };
        Some((ids(&self.single[..place]), ids(&self.single[place + 1..])))
    }

    pub(super) fn process<'v>(
        &self,
        mut encodings: Vec<Encoding>,
        add_special_tokens: bool,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Vec<Encoding> {
        let pieces = self.pieces(encodings.len() > 1);
        let mut result = Vec::with_capacity(pieces.len());
        for (index, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Sequence { id, type_id } => {
                    let number = usize::from(*id == Sequence::B);
                    let encoding = &mut encodings[number];
                    encoding.type_ids.fill(*type_id);
                    encoding.set_sequence_id(number);
                    let again = |piece: &Piece| matches!(piece, Piece::Sequence { id: other, .. } if other == id);
                    let last = !pieces[index + 1..].iter().any(again);
                    result.push(if last { std::mem::take(encoding) } else { encoding.clone() });
                }
                Piece::SpecialToken { id, type_id } if add_special_tokens => {
                    let special = &self.special_tokens[id];
                    let tokens = special.ids.iter().copied().zip(special.tokens.iter().map(String::as_str));
                    result.push(special_tokens(tokens, *type_id, token));
                }
                Piece::SpecialToken { .. } => {}
            }
        }
        result
    }
}
