//! The `normalizer` of tokenizer.json: rewrites a text before it is split.
//!
//! Every normalizer is written once, against [`Edit`], which copies what stays, writes what changes and, when offsets are
//! wanted, keeps where it came from. A text that no step changes is returned borrowed, with nothing allocated.
//!
//! Unicode data: normalization forms and combining marks are those of the crate the reference uses
//! (`unicode-normalization-alignments`), graphemes those of `unicode-segmentation`; the rest is in [`crate::unicode`].

pub mod bert;
mod code_points;
mod lowercase;
mod nmt;
mod one_char;
mod precompiled;
mod replace;
mod strip;
mod unicode;

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize as _;
use serde_json::Value;

use crate::alignment::{Alignment, Edit, Edited, prepend, spell};
use crate::error::{Error, Result};
use crate::ids::Span;
pub use bert::Bert;
pub(crate) use one_char::{OneChar, one_char};
pub use precompiled::Precompiled;
pub use replace::Replace;

/// A normalizer of tokenizer.json.
#[derive(Clone, Debug)]
pub enum Normalizer {
    /// Several normalizers, one after the other.
    Sequence(Vec<Normalizer>),
    /// What BERT does to a text.
    Bert(Bert),
    /// `SentencePiece`'s cleaning for machine translation.
    Nmt,
    /// The charsmap of a `SentencePiece` model.
    Precompiled(Precompiled),
    /// Bytes as printable characters.
    ByteLevel,
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
    /// `None` while each character of `text` stands for the same bytes of the original.
    pub(crate) alignment: Option<Alignment>,
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
        let name = match fields.get("type").map(Value::as_str) {
            // `type` decides where it names a normalizer, else the keys do: files of old have no `type`, or another one.
            Some(Some(name)) if KNOWN.contains(&name) => name,
            name => type_of_keys(|key| fields.contains_key(key)).ok_or_else(|| match name {
                Some(Some(name)) => Error::UnsupportedComponent { stage: "normalizer", name: name.to_owned() },
                Some(None) => schema(&format!("{path}.type"), "expected a string"),
                None => schema(path, "no `type`, and the keys are those of no known normalizer"),
            })?,
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
            "Bert" | "BertNormalizer" => {
                Self::Bert(Bert::deserialize(value).map_err(|e| schema(path, &e.to_string()))?)
            }
            "Nmt" => Self::Nmt,
            "ByteLevel" => Self::ByteLevel,
            "Precompiled" => {
                let charsmap = string("precompiled_charsmap")?;
                let charsmap =
                    BASE64.decode(charsmap).map_err(|e| schema(&key("precompiled_charsmap"), &e.to_string()))?;
                let precompiled = Precompiled::new(&charsmap);
                Self::Precompiled(precompiled.map_err(|reason| schema(&key("precompiled_charsmap"), reason))?)
            }
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
        Ok(self.normalize_untracked(text)?.text)
    }

    /// The normalized text and its alignments, those of the reference's `NormalizedString`.
    ///
    /// # Errors
    /// As for [`normalize`](Self::normalize).
    pub fn normalize_aligned(&self, text: &str) -> Result<AlignedText> {
        let Normalized { text, alignment } = self.normalize_tracked(text)?;
        let alignment = alignment.unwrap_or_else(|| Alignment::one_to_one(text.len(), 0));
        Ok(AlignedText { alignments: alignment.to_spans(&text), text: text.into_owned() })
    }

    /// As [`normalize`](Self::normalize). Where text was put before the first character the alignment comes along, since
    /// what later steps make of such a text depends on it.
    pub(crate) fn normalize_untracked<'t>(&self, text: &'t str) -> Result<Normalized<'t>> {
        let mut state = Normalized { text: Cow::Borrowed(text), alignment: None };
        if self.apply(&mut state, false)? { Ok(state) } else { self.normalize_tracked(text) }
    }

    /// As [`normalize_aligned`](Self::normalize_aligned), without copies of what did not change.
    pub(crate) fn normalize_tracked<'t>(&self, text: &'t str) -> Result<Normalized<'t>> {
        let mut state = Normalized { text: Cow::Borrowed(text), alignment: None };
        self.apply(&mut state, true)?;
        Ok(state)
    }

    /// Runs the normalizer; with `track`, keeps the alignment. False when the text alone no longer tells what comes next
    /// (only without `track`).
    fn apply(&self, state: &mut Normalized<'_>, track: bool) -> Result<bool> {
        if state.text.is_empty() {
            // Nothing that the normalizers do applies to an empty text.
            return Ok(true);
        }
        if matches!(self, Self::Lowercase) && state.text.is_ascii() && !state.starts_inserted() {
            if state.text.bytes().any(|b| b.is_ascii_uppercase()) {
                state.text.to_mut().make_ascii_lowercase();
            }
            return Ok(true);
        }
        match self {
            Self::Sequence(steps) => {
                for step in steps {
                    if !step.apply(state, track)? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
            Self::Bert(bert) => bert.apply(state, track)?,
            Self::Nmt => nmt::apply(state, track)?,
            Self::Precompiled(precompiled) => {
                let mut edit = Edit::transform(&state.text, state.alignment.as_ref(), false, track);
                // The reference does nothing at all where no entry is found.
                if precompiled.apply(&mut edit) {
                    let edited = edit.finish("Precompiled")?;
                    state.take(edited);
                }
            }
            Self::ByteLevel => rewrite(state, track, "ByteLevel", |edit| spell(edit, edit.source()))?,
            Self::Nfc => rewrite(state, track, "NFC", unicode::nfc)?,
            Self::Nfd => rewrite(state, track, "NFD", unicode::nfd)?,
            Self::Nfkc => rewrite(state, track, "NFKC", unicode::nfkc)?,
            Self::Nfkd => rewrite(state, track, "NFKD", unicode::nfkd)?,
            Self::Lowercase => rewrite(state, track, "Lowercase", lowercase::lowercase)?,
            Self::StripAccents => rewrite(state, track, "StripAccents", strip::strip_accents)?,
            Self::Strip { strip_left: left, strip_right: right } => {
                if strip::would_strip(&state.text, *left, *right) {
                    rewrite(state, track, "Strip", |edit| strip::strip(edit, *left, *right))?;
                }
            }
            Self::Replace(replace) => {
                let mut edit = Edit::new(&state.text, state.alignment.as_ref(), track);
                replace.apply(&mut edit)?;
                let edited = edit.finish("Replace")?;
                return Ok(!state.take(edited) || track);
            }
            Self::Prepend(prefix) => {
                let mut edit = Edit::new(&state.text, state.alignment.as_ref(), track);
                prepend(&mut edit, prefix);
                let edited = edit.finish("Prepend")?;
                return Ok(!state.take(edited) || track);
            }
        }
        Ok(true)
    }
}

impl Normalized<'_> {
    /// Takes over what a step made; true when that put text before the first character.
    fn take(&mut self, edited: Option<Edited>) -> bool {
        let Some(edited) = edited else { return false };
        self.text = Cow::Owned(edited.text);
        self.alignment = edited.alignment;
        edited.inserted_at_start
    }

    /// The text begins with characters that stand for nothing.
    fn starts_inserted(&self) -> bool {
        self.alignment.as_ref().is_some_and(Alignment::starts_inserted)
    }
}

/// Runs a step that goes over the whole text, character by character.
///
/// # Errors
/// [`Error::NormalizerOrder`].
fn rewrite(
    state: &mut Normalized<'_>,
    track: bool,
    step: &'static str,
    write: impl FnOnce(&mut Edit<'_>),
) -> Result<()> {
    let mut edit = Edit::transform(&state.text, state.alignment.as_ref(), false, track);
    write(&mut edit);
    let edited = edit.finish(step)?;
    state.take(edited);
    Ok(())
}

/// Values of `type`, as the reference knows them.
const KNOWN: [&str; 15] = [
    "Bert",
    "BertNormalizer",
    "Strip",
    "StripAccents",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Sequence",
    "Lowercase",
    "Nmt",
    "Precompiled",
    "Replace",
    "Prepend",
    "ByteLevel",
];

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
