//! What a trainer learned as the fields of a `model` in tokenizer.json.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::trainers::{TrainedBpe, TrainedUnigram};
use crate::vocab::Vocab;

/// A vocabulary as an object, in order of ids.
struct Tokens<'v>(&'v Vocab);

impl Serialize for Tokens<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for id in 0..self.0.id_bound() as u32 {
            if let Some(token) = self.0.token(id) {
                map.serialize_entry(token, &id)?;
            }
        }
        map.end()
    }
}

/// Merges as pairs of tokens.
struct Merges<'t>(&'t TrainedBpe);

impl Serialize for Merges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = |id| self.0.vocab.token(id).unwrap_or_default();
        let mut list = serializer.serialize_seq(Some(self.0.merges.len()))?;
        for merge in &self.0.merges {
            list.serialize_element(&[token(merge.left), token(merge.right)])?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Fields<'t> {
    vocab: Tokens<'t>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merges: Option<Merges<'t>>,
}

/// An object of `vocab` and `merges`.
pub fn bpe_fields(trained: &TrainedBpe) -> String {
    json(&Fields { vocab: Tokens(&trained.vocab), merges: Some(Merges(trained)) })
}

/// An object of `vocab`.
pub fn vocab_fields(vocab: &Vocab) -> String {
    json(&Fields { vocab: Tokens(vocab), merges: None })
}

/// An object of `vocab` and `unk_id`.
pub fn unigram_fields(trained: &TrainedUnigram) -> String {
    #[derive(Serialize)]
    struct Fields<'t> {
        unk_id: Option<usize>,
        vocab: &'t [(String, f64)],
    }
    json(&Fields { unk_id: trained.unk_id, vocab: &trained.vocab })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and numbers are JSON")
}
