//! What a post-processor does to ids, as a plan that can be carried out on arrays.

use super::{Piece, PostProcessor, Sequence};
use crate::ids::TokenId;

/// One part of an output row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A special token.
    Special {
        /// Its id.
        id: TokenId,
        /// Its type id.
        type_id: u32,
    },
    /// The tokens of a text.
    Text {
        /// 0, or 1 for the second text of a pair.
        index: usize,
        /// Type id of its tokens.
        type_id: u32,
        /// Type id of its tokens in parts that were cut off, which the reference's processors mostly forget.
        overflow_type_id: u32,
    },
}

/// The slots of a text or pair when there is no post-processor.
pub fn plain_layout(is_pair: bool) -> Vec<Slot> {
    let text = |index| Slot::Text { index, type_id: index as u32, overflow_type_id: index as u32 };
    (0..=usize::from(is_pair)).map(text).collect()
}

impl PostProcessor {
    /// The slots of a text or pair. None: something happens that only [`process`](Self::process) can do.
    pub fn layout(&self, is_pair: bool, add_special_tokens: bool) -> Option<Vec<Slot>> {
        let mut slots = plain_layout(is_pair);
        let mut rewritten = false;
        self.lay_out(is_pair, add_special_tokens, &mut slots, &mut rewritten)?;
        Some(slots)
    }

    /// `rewritten`: a processor before has left more than one encoding per text, or special tokens beside it.
    fn lay_out(
        &self,
        is_pair: bool,
        add_special_tokens: bool,
        slots: &mut Vec<Slot>,
        rewritten: &mut bool,
    ) -> Option<()> {
        let special = |(_, id): &(String, TokenId), type_id| Slot::Special { id: *id, type_id };
        let texts: Vec<Slot> = match self {
            Self::ByteLevel(_) => return Some(()),
            Self::Sequence { processors } => {
                return processors
                    .iter()
                    .try_for_each(|processor| processor.lay_out(is_pair, add_special_tokens, slots, rewritten));
            }
            Self::BertProcessing(_) if !add_special_tokens => return Some(()),
            _ if *rewritten => return None,
            Self::RobertaProcessing(_) => {
                let overflow_type_id = |index| if add_special_tokens { 0 } else { index as u32 };
                let text = |index| Slot::Text { index, type_id: 0, overflow_type_id: overflow_type_id(index) };
                (0..slots.len()).map(text).collect()
            }
            _ => slots.clone(),
        };
        *rewritten = true;
        *slots = match self {
            Self::TemplateProcessing(template) => {
                let mut slots = Vec::new();
                for piece in template.pieces(is_pair) {
                    match piece {
                        Piece::Sequence { id, type_id } => {
                            let index = usize::from(*id == Sequence::B);
                            slots.push(Slot::Text { index, type_id: *type_id, overflow_type_id: index as u32 });
                        }
                        Piece::SpecialToken { id, type_id } if add_special_tokens => {
                            let ids = template.special_token_ids(id).iter();
                            slots.extend(ids.map(|&id| Slot::Special { id, type_id: *type_id }));
                        }
                        Piece::SpecialToken { .. } => {}
                    }
                }
                slots
            }
            Self::RobertaProcessing(roberta) if add_special_tokens => {
                let (cls, sep) = (special(&roberta.cls, 0), special(&roberta.sep, 0));
                let around = |(index, text): (usize, Slot)| [if index == 0 { cls } else { sep }, text, sep];
                texts.into_iter().enumerate().flat_map(around).collect()
            }
            Self::BertProcessing(bert) => {
                let mut slots = vec![special(&bert.cls, 0)];
                for (index, text) in texts.into_iter().enumerate() {
                    slots.extend([text, special(&bert.sep, index as u32)]);
                }
                slots
            }
            _ => texts,
        };
        Some(())
    }
}
