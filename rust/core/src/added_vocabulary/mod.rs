//! The `added_tokens` of tokenizer.json: strings that become one token wherever they stand in a text.
//!
//! They are cut out before anything else sees the text. Tokens that are not `normalized` are looked for in the text as
//! it came; what lies between them is normalized, and the others are looked for there, in their own normalized form.

mod matcher;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crate::alignment::Alignment;
use crate::error::{Error, Result};
use crate::ids::{Span, TokenId};
use crate::normalizers::{Normalized, Normalizer};
use crate::vocab::Vocab;
use matcher::{Match, Matcher};

/// A token added to those of the model, and how it is matched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "they are the independent flags of the file format")]
pub struct AddedToken {
    /// The string.
    pub content: String,
    /// Match only between characters that are not part of a word.
    pub single_word: bool,
    /// Take the white space on the left, too.
    pub lstrip: bool,
    /// Take the white space on the right, too.
    pub rstrip: bool,
    /// Match the normalized content in the normalized text.
    pub normalized: bool,
    /// Left out by `decode` when special tokens are skipped.
    pub special: bool,
}

impl AddedToken {
    /// A token with the reference's defaults: normalized unless special, and no other flag.
    pub fn new(content: impl Into<String>, special: bool) -> Self {
        let content = content.into();
        Self { content, single_word: false, lstrip: false, rstrip: false, normalized: !special, special }
    }
}

/// The added tokens of a tokenizer. Adding some makes a new value.
#[derive(Clone, Debug, Default)]
pub struct AddedVocabulary {
    ids: HashMap<String, TokenId>,
    tokens: BTreeMap<TokenId, AddedToken>,
    /// Contents of all that were ever added as special tokens.
    special: HashSet<String>,
    /// Normalized contents, where they differ from the contents.
    normalized_contents: HashMap<TokenId, String>,
    /// Finds the tokens that are not `normalized`.
    in_raw_text: Option<Search>,
    /// Finds those that are.
    in_normalized_text: Option<Search>,
}

/// A part of a text: an added token, or what lies between two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'t> {
    /// The normalized text, borrowed from the input when unchanged. Of an added token, what was matched, with the white
    /// space it took.
    pub text: Cow<'t, str>,
    /// The bytes of the input that `text` stands for. When the normalizer changed the text and alignments were not
    /// asked for, the whole stretch that was normalized together.
    pub original: Span,
    /// Where in the input `text` comes from; `None` when not asked for, or when each character stands for itself, one
    /// after the other from `original.start`.
    pub alignment: Option<Alignment>,
    /// The added token.
    pub token: Option<TokenId>,
}

impl<'t> Segment<'t> {
    /// All of a text, as it came.
    pub(crate) fn whole(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), original: Span::new(0, text.len()), alignment: None, token: None }
    }
}

impl Segment<'_> {
    /// The text begins with characters that stand for no bytes of the input.
    pub(crate) fn starts_inserted(&self) -> bool {
        self.alignment.as_ref().is_some_and(Alignment::starts_inserted)
    }
}

impl Segment<'_> {
    /// Moves what the text stands for behind `start`.
    pub(crate) fn shift(&mut self, start: u32) {
        self.original = Span::new((self.original.start + start) as usize, (self.original.end + start) as usize);
        if let Some(alignment) = &mut self.alignment {
            alignment.shift(start);
        }
    }
}

impl AddedVocabulary {
    /// Whether some token is looked for in the normalized text.
    pub(crate) fn searches_normalized_text(&self) -> bool {
        self.in_normalized_text.is_some()
    }

    /// No added tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// This vocabulary with more tokens, and how many of them were not there before with the same flags.
    ///
    /// A token that the model has keeps its id. The others are numbered upwards from the model's size, or from behind
    /// the highest added id when that is larger. Empty tokens are left out.
    ///
    /// # Errors
    /// [`Error::EmptyAddedToken`] when the normalizer leaves nothing of a token, and the errors of
    /// [`Normalizer::normalize`].
    pub fn with_tokens(
        &self,
        tokens: &[AddedToken],
        model_vocab: &Vocab,
        normalizer: Option<&Normalizer>,
    ) -> Result<(Self, usize)> {
        let tokens: Vec<_> = tokens.iter().map(|token| (None, token.clone())).collect();
        self.with_numbered_tokens(&tokens, model_vocab, normalizer)
    }

    /// As [`with_tokens`](Self::with_tokens); a token that comes with an id gets that one.
    ///
    /// # Errors
    /// As for [`with_tokens`](Self::with_tokens).
    pub fn with_numbered_tokens(
        &self,
        tokens: &[(Option<TokenId>, AddedToken)],
        model_vocab: &Vocab,
        normalizer: Option<&Normalizer>,
    ) -> Result<(Self, usize)> {
        let mut new = self.clone();
        let mut added = 0;
        let after_last = self.tokens.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let mut next_id = after_last.max(model_vocab.len() as TokenId);
        for (given, token) in tokens.iter().filter(|(_, token)| !token.content.is_empty()) {
            let known = new.ids.get(&token.content).copied();
            if known.is_some_and(|id| new.tokens.get(&id) == Some(token)) {
                continue;
            }
            let id = given.or(known).or_else(|| model_vocab.id(&token.content)).unwrap_or_else(|| {
                let id = next_id;
                next_id = next_id.saturating_add(1);
                id
            });
            if let (true, Some(normalizer)) = (token.normalized, normalizer) {
                match &*normalizer.normalize(&token.content)? {
                    "" => return Err(Error::EmptyAddedToken { token: token.content.clone() }),
                    same if same == token.content => {}
                    other => drop(new.normalized_contents.insert(id, other.to_owned())),
                }
            }
            new.ids.insert(token.content.clone(), id);
            if token.special {
                new.special.insert(token.content.clone());
            }
            new.tokens.insert(id, token.clone());
            added += 1;
        }
        if added > 0 {
            new.in_raw_text = new.search(false);
            new.in_normalized_text = new.search(true);
        }
        Ok((new, added))
    }

    /// The search for the tokens that are, or are not, `normalized`.
    fn search(&self, normalized: bool) -> Option<Search> {
        let tokens: Vec<_> = self.tokens.iter().filter(|(_, token)| token.normalized == normalized).collect();
        let patterns: Vec<&str> = tokens.iter().map(|(id, token)| self.pattern(**id, token)).collect();
        let ids = tokens.iter().map(|(id, _)| **id);
        let only_special = tokens.iter().all(|(_, token)| self.special.contains(&token.content));
        (!tokens.is_empty()).then(|| Search { matcher: Matcher::new(patterns.into_iter().zip(ids)), only_special })
    }

    /// What an added token is looked for as.
    fn pattern<'a>(&'a self, id: TokenId, token: &'a AddedToken) -> &'a str {
        self.normalized_contents.get(&id).filter(|_| token.normalized).unwrap_or(&token.content)
    }

    /// The added tokens whose matches may differ from what [`id_to_token`](Self::id_to_token) says, or from `model`'s token
    /// of the same id.
    pub(crate) fn of_several_texts<'a>(&'a self, model: &'a Vocab) -> impl Iterator<Item = TokenId> + 'a {
        self.iter().filter_map(move |(id, token)| {
            let text = Some(self.pattern(id, token));
            let is_one = text == self.id_to_token(id) && model.token(id).is_none_or(|own| Some(own) == text);
            (token.lstrip || token.rstrip || !is_one).then_some(id)
        })
    }

    /// The id of an added token.
    pub fn token_to_id(&self, content: &str) -> Option<TokenId> {
        self.ids.get(content).copied()
    }

    /// What an added token is decoded to: its normalized form where that was matched, else its content.
    pub fn id_to_token(&self, id: TokenId) -> Option<&str> {
        let token = self.tokens.get(&id)?;
        Some(self.normalized_contents.get(&id).unwrap_or(&token.content))
    }

    /// Whether `decode` leaves the token out when it skips special tokens. As in the reference, that is a question about
    /// what the token is decoded to: a special token whose normalized form differs is not left out.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.id_to_token(id).is_some_and(|token| self.special.contains(token))
    }

    /// The added tokens, by id.
    pub fn iter(&self) -> impl Iterator<Item = (TokenId, &AddedToken)> {
        self.tokens.iter().map(|(id, token)| (*id, token))
    }

    /// The contents of all added tokens and their ids, in no order. More than [`iter`](Self::iter) gives when a model
    /// has two tokens of one id.
    pub fn contents(&self) -> impl Iterator<Item = (&str, TokenId)> {
        self.ids.iter().map(|(content, id)| (content.as_str(), *id))
    }

    /// How many contents were added.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when nothing was added.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Cuts the added tokens out of `text`, normalizes the rest, and appends all the parts to `out`, in order and
    /// without empty ones. With `encode_special_tokens`, special tokens are text like any other.
    ///
    /// Parts follow each other without overlap, except that the white space a token took on its right is searched
    /// again, as in the reference: a token made of white space is found there a second time.
    ///
    /// # Errors
    /// [`Error::AddedTokenOverlap`] for such a token that strips to its left, and the errors of
    /// [`Normalizer::normalize`].
    pub fn split<'t>(
        &self,
        text: &'t str,
        normalizer: Option<&Normalizer>,
        encode_special_tokens: bool,
        track: bool,
        out: &mut Vec<Segment<'t>>,
    ) -> Result<()> {
        self.cut(self.in_raw_text.as_ref(), text, encode_special_tokens, |part| {
            let (token, original) = (part.token, Span::new(part.start, part.end));
            let text = &text[part.start..part.end];
            if token.is_some() {
                out.push(Segment { text: Cow::Borrowed(text), original, alignment: None, token });
                return Ok(());
            }
            let normalized = match normalizer {
                None => Normalized { text: Cow::Borrowed(text), alignment: None },
                Some(normalizer) if track => normalizer.normalize_tracked(text)?,
                Some(normalizer) => normalizer.normalize_untracked(text)?,
            };
            let one_to_one = track || matches!(normalized.text, Cow::Borrowed(_));
            let before = out.len();
            let mut held: Option<Part> = None;
            self.cut(self.in_normalized_text.as_ref(), &normalized.text, encode_special_tokens, |part| {
                // One part is held back: when it is all there is, the text moves instead of being copied.
                if let Some(part) = held.replace(part) {
                    out.push(segment(&normalized, &part, original, one_to_one));
                }
                Ok(())
            })?;
            match held {
                Some(part) if part.token.is_some() || out.len() > before => {
                    out.push(segment(&normalized, &part, original, one_to_one));
                }
                Some(_) => out.push(whole_segment(normalized, original, one_to_one)),
                None => {}
            }
            Ok(())
        })
    }

    /// Whether [`Self::split`] leaves a text as it is that no normalizer rewrites: one segment, and no token.
    pub fn leaves_whole(&self, text: &str, encode_special_tokens: bool) -> bool {
        let mut searches = [&self.in_raw_text, &self.in_normalized_text].into_iter().flatten();
        let is_absent = |search: &Search| {
            encode_special_tokens && search.only_special || search.matcher.matches(text).next().is_none()
        };
        !text.is_empty() && searches.all(is_absent)
    }

    /// Calls `found` with the added tokens that `search` finds in `text` and the parts between them.
    fn cut(
        &self,
        search: Option<&Search>,
        text: &str,
        encode_special_tokens: bool,
        mut found: impl FnMut(Part) -> Result<()>,
    ) -> Result<()> {
        let (mut done, mut blanks) = (0, 0..0);
        let mut found = |start, end, token| if start == end { Ok(()) } else { found(Part { start, end, token }) };
        let search = search.filter(|search| !(encode_special_tokens && search.only_special));
        for Match { mut start, mut end, id } in search.into_iter().flat_map(|search| search.matcher.matches(text)) {
            let token = &self.tokens[&id];
            let skipped = encode_special_tokens && self.special.contains(&token.content);
            if skipped || token.single_word && touches_word(text, start, end) {
                continue;
            }
            if token.lstrip {
                // Not further than `done`: the token before may have taken these blanks.
                start = done + text[done.min(start)..start].trim_end().len();
            }
            if token.rstrip {
                // Tokens made of blanks would otherwise look at a run of them once each.
                if !(blanks.start..=blanks.end).contains(&end) {
                    blanks = end..text.len() - text[end..].trim_start().len();
                }
                end = blanks.end;
            }
            if start > end {
                return Err(Error::AddedTokenOverlap { token: token.content.clone(), position: start });
            }
            if done < start {
                found(done, start, None)?;
            }
            found(start, end, Some(id))?;
            done = end;
        }
        found(done, text.len(), None)
    }
}

/// The search for one kind of added tokens.
#[derive(Clone, Debug)]
struct Search {
    matcher: Matcher,
    /// Every token is special, so that there is nothing to look for when those are text.
    only_special: bool,
}

/// A part of the text that [`AddedVocabulary::cut`] went through.
struct Part {
    start: usize,
    end: usize,
    token: Option<TokenId>,
}

/// The segment of a stretch without normalized tokens; `original` is the stretch in the input.
fn whole_segment(normalized: Normalized<'_>, stretch: Span, one_to_one: bool) -> Segment<'_> {
    let Normalized { text, mut alignment } = normalized;
    if let Some(alignment) = &mut alignment {
        alignment.shift(stretch.start);
    }
    let original = original(&text, alignment.as_ref(), 0..text.len(), stretch, one_to_one);
    Segment { text, original, alignment, token: None }
}

/// The segment of one part of a stretch; `stretch` is the stretch in the input.
fn segment<'t>(normalized: &Normalized<'t>, part: &Part, stretch: Span, one_to_one: bool) -> Segment<'t> {
    let range = part.start..part.end;
    let text = match &normalized.text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range.clone()]),
        Cow::Owned(text) => Cow::Owned(text[range.clone()].to_owned()),
    };
    let alignment = normalized.alignment.as_ref().map(|alignment| alignment.slice(range.clone(), stretch.start));
    let original = original(&text, alignment.as_ref(), range, stretch, one_to_one);
    Segment { text, original, alignment, token: part.token }
}

/// The bytes of the input that `text` stands for: bytes `range` of a normalized `stretch`, aligned to the input by
/// `alignment`.
fn original(text: &str, alignment: Option<&Alignment>, range: Range<usize>, stretch: Span, one_to_one: bool) -> Span {
    match alignment {
        Some(alignment) => alignment.original(text, 0, text.len(), &mut 0),
        None if one_to_one => Span::new(range.start + stretch.start as usize, range.end + stretch.start as usize),
        None => stretch,
    }
}

/// Whether a character beside `start..end` is part of a word (`\w` of the regex crate, as in the reference).
fn touches_word(text: &str, start: usize, end: usize) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(regex_syntax::is_word_character);
    is_word(text[..start].chars().next_back()) || is_word(text[end..].chars().next())
}
