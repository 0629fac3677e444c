//! The `normalizer` of tokenizer.json: rewrites a text before it is split.
//!
//! Every normalizer is written once, against [`edit::Edit`], which copies what stays, writes what changes and, when
//! offsets are wanted, keeps for each byte the range of the original text that it came from. A text that no step
//! changes is returned borrowed, with nothing allocated.
//!
//! Unicode data: normalization forms and combining marks are those of the crate the reference uses
//! (`unicode-normalization-alignments`); lowercase mappings and white space are those of the Rust standard library.

mod code_points;
mod edit;
mod lowercase;
mod prepend;
mod replace;
mod strip;
mod unicode;

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::ids::Span;
use edit::{Edit, check_start, one_to_one};
pub use replace::Replace;

/// A normalizer of tokenizer.json.
#[derive(Clone, Debug)]
pub enum Normalizer {
    /// Several normalizers, one after the other.
    Sequence(Vec<Normalizer>),
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
    /// Lowercase, character by character and without context (a final sigma becomes `σ`).
    Lowercase,
    /// Removes white space at the ends.
    Strip {
        /// At the start.
        strip_left: bool,
        /// At the end.
        strip_right: bool,
    },
    /// Removes combining marks.
    StripAccents,
    /// Replaces every match of a pattern.
    Replace(Replace),
    /// Puts a string before any text that is not empty.
    Prepend(String),
}

/// A normalized text and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlignedText {
    /// The normalized text.
    pub text: String,
    /// For each byte of `text`, the range of bytes of the original that it stands for.
    pub alignments: Vec<Span>,
}

/// A text on its way through the normalizers.
#[derive(Debug)]
pub(crate) struct Normalized<'t> {
    pub(crate) text: Cow<'t, str>,
    /// As in [`AlignedText`]; `None` while each character of `text` stands for the same bytes of the original.
    pub(crate) alignments: Option<Vec<Span>>,
}

impl Normalizer {
    /// Reads the value of the key `normalizer`; `path` is that key, for messages.
    ///
    /// An object without `type` is recognised by its keys, as the reference does.
    ///
    /// # Errors
    /// [`Error::UnsupportedComponent`] for a type that is not in [`Normalizer`], [`Error::Schema`] for a key that is
    /// missing or has the wrong type, [`Error::Regex`] for a pattern that does not compile.
    pub fn from_config(value: &Value, path: &str) -> Result<Self> {
        let fields = value.as_object().ok_or_else(|| schema(path, "expected an object"))?;
        let name = match fields.get("type") {
            Some(name) => name.as_str().ok_or_else(|| schema(&format!("{path}.type"), "expected a string"))?,
            None => type_of_keys(|key| fields.contains_key(key))
                .ok_or_else(|| schema(path, "no `type`, and the keys are those of no known normalizer"))?,
        };
        let key = |key: &str| format!("{path}.{key}");
        let string = |name: &str| {
            fields
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| schema(&key(name), "expected a string"))
        };
        let flag = |name: &str| {
            fields.get(name).and_then(Value::as_bool).ok_or_else(|| schema(&key(name), "expected true or false"))
        };
        Ok(match name {
            "NFC" => Self::Nfc,
            "NFD" => Self::Nfd,
            "NFKC" => Self::Nfkc,
            "NFKD" => Self::Nfkd,
            "Lowercase" => Self::Lowercase,
            "StripAccents" => Self::StripAccents,
            "Strip" => Self::Strip { strip_left: flag("strip_left")?, strip_right: flag("strip_right")? },
            "Prepend" => Self::Prepend(string("prepend")?),
            "Replace" => {
                let pattern = fields.get("pattern").unwrap_or(&Value::Null);
                let of_kind = |kind: &str| pattern.get(kind).and_then(Value::as_str);
                match (of_kind("String"), of_kind("Regex")) {
                    (Some(literal), None) => Self::Replace(Replace::literal(literal, string("content")?)?),
                    (None, Some(regex)) => Self::Replace(Replace::regex(regex, string("content")?)?),
                    _ => return Err(schema(&key("pattern"), "expected {\"String\": ...} or {\"Regex\": ...}")),
                }
            }
            "Sequence" => {
                let steps = fields.get("normalizers").and_then(Value::as_array);
                let steps = steps.ok_or_else(|| schema(&key("normalizers"), "expected a list"))?;
                let step = |(i, step)| Self::from_config(step, &format!("{path}.normalizers[{i}]"));
                Self::Sequence(steps.iter().enumerate().map(step).collect::<Result<_>>()?)
            }
            name => return Err(Error::UnsupportedComponent { stage: "normalizer", name: name.to_owned() }),
        })
    }

    /// The normalized text; borrowed when nothing changed.
    ///
    /// # Errors
    /// [`Error::RegexSearch`] when a pattern gives up on the text, [`Error::NormalizerOrder`] where the reference
    /// fails too.
    pub fn normalize<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        let mut state = Normalized { text: Cow::Borrowed(text), alignments: None };
        if self.apply(&mut state, false)? {
            return Ok(state.text);
        }
        // Text was put before the first character, and what later steps make of that depends on the alignments.
        Ok(self.normalize_tracked(text)?.text)
    }

    /// The normalized text and its alignments, those of the reference's `NormalizedString`.
    ///
    /// # Errors
    /// As for [`normalize`](Self::normalize).
    pub fn normalize_aligned(&self, text: &str) -> Result<AlignedText> {
        let Normalized { text, alignments } = self.normalize_tracked(text)?;
        let alignments = alignments.unwrap_or_else(|| one_to_one(&text, 0).collect());
        Ok(AlignedText { text: text.into_owned(), alignments })
    }

    /// As [`normalize_aligned`](Self::normalize_aligned), without copies of what did not change.
    pub(crate) fn normalize_tracked<'t>(&self, text: &'t str) -> Result<Normalized<'t>> {
        let mut state = Normalized { text: Cow::Borrowed(text), alignments: None };
        self.apply(&mut state, true)?;
        Ok(state)
    }

    /// Runs the normalizer; with `track`, keeps alignments. False when the text alone no longer tells what comes next
    /// (only without `track`; see [`Edit::finish`]).
    fn apply(&self, state: &mut Normalized<'_>, track: bool) -> Result<bool> {
        if state.text.is_empty() {
            // Nothing the supported normalizers do applies to an empty text.
            return Ok(true);
        }
        if let Self::Sequence(steps) = self {
            for step in steps {
                if !step.apply(state, track)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let start = state.alignments.as_deref();
        match self {
            Self::Nfc | Self::Nfd | Self::Nfkc | Self::Nfkd => check_start(start, "a Unicode normalization form")?,
            Self::Lowercase => check_start(start, "Lowercase")?,
            Self::StripAccents => check_start(start, "StripAccents")?,
            Self::Strip { strip_left, strip_right } if strip::would_strip(&state.text, *strip_left, *strip_right) => {
                check_start(start, "Strip")?;
            }
            _ => {}
        }
        if matches!(self, Self::Lowercase) && state.text.is_ascii() {
            if state.text.bytes().any(|b| b.is_ascii_uppercase()) {
                state.text.to_mut().make_ascii_lowercase();
            }
            return Ok(true);
        }
        let mut edit = Edit::new(&state.text, state.alignments.as_deref(), track);
        match self {
            Self::Sequence(_) => unreachable!("handled above"),
            Self::Nfc => unicode::nfc(&mut edit),
            Self::Nfd => unicode::nfd(&mut edit),
            Self::Nfkc => unicode::nfkc(&mut edit),
            Self::Nfkd => unicode::nfkd(&mut edit),
            Self::Lowercase => lowercase::lowercase(&mut edit),
            Self::Strip { strip_left, strip_right } => strip::strip(&mut edit, *strip_left, *strip_right),
            Self::StripAccents => strip::strip_accents(&mut edit),
            Self::Replace(replace) => replace.apply(&mut edit)?,
            Self::Prepend(prefix) => prepend::prepend(&mut edit, prefix),
        }
        let Some(edited) = edit.finish() else { return Ok(true) };
        state.text = Cow::Owned(edited.text);
        state.alignments = edited.alignments;
        Ok(!edited.inserted_at_start || track)
    }
}

/// The type that an object without `type` has, tried in the reference's order.
fn type_of_keys(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    const KEYS: [(&str, &[&str]); 6] = [
        ("BertNormalizer", &["clean_text", "handle_chinese_chars", "lowercase"]),
        ("Strip", &["strip_left", "strip_right"]),
        ("Sequence", &["normalizers"]),
        ("Precompiled", &["precompiled_charsmap"]),
        ("Replace", &["pattern", "content"]),
        ("Prepend", &["prepend"]),
    ];
    KEYS.iter().find(|(_, keys)| keys.iter().all(|key| has(key))).map(|(name, _)| *name)
}

fn schema(path: &str, message: &str) -> Error {
    Error::Schema { path: path.to_owned(), message: message.to_owned() }
}
