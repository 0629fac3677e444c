//! The `pre_tokenizer` of tokenizer.json: cuts a text into the pieces that the model sees one by one.
//!
//! A [`PreTokenizer`] is the configuration; a [`Splitter`] is what runs. Where the configuration equals one that has a
//! [scanner](scanners), the splitter uses that; everything else runs step by step, each step on the pieces of the one before.

mod behavior;
pub mod byte_level;
mod digits;
pub mod scanners;
mod split;

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ids::Span;
use behavior::{Part, character_parts};
use split::Matcher;

pub use behavior::Behavior;
pub use byte_level::ByteLevel;
pub use digits::Digits;
pub use scanners::Scanner;
pub use split::{Pattern, Split};

/// Key of tokenizer.json, for errors.
const STAGE: &str = "pre_tokenizer";

/// A `pre_tokenizer`, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreTokenizer {
    /// One after another, each on the pieces of the one before.
    Sequence(Vec<PreTokenizer>),
    /// Bytes as characters; the split of GPT-2.
    ByteLevel(ByteLevel),
    /// Split at a pattern.
    Split(Split),
    /// Split off numbers.
    Digits(Digits),
    /// Split at white space ([`char::is_whitespace`]), which is dropped.
    WhitespaceSplit,
    /// Split at a character, which is dropped.
    CharDelimiterSplit(char),
}

impl PreTokenizer {
    /// Reads the object that tokenizer.json has at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Schema`] for a value of the wrong shape, [`Error::UnsupportedComponent`] for a `type` that this version does
    /// not run.
    pub fn from_config(value: &Value, path: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Sequence {
            pretokenizers: Vec<Value>,
        }
        #[derive(Deserialize)]
        struct CharDelimiterSplit {
            delimiter: char,
        }

        let name = value.get("type").and_then(Value::as_str).ok_or_else(|| Error::Schema {
            path: path.to_owned(),
            message: "expected an object with a string \"type\"".to_owned(),
        })?;
        Ok(match name {
            "Sequence" => {
                let parts = read::<Sequence>(value, path)?.pretokenizers;
                let parts = parts.iter().enumerate();
                let parts = parts.map(|(i, part)| Self::from_config(part, &format!("{path}.pretokenizers[{i}]")));
                Self::Sequence(parts.collect::<Result<_>>()?)
            }
            "ByteLevel" => Self::ByteLevel(read(value, path)?),
            "Split" => Self::Split(read(value, path)?),
            "Digits" => Self::Digits(read(value, path)?),
            "WhitespaceSplit" => Self::WhitespaceSplit,
            "CharDelimiterSplit" => Self::CharDelimiterSplit(read::<CharDelimiterSplit>(value, path)?.delimiter),
            _ => return Err(unsupported(name)),
        })
    }

    /// Appends the components that are no sequence, in the order in which they run.
    fn flatten<'p>(&'p self, out: &mut Vec<&'p Self>) {
        match self {
            Self::Sequence(parts) => parts.iter().for_each(|part| part.flatten(out)),
            leaf => out.push(leaf),
        }
    }
}

/// Reads a configuration object.
fn read<'v, T: Deserialize<'v>>(value: &'v Value, path: &str) -> Result<T> {
    T::deserialize(value.into_deserializer())
        .map_err(|error| Error::Schema { path: path.to_owned(), message: error.to_string() })
}

/// A pre-tokenizer ready to run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Splitter {
    /// The caller puts a space before each text that does not start with one, before it calls [`split`](Self::split).
    /// An empty text stays empty.
    pub add_prefix_space: bool,
    /// The vocabulary spells bytes as [`BYTE_CHARS`](crate::unicode::byte_chars::BYTE_CHARS).
    pub byte_level: bool,
    steps: Vec<Step>,
    /// What runs on each piece of these steps as on a text of its own: a `ByteLevel` that puts a space before every piece.
    pub each: Option<Box<Splitter>>,
}

/// One pass over the pieces.
#[derive(Clone, Debug)]
enum Step {
    Scanner(Scanner),
    Split(Matcher),
    Digits(Digits),
    WhitespaceSplit,
    CharDelimiterSplit(char),
}

impl Splitter {
    /// Compiles a configuration; without one, a text is one piece.
    ///
    /// # Errors
    ///
    /// [`Error::Regex`] for a pattern that does not compile. [`Error::UnsupportedComponent`] for a `ByteLevel` that is not
    /// the last step, since what follows it would have to match spelled bytes.
    pub fn compile(pre_tokenizer: Option<&PreTokenizer>) -> Result<Self> {
        let mut leaves = Vec::new();
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.flatten(&mut leaves);
        }
        let byte_level = match leaves.last() {
            Some(PreTokenizer::ByteLevel(byte_level)) => Some(*byte_level),
            _ => None,
        };
        let add_prefix_space = byte_level.is_some_and(|byte_level| byte_level.add_prefix_space);
        if add_prefix_space
            && let [before @ .., last] = leaves.as_slice()
            && !before.is_empty()
        {
            let before = PreTokenizer::Sequence(before.iter().map(|&leaf| leaf.clone()).collect());
            let each = Some(Box::new(Self::compile(Some(last))?));
            return Ok(Self { byte_level: true, each, ..Self::compile(Some(&before))? });
        }

        let mut steps = Vec::new();
        let mut rest = leaves.as_slice();
        while let [leaf, tail @ ..] = rest {
            rest = tail;
            if let Some((scanner, after)) = known_splits(leaf, tail) {
                steps.push(Step::Scanner(scanner));
                rest = after;
                continue;
            }
            steps.push(match leaf {
                PreTokenizer::ByteLevel(_) if !tail.is_empty() => {
                    return Err(unsupported("ByteLevel before another pre-tokenizer"));
                }
                PreTokenizer::ByteLevel(ByteLevel { use_regex: true, .. }) => Step::Scanner(Scanner::Gpt2),
                PreTokenizer::ByteLevel(_) => continue,
                PreTokenizer::Split(split) => Step::Split(Matcher::new(split)?),
                PreTokenizer::Digits(digits) => Step::Digits(*digits),
                PreTokenizer::WhitespaceSplit => Step::WhitespaceSplit,
                PreTokenizer::CharDelimiterSplit(delimiter) => Step::CharDelimiterSplit(*delimiter),
                PreTokenizer::Sequence(_) => unreachable!("sequences were flattened"),
            });
        }
        Ok(Self { add_prefix_space, byte_level: byte_level.is_some(), steps, each: None })
    }

    /// The scanner, if it is all there is to do.
    pub fn scanner(&self) -> Option<Scanner> {
        match self.steps.as_slice() {
            [Step::Scanner(scanner)] if self.each.is_none() => Some(*scanner),
            _ => None,
        }
    }

    /// Replaces `out` by the pieces of `text`, in order and without empty ones.
    ///
    /// # Errors
    ///
    /// [`Error::RegexSearch`] when the regex engine gives up on the text.
    pub fn split(&self, text: &str, out: &mut Vec<Span>) -> Result<()> {
        out.clear();
        if text.is_empty() {
            return Ok(());
        }
        let [first, rest @ ..] = self.steps.as_slice() else {
            out.push(Span::new(0, text.len()));
            return Ok(());
        };
        let mut parts = Vec::new();
        first.run(text, Span::new(0, text.len()), &mut parts, out)?;
        let mut pieces = Vec::new();
        for step in rest {
            std::mem::swap(&mut pieces, out);
            out.clear();
            for &piece in &pieces {
                step.run(text, piece, &mut parts, out)?;
            }
        }
        Ok(())
    }
}

impl Step {
    /// Appends what `piece` of `text` becomes to `out`; `parts` is scratch space. The step sees nothing outside the piece.
    fn run(&self, text: &str, piece: Span, parts: &mut Vec<Part>, out: &mut Vec<Span>) -> Result<()> {
        let (base, text) = (piece.start as usize, &text[piece.range()]);
        let behavior = match self {
            Self::Scanner(scanner) => {
                let from = out.len();
                scanner.split(text, out);
                for span in &mut out[from..] {
                    *span = Span { start: span.start + piece.start, end: span.end + piece.start };
                }
                return Ok(());
            }
            Self::Split(matcher) => {
                matcher.parts(text, base, parts)?;
                matcher.behavior
            }
            Self::Digits(digits) => {
                character_parts(text, base, char::is_numeric, parts);
                digits.behavior()
            }
            Self::WhitespaceSplit => {
                character_parts(text, base, char::is_whitespace, parts);
                Behavior::Removed
            }
            Self::CharDelimiterSplit(delimiter) => {
                character_parts(text, base, |c| c == *delimiter, parts);
                Behavior::Removed
            }
        };
        behavior.pieces(parts, out);
        Ok(())
    }
}

/// The scanner of the longest run of splits that starts with `leaf` and has one, and what follows that run.
fn known_splits<'a, 'p>(
    leaf: &'p PreTokenizer,
    tail: &'a [&'p PreTokenizer],
) -> Option<(Scanner, &'a [&'p PreTokenizer])> {
    let isolated = |leaf: &'p PreTokenizer| match leaf {
        PreTokenizer::Split(split) => split.isolated_regex(),
        _ => None,
    };
    let mut patterns = vec![isolated(leaf)?];
    patterns.extend(tail.iter().map_while(|leaf| isolated(leaf)).take(scanners::deepseek::PATTERNS.len() - 1));
    let longest = (1..=patterns.len()).rev().find_map(|n| Some((Scanner::for_patterns(&patterns[..n])?, n)));
    longest.map(|(scanner, n)| (scanner, &tail[n - 1..]))
}

fn unsupported(name: &str) -> Error {
    Error::UnsupportedComponent { stage: STAGE, name: name.to_owned() }
}
