use std::borrow::Cow;
use std::sync::Arc;

use onig::{MatchParam, Regex, Region, SearchOptions};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Pattern {
    /// This very text.
    String(String),
    /// What a regular expression of Oniguruma's default syntax matches.
    Regex(String),
}

/// Replaces a pattern in every token.
#[derive(Clone, Debug, Serialize)]
pub struct Replace {
    pattern: Pattern,
    content: String,
    /// For a regex, and for the empty string, which matches between characters.
    #[serde(skip)]
    regex: Option<Arc<Regex>>,
}

impl PartialEq for Replace {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern, &self.content) == (&other.pattern, &other.content)
    }
}

impl Eq for Replace {}

#[derive(Deserialize)]
pub(super) struct Fields {
    pattern: Pattern,
    content: String,
}

impl TryFrom<Fields> for Replace {
    type Error = Error;

    fn try_from(Fields { pattern, content }: Fields) -> Result<Self> {
        Self::new(pattern, content)
    }
}

impl Replace {
    /// Replaces `pattern` by `content`.
    ///
    /// # Errors
    /// [`Error::Regex`] when it does not compile.
    pub fn new(pattern: Pattern, content: String) -> Result<Self> {
        let source = match &pattern {
            Pattern::String(text) if text.is_empty() => Some(""),
            Pattern::String(_) => None,
            Pattern::Regex(source) => Some(source.as_str()),
        };
        let compile = |source: &str| {
            Regex::new(source)
                .map_err(|error| Error::Regex { pattern: source.to_owned(), message: error.description().to_owned() })
        };
        let regex = source.map(compile).transpose()?.map(Arc::new);
        Ok(Self { pattern, content, regex })
    }

    pub(super) fn decode<'t>(&self, token: Cow<'t, str>) -> Result<Cow<'t, str>> {
        let (Pattern::String(pattern) | Pattern::Regex(pattern)) = &self.pattern;
        let Some(regex) = &self.regex else {
            let found = token.contains(pattern.as_str());
            return Ok(if found { Cow::Owned(token.replace(pattern, &self.content)) } else { token });
        };
        if token.is_empty() {
            return Ok(token);
        }
        let mut result = String::new();
        let mut region = Region::new();
        let (mut from, mut copied, mut last_end) = (0, 0, None);
        while from <= token.len() {
            region.clear();
            let none = SearchOptions::SEARCH_OPTION_NONE;
            let hit = regex
                .search_with_param(&token, from, token.len(), none, Some(&mut region), MatchParam::default())
                .map_err(|error| Error::RegexSearch {
                    pattern: pattern.clone(),
                    message: error.description().to_owned(),
                })?;
            let Some((start, end)) = hit.and_then(|_| region.pos(0)) else { break };
            if start == end && last_end == Some(end) {
                // An empty match directly behind another one does not count.
                from += token[from..].chars().next().map_or(1, char::len_utf8);
            } else {
                result.push_str(&token[copied..start]);
                result.push_str(&self.content);
                (from, copied, last_end) = (end, end, Some(end));
            }
        }
        result.push_str(&token[copied..]);
        Ok(Cow::Owned(result))
    }
}
