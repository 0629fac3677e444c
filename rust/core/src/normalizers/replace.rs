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
    /// A regular expression that matches runs of blanks.
    Blanks(&'static Blanks),
    /// Oniguruma, as in the reference.
    Regex { source: String, regex: Arc<Regex> },
}

/// Patterns for blanks that need no regex engine, which took nine tenths of CLIP's time.
#[derive(Debug)]
struct Blanks {
    source: &'static str,
    /// Spaces, not all white space.
    only_spaces: bool,
    /// Characters of the shortest run that is a match.
    shortest: usize,
    /// Characters of the longest.
    longest: usize,
}

static BLANKS: [Blanks; 4] = [
    Blanks { source: r"\s+", only_spaces: false, shortest: 1, longest: usize::MAX },
    Blanks { source: r"\s", only_spaces: false, shortest: 1, longest: 1 },
    Blanks { source: " +", only_spaces: true, shortest: 1, longest: usize::MAX },
    Blanks { source: " {2,}", only_spaces: true, shortest: 2, longest: usize::MAX },
];

impl Blanks {
    /// Calls `found` with the matches from left to right.
    fn for_each_match(&self, text: &str, mut found: impl FnMut(usize, usize)) {
        let mut at = 0;
        while let Some(start) = self.next(text, at) {
            let blanks = text[start..].chars().take_while(|&c| self.has(c)).take(self.longest);
            let (count, bytes) = blanks.fold((0, 0), |(count, bytes), c| (count + 1, bytes + c.len_utf8()));
            at = start + bytes;
            if count >= self.shortest {
                found(start, at);
            }
        }
    }

    fn has(&self, c: char) -> bool {
        c == ' ' || !self.only_spaces && c.is_whitespace()
    }

    /// The first blank from byte `at` on.
    fn next(&self, text: &str, at: usize) -> Option<usize> {
        if self.only_spaces {
            return memchr::memchr(b' ', &text.as_bytes()[at..]).map(|i| at + i);
        }
        // White space beyond ASCII begins with one of these bytes.
        let may_begin = |byte: u8| matches!(byte, b'\t'..=b'\r' | b' ' | 0xC2 | 0xE1..=0xE3);
        let mut at = at;
        loop {
            at += text.as_bytes()[at..].iter().position(|&byte| may_begin(byte))?;
            let c = text[at..].chars().next()?;
            if self.has(c) {
                return Some(at);
            }
            at += c.len_utf8();
        }
    }
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
        if let Some(blanks) = BLANKS.iter().find(|blanks| blanks.source == pattern) {
            return Ok(Self { pattern: Pattern::Blanks(blanks), content });
        }
        let regex = Regex::new(pattern)
            .map_err(|e| Error::Regex { pattern: pattern.to_owned(), message: e.description().to_owned() })?;
        Ok(Self { pattern: Pattern::Regex { source: pattern.to_owned(), regex: Arc::new(regex) }, content })
    }

    /// The string that is replaced, where the pattern is one.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Literal(finder) => std::str::from_utf8(finder.needle()).ok(),
            Pattern::Blanks(_) | Pattern::Regex { .. } => None,
        }
    }

    /// The regular expression, where the pattern is one.
    pub fn as_regex(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Literal(_) => None,
            Pattern::Blanks(blanks) => Some(blanks.source),
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
            // Most blanks are one space and stay one.
            if end - start == 1 && text[start..end] == self.content && !edit.is_recorded() {
                return;
            }
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
            Pattern::Blanks(blanks) => {
                blanks.for_each_match(text, replace);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The matches that we find, and those of the engine.
    fn matches(blanks: &Blanks, text: &str) -> [Vec<[usize; 2]>; 2] {
        let mut matches = [Vec::new(), Vec::new()];
        blanks.for_each_match(text, |start, end| matches[0].push([start, end]));
        let regex = Regex::new(blanks.source).expect("compiles");
        for_each_match(&regex, blanks.source, text, |start, end| matches[1].push([start, end])).expect("matches");
        matches
    }

    #[test]
    fn every_character_is_blank_or_not_as_for_the_engine() {
        let text: String = ('\0'..=char::MAX).flat_map(|c| ['x', c]).collect();
        for blanks in &BLANKS {
            let [found, expected] = matches(blanks, &text);
            assert!(found == expected, "{}", blanks.source);
        }
    }

    proptest! {
        #[test]
        fn runs_of_blanks_are_those_of_the_engine(text in "[ab é中\u{85}\u{A0}\u{2003}\u{3000}\u{1680} \t\n\r]{0,40}") {
            for blanks in &BLANKS {
                let [found, expected] = matches(blanks, &text);
                prop_assert_eq!(found, expected, "{}", blanks.source);
            }
        }
    }
}
