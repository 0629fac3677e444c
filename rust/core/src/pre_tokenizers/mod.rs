//! The `pre_tokenizer` of tokenizer.json: cuts a text into the pieces that the model sees one by one.
//!
//! A [`PreTokenizer`] is the configuration. [`Steps`] run any of them, each step on the pieces of the one before, over a
//! text that some rewrite ([`Pieces`]). A [`Splitter`] runs those that only cut, up to a last `ByteLevel`, on the text as
//! it is; where its steps equal a known pattern it uses a [scanner](scanners).

mod behavior;
pub mod byte_level;
mod digits;
mod fixed_length;
mod metaspace;
mod pieces;
mod punctuation;
pub mod scanners;
mod split;
mod unicode_scripts;

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ids::Span;
use crate::unicode::{BLANK, NUMERIC, PUNCTUATION, WHITE_SPACE, WORD, property};
use behavior::{Part, character_parts};
use split::Matcher;

pub use behavior::Behavior;
pub use byte_level::ByteLevel;
pub use digits::Digits;
pub use fixed_length::FixedLength;
pub use metaspace::{Metaspace, PrependScheme};
pub use pieces::{CutScratch, Piece, Pieces};
pub use punctuation::Punctuation;
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
    /// Words (`\w+`) and runs of what is neither word nor white space; the rest is dropped.
    Whitespace,
    /// Split at white space, which is dropped, and at punctuation.
    Bert,
    /// Split at punctuation.
    Punctuation(Punctuation),
    /// Spaces as a visible character.
    Metaspace(Metaspace),
    /// Split where the script changes.
    UnicodeScripts,
    /// Pieces of so many characters.
    FixedLength(FixedLength),
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
            "Whitespace" => Self::Whitespace,
            "BertPreTokenizer" => Self::Bert,
            "Punctuation" => Self::Punctuation(read(value, path)?),
            "Metaspace" => Self::Metaspace(read(value, path)?),
            "UnicodeScripts" => Self::UnicodeScripts,
            "FixedLength" => match read(value, path)? {
                // The reference takes it, and panics on the first text.
                FixedLength { length: 0 } => {
                    return Err(Error::Schema { path: format!("{path}.length"), message: "expected 1 or more".into() });
                }
                fixed_length => Self::FixedLength(fixed_length),
            },
            _ => return Err(unsupported(name)),
        })
    }

    /// Appends the components that are no sequence, in the order in which they run.
    pub(crate) fn flatten<'p>(&'p self, out: &mut Vec<&'p Self>) {
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

/// Any pre-tokenizer, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Compiles a configuration; without one there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Regex`] for a pattern that does not compile.
    pub fn compile(pre_tokenizer: Option<&PreTokenizer>) -> Result<Self> {
        let mut leaves = Vec::new();
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.flatten(&mut leaves);
        }
        compile(&leaves).map(Self)
    }

    /// Runs all steps.
    ///
    /// # Errors
    ///
    /// As [`Pieces::run`].
    pub fn run(&self, pieces: &mut Pieces<'_>, scratch: &mut CutScratch) -> Result<()> {
        self.0.iter().try_for_each(|step| pieces.run(step, scratch))
    }

    /// Whether a step asks where in the input a piece begins, so that alignments are needed even when offsets are not.
    pub fn need_originals(&self) -> bool {
        let first =
            |step: &Step| matches!(step, Step::Metaspace(Metaspace { prepend_scheme: PrependScheme::First, .. }));
        self.0.iter().any(first)
    }
}

/// A pre-tokenizer that only cuts, ready to run. Cheap to clone.
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
#[expect(private_interfaces, reason = "the matcher is a regex and how it is used")]
pub enum Step {
    /// A known pattern, its matches isolated.
    Scanner(Scanner),
    /// Any pattern.
    Split(Matcher),
    /// Numbers.
    Digits(Digits),
    /// White space dropped.
    WhitespaceSplit,
    /// A character dropped.
    CharDelimiterSplit(char),
    /// `\w+|[^\w\s]+`
    Whitespace,
    /// White space dropped, then punctuation isolated.
    Bert,
    /// Punctuation.
    Punctuation(Behavior),
    /// Changes of script.
    UnicodeScripts,
    /// Runs of so many characters.
    FixedLength(FixedLength),
    /// Rewrites spaces, and may cut before them.
    Metaspace(Metaspace),
    /// May cut, then rewrites every byte.
    ByteLevel(ByteLevel),
}

impl Splitter {
    /// Compiles a configuration; without one, a text is one piece. `None` when a step but the last rewrites the text, or a
    /// step that is not `ByteLevel` does.
    ///
    /// # Errors
    ///
    /// [`Error::Regex`] for a pattern that does not compile.
    pub fn compile(pre_tokenizer: Option<&PreTokenizer>) -> Result<Option<Self>> {
        let mut leaves = Vec::new();
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.flatten(&mut leaves);
        }
        let byte_level = match leaves.last() {
            Some(PreTokenizer::ByteLevel(byte_level)) => Some(*byte_level),
            _ => None,
        };
        let cuts = &leaves[..leaves.len() - usize::from(byte_level.is_some())];
        if cuts.iter().any(|leaf| matches!(leaf, PreTokenizer::ByteLevel(_) | PreTokenizer::Metaspace(_))) {
            return Ok(None);
        }
        let mut steps = compile(cuts)?;
        let last = byte_level.filter(|byte_level| byte_level.use_regex).map(|_| Step::Scanner(Scanner::Gpt2));
        let add_prefix_space = byte_level.is_some_and(|byte_level| byte_level.add_prefix_space);
        if add_prefix_space && !steps.is_empty() {
            let each = Self { add_prefix_space: true, byte_level: true, steps: last.into_iter().collect(), each: None };
            return Ok(Some(Self { add_prefix_space: false, byte_level: true, steps, each: Some(Box::new(each)) }));
        }
        steps.extend(last);
        Ok(Some(Self { add_prefix_space, byte_level: byte_level.is_some(), steps, each: None }))
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
        first.cut(text, Span::new(0, text.len()), &mut parts, out)?;
        let mut pieces = Vec::new();
        for step in rest {
            std::mem::swap(&mut pieces, out);
            out.clear();
            for &piece in &pieces {
                step.cut(text, piece, &mut parts, out)?;
            }
        }
        Ok(())
    }
}

impl Step {
    /// Appends what `piece` of `text` becomes to `out`; `parts` is scratch space. The step sees nothing outside the piece.
    ///
    /// # Errors
    ///
    /// [`Error::RegexSearch`] when the regex engine gives up on the text.
    fn cut(&self, text: &str, piece: Span, parts: &mut Vec<Part>, out: &mut Vec<Span>) -> Result<()> {
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
                character_parts(text, base, |c| property(c) & NUMERIC != 0, parts);
                digits.behavior()
            }
            Self::WhitespaceSplit => {
                character_parts(text, base, |c| property(c) & WHITE_SPACE != 0, parts);
                Behavior::Removed
            }
            Self::CharDelimiterSplit(delimiter) => {
                character_parts(text, base, |c| c == *delimiter, parts);
                Behavior::Removed
            }
            Self::Punctuation(behavior) => {
                character_parts(text, base, is_punctuation, parts);
                *behavior
            }
            Self::Bert => {
                bert(text, base, out);
                return Ok(());
            }
            Self::Whitespace => {
                words(text, base, out);
                return Ok(());
            }
            Self::UnicodeScripts => {
                unicode_scripts::cut(text, base, out);
                return Ok(());
            }
            Self::FixedLength(fixed_length) => {
                fixed_length.cut(text, base, out);
                return Ok(());
            }
            Self::Metaspace(_) | Self::ByteLevel(_) => unreachable!("rewrites are not cuts"),
        };
        behavior.pieces(parts, out);
        Ok(())
    }
}

fn is_punctuation(c: char) -> bool {
    property(c) & PUNCTUATION != 0
}

/// Appends runs of characters of one kind; 0 is the kind that is dropped, and of `alone` each character is a piece.
fn runs(text: &str, base: usize, alone: u8, kind: impl Fn(char) -> u8, out: &mut Vec<Span>) {
    let (mut start, mut current) = (0, 0);
    for (at, c) in text.char_indices() {
        let next = kind(c);
        if next != current || next == alone {
            if current != 0 {
                out.push(Span::new(base + start, base + at));
            }
            (start, current) = (at, next);
        }
    }
    if current != 0 {
        out.push(Span::new(base + start, base + text.len()));
    }
}

/// White space is dropped, punctuation is isolated.
fn bert(text: &str, base: usize, out: &mut Vec<Span>) {
    let kind = |c| match property(c) & (WHITE_SPACE | PUNCTUATION) {
        0 => 1,
        PUNCTUATION => 2,
        _ => 0,
    };
    runs(text, base, 2, kind, out);
}

/// `\w+|[^\w\s]+`; what neither matches is dropped.
fn words(text: &str, base: usize, out: &mut Vec<Span>) {
    let kind = |c| match property(c) & (WORD | BLANK) {
        0 => 2,
        BLANK => 0,
        _ => 1,
    };
    runs(text, base, u8::MAX, kind, out);
}

/// The steps of components that are no sequences.
fn compile(leaves: &[&PreTokenizer]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = leaves;
    while let [leaf, tail @ ..] = rest {
        rest = tail;
        if let Some((scanner, after)) = known_splits(leaf, tail) {
            steps.push(Step::Scanner(scanner));
            rest = after;
            continue;
        }
        steps.push(match leaf {
            PreTokenizer::Split(split) => Step::Split(Matcher::new(split)?),
            PreTokenizer::Digits(digits) => Step::Digits(*digits),
            PreTokenizer::WhitespaceSplit => Step::WhitespaceSplit,
            PreTokenizer::CharDelimiterSplit(delimiter) => Step::CharDelimiterSplit(*delimiter),
            PreTokenizer::Whitespace => Step::Whitespace,
            PreTokenizer::Bert => Step::Bert,
            PreTokenizer::Punctuation(punctuation) => Step::Punctuation(punctuation.behavior),
            PreTokenizer::UnicodeScripts => Step::UnicodeScripts,
            PreTokenizer::FixedLength(fixed_length) => Step::FixedLength(*fixed_length),
            PreTokenizer::Metaspace(metaspace) => Step::Metaspace(*metaspace),
            PreTokenizer::ByteLevel(byte_level) => Step::ByteLevel(*byte_level),
            PreTokenizer::Sequence(_) => unreachable!("sequences were flattened"),
        });
    }
    Ok(steps)
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
