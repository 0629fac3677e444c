//! Text without a byte-level model, word by word as it came: a cache knows what the whole pipeline makes of a word.
//!
//! ```text
//! cut the text, before it is normalized, where its parts surely encode to what the whole encodes to
//! for each part: the cache knows its ids, or the pipeline encodes it (general.rs) and the cache remembers
//! ```
//!
//! Normalization, splitting and the model are then paid once per distinct word. What makes a cut safe depends on the
//! pipeline; [`RawWords::compile`] knows four cases and the reasons, and leaves every other pipeline to the general path.
//!
//! Spans are remembered as well, in a cache of their own: each id is followed by a code that says where in the part its
//! token lies and whether it opens a word.

use super::{Tokenizer, encode::Scratch, general::encode_with, plain_words::PlainWords};
use crate::{
    AddedVocabulary, Normalizer, PreTokenizer, Result, TokenId,
    added_vocabulary::Segment,
    encoding::{IDS, SPANS, Tokens, WORDS},
    kernels,
    models::{
        Bpe, Model, ModelScratch,
        words::{CacheHandle, LONGEST_WORD, Words},
    },
    pre_tokenizers::{
        CutScratch, Metaspace, PrependScheme, Steps,
        scanners::cuts::{CLOSING_BYTES, Cut},
    },
};

/// Bound of each of the two caches, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// What stands for a space in the vocabularies of `SentencePiece`.
const MARK: char = '▁';

/// A pipeline that runs on the parts of a text.
pub(super) struct RawWords {
    cut: Cut,
    /// Encodes the parts; the first one too, unless `first` says otherwise.
    part: Pipeline,
    /// Encodes the first part of a text, where the pipeline puts something before it.
    first: Option<First>,
    /// What parts become of which that is known without the pipeline.
    plain: Option<PlainWords>,
    /// Whether it is known of first parts too.
    plain_first: bool,
    /// The mark at the beginning of a plain part's piece stands for the space there, not for the word.
    mark_is_space: bool,
    /// A text is one word, however many parts it has.
    one_word: bool,
    /// Ids of parts.
    ids: Words,
    /// Ids and codes of parts.
    described: Words,
    /// Steps up to the charsmap: if it makes nothing of what they leave of a text's beginning, all spans move.
    charsmap: Option<(Normalizer, crate::normalizers::Precompiled)>,
}

/// The pipeline of first parts.
struct First {
    pipeline: Pipeline,
    /// Of first parts that the whole input begins with; others are parts like any.
    of_input_only: bool,
}

/// The stages before the model.
struct Pipeline {
    normalizer: Option<Normalizer>,
    steps: Steps,
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct RawScratch {
    ids: CacheHandle,
    described: CacheHandle,
    /// What the cache of spans gave.
    codes: Tokens,
    /// A part under way through the pipeline.
    part: Tokens,
    key: Vec<u8>,
}

/// Stands before the key of a first part; no text has this byte.
const FIRST_PART: u8 = 0xFF;

/// Codes: a token's start and end in its part, and flags.
const END_SHIFT: u32 = 7;
const POSITION: u32 = (1 << END_SHIFT) - 1;
const OPENS_PART: u32 = 1 << 14;
const OPENS_WORD: u32 = 1 << 15;
/// No token: the id is a number of words without tokens.
const EMPTY_WORDS: u32 = 1 << 16;
/// No token: the part has tokens with a text of their own, which the cache does not hold.
const PASSED_ON: u32 = 1 << 17;
const _: () = assert!(LONGEST_WORD <= POSITION as usize);

impl RawWords {
    /// The cuts that are safe for a pipeline, if any are.
    pub(super) fn compile(
        normalizer: Option<&Normalizer>,
        pre_tokenizer: Option<&PreTokenizer>,
        model: &Model,
    ) -> Result<Option<Self>> {
        let mut normalizers = Vec::new();
        flatten(normalizer, &mut normalizers);
        let mut steps = Vec::new();
        if let Some(pre_tokenizer) = pre_tokenizer {
            pre_tokenizer.flatten(&mut steps);
        }
        if let Model::Bpe(bpe) = model
            && (bpe.options().dropout.is_some_and(|chance| chance > 0.0) || bpe.options().spans_leave_piece())
        {
            return Ok(None);
        }
        let plan = bert(&normalizers, &steps)
            .or_else(|| white_space(&normalizers, &steps))
            .or_else(|| metaspace(&normalizers, &steps))
            .or_else(|| marks(&normalizers, &steps, model));
        let Some(Plan { cut, part_normalizers, part_steps, first, plain, plain_first, one_word }) = plan else {
            return Ok(None);
        };
        let sequence = |steps: &[&Normalizer]| match steps {
            [] => None,
            [one] => Some((*one).clone()),
            all => Some(Normalizer::Sequence(all.iter().map(|&step| step.clone()).collect())),
        };
        let part = Pipeline {
            normalizer: sequence(&part_normalizers),
            steps: Steps::compile(Some(&PreTokenizer::Sequence(part_steps)))?,
        };
        let first = match first {
            FirstPart::LikeOthers => None,
            FirstPart::Whole { of_input_only } => Some(First {
                pipeline: Pipeline { normalizer: normalizer.cloned(), steps: Steps::compile(pre_tokenizer)? },
                of_input_only,
            }),
        };
        let charsmap = normalizers.iter().enumerate().find_map(|(i, step)| match step {
            Normalizer::Precompiled(charsmap) => {
                Some((sequence(&normalizers[..i]).unwrap_or(Normalizer::Sequence(Vec::new())), charsmap.clone()))
            }
            _ => None,
        });
        Ok(Some(Self {
            cut,
            part,
            first,
            plain,
            plain_first,
            mark_is_space: cut != Cut::Blanks,
            one_word,
            ids: Words::new(CACHE_BYTES),
            described: Words::new(CACHE_BYTES),
            charsmap,
        }))
    }

    /// The way to encode a segment's text that begins at byte `skipped`: false when only the general path knows.
    pub(super) fn runs<const LEVEL: u8>(&self, text: &str, skipped: usize) -> Result<bool> {
        match &self.charsmap {
            Some((before, charsmap)) if LEVEL >= SPANS && skipped == 0 => {
                let start = &text[..self.cut.part_end(text, 0).min(text.len())];
                Ok(!charsmap.begins_with_nothing(&before.normalize(start)?))
            }
            _ => Ok(true),
        }
    }
}

/// Where to cut, and what runs on the parts.
struct Plan<'p> {
    cut: Cut,
    part_normalizers: Vec<&'p Normalizer>,
    part_steps: Vec<PreTokenizer>,
    first: FirstPart,
    plain: Option<PlainWords>,
    plain_first: bool,
    one_word: bool,
}

enum FirstPart {
    LikeOthers,
    Whole { of_input_only: bool },
}

fn flatten<'n>(normalizer: Option<&'n Normalizer>, out: &mut Vec<&'n Normalizer>) {
    match normalizer {
        Some(Normalizer::Sequence(steps)) => steps.iter().for_each(|step| flatten(Some(step), out)),
        Some(leaf) => out.push(leaf),
        None => {}
    }
}

fn owned(steps: &[&PreTokenizer]) -> Vec<PreTokenizer> {
    steps.iter().map(|&step| step.clone()).collect()
}

/// BERT: its pre-tokenizer cuts at white space and around punctuation and drops or isolates it, and its normalizer puts
/// spaces around ideographs. The normalizer looks at one character at a time, but for the order of combining marks, which
/// does not reach over a character that is none; those at the cuts are none.
fn bert<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer]) -> Option<Plan<'p>> {
    match (normalizers, steps) {
        ([Normalizer::Bert(bert)], [PreTokenizer::Bert]) if bert.handle_chinese_chars => Some(Plan {
            cut: Cut::Bert,
            part_normalizers: normalizers.to_vec(),
            part_steps: owned(steps),
            first: FirstPart::LikeOthers,
            plain: Some(PlainWords::bert(normalizers[0])),
            plain_first: false,
            one_word: false,
        }),
        _ => None,
    }
}

/// Whether a normalizer's result for a text is that for its parts, cut before a run of blanks that it leaves blank.
///
/// It may look at neighbours inside a grapheme (a blank begins one, but behind a prepended mark, where nothing is cut) and
/// at combining marks behind a character, and at runs of spaces.
fn is_local(normalizer: &Normalizer) -> bool {
    match normalizer {
        Normalizer::Sequence(steps) => steps.iter().all(is_local),
        Normalizer::Precompiled(charsmap) => b"\t\n\r ".iter().all(|&blank| charsmap.has_no_longer_entry(blank)),
        Normalizer::Bert(_)
        | Normalizer::Nfc
        | Normalizer::Nfd
        | Normalizer::Nfkc
        | Normalizer::Nfkd
        | Normalizer::Lowercase
        | Normalizer::StripAccents => true,
        Normalizer::Replace(replace) => match (replace.as_literal(), replace.as_regex()) {
            (Some(literal), _) => !literal.contains(char::is_whitespace),
            (_, Some(regex)) => regex == " {2,}",
            _ => false,
        },
        Normalizer::Nmt | Normalizer::ByteLevel | Normalizer::Strip { .. } | Normalizer::Prepend(_) => false,
    }
}

/// Whether every blank between letters stays a run of characters that `accept` accepts, whatever stands beside it.
fn keeps_blanks(normalizers: &[&Normalizer], blanks: &str, accept: impl Fn(char) -> bool) -> bool {
    blanks.chars().all(|blank| {
        [
            format!("a{blank}b"),
            format!("a{blank}{blank}b"),
            format!("a{blank}\u{301}b"),
            format!("\u{4E2D}{blank}\u{4E2D}"),
        ]
        .iter()
        .all(|text| {
            let mut text = text.clone();
            for step in normalizers {
                let Ok(next) = step.normalize(&text) else { return false };
                text = next.into_owned();
            }
            let mut chars = text.chars();
            chars.next().is_some_and(|c| !accept(c)) && chars.next().is_some_and(&accept)
        })
    })
}

/// `WhitespaceSplit` comes first, so that what follows sees words.
fn white_space<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer]) -> Option<Plan<'p>> {
    let [PreTokenizer::WhitespaceSplit, rest @ ..] = steps else { return None };
    let of_words = |step: &&PreTokenizer| match step {
        PreTokenizer::Metaspace(metaspace) => metaspace.prepend_scheme != PrependScheme::First,
        _ => true,
    };
    let local = normalizers.iter().all(|step| is_local(step) || matches!(step, Normalizer::Strip { .. }));
    (local && rest.iter().all(of_words) && keeps_blanks(normalizers, "\t\n\r ", char::is_whitespace)).then(|| Plan {
        cut: Cut::Blanks,
        part_normalizers: normalizers.to_vec(),
        part_steps: owned(steps),
        first: FirstPart::LikeOthers,
        plain: PlainWords::white_space(normalizers, rest),
        plain_first: false,
        one_word: false,
    })
}

/// `Metaspace` alone, cutting before every space. Only the first part may lack one, and gets it or not.
fn metaspace<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer]) -> Option<Plan<'p>> {
    let [PreTokenizer::Metaspace(metaspace @ Metaspace { split: true, .. })] = steps else { return None };
    let replacement = metaspace.replacement;
    // Spaces that another step makes before a cut would have joined those behind it.
    let joins_spaces = |step: &Normalizer| matches!(step, Normalizer::Replace(replace) if replace.as_regex().is_some());
    let local = normalizers.iter().all(|step| is_local(step) && !joins_spaces(step));
    (local && keeps_blanks(normalizers, " ", |c| c == ' ' || c == replacement)).then(|| Plan {
        cut: Cut::Spaces,
        part_normalizers: normalizers.to_vec(),
        part_steps: vec![PreTokenizer::Metaspace(Metaspace { prepend_scheme: PrependScheme::Never, ..*metaspace })],
        first: first_part(metaspace.prepend_scheme),
        plain: (!replacement.is_ascii()).then(|| PlainWords::metaspace(normalizers, replacement)),
        plain_first: false,
        one_word: false,
    })
}

fn first_part(scheme: PrependScheme) -> FirstPart {
    match scheme {
        PrependScheme::Never => FirstPart::LikeOthers,
        PrependScheme::Always => FirstPart::Whole { of_input_only: false },
        PrependScheme::First => FirstPart::Whole { of_input_only: true },
    }
}

/// BPE over text whose spaces became marks, and that nothing cuts: the merges say where none of them can reach across.
fn marks<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    let Model::Bpe(bpe) = model else { return None };
    let is_replace = |step: &Normalizer| matches!(step, Normalizer::Replace(replace) if replace.as_literal() == Some(" ") && replace.content() == "▁");
    let (part_normalizers, first, part_steps) = match (normalizers, steps) {
        ([replace], []) if is_replace(replace) => (vec![*replace], FirstPart::LikeOthers, Vec::new()),
        ([Normalizer::Prepend(prefix), replace], []) if prefix == "▁" && is_replace(replace) => {
            (vec![*replace], FirstPart::Whole { of_input_only: false }, Vec::new())
        }
        ([], [PreTokenizer::Metaspace(metaspace @ Metaspace { split: false, replacement: MARK, .. })]) => {
            let part = PreTokenizer::Metaspace(Metaspace { prepend_scheme: PrependScheme::Never, ..*metaspace });
            (Vec::new(), first_part(metaspace.prepend_scheme), vec![part])
        }
        _ => return None,
    };
    let cut = merge_cut(bpe)?;
    // `Metaspace` puts no mark before one.
    let plain_first = steps.is_empty();
    let plain = Some(PlainWords::marks(MARK));
    Some(Plan { cut, part_normalizers, part_steps, first, plain, plain_first, one_word: true })
}

/// The finest set of places that no merge reaches across.
///
/// The first merge that does would join a token that ends before the place and one that begins behind it, so it is enough
/// to look at the last and the first symbol of all pairs that merge. Unknown characters that are fused must not meet at a
/// place either: what is cut before is a character of the vocabulary.
fn merge_cut(bpe: &Bpe) -> Option<Cut> {
    let seams = bpe.seams()?;
    let unsafe_marks = !seams.is_known(MARK) || seams.any(|left, right| left != MARK && right == MARK);
    if unsafe_marks || seams.drop_characters() {
        return None;
    }
    if !seams.is_known('\n') || seams.any(|left, right| left == '\n' || right == '\n') {
        return Some(Cut::Marks);
    }
    let closing = |c: char| c.is_ascii() && CLOSING_BYTES.contains(&(c as u8));
    let all_known = CLOSING_BYTES.iter().all(|&byte| seams.is_known(char::from(byte)));
    if !all_known || seams.any(|left, right| left.is_ascii_alphanumeric() && closing(right)) {
        return Some(Cut::MarksLines);
    }
    Some(Cut::MarksLinesPunctuation)
}

impl Tokenizer {
    /// Encodes a part of a segment's raw text that begins at byte `skipped` of it; false when that cannot be done here.
    pub(super) fn encode_raw<const LEVEL: u8>(
        &self,
        raw: &RawWords,
        segment: &Segment<'_>,
        text: &str,
        skipped: usize,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let base = segment.original.start + skipped as u32;
        let Scratch { boundaries, cut, model: model_scratch, raw: buffers, prefixed: piece, .. } = scratch;
        let mut run = Run { raw, model: &self.inner.model, cut, scratch: model_scratch, piece };
        let mut at = 0;
        let first = raw.first.as_ref().filter(|first| skipped == 0 && (!first.of_input_only || base == 0));
        if first.is_some() && !text.is_empty() {
            at = raw.cut.part_end(text, 0);
            buffers.key.clear();
            buffers.key.push(FIRST_PART);
            buffers.key.extend_from_slice(&text.as_bytes()[..at]);
            let key = std::mem::take(&mut buffers.key);
            run.parts::<LEVEL>(&key, 0, &[key.len() as u32], base, buffers, out)?;
            buffers.key = key;
        }
        let isa = kernels::isa();
        while at < text.len() {
            let start = at;
            at = raw.cut.harvest(isa, text, start, boundaries);
            run.parts::<LEVEL>(text.as_bytes(), start, boundaries.ends(), base, buffers, out)?;
        }
        if LEVEL >= WORDS && raw.one_word {
            out.next_word += 1;
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
    piece: &'r mut String,
}

impl Run<'_> {
    #[inline(always)]
    fn parts<const LEVEL: u8>(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[u32],
        base: u32,
        buffers: &mut RawScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let raw = self.raw;
        if LEVEL < SPANS {
            let RawScratch { ids: handle, part: buffer, .. } = buffers;
            return raw.ids.encode::<IDS>(
                text,
                start,
                ends,
                handle,
                out,
                |_| 0,
                |part, ids| {
                    self.encode::<IDS>(part, buffer)?;
                    ids.extend_from_slice(buffer.ids());
                    Ok(())
                },
            );
        }
        // Parts too long for a code go past the cache.
        let (mut from, mut done) = (start, 0);
        while done < ends.len() {
            let short = ends[done..].iter().scan(from, |at, &end| {
                let len = end as usize - std::mem::replace(at, end as usize);
                Some(len <= LONGEST_WORD)
            });
            let count = short.take_while(|&short| short).count();
            if count > 0 {
                let ends = &ends[done..done + count];
                self.described_parts::<LEVEL>(text, from, ends, base, buffers, out)?;
                (done, from) = (done + count, ends[count - 1] as usize);
            } else {
                let end = ends[done] as usize;
                let at = if text[from] == FIRST_PART { base } else { base + from as u32 };
                self.push_part::<LEVEL>(&text[from..end], at, &mut buffers.part, out)?;
                (done, from) = (done + 1, end);
            }
        }
        Ok(())
    }

    /// Encodes one part, whose text begins at byte `at` of the input, without the cache.
    fn push_part<const LEVEL: u8>(&mut self, text: &[u8], at: u32, part: &mut Tokens, out: &mut Tokens) -> Result<()> {
        self.encode::<WORDS>(text, part)?;
        let one_word = self.raw.one_word;
        let first = out.len() as u32;
        out.texts.extend(part.texts.drain(..).map(|(index, text)| (first + index, text)));
        for (i, &[start, end]) in part.spans.iter().enumerate() {
            out.push(part.id(i));
            out.push_span(at + start, at + end);
            if LEVEL >= WORDS {
                out.words.push(out.next_word + if one_word { 0 } else { part.words[i] });
            }
        }
        if !one_word {
            out.next_word += part.next_word;
        }
        Ok(())
    }

    /// Parts with their spans, through the cache.
    fn described_parts<const LEVEL: u8>(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[u32],
        base: u32,
        buffers: &mut RawScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let raw = self.raw;
        let RawScratch { described: handle, codes, part: buffer, .. } = buffers;
        codes.set_len(0);
        raw.described.encode::<IDS>(
            text,
            start,
            ends,
            handle,
            codes,
            |_| 0,
            |part, codes| {
                self.encode::<WORDS>(part, buffer)?;
                describe(buffer, codes);
                Ok(())
            },
        )?;
        // The key of a first part has a byte before the text.
        let is_first = text.first() == Some(&FIRST_PART);
        let (mut from, mut to, mut at) = (start, start, base);
        let mut ends = ends.iter();
        let mut next_word = out.next_word;
        let (pairs, _) = codes.ids().as_chunks::<2>();
        out.reserve(pairs.len());
        for &[id, code] in pairs {
            if code & OPENS_PART != 0 {
                (from, to) = (to, ends.next().map_or(to, |&end| end as usize));
                at = if is_first { base } else { base + from as u32 };
            }
            if code & (EMPTY_WORDS | PASSED_ON) != 0 {
                if code & EMPTY_WORDS != 0 {
                    next_word += id;
                } else {
                    out.next_word = if raw.one_word { out.next_word } else { next_word };
                    self.push_part::<LEVEL>(&text[from..to], at, buffer, out)?;
                    next_word = out.next_word;
                }
                continue;
            }
            out.push(id);
            out.push_span(at + (code & POSITION), at + (code >> END_SHIFT & POSITION));
            if LEVEL >= WORDS {
                next_word += u32::from(code & OPENS_WORD != 0);
                out.words.push(if raw.one_word { out.next_word } else { next_word - 1 });
            }
        }
        if LEVEL >= WORDS && !raw.one_word {
            out.next_word = next_word;
        }
        Ok(())
    }

    /// Encodes one part by the pipeline, into a buffer that is emptied before.
    #[inline(never)]
    fn encode<const LEVEL: u8>(&mut self, part: &[u8], out: &mut Tokens) -> Result<()> {
        out.clear();
        let (pipeline, part) = match (part, &self.raw.first) {
            ([FIRST_PART, part @ ..], Some(first)) => (&first.pipeline, part),
            _ => (&self.raw.part, part),
        };
        let text = std::str::from_utf8(part).expect("parts are cut between characters");
        if let Some(plain) = &self.raw.plain
            && let first = !std::ptr::eq(pipeline, &raw const self.raw.part)
            && (!first || self.raw.plain_first || self.raw.one_word && !text.starts_with([' ', MARK]))
            && let Some(plain) = plain.write(text, first, self.piece)
            && (LEVEL < SPANS || plain.one_to_one)
        {
            self.model.encode_piece::<LEVEL>(self.piece, 0, self.scratch, out)?;
            // The mark stands for the space before the word, or for the word's first character.
            let (mark, skipped) = (plain.mark as u32, plain.skipped as u32);
            for span in &mut out.spans {
                let [start, end] = *span;
                let place = |at: u32| skipped + at.saturating_sub(mark);
                *span = if mark == 0 || start >= mark {
                    [place(start), place(end)]
                } else {
                    let at = if self.raw.mark_is_space && !first { skipped - 1 } else { skipped };
                    [at, if end > mark { place(end) } else { at + 1 }]
                };
            }
            return Ok(());
        }
        let track = LEVEL >= SPANS || pipeline.steps.need_originals();
        let mut segments = Vec::with_capacity(1);
        AddedVocabulary::new().split(text, pipeline.normalizer.as_ref(), false, track, &mut segments)?;
        for segment in &segments {
            encode_with::<LEVEL>(&pipeline.steps, self.model, segment, self.cut, self.scratch, out)?;
        }
        Ok(())
    }
}

/// The ids and codes of an encoded part.
fn describe(part: &Tokens, codes: &mut Vec<TokenId>) {
    if !part.texts.is_empty() {
        codes.extend([0, PASSED_ON | OPENS_PART]);
        return;
    }
    let mut opens_part = OPENS_PART;
    let mut word = 0;
    let mut push = |id, code| codes.extend([id, code | std::mem::take(&mut opens_part)]);
    for (i, &[start, end]) in part.spans.iter().enumerate() {
        let opens_word = part.words[i] >= word;
        if part.words[i] > word {
            push(part.words[i] - word, EMPTY_WORDS);
        }
        word = part.words[i] + 1;
        push(part.id(i), start | end << END_SHIFT | if opens_word { OPENS_WORD } else { 0 });
    }
    if part.next_word > word || part.is_empty() {
        push(part.next_word - word, EMPTY_WORDS);
    }
}
