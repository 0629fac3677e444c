//! Replace: every match of a string or of a regular expression becomes a fixed string.

use std::sync::Arc;

use memchr::memmem;
use onig::{MatchParam, Regex, Region, SearchOptions};

use crate::alignment::Edit;
use crate::error::{Error, Result};

/// A pattern and what replaces it.
#[derive(Clone, Debug)]
pub struct Replace {
    pattern: Pattern,
    content: String,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// A string that is not empty.
    Literal(Arc<memmem::Finder<'static>>),
    /// Oniguruma, as in the reference.
    Regex { source: String, regex: Arc<Regex> },
}

impl Replace {
    /// Replaces a string. The empty string matches before each character and at the end.
    ///
    /// # Errors
    /// None for a string that is not empty.
    pub fn literal(pattern: &str, content: String) -> Result<Self> {
        if pattern.is_empty() {
            return Self::regex(pattern, content);
        }
        let finder = memmem::Finder::new(pattern.as_bytes()).into_owned();
        Ok(Self { pattern: Pattern::Literal(Arc::new(finder)), content })
    }

    /// Replaces the matches of a regular expression of Oniguruma's default syntax.
    ///
    /// # Errors
    /// [`Error::Regex`] when it does not compile.
    pub fn regex(pattern: &str, content: String) -> Result<Self> {
        let regex = Regex::new(pattern)
            .map_err(|e| Error::Regex { pattern: pattern.to_owned(), message: e.description().to_owned() })?;
        Ok(Self { pattern: Pattern::Regex { source: pattern.to_owned(), regex: Arc::new(regex) }, content })
    }

    /// The string that is replaced, where the pattern is one.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Literal(finder) => std::str::from_utf8(finder.needle()).ok(),
            Pattern::Regex { .. } => None,
        }
    }

    /// The regular expression, where the pattern is one.
    pub fn as_regex(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Literal(_) => None,
            Pattern::Regex { source, .. } => Some(source),
        }
    }

    /// What matches become.
    pub fn content(&self) -> &str {
        &self.content
    }

    pub(super) fn apply(&self, edit: &mut Edit<'_>) -> Result<()> {
        let text = edit.source();
        let mut replace = |start, end| {
            edit.copy_to(start);
            edit.skip_to(end);
            edit.insert(&self.content);
        };
        match &self.pattern {
            Pattern::Literal(finder) => {
                let len = finder.needle().len();
                finder.find_iter(text.as_bytes()).for_each(|start| replace(start, start + len));
                Ok(())
            }
            Pattern::Regex { source, regex } => for_each_match(regex, source, text, replace),
        }
    }
}

/// Calls `found` with the matches from left to right. They do not overlap, and an empty match directly after another
/// match is left out.
fn for_each_match(regex: &Regex, source: &str, text: &str, mut found: impl FnMut(usize, usize)) -> Result<()> {
    let mut region = Region::new();
    let (mut from, mut last_end) = (0, None);
    while from <= text.len() {
        region.clear();
        let none = SearchOptions::SEARCH_OPTION_NONE;
        let hit = regex
            .search_with_param(text, from, text.len(), none, Some(&mut region), MatchParam::default())
            .map_err(|e| Error::RegexSearch { pattern: source.to_owned(), message: e.description().to_owned() })?;
        let Some((start, end)) = hit.and_then(|_| region.pos(0)) else { break };
        if start == end && last_end == Some(end) {
            from += text[from..].chars().next().map_or(1, char::len_utf8);
        } else {
            found(start, end);
            from = end;
            last_end = Some(end);
        }
    }
    Ok(())
}
