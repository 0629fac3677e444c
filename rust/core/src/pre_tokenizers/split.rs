//! `Split`: a text cut at the matches of a pattern.

use std::borrow::Cow;
use std::sync::Arc;

use onig::{MatchParam, Regex, Region, SearchOptions};
use serde::Deserialize;

use super::behavior::{Behavior, Part};
use super::scanners::clip;
use crate::error::{Error, Result};
use crate::ids::Span;

/// Configuration of `Split`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Split {
    /// What to look for.
    pub pattern: Pattern,
    /// What becomes of the matches.
    pub behavior: Behavior,
    /// Take what lies between the matches for the matches.
    pub invert: bool,
}

/// A pattern of tokenizer.json.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum Pattern {
    /// This very text.
    String(String),
    /// A regex in Oniguruma's syntax.
    Regex(String),
}

impl Pattern {
    /// The pattern as a regex.
    fn as_regex(&self) -> Cow<'_, str> {
        match self {
            Self::Regex(regex) => Cow::Borrowed(regex),
            Self::String(text) => Cow::Owned(escape(text)),
        }
    }
}

impl Split {
    /// The regex, if all that this split does is to isolate its matches.
    pub(super) fn isolated_regex(&self) -> Option<&str> {
        match self {
            Self { pattern: Pattern::Regex(regex), behavior: Behavior::Isolated, invert: false } => Some(regex),
            _ => None,
        }
    }

    /// Whether a text stays as it is that does not have this string.
    pub fn keeps_text_without(&self, string: &str) -> bool {
        !self.invert && matches!(&self.pattern, Pattern::String(pattern) if pattern == string)
    }
}

/// Puts a backslash before the characters that mean something in a regex.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What finds the matches of a pattern.
#[derive(Clone, Debug)]
enum Search {
    Regex(Arc<Regex>),
    /// That of CLIP, by hand.
    Clip,
}

/// A [`Split`] with its compiled regex.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    search: Search,
    pattern: String,
    invert: bool,
    pub behavior: Behavior,
}

impl Matcher {
    /// Compiles the pattern.
    pub fn new(split: &Split) -> Result<Self> {
        let pattern = split.pattern.as_regex().into_owned();
        let search = if pattern == clip::PATTERN {
            Search::Clip
        } else {
            let regex = Regex::new(&pattern)
                .map_err(|error| Error::Regex { pattern: pattern.clone(), message: error.description().to_owned() })?;
            Search::Regex(Arc::new(regex))
        };
        Ok(Self { search, pattern, invert: split.invert, behavior: split.behavior })
    }

    /// Replaces `parts` by those of `text`, which starts at `base`.
    ///
    /// An empty match counts, except directly behind the match before it; there the search goes on one character further.
    ///
    /// # Errors
    ///
    /// [`Error::RegexSearch`] when the engine gives up, where the reference panics.
    pub fn parts(&self, text: &str, base: usize, parts: &mut Vec<Part>) -> Result<()> {
        parts.clear();
        let mut push =
            |start, end, is_match| parts.push((Span::new(base + start, base + end), is_match != self.invert));
        let mut region = Region::new();
        let (mut from, mut last) = (0, None);
        while from <= text.len() {
            let Some((start, end)) = self.find(text, from, &mut region)? else { break };
            if start == end && last == Some(end) {
                from += text[from..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            let previous = last.unwrap_or(0);
            if start < previous || end < start || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
                // `\K` in a look-behind can overlap the match before; the reference panics.
                return Err(self.failed("a match overlaps the one before"));
            }
            if previous != start {
                push(previous, start, false);
            }
            push(start, end, true);
            from = end;
            last = Some(end);
        }
        let last = last.unwrap_or(0);
        if last != text.len() {
            push(last, text.len(), false);
        }
        Ok(())
    }

    /// The first match at or behind `from`.
    fn find(&self, text: &str, from: usize, region: &mut Region) -> Result<Option<(usize, usize)>> {
        let Search::Regex(regex) = &self.search else { return Ok(clip::find(text, from)) };
        region.clear();
        let options = SearchOptions::SEARCH_OPTION_NONE;
        match regex.search_with_param(text, from, text.len(), options, Some(region), MatchParam::default()) {
            Ok(Some(_)) => Ok(region.pos(0)),
            Ok(None) => Ok(None),
            Err(error) => Err(self.failed(error.description())),
        }
    }

    fn failed(&self, message: &str) -> Error {
        Error::RegexSearch { pattern: self.pattern.clone(), message: message.to_owned() }
    }
}
