//! Many texts or pairs into rows of their own lengths, one behind the other: what lists are made of.

use super::{
    EncodeOptions, Tokenizer,
    batch::LONG_TEXT,
    encode::Input,
    padded::{Encoded, Fields, Pair, Plan},
};
use crate::{Result, TokenId, post_processors::Slot, threads};

/// Columns of rows that are not filled up. Those that were not asked for are empty.
#[derive(Debug, Default)]
pub struct Lists {
    /// Token ids of all rows.
    pub input_ids: Vec<TokenId>,
    /// Type ids.
    pub type_ids: Vec<u32>,
    /// 1 for what the post-processor added.
    pub special_tokens_mask: Vec<u8>,
    /// Where each row ends.
    pub ends: Vec<usize>,
}

impl Tokenizer {
    /// Encodes texts or pairs into rows. Of `fields` count the type ids and the mask of special tokens; padding is left to
    /// whoever makes the lists. `interrupt` is asked now and then on the calling thread; true stops the work.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_batch`].
    pub fn encode_lists(
        &self,
        inputs: &[Pair<'_>],
        options: &EncodeOptions,
        fields: Fields,
        interrupt: &dyn Fn() -> bool,
    ) -> Result<Lists> {
        let Fields { type_ids, special_tokens_mask, .. } = fields;
        let fields = Fields { type_ids, special_tokens_mask, ..Fields::default() };
        if options.truncation.is_none()
            && !type_ids
            && !special_tokens_mask
            && let Some(texts) = long_texts(inputs)
        {
            let ragged = self.encode_ragged(&texts, options.add_special_tokens, false, interrupt)?;
            let ends = ragged.row_offsets[1..].iter().map(|&end| end as usize).collect();
            return Ok(Lists { input_ids: ragged.values, ends, ..Lists::default() });
        }
        let (plan, done) = self.encode_tasks(inputs, options, fields, interrupt)?;
        let count = done.iter().flat_map(Encoded::lengths).map(|(_, len)| len).sum();
        let mut lists = Lists {
            input_ids: Vec::with_capacity(count),
            type_ids: Vec::with_capacity(if type_ids { count } else { 0 }),
            special_tokens_mask: Vec::with_capacity(if special_tokens_mask { count } else { 0 }),
            ends: Vec::with_capacity(inputs.len()),
        };
        for encoded in &done {
            match &plan {
                Some(plan) => lists.push_rows(encoded, plan, fields),
                None => lists.push_encodings(encoded, fields),
            }
        }
        Ok(lists)
    }
}

/// The inputs, if they are texts alone and one of them is worth all threads.
fn long_texts<'t>(inputs: &[Pair<'t>]) -> Option<Vec<&'t str>> {
    if threads::count() == 1 || !inputs.iter().any(|(text, _)| text.len() >= LONG_TEXT) {
        return None;
    }
    let text = |pair: &Pair<'t>| match pair {
        (Input::Text(text), None) => Some(*text),
        _ => None,
    };
    inputs.iter().map(text).collect()
}

impl Lists {
    fn push_rows(&mut self, encoded: &Encoded, plan: &Plan<'_>, fields: Fields) {
        let ids = encoded.tokens.ids();
        for row in &encoded.rows {
            for slot in &plan.layouts[usize::from(row.is_pair)] {
                match slot {
                    Slot::Special { id, type_id } => {
                        self.input_ids.push(*id);
                        self.repeat(fields, 1, *type_id, 1);
                    }
                    Slot::Text { index, type_id, .. } => {
                        let range = row.texts[*index].clone();
                        self.repeat(fields, range.len(), *type_id, 0);
                        self.input_ids.extend_from_slice(&ids[range]);
                    }
                }
            }
            self.ends.push(self.input_ids.len());
        }
    }

    fn repeat(&mut self, fields: Fields, count: usize, type_id: u32, special: u8) {
        if fields.type_ids {
            self.type_ids.extend(std::iter::repeat_n(type_id, count));
        }
        if fields.special_tokens_mask {
            self.special_tokens_mask.extend(std::iter::repeat_n(special, count));
        }
    }

    fn push_encodings(&mut self, encoded: &Encoded, fields: Fields) {
        for (_, encoding) in &encoded.encodings {
            self.input_ids.extend_from_slice(&encoding.ids);
            if fields.type_ids {
                self.type_ids.extend_from_slice(&encoding.type_ids);
            }
            if fields.special_tokens_mask {
                self.special_tokens_mask.extend_from_slice(&encoding.special_tokens_mask);
            }
            self.ends.push(self.input_ids.len());
        }
    }
}
