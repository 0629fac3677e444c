//! The last stage of encoding: special tokens around the sequences, type ids, and offsets without blanks.

mod bert;
mod byte_level;
mod layout;
mod roberta;
mod template;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::bert::BertProcessing;
pub use self::byte_level::{ByteLevel, blanks, trim_blanks};
pub use self::layout::{Slot, plain_layout};
pub use self::roberta::RobertaProcessing;
pub use self::template::{Piece, Sequence, SpecialToken, Template, TemplateProcessing};
use crate::encoding::{Encoding, NO_WORD};
use crate::error::{Error, Result};
use crate::ids::TokenId;

/// A post-processor of tokenizer.json. It serializes as the reference writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum PostProcessor {
    /// Takes blanks out of offsets.
    ByteLevel(ByteLevel),
    /// Special tokens by a template.
    TemplateProcessing(TemplateProcessing),
    /// `<s> A </s> </s> B </s>`.
    RobertaProcessing(RobertaProcessing),
    /// `[CLS] A [SEP] B [SEP]`.
    BertProcessing(BertProcessing),
    /// One after the other.
    Sequence {
        /// Which.
        processors: Vec<PostProcessor>,
    },
}

impl PostProcessor {
    /// Reads the value of the key `post_processor`; `path` is the way to it, for messages.
    ///
    /// As in the reference the fields decide, and the `type` counts only where the fields leave it open: a
    /// `RobertaProcessing` without `trim_offsets` is a `BertProcessing`.
    ///
    /// # Errors
    /// [`Error::UnsupportedComponent`] for a type that this version does not run, [`Error::Schema`] for bad fields.
    pub fn from_config(value: &Value, path: &str) -> Result<Self> {
        let kind = value.get("type").and_then(Value::as_str);
        let roberta = read(value, path).map(Self::RobertaProcessing);
        let bert = || read(value, path).map(Self::BertProcessing);
        let template = || TemplateProcessing::from_config(value, path).map(Self::TemplateProcessing);
        match (roberta.or_else(|_| bert()), kind) {
            (Ok(processor), _) => Ok(processor),
            (_, Some("ByteLevel")) => Ok(Self::ByteLevel(read(value, path)?)),
            (_, Some("Sequence")) => Self::sequence(value, path),
            (_, Some("TemplateProcessing")) => template(),
            (Err(error), Some("RobertaProcessing" | "BertProcessing")) => Err(error),
            _ if value.get("single").is_some() => template(),
            (_, Some(name)) => Err(Error::UnsupportedComponent { stage: "post_processor", name: name.to_owned() }),
            (_, None) => {
                Err(Error::Schema { path: path.to_owned(), message: "expected an object with a `type`".to_owned() })
            }
        }
    }

    fn sequence(value: &Value, path: &str) -> Result<Self> {
        let path = format!("{path}.processors");
        let Some(values) = value.get("processors").and_then(Value::as_array) else {
            return Err(Error::Schema { path, message: "expected an array".to_owned() });
        };
        let processors = values.iter().enumerate();
        let processors = processors
            .map(|(index, value)| Self::from_config(value, &format!("{path}[{index}]")))
            .collect::<Result<Vec<_>>>()?;
        // A template leaves one encoding per piece, and another one has no rule for so many: the reference panics.
        if processors.iter().map(Self::templates).sum::<usize>() > 1 {
            return Err(Error::UnsupportedComponent {
                stage: "post_processor",
                name: "TemplateProcessing after TemplateProcessing".to_owned(),
            });
        }
        Ok(Self::Sequence { processors })
    }

    fn templates(&self) -> usize {
        match self {
            Self::TemplateProcessing(_) => 1,
            Self::Sequence { processors } => processors.iter().map(Self::templates).sum(),
            _ => 0,
        }
    }

    /// How many special tokens are added to a single text or to a pair.
    pub fn added_tokens(&self, is_pair: bool) -> usize {
        match self {
            Self::ByteLevel(_) => 0,
            Self::TemplateProcessing(template) => template.added_tokens(is_pair),
            Self::RobertaProcessing(_) => [2, 4][usize::from(is_pair)],
            Self::BertProcessing(_) => [2, 3][usize::from(is_pair)],
            Self::Sequence { processors } => processors.iter().map(|processor| processor.added_tokens(is_pair)).sum(),
        }
    }

    /// The largest id of a special token.
    pub fn largest_id(&self) -> TokenId {
        match self {
            Self::ByteLevel(_) => 0,
            Self::TemplateProcessing(template) => template.largest_id(),
            Self::RobertaProcessing(roberta) => roberta.cls.1.max(roberta.sep.1),
            Self::BertProcessing(bert) => bert.cls.1.max(bert.sep.1),
            Self::Sequence { processors } => processors.iter().map(Self::largest_id).max().unwrap_or(0),
        }
    }

    /// The ids before and after the text when a single text is encoded. None: more than that happens to the ids, and only
    /// [`process`](Self::process) knows what.
    pub fn single_affixes(&self, add_special_tokens: bool) -> Option<(Vec<TokenId>, Vec<TokenId>)> {
        match self {
            Self::ByteLevel(_) => Some(Default::default()),
            Self::RobertaProcessing(_) | Self::BertProcessing(_) if !add_special_tokens => Some(Default::default()),
            Self::RobertaProcessing(roberta) => Some((vec![roberta.cls.1], vec![roberta.sep.1])),
            Self::BertProcessing(bert) => Some((vec![bert.cls.1], vec![bert.sep.1])),
            Self::TemplateProcessing(template) => template.single_affixes(add_special_tokens),
            Self::Sequence { processors } => {
                let (mut before, mut after) = (Vec::new(), Vec::new());
                let mut one_piece = true;
                for processor in processors {
                    // Those two treat every piece that a template left as a sequence of its own.
                    if !one_piece && !matches!(processor, Self::ByteLevel(_)) {
                        return None;
                    }
                    one_piece &= processor.templates() == 0;
                    let (outer_before, outer_after) = processor.single_affixes(add_special_tokens)?;
                    before.splice(..0, outer_before);
                    after.extend(outer_after);
                }
                Some((before, after))
            }
        }
    }

    /// The passes that take blanks out of the offsets of a text, or of both texts of a pair, each with its
    /// `add_prefix_space`. None: one of them runs after special tokens were added, and only [`process`](Self::process) does
    /// that.
    pub fn trims(&self, is_pair: bool) -> Option<Vec<bool>> {
        match self {
            Self::ByteLevel(byte_level) => {
                Some(byte_level.trim_offsets.then_some(byte_level.add_prefix_space).into_iter().collect())
            }
            Self::RobertaProcessing(roberta) => {
                Some(roberta.trim_offsets.then_some(roberta.add_prefix_space).into_iter().collect())
            }
            Self::TemplateProcessing(_) | Self::BertProcessing(_) => Some(Vec::new()),
            Self::Sequence { processors } => {
                let mut trims = Vec::new();
                let mut tokens_added = false;
                for processor in processors {
                    let more = processor.trims(is_pair)?;
                    if tokens_added && !more.is_empty() {
                        return None;
                    }
                    tokens_added |= processor.added_tokens(is_pair) > 0;
                    trims.extend(more);
                }
                Some(trims)
            }
        }
    }

    /// Finishes one encoded text or a pair of them. `token` gives the vocabulary's string of an id.
    pub fn process<'v>(
        &self,
        encoding: Encoding,
        pair: Option<Encoding>,
        add_special_tokens: bool,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Encoding {
        let mut encodings = vec![encoding];
        encodings.extend(pair);
        for (index, encoding) in encodings.iter_mut().enumerate() {
            encoding.set_sequence_id(index);
            encoding.overflowing.iter_mut().for_each(|part| part.set_sequence_id(index));
            encoding.type_ids.fill(index as u32);
        }
        Encoding::merge(self.process_encodings(encodings, add_special_tokens, token), false)
    }

    fn process_encodings<'v>(
        &self,
        encodings: Vec<Encoding>,
        add_special_tokens: bool,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Vec<Encoding> {
        match self {
            Self::ByteLevel(byte_level) => byte_level.process(encodings, token),
            Self::TemplateProcessing(template) => template.process(encodings, add_special_tokens, token),
            Self::RobertaProcessing(roberta) => roberta.process(encodings, add_special_tokens, token),
            Self::BertProcessing(bert) => bert.process(encodings, add_special_tokens, token),
            Self::Sequence { processors } => processors.iter().fold(encodings, |encodings, processor| {
                processor.process_encodings(encodings, add_special_tokens, token)
            }),
        }
    }
}

/// What happens without a post-processor: a pair is put together with type ids 0 and 1, a single text stays as it is.
pub fn without_processor(encoding: Encoding, pair: Option<Encoding>) -> Encoding {
    let Some(mut pair) = pair else { return encoding };
    let mut encoding = encoding;
    pair.type_ids.fill(1);
    encoding.set_sequence_id(0);
    pair.set_sequence_id(1);
    encoding.merge_with(pair, false);
    encoding
}

fn read<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::Schema { path: path.to_owned(), message: error.to_string() })
}

/// Special tokens as an encoding of their own.
fn special_tokens<'v, 's>(
    tokens: impl Iterator<Item = (TokenId, &'s str)>,
    type_id: u32,
    token: &dyn Fn(TokenId) -> Option<&'v str>,
) -> Encoding {
    let mut encoding = Encoding::default();
    for (id, text) in tokens {
        if token(id) != Some(text) {
            encoding.token_texts.push((encoding.ids.len() as u32, text.into()));
        }
        encoding.ids.push(id);
        encoding.type_ids.push(type_id);
        encoding.offsets.push((0, 0));
        encoding.words.push(NO_WORD);
        encoding.special_tokens_mask.push(1);
        encoding.attention_mask.push(1);
    }
    encoding
}

/// Puts one special token before (if any) and one after a sequence, as the two processors named after models do.
fn surround<'v>(
    mut encoding: Encoding,
    sequence_id: usize,
    before: Option<&(String, TokenId)>,
    after: (&(String, TokenId), u32),
    token: &dyn Fn(TokenId) -> Option<&'v str>,
) -> Encoding {
    let reset = |part: &mut Encoding| {
        part.special_tokens_mask.fill(0);
        part.attention_mask.fill(1);
        part.sequence_ranges = vec![(sequence_id, 0..part.len())];
    };
    reset(&mut encoding);
    encoding.overflowing.iter_mut().for_each(reset);
    let special =
        |(text, id): &(String, TokenId), type_id| special_tokens(std::iter::once((*id, text.as_str())), type_id, token);
    let (after, type_id) = after;
    Encoding::merge(
        before.map(|before| special(before, 0)).into_iter().chain([encoding, special(after, type_id)]),
        false,
    )
}
