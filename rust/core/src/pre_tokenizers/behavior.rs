//! What becomes of the matches of a pattern: the five behaviors of a split.

use serde::Deserialize;

use crate::ids::Span;

/// What a split does with the text it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Behavior {
    /// Matches are dropped.
    Removed,
    /// Each match is a piece.
    Isolated,
    /// A match ends the piece before it, unless that is a match too.
    MergedWithPrevious,
    /// A match opens the piece behind it, unless that is a match too.
    MergedWithNext,
    /// Neighbouring matches are one piece.
    Contiguous,
}

/// A part of the text: a match (`true`), or what lies between two (`false`). The parts of a text cover it in order; a match
/// may be empty, which matters for the behaviors that look at neighbours.
pub(super) type Part = (Span, bool);

impl Behavior {
    /// Appends the pieces that `parts` become to `out`, without the empty ones.
    pub(super) fn pieces(self, parts: &[Part], out: &mut Vec<Span>) {
        let from = out.len();
        match self {
            Self::Removed => out.extend(parts.iter().filter(|(_, is_match)| !is_match).map(|&(span, _)| span)),
            Self::Isolated => out.extend(parts.iter().map(|&(span, _)| span)),
            Self::MergedWithPrevious => merge(parts.iter(), out, |previous, is_match| is_match && !previous),
            Self::MergedWithNext => {
                merge(parts.iter().rev(), out, |next, is_match| is_match && !next);
                out[from..].reverse();
            }
            Self::Contiguous => merge(parts.iter(), out, |previous, is_match| is_match == previous),
        }
        // Only now: an empty match still kept its neighbours apart, or joined them.
        let mut kept = from;
        for at in from..out.len() {
            if !out[at].is_empty() {
                out[kept] = out[at];
                kept += 1;
            }
        }
        out.truncate(kept);
    }
}

/// Appends `parts`, each joined to the one before it where `joins(that one is a match, this one is)`. The first counts as
/// preceded by a non-match, as in the reference.
fn merge<'p>(parts: impl Iterator<Item = &'p Part>, out: &mut Vec<Span>, joins: impl Fn(bool, bool) -> bool) {
    let from = out.len();
    let mut previous = false;
    for &(span, is_match) in parts {
        match out[from..].last_mut() {
            Some(last) if joins(previous, is_match) => {
                *last = Span { start: last.start.min(span.start), end: last.end.max(span.end) };
            }
            _ => out.push(span),
        }
        previous = is_match;
    }
}

/// Replaces `parts` by those of `text` where each character that `pattern` accepts is a match; `base` is where `text` starts.
pub(super) fn character_parts(text: &str, base: usize, pattern: impl Fn(char) -> bool, parts: &mut Vec<Part>) {
    parts.clear();
    let mut last = 0;
    for (at, matched) in text.match_indices(pattern) {
        if last < at {
            parts.push((Span::new(base + last, base + at), false));
        }
        last = at + matched.len();
        parts.push((Span::new(base + at, base + last), true));
    }
    if last < text.len() {
        parts.push((Span::new(base + last, base + text.len()), false));
    }
}
