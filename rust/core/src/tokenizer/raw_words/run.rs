//! The parts of a text through the pipeline, or out of the caches.

use std::ops::Range;

use super::{
    super::{Tokenizer, chars::CharIndex, encode::Scratch, general::encode_with, plain_words::PlainPieces},
    RawWords, Tails,
};
use crate::{
    AddedVocabulary, Result, TokenId,
    encoding::{IDS, SPANS, Tokens, WORDS},
    kernels,
    models::{
        Model, ModelScratch,
        words::{CacheHandle, DESCRIBED, LONGEST_WORD, Spelling},
    },
    post_processors::blanks,
    pre_tokenizers::{CutScratch, scanners::cuts::Cut},
};

const MARK_BYTES: &[u8] = "▁".as_bytes();

/// Buffers of one thread.
#[derive(Default)]
pub(in crate::tokenizer) struct RawScratch {
    ids: CacheHandle,
    spanned: CacheHandle,
    /// A part under way through the pipeline.
    part: Tokens,
    pieces: PlainPieces,
    key: Vec<u8>,
}

/// Stands before the key of a first part; no text has this byte.
const FIRST_PART: u8 = 0xFF;

/// Codes: a token's start and end in its part, and flags.
const END_SHIFT: u32 = 7;
const POSITION: u32 = (1 << END_SHIFT) - 1;
const OPENS_WORD: u32 = 1 << 14;
/// No token: the id is a number of words without tokens.
const EMPTY_WORDS: u32 = 1 << 15;
/// The token goes by the text that it stands for.
const OWN_TEXT: u32 = 1 << 16;
/// With [`OWN_TEXT`]: its span does as well, since the text has blanks at its ends, or the token has.
const OWN_BLANKS: u32 = 1 << 19;
/// No token: the part has tokens with a text of their own, which the cache does not hold.
const PASSED_ON: u32 = 1 << 17;
/// No token: as [`PASSED_ON`], but for their spans the texts do not matter.
const NO_TEXT: u32 = 1 << 18;
const _: () = assert!(LONGEST_WORD <= POSITION as usize);

impl Tokenizer {
    /// Encodes a part of a segment's raw text, the first one or another.
    pub(in crate::tokenizer) fn encode_raw<const LEVEL: u8>(
        &self,
        raw: &RawWords,
        text: &str,
        places: Places<'_>,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let Scratch { boundaries, cut, model: scratch, raw: buffers, .. } = scratch;
        let RawScratch { ids, spanned, part, pieces, key } = buffers;
        let mut run = Run { raw, model: &self.inner.model, cut, scratch, part, pieces };
        let (first_span, first_word) = (out.spans.len(), out.next_word);
        let mut at = 0;
        let mut parts = |text: &[u8], start, ends: &[u32], places: Places<'_>, out: &mut Tokens| {
            if LEVEL == IDS {
                return raw.ids.encode::<LEVEL>(text, start, ends, ids, out, &mut Ids(&mut run));
            }
            raw.spanned.encode::<LEVEL>(text, start, ends, spanned, out, &mut Spanned { run: &mut run, places })
        };
        let cut = if raw.tails.is_some() && LEVEL < WORDS { Cut::BlanksTails } else { raw.cut };
        let first = raw.first.as_ref().filter(|first| places.first && (!first.of_input_only || places.base == 0));
        // A word that begins like the end of one, which the caches take such a part for.
        let unlike_tail = places.first && raw.tails.is_some() && text.starts_with(|c: char| !c.is_alphanumeric());
        if (first.is_some() || unlike_tail) && !text.is_empty() {
            at = cut.part_end(text, 0);
            key.clear();
            key.push(FIRST_PART);
            key.extend_from_slice(&text.as_bytes()[..at]);
            parts(key, 0, &[key.len() as u32], Places { base: places.base.wrapping_sub(1), ..places }, out)?;
        }
        let (isa, places) = (kernels::isa(), Places { first: false, ..places });
        while at < text.len() {
            let start = at;
            at = cut.harvest(isa, text, start, boundaries);
            parts(text.as_bytes(), start, boundaries.ends(), places, out)?;
        }
        if LEVEL >= WORDS && raw.one_word {
            out.words[first_span..].fill(first_word);
            out.next_word = first_word + 1;
        }
        Ok(())
    }
}

/// What the parts of one text go through.
struct Run<'r> {
    raw: &'r RawWords,
    model: &'r Model,
    cut: &'r mut CutScratch,
    scratch: &'r mut ModelScratch,
    /// The part under way.
    part: &'r mut Tokens,
    pieces: &'r mut PlainPieces,
}

/// Parts of which the ids are wanted.
struct Ids<'r, 's>(&'r mut Run<'s>);

impl Spelling for Ids<'_, '_> {
    fn len(&self, _: TokenId) -> usize {
        0
    }

    fn encode(&mut self, part: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        self.0.encode::<IDS>(part)?;
        ids.extend_from_slice(self.0.part.ids());
        Ok(())
    }
}

/// Where bytes of a text lie among the characters of the input.
#[derive(Clone, Copy)]
pub(in crate::tokenizer) struct Places<'i> {
    /// Without it they are the same.
    pub(in crate::tokenizer) index: Option<&'i CharIndex>,
    /// The text's first byte in the input.
    pub(in crate::tokenizer) base: u32,
    /// The text is the first part of a segment. The key of one begins with [`FIRST_PART`], a byte before the input's.
    pub(in crate::tokenizer) first: bool,
}

impl Places<'_> {
    #[inline(always)]
    fn position(self, at: u32) -> u32 {
        let at = self.base.wrapping_add(at);
        self.index.map_or(at, |index| index.place(at).0)
    }

    #[inline(always)]
    fn span(self, span: [u32; 2]) -> [u32; 2] {
        let span = span.map(|at| self.base.wrapping_add(at));
        self.index.map_or(span, |index| index.span(span))
    }
}

/// Parts of which the spans are wanted too.
struct Spanned<'r, 's, 'i> {
    run: &'r mut Run<'s>,
    places: Places<'i>,
}

impl Spelling for Spanned<'_, '_, '_> {
    const DESCRIBES: bool = true;

    #[inline(always)]
    fn start(&self, text: &[u8], from: u32) -> u32 {
        self.run.raw.start(text, from as usize) as u32
    }

    #[inline(always)]
    fn position(&self, at: u32) -> u32 {
        self.places.position(at)
    }

    fn first_position(&self, from: u32) -> u32 {
        if self.places.first { self.position(from + 1).wrapping_sub(1) } else { self.position(from) }
    }

    #[inline(always)]
    fn len(&self, id: TokenId) -> usize {
        let lengths = &self.run.raw.lengths;
        usize::from(lengths[id as usize & (lengths.len() - 1)][1])
    }

    /// A mark that stands alone before a word goes by the first character of that.
    #[inline(always)]
    fn end_of_none(&self, at: u32) -> u32 {
        at + 1
    }

    fn encode(&mut self, part: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        let Run { raw, model, .. } = *self.run;
        if self.run.encode_aligned(part)? {
            ids.extend_from_slice(self.run.part.ids());
            return Ok(());
        }
        self.run.encode::<WORDS>(part)?;
        let tokens = &*self.run.part;
        if raw.spans_follow(part, tokens) {
            ids.extend_from_slice(tokens.ids());
        } else {
            ids.push(DESCRIBED);
            describe(&part[before_part(part)..], tokens, model, ids);
        }
        Ok(())
    }

    fn describe<const LEVEL: u8>(
        &mut self,
        text: &[u8],
        part: Range<u32>,
        description: &[TokenId],
        out: &mut Tokens,
    ) -> Result<()> {
        let word = &text[part.start as usize..part.end as usize];
        let at = part.start + before_part(word) as u32;
        let (pairs, _) = description.as_chunks::<2>();
        let pairs = match pairs {
            [[_, NO_TEXT], pairs @ ..] if LEVEL < WORDS => pairs,
            [] | [[_, PASSED_ON | NO_TEXT], ..] => return self.run.push_part::<LEVEL>(word, at, self.places, out),
            _ => pairs,
        };
        let mut next_word = out.next_word;
        for &[id, code] in pairs {
            if code & EMPTY_WORDS != 0 {
                next_word += id;
                continue;
            }
            let (start, end) = (at + (code & POSITION), at + (code >> END_SHIFT & POSITION));
            if code & OWN_TEXT != 0 && (LEVEL >= WORDS || code & OWN_BLANKS != 0) {
                let text =
                    std::str::from_utf8(&text[start as usize..end as usize]).expect("tokens are whole characters");
                out.texts.push((out.len() as u32, text.into()));
            }
            out.push(id);
            out.spans.push(self.places.span([start, end]));
            if LEVEL >= WORDS {
                next_word += u32::from(code & OPENS_WORD != 0);
                out.words.push(next_word.saturating_sub(1));
            }
        }
        out.next_word = next_word;
        Ok(())
    }
}

impl RawWords {
    /// Where the first token of the part at `from` begins, as a rule: what is behind the part does not matter.
    #[inline(always)]
    fn start(&self, text: &[u8], from: usize) -> usize {
        // Elsewhere a mark stands for them.
        if !matches!(self.cut, Cut::Blanks | Cut::Bert) {
            return from + before_part(&text[from..]);
        }
        // Whether there is one blank, or the byte of a first part, is hard to foresee; that there are more is rare.
        let is_none = |at: usize| text.get(at).is_some_and(|&byte| byte <= b' ' || byte == FIRST_PART);
        let mut at = from + usize::from(is_none(from));
        while is_none(at) {
            at += 1;
        }
        at
    }

    /// Whether the tokens of a part are one word with the spans that the rules for plain parts give.
    fn spans_follow(&self, part: &[u8], tokens: &Tokens) -> bool {
        let before = before_part(part);
        let start = self.start(part, 0) - before;
        let part = &part[before..];
        let Ok(text) = std::str::from_utf8(&part[start..]) else { return false };
        if tokens.is_empty() || tokens.next_word != 1 || !tokens.texts.is_empty() {
            return false;
        }
        let mut at = 0;
        let last = tokens.len() - 1;
        tokens.ids().iter().zip(&tokens.spans).enumerate().all(|(i, (&id, span))| {
            let [bytes, chars] = self.lengths[id as usize].map(usize::from);
            let from = at;
            at += bytes;
            let stop = match i {
                _ if i == last => text.len(),
                _ if bytes == 0 => (from + text[from..].chars().next().map_or(0, char::len_utf8)).min(text.len()),
                _ if text.get(from..at).is_none_or(|text| text.chars().count() != chars) => return false,
                _ => at,
            };
            *span == [(start + from) as u32, (start + stop) as u32]
        })
    }
}

impl Run<'_> {
    /// Encodes one part, whose text begins at byte `at` of the text, without the cache.
    fn push_part<const LEVEL: u8>(&mut self, part: &[u8], at: u32, places: Places<'_>, out: &mut Tokens) -> Result<()> {
        self.encode::<WORDS>(part)?;
        let Tokens { texts, spans, words, next_word, .. } = &mut *self.part;
        let first = out.len() as u32;
        out.texts.extend(texts.drain(..).map(|(index, text)| (first + index, text)));
        out.spans.extend(spans.iter().map(|span| places.span(span.map(|offset| at + offset))));
        if LEVEL >= WORDS {
            out.words.extend(words.iter().map(|word| out.next_word + word));
        }
        out.next_word += *next_word;
        out.extend_from_slice(self.part.ids());
        Ok(())
    }

    /// Encodes one part of which every letter stands for one character with as many bytes: the spans then follow from the
    /// lengths of its tokens if all of them are what they say. False for other parts.
    fn encode_aligned(&mut self, part: &[u8]) -> Result<bool> {
        let Self { raw, model, scratch, part: out, pieces, .. } = self;
        let Some(plain) = raw.plain.as_ref().filter(|_| raw.exact_lengths) else { return Ok(false) };
        let is_tail = |tails: &Tails| tails.token(part).is_some();
        if part.first() == Some(&FIRST_PART) || raw.tails.as_ref().is_some_and(is_tail) {
            return Ok(false);
        }
        if !plain.write(model.alphabet(), part, false, false, pieces) {
            return Ok(false);
        }
        let Some(letters) = pieces.aligned() else { return Ok(false) };
        out.clear();
        model.encode_letters::<IDS>(letters, &[], scratch, out)?;
        let len = |&id: &TokenId| usize::from(raw.lengths[id as usize][0]);
        let (blanks, text) = part.split_at(raw.start(part, 0));
        // What is taken for blanks may be other control characters.
        let is_blank = |byte: &u8| b"\t\n\r ".contains(byte);
        Ok(blanks.iter().all(is_blank) && out.ids().iter().map(len).sum::<usize>() == text.len())
    }

    /// Encodes one part by the pipeline.
    #[inline(never)]
    fn encode<const LEVEL: u8>(&mut self, part: &[u8]) -> Result<()> {
        let Self { raw, model, cut, scratch, part: out, pieces } = self;
        out.clear();
        let (pipeline, part, first) = match (part, &raw.first) {
            ([FIRST_PART, part @ ..], Some(first)) => (&first.pipeline, part, true),
            ([FIRST_PART, part @ ..], None) => (&raw.part, part, false),
            _ => {
                if let Some(token) = raw.tails.as_ref().and_then(|tails| tails.token(part)) {
                    out.push(token);
                    if LEVEL >= SPANS {
                        out.push_span(0, 1);
                    }
                    if LEVEL >= WORDS {
                        out.push_word(1);
                    }
                    return Ok(());
                }
                (&raw.part, part, false)
            }
        };
        if let Some(plain) = &raw.plain
            && (!first || raw.plain_first || !part.starts_with(b" ") && !part.starts_with(MARK_BYTES))
            && plain.write(model.alphabet(), part, first, LEVEL >= SPANS, pieces)
        {
            for (letters, starts) in pieces.pieces() {
                model.encode_letters::<LEVEL>(letters, starts, scratch, out)?;
            }
            for span in &mut out.spans {
                *span = pieces.original(*span);
            }
            return Ok(());
        }
        let text = std::str::from_utf8(part).expect("parts are cut between characters");
        let track = LEVEL >= SPANS || pipeline.steps.need_originals();
        let mut segments = Vec::with_capacity(1);
        AddedVocabulary::new().split(text, pipeline.normalizer.as_ref(), false, track, &mut segments)?;
        for segment in &segments {
            encode_with::<LEVEL>(&pipeline.steps, model, segment, cut, scratch, out)?;
        }
        Ok(())
    }
}

/// Bytes of a key that are no text.
#[inline(always)]
fn before_part(part: &[u8]) -> usize {
    usize::from(part.first() == Some(&FIRST_PART))
}

/// The ids and codes of an encoded part.
fn describe(part: &[u8], tokens: &Tokens, model: &Model, codes: &mut Vec<TokenId>) {
    let first = codes.len();
    let mut texts = tokens.texts.iter().peekable();
    let mut word = 0;
    for (i, &[start, end]) in tokens.spans.iter().enumerate() {
        let mut flags = if tokens.words[i] >= word { OPENS_WORD } else { 0 };
        if tokens.words[i] > word {
            codes.extend([tokens.words[i] - word, EMPTY_WORDS]);
        }
        word = tokens.words[i] + 1;
        if let Some((_, text)) = texts.next_if(|(index, _)| *index as usize == i) {
            let same_blanks = blanks(text) == blanks(model.id_to_token(tokens.id(i)).unwrap_or_default());
            if part.get(start as usize..end as usize) == Some(text.as_bytes()) {
                flags |= if same_blanks { OWN_TEXT } else { OWN_TEXT | OWN_BLANKS };
            } else if same_blanks {
                if codes.get(first + 1) != Some(&NO_TEXT) {
                    codes.splice(first..first, [0, NO_TEXT]);
                }
            } else {
                codes.truncate(first);
                codes.extend([0, PASSED_ON]);
                return;
            }
        }
        codes.extend([tokens.id(i), start | end << END_SHIFT | flags]);
    }
    if tokens.next_word > word || tokens.is_empty() {
        codes.extend([tokens.next_word - word, EMPTY_WORDS]);
    }
}
