//! From token strings back to text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::bpe::BpeDecoder;
pub use self::ctc::Ctc;
pub use self::metaspace::{Metaspace, PrependScheme};
pub use self::per_token::{PerToken, Place};
pub use self::replace::{Pattern, Replace};
pub use self::strip::Strip;
pub use self::wordpiece::WordPiece;
use crate::error::{Error, Result};

mod bpe;
mod byte_fallback;
pub(crate) mod byte_level;
mod ctc;
mod metaspace;
mod per_token;
mod replace;
mod strip;
mod wordpiece;

/// A decoder of tokenizer.json. It serializes as the reference writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum Decoder {
    /// A suffix that ends words.
    #[serde(rename = "BPEDecoder")]
    Bpe(BpeDecoder),
    /// The byte-level alphabet back to bytes, invalid UTF-8 replaced.
    ByteLevel(ByteLevel),
    /// A prefix that continues words.
    WordPiece(WordPiece),
    /// A character that stands for a space.
    Metaspace(Metaspace),
    /// One token a frame.
    #[serde(rename = "CTC")]
    Ctc(Ctc),
    /// One after the other.
    Sequence {
        /// Which.
        decoders: Vec<Decoder>,
    },
    /// Replaces a pattern in every token.
    Replace(Replace),
    /// All tokens become one.
    Fuse,
    /// Takes a character off both ends of every token.
    Strip(Strip),
    /// Tokens like `<0x0A>` back to bytes.
    ByteFallback,
}

/// Fields that mean nothing to the decoder; the component is the same as the pre-tokenizer in the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "they mean nothing here")]
pub struct ByteLevel {
    pub add_prefix_space: bool,
    pub trim_offsets: bool,
    #[serde(default = "yes")]
    pub use_regex: bool,
}

fn yes() -> bool {
    true
}

impl Default for ByteLevel {
    fn default() -> Self {
        Self { add_prefix_space: true, trim_offsets: true, use_regex: true }
    }
}

impl Decoder {
    /// Reads the value of the key `decoder`; `path` is the way to it, for messages.
    ///
    /// As in the reference the fields decide where the `type` is missing or unknown.
    ///
    /// # Errors
    /// [`Error::UnsupportedComponent`] for a type that nobody knows, [`Error::Schema`] for bad fields, [`Error::Regex`] for a
    /// pattern that does not compile.
    pub fn from_config(value: &Value, path: &str) -> Result<Self> {
        let kind = value.get("type").and_then(Value::as_str);
        match kind {
            Some("BPEDecoder") => read(value, path).map(Self::Bpe),
            Some("ByteLevel") => read(value, path).map(Self::ByteLevel),
            Some("WordPiece") => read(value, path).map(Self::WordPiece),
            Some("Metaspace") => {
                let fields: metaspace::Fields = read(value, path)?;
                let fail = |message: &str| Error::Schema { path: path.to_owned(), message: message.to_owned() };
                Metaspace::try_from(fields).map(Self::Metaspace).map_err(fail)
            }
            Some("CTC") => read(value, path).map(Self::Ctc),
            Some("Fuse") => Ok(Self::Fuse),
            Some("ByteFallback") => Ok(Self::ByteFallback),
            Some("Strip") => read(value, path).map(Self::Strip),
            Some("Replace") => Replace::try_from(read::<replace::Fields>(value, path)?).map(Self::Replace),
            Some("Sequence") => {
                let path = format!("{path}.decoders");
                let Some(values) = value.get("decoders").and_then(Value::as_array) else {
                    return Err(Error::Schema { path, message: "expected an array".to_owned() });
                };
                let decoders = values.iter().enumerate();
                let decoders = decoders.map(|(index, value)| Self::from_config(value, &format!("{path}[{index}]")));
                Ok(Self::Sequence { decoders: decoders.collect::<Result<_>>()? })
            }
            _ => Self::by_fields(value, path)?.ok_or_else(|| match kind {
                Some(name) => Error::UnsupportedComponent { stage: "decoder", name: name.to_owned() },
                None => Error::Schema { path: path.to_owned(), message: "expected an object with a `type`".to_owned() },
            }),
        }
    }

    /// The first decoder, in the reference's order, that has the fields of an object without a known type.
    fn by_fields(value: &Value, path: &str) -> Result<Option<Self>> {
        if let Ok(bpe) = read(value, path) {
            return Ok(Some(Self::Bpe(bpe)));
        }
        if let Ok(wordpiece) = read(value, path) {
            return Ok(Some(Self::WordPiece(wordpiece)));
        }
        if let Ok(ctc) = read(value, path) {
            return Ok(Some(Self::Ctc(ctc)));
        }
        if let Ok(fields) = read::<replace::Fields>(value, path) {
            return Replace::try_from(fields).map(|replace| Some(Self::Replace(replace)));
        }
        Ok(read(value, path).ok().map(Self::Strip))
    }

    /// Whether this is `ByteLevel` and nothing else, so that bytes may be put one behind the other.
    pub fn is_byte_level(&self) -> bool {
        match self {
            Self::ByteLevel(_) => true,
            Self::Sequence { decoders } => matches!(decoders.as_slice(), [decoder] if decoder.is_byte_level()),
            _ => false,
        }
    }

    /// The text of a sequence of token strings.
    ///
    /// # Errors
    /// [`Error::RegexSearch`] when the regex engine gives up on a token.
    pub fn decode(&self, tokens: Vec<Cow<'_, str>>) -> Result<String> {
        Ok(self.decode_chain(tokens)?.concat())
    }

    fn decode_chain<'t>(&self, tokens: Vec<Cow<'t, str>>) -> Result<Vec<Cow<'t, str>>> {
        let count = tokens.len();
        let numbered = |tokens: Vec<Cow<'t, str>>| tokens.into_iter().enumerate();
        Ok(match self {
            Self::Bpe(bpe) => numbered(tokens).map(|(i, token)| bpe.decode(token, i + 1 == count)).collect(),
            Self::ByteLevel(_) => vec![Cow::Owned(byte_level::decode(&tokens))],
            Self::WordPiece(wordpiece) => numbered(tokens).map(|(i, token)| wordpiece.decode(token, i == 0)).collect(),
            Self::Metaspace(metaspace) => numbered(tokens).map(|(i, token)| metaspace.decode(token, i == 0)).collect(),
            Self::Ctc(ctc) => ctc.decode_chain(tokens),
            Self::Sequence { decoders } => {
                decoders.iter().try_fold(tokens, |tokens, decoder| decoder.decode_chain(tokens))?
            }
            Self::Replace(replace) => tokens.into_iter().map(|token| replace.decode(token)).collect::<Result<_>>()?,
            Self::Fuse => vec![Cow::Owned(tokens.concat())],
            Self::Strip(strip) => tokens.into_iter().map(|token| strip.decode(token)).collect(),
            Self::ByteFallback => byte_fallback::decode_chain(tokens),
        })
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::Schema { path: path.to_owned(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(config: &Value, tokens: &[&str]) -> String {
        let decoder = Decoder::from_config(config, "decoder").unwrap();
        decoder.decode(tokens.iter().map(|&token| token.into()).collect()).unwrap()
    }

    #[test]
    fn llama_2_decodes_bytes_and_blanks() {
        let config = json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]});
        assert_eq!(decode(&config, &["▁Hey", "▁▁you", "<0xE5>", "<0x8f>", "<0xab>", "!"]), "Hey  you叫!");
        assert_eq!(
            decode(&config, &["<0xE5>", "<0x8f>", "a", "<0x61>", "<0xFF>"]),
            "\u{fffd}\u{fffd}a\u{fffd}\u{fffd}"
        );
        assert_eq!(decode(&config, &[]), "");
    }

    #[test]
    fn byte_level_replaces_what_is_not_utf8() {
        let config = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true});
        assert_eq!(decode(&config, &["Hello", "Ġwor", "ld", "ĊĠÃ©"]), "Hello world\n é");
        // A token outside the alphabet stands for itself, also where half a character is open before it.
        assert_eq!(decode(&config, &["Ã", "<|a b|>", "©"]), "\u{fffd}<|a b|>\u{fffd}");
    }

    #[test]
    fn strip_takes_each_side_in_turn() {
        let config = json!({"type": "Strip", "content": "H", "start": 1, "stop": 2});
        assert_eq!(decode(&config, &["Hey", "HHHHH", " H", "", "H"]), "eyHH ");
    }

    #[test]
    fn other_decoders_are_refused_by_name() {
        for (config, expected) in [
            (json!({"type": "Foo"}), "unsupported decoder: Foo"),
            (json!({"type": "Sequence", "decoders": [{"type": "Bar"}]}), "unsupported decoder: Bar"),
            (
                json!({"type": "Metaspace", "replacement": "_", "add_prefix_space": false}),
                "decoder: add_prefix_space does not match prepend_scheme",
            ),
            (json!(3), "decoder: expected an object with a `type`"),
            (json!({"type": "ByteLevel"}), "decoder: missing field `add_prefix_space`"),
        ] {
            assert_eq!(Decoder::from_config(&config, "decoder").unwrap_err().to_string(), expected);
        }
        // Without a usable type the fields decide.
        assert_eq!(decode(&json!({"pattern": {"String": "a"}, "content": "b"}), &["aa"]), "bb");
        assert_eq!(decode(&json!({"suffix": "_"}), &["a_", "b_"]), "a b");
    }
}
