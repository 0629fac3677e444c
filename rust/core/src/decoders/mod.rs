//! From token strings back to text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

mod byte_fallback;
pub(crate) mod byte_level;

/// A decoder of tokenizer.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// The byte-level alphabet back to bytes, invalid UTF-8 replaced.
    ByteLevel,
    /// One after the other.
    Sequence(Vec<Decoder>),
    /// All tokens become one.
    Fuse,
    /// Takes a character off both ends of every token.
    Strip {
        /// The character.
        content: char,
        /// At most so many times at the start,
        start: usize,
        /// and at the end.
        stop: usize,
    },
    /// Replaces a string in every token.
    Replace {
        /// What to look for.
        pattern: String,
        /// What to put in its place.
        content: String,
    },
    /// Tokens like `<0x0A>` back to bytes.
    ByteFallback,
}

impl Decoder {
    /// Reads the value of the key `decoder`; `path` is the way to it, for messages.
    ///
    /// As in the reference the fields decide where the `type` is missing or unknown.
    ///
    /// # Errors
    /// [`Error::UnsupportedComponent`] for a type that this version does not run, [`Error::Schema`] for bad fields.
    pub fn from_config(value: &Value, path: &str) -> Result<Self> {
        let kind = value.get("type").and_then(Value::as_str);
        match kind {
            Some("ByteLevel") => {
                // The fields mean nothing to the decoder, but the reference wants them there.
                read::<ByteLevelFields>(value, path).map(|_| Self::ByteLevel)
            }
            Some("Fuse") => Ok(Self::Fuse),
            Some("ByteFallback") => Ok(Self::ByteFallback),
            Some("Strip") => read::<StripFields>(value, path).map(Self::from),
            Some("Replace") => Self::replace(read(value, path)?),
            Some("Sequence") => {
                let path = format!("{path}.decoders");
                let Some(values) = value.get("decoders").and_then(Value::as_array) else {
                    return Err(Error::Schema { path, message: "expected an array".to_owned() });
                };
                let decoders = values.iter().enumerate();
                let decoders = decoders.map(|(index, value)| Self::from_config(value, &format!("{path}[{index}]")));
                Ok(Self::Sequence(decoders.collect::<Result<_>>()?))
            }
            Some("BPEDecoder" | "WordPiece" | "Metaspace" | "CTC") => Err(unsupported(kind.unwrap_or_default())),
            _ => match (read::<ReplaceFields>(value, path), read::<StripFields>(value, path), kind) {
                (Ok(fields), _, _) => Self::replace(fields),
                (_, Ok(fields), _) => Ok(fields.into()),
                (_, _, Some(name)) => Err(unsupported(name)),
                _ => {
                    Err(Error::Schema { path: path.to_owned(), message: "expected an object with a `type`".to_owned() })
                }
            },
        }
    }

    fn replace(fields: ReplaceFields) -> Result<Self> {
        match fields.pattern {
            PatternField::String(pattern) => Ok(Self::Replace { pattern, content: fields.content }),
            PatternField::Regex(_) => Err(unsupported("Replace with a regex")),
        }
    }

    /// Whether this is `ByteLevel` and nothing else, so that bytes may be put one behind the other.
    pub fn is_byte_level(&self) -> bool {
        match self {
            Self::ByteLevel => true,
            Self::Sequence(decoders) => matches!(decoders.as_slice(), [decoder] if decoder.is_byte_level()),
            _ => false,
        }
    }

    /// The text of a sequence of token strings.
    pub fn decode(&self, tokens: Vec<Cow<'_, str>>) -> String {
        self.decode_chain(tokens).concat()
    }

    fn decode_chain<'t>(&self, tokens: Vec<Cow<'t, str>>) -> Vec<Cow<'t, str>> {
        match self {
            Self::ByteLevel => vec![Cow::Owned(byte_level::decode(&tokens))],
            Self::Sequence(decoders) => decoders.iter().fold(tokens, |tokens, decoder| decoder.decode_chain(tokens)),
            Self::Fuse => vec![Cow::Owned(tokens.concat())],
            Self::Strip { content, start, stop } => {
                tokens.into_iter().map(|token| strip(token, *content, *start, *stop)).collect()
            }
            Self::Replace { pattern, content } => {
                let replace = |token: Cow<'t, str>| {
                    if token.contains(pattern.as_str()) { Cow::Owned(token.replace(pattern, content)) } else { token }
                };
                tokens.into_iter().map(replace).collect()
            }
            Self::ByteFallback => byte_fallback::decode_chain(tokens),
        }
    }
}

fn strip(token: Cow<'_, str>, content: char, start: usize, stop: usize) -> Cow<'_, str> {
    let mut rest = &*token;
    for _ in 0..start {
        rest = match rest.strip_prefix(content) {
            Some(shorter) => shorter,
            None => break,
        };
    }
    for _ in 0..stop {
        rest = match rest.strip_suffix(content) {
            Some(shorter) => shorter,
            None => break,
        };
    }
    if rest.len() == token.len() { token } else { Cow::Owned(rest.to_owned()) }
}

fn unsupported(name: &str) -> Error {
    Error::UnsupportedComponent { stage: "decoder", name: name.to_owned() }
}

fn read<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::Schema { path: path.to_owned(), message: error.to_string() })
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only checked to be there")]
struct ByteLevelFields {
    add_prefix_space: bool,
    trim_offsets: bool,
    #[serde(default)]
    use_regex: bool,
}

#[derive(Deserialize)]
struct StripFields {
    content: char,
    start: usize,
    stop: usize,
}

impl From<StripFields> for Decoder {
    fn from(StripFields { content, start, stop }: StripFields) -> Self {
        Self::Strip { content, start, stop }
    }
}

#[derive(Deserialize)]
struct ReplaceFields {
    pattern: PatternField,
    content: String,
}

#[derive(Deserialize)]
enum PatternField {
    String(String),
    Regex(#[allow(dead_code, reason = "patterns are refused")] String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(config: &Value, tokens: &[&str]) -> String {
        Decoder::from_config(config, "decoder").unwrap().decode(tokens.iter().map(|&token| token.into()).collect())
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
            (json!({"type": "Metaspace", "replacement": "▁"}), "unsupported decoder: Metaspace"),
            (json!({"type": "Foo"}), "unsupported decoder: Foo"),
            (json!({"type": "Sequence", "decoders": [{"type": "CTC"}]}), "unsupported decoder: CTC"),
            (
                json!({"type": "Replace", "pattern": {"Regex": "a"}, "content": ""}),
                "unsupported decoder: Replace with a regex",
            ),
            (json!(3), "decoder: expected an object with a `type`"),
            (json!({"type": "ByteLevel"}), "decoder: missing field `add_prefix_space`"),
        ] {
            assert_eq!(Decoder::from_config(&config, "decoder").unwrap_err().to_string(), expected);
        }
        // Without a usable type the fields decide.
        assert_eq!(decode(&json!({"pattern": {"String": "a"}, "content": "b"}), &["aa"]), "bb");
    }
}
