//! Components as the reference writes them: known fields in its order, defaults filled in, fields of older files translated.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::normalizers::Normalizer;
use crate::pre_tokenizers::{Metaspace, PreTokenizer, PrependScheme};

/// A component in canonical form.
pub(super) struct Canonical {
    kind: &'static str,
    fields: Vec<(&'static str, Value)>,
    /// The parts of a sequence, under their key.
    parts: Option<(&'static str, Vec<Canonical>)>,
}

impl Serialize for Canonical {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        if let Some((key, parts)) = &self.parts {
            map.serialize_entry(key, parts)?;
        }
        map.end()
    }
}

impl Canonical {
    fn plain(kind: &'static str) -> Self {
        Self { kind, fields: Vec::new(), parts: None }
    }

    /// With fields as they stand in the file, or null.
    fn copied<const N: usize>(kind: &'static str, value: &Value, names: [&'static str; N]) -> Self {
        let field = |name| (name, value.get(name).cloned().unwrap_or_default());
        Self { kind, fields: names.map(field).to_vec(), parts: None }
    }

    fn with<const N: usize>(kind: &'static str, fields: [(&'static str, Value); N]) -> Self {
        Self { kind, fields: fields.into(), parts: None }
    }

    fn sequence<T>(key: &'static str, parts: &[T], value: &Value, of: impl Fn(&T, &Value) -> Self) -> Self {
        let values = value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let parts = parts.iter().zip(values).map(|(part, value)| of(part, value)).collect();
        Self { kind: "Sequence", fields: Vec::new(), parts: Some((key, parts)) }
    }
}

/// A normalizer; `value` is what it was read from.
pub(super) fn normalizer(normalizer: &Normalizer, value: &Value) -> Canonical {
    match normalizer {
        Normalizer::Sequence(parts) => Canonical::sequence("normalizers", parts, value, self::normalizer),
        Normalizer::Bert(_) => Canonical::copied(
            "BertNormalizer",
            value,
            ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"],
        ),
        Normalizer::Nmt => Canonical::plain("Nmt"),
        Normalizer::Precompiled(_) => Canonical::copied("Precompiled", value, ["precompiled_charsmap"]),
        Normalizer::ByteLevel => Canonical::plain("ByteLevel"),
        Normalizer::Nfc => Canonical::plain("NFC"),
        Normalizer::Nfd => Canonical::plain("NFD"),
        Normalizer::Nfkc => Canonical::plain("NFKC"),
        Normalizer::Nfkd => Canonical::plain("NFKD"),
        Normalizer::Lowercase => Canonical::plain("Lowercase"),
        Normalizer::Strip { .. } => Canonical::copied("Strip", value, ["strip_left", "strip_right"]),
        Normalizer::StripAccents => Canonical::plain("StripAccents"),
        Normalizer::Replace(_) => Canonical::copied("Replace", value, ["pattern", "content"]),
        Normalizer::Prepend(_) => Canonical::copied("Prepend", value, ["prepend"]),
    }
}

/// A pre-tokenizer; `value` is what it was read from.
pub(super) fn pre_tokenizer(component: &PreTokenizer, value: &Value) -> Canonical {
    match component {
        PreTokenizer::Sequence(parts) => Canonical::sequence("pretokenizers", parts, value, pre_tokenizer),
        PreTokenizer::ByteLevel(byte_level) => {
            let trim_offsets = value.get("trim_offsets").cloned().unwrap_or(Value::Bool(true));
            Canonical::with(
                "ByteLevel",
                [
                    ("add_prefix_space", json!(byte_level.add_prefix_space)),
                    ("trim_offsets", trim_offsets),
                    ("use_regex", json!(byte_level.use_regex)),
                ],
            )
        }
        PreTokenizer::Split(_) => Canonical::copied("Split", value, ["pattern", "behavior", "invert"]),
        PreTokenizer::Digits(digits) => {
            Canonical::with("Digits", [("individual_digits", json!(digits.individual_digits))])
        }
        PreTokenizer::WhitespaceSplit => Canonical::plain("WhitespaceSplit"),
        PreTokenizer::CharDelimiterSplit(delimiter) => {
            Canonical::with("CharDelimiterSplit", [("delimiter", json!(delimiter))])
        }
        PreTokenizer::Whitespace => Canonical::plain("Whitespace"),
        PreTokenizer::Bert => Canonical::plain("BertPreTokenizer"),
        PreTokenizer::Punctuation(_) => {
            let behavior = value.get("behavior").cloned().unwrap_or_else(|| json!("Isolated"));
            Canonical::with("Punctuation", [("behavior", behavior)])
        }
        PreTokenizer::Metaspace(Metaspace { replacement, prepend_scheme, split }) => {
            let scheme = match prepend_scheme {
                PrependScheme::First => "first",
                PrependScheme::Never => "never",
                PrependScheme::Always => "always",
            };
            Canonical::with(
                "Metaspace",
                [("replacement", json!(replacement)), ("prepend_scheme", json!(scheme)), ("split", json!(split))],
            )
        }
        PreTokenizer::UnicodeScripts => Canonical::plain("UnicodeScripts"),
        PreTokenizer::FixedLength(fixed) => Canonical::with("FixedLength", [("length", json!(fixed.length))]),
    }
}
