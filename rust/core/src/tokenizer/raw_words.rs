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
//! Spans have a cache of their own. Of most parts they follow from the lengths of the tokens, and only the ids are
//! remembered; of others each id with a code that says where in the part its token lies and whether it opens a word.

use std::ops::Range;

use super::{
    Tokenizer,
    chars::CharIndex,
    encode::Scratch,
    general::encode_with,
    plain_words::{PlainPieces, PlainWords},
};
use crate::{
    AddedVocabulary, Normalizer, PreTokenizer, Result, TokenId,
    encoding::{IDS, SPANS, Tokens, WORDS},
    kernels,
    models::{
        Bpe, Model, ModelScratch,
        words::{CacheHandle, DESCRIBED, LONGEST_WORD, Spelling, Words},
    },
    post_processors::blanks,
    pre_tokenizers::{
        CutScratch, Metaspace, PrependScheme, Steps,
        scanners::cuts::{Cut, TAIL_BYTES, is_guarded, is_ideograph, is_of_small_script, is_punctuation},
    },
};

/// Bound of each of the two caches, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// What stands for a space in the vocabularies of `SentencePiece`.
const MARK: char = '▁';
const MARK_BYTES: &[u8] = "▁".as_bytes();

/// A pipeline that runs on the parts of a text.
pub(super) struct RawWords {
    cut: Cut,
    /// Encodes the parts; the first one too, unless `first` says otherwise.
    part: Pipeline,
    /// Where nobody asks for words: finer cuts, and the tokens of the words' last characters that they cut off.
    tails: Option<Tails>,
    /// Encodes the first part of a text, where the pipeline puts something before it.
    first: Option<First>,
    /// What parts become of which that is known without the pipeline.
    plain: Option<PlainWords>,
    /// Whether it is known of first parts too.
    plain_first: bool,
    /// How many bytes and characters of its part a token covers, as a rule.
    lengths: Vec<[u16; 2]>,
    /// A token never covers fewer, if every letter of its part stands for one character with as many bytes.
    exact_lengths: bool,
    /// A text is one word, however many parts it has.
    one_word: bool,
    /// Ids of parts.
    ids: Words,
    /// Ids of parts whose spans follow from them; ids and codes of others.
    spanned: Words,
    /// Steps up to the charsmap: if it makes nothing of what they leave of a text's beginning, all spans move.
    charsmap: Option<(Normalizer, crate::normalizers::Precompiled)>,
}

/// The tokens of [`TAIL_BYTES`] that end a word.
struct Tails([TokenId; TAIL_BYTES.len()]);

impl Tails {
    /// For words that Unigram segments: the best way to a character that no token joins to the one before goes through that
    /// one, and is the best way to it whatever follows. With one token for the character there is one way on.
    fn new(normalizers: &[&Normalizer], model: &Model) -> Option<Self> {
        let Model::Unigram(unigram) = model else { return None };
        let spans = |token: &str| {
            token.as_bytes().windows(2).any(|pair| pair[0].is_ascii_alphabetic() && TAIL_BYTES.contains(&pair[1]))
        };
        let in_pattern = |step: &&Normalizer| match step {
            Normalizer::Replace(replace) => {
                replace.as_literal().is_some_and(|literal| literal.bytes().any(|byte| TAIL_BYTES.contains(&byte)))
            }
            _ => false,
        };
        if unigram.vocab().iter().any(|(token, _)| spans(token)) || normalizers.iter().any(in_pattern) {
            return None;
        }
        for letter in ('A'..='Z').chain('a'..='z') {
            for &tail in TAIL_BYTES {
                let mut text = format!("{letter}{}", char::from(tail));
                for step in normalizers {
                    text = step.normalize(&text).ok()?.into_owned();
                }
                if !matches!(text.as_bytes(), [letter, last] if letter.is_ascii_alphabetic() && *last == tail) {
                    return None;
                }
            }
        }
        let (mut ids, mut scratch) = ([0; TAIL_BYTES.len()], ModelScratch::default());
        for (id, &tail) in ids.iter_mut().zip(TAIL_BYTES) {
            let mut tokens = Tokens::with_capacity::<IDS>(1);
            model.encode_piece::<IDS>(char::from(tail).encode_utf8(&mut [0; 1]), 0, &mut scratch, &mut tokens).ok()?;
            match tokens.ids() {
                [only] if Some(*only) != unigram.unk_id() => *id = *only,
                _ => return None,
            }
        }
        Some(Self(ids))
    }

    /// The token of a part that is the end of a word.
    fn token(&self, part: &[u8]) -> Option<TokenId> {
        let &[byte] = part else { return None };
        TAIL_BYTES.iter().position(|&tail| tail == byte).map(|i| self.0[i])
    }
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
        if model.vocab().id_bound() > DESCRIBED as usize {
            return Ok(None);
        }
        let plan = bert(&normalizers, &steps, model)
            .or_else(|| white_space(&normalizers, &steps, model))
            .or_else(|| metaspace(&normalizers, &steps, model))
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
        // Of affixes the lengths know nothing, nor of other marks, and BPE may drop a mark that stands for nothing.
        let exact_lengths = (one_word || !matches!(model, Model::Bpe(_)))
            && plain.as_ref().and_then(PlainWords::mark).is_none_or(|mark| mark == MARK);
        let charsmap = normalizers.iter().enumerate().find_map(|(i, step)| match step {
            Normalizer::Precompiled(charsmap) => {
                Some((sequence(&normalizers[..i]).unwrap_or(Normalizer::Sequence(Vec::new())), charsmap.clone()))
            }
            _ => None,
        });
        Ok(Some(Self {
            cut,
            tails: if cut == Cut::Blanks { Tails::new(&normalizers, model) } else { None },
            part,
            first,
            plain,
            plain_first,
            lengths: lengths(model, cut),
            exact_lengths,
            one_word,
            ids: Words::new(CACHE_BYTES),
            spanned: Words::new(CACHE_BYTES),
            charsmap,
        }))
    }

    /// Whether parts of a segment's text encode to what the whole encodes to.
    pub(super) fn has_parts<const LEVEL: u8>(&self, text: &str) -> Result<bool> {
        Ok((LEVEL < WORDS || !self.one_word) && self.runs::<LEVEL>(text, 0)?)
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

/// Bytes and characters of a part that each token covers: a mark stands for a space, or for nothing where blanks are dropped;
/// the prefix of tokens that go on stands for nothing. What is unknown is longer than any part: nothing follows from it.
fn lengths(model: &Model, cut: Cut) -> Vec<[u16; 2]> {
    let vocab = model.vocab();
    let prefix = if let Model::WordPiece(wordpiece) = model { wordpiece.prefix() } else { "" };
    let of_mark = usize::from(cut != Cut::Blanks);
    let unk = model.unk_id();
    let falls_back = match model {
        Model::Bpe(bpe) => bpe.options().byte_fallback,
        Model::Unigram(unigram) => unigram.byte_fallback(),
        Model::WordPiece(_) | Model::WordLevel(_) => false,
    };
    let is_byte = |token: &str| token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
    let len = |token: &str| {
        // The tokens of a character's bytes go by the whole of it.
        if falls_back && is_byte(token) {
            return [0; 2];
        }
        let token = token.strip_prefix(prefix).unwrap_or(token);
        let marks = token.matches(MARK).count();
        let lengths =
            [token.len() - marks * (MARK.len_utf8() - of_mark), token.chars().count() - marks * (1 - of_mark)];
        lengths.map(|len| u16::try_from(len).unwrap_or(u16::MAX))
    };
    // A power of two, so that any id may be looked up without a branch.
    (0..vocab.id_bound().next_power_of_two() as TokenId)
        .map(|id| if Some(id) == unk { [u16::MAX; 2] } else { vocab.token(id).map_or([0; 2], len) })
        .collect()
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
fn bert<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    match (normalizers, steps) {
        ([Normalizer::Bert(bert)], [PreTokenizer::Bert]) if bert.handle_chinese_chars => Some(Plan {
            cut: Cut::Bert,
            part_normalizers: normalizers.to_vec(),
            part_steps: owned(steps),
            first: FirstPart::LikeOthers,
            plain: Some(PlainWords::bert(normalizers, model.alphabet())),
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
fn white_space<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
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
        plain: PlainWords::white_space(normalizers, rest, model.alphabet()),
        plain_first: false,
        one_word: false,
    })
}

/// `Metaspace` alone, cutting before every space. Only the first part may lack one, and gets it or not.
fn metaspace<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
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
        plain: (!replacement.is_ascii()).then(|| PlainWords::metaspace(normalizers, replacement, model.alphabet())),
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
    // Gemma splits at spaces, of which there are none once they are marks.
    let steps = match (normalizers, steps) {
        ([.., replace], [PreTokenizer::Split(split)]) if is_replace(replace) && split.keeps_text_without(" ") => &[],
        _ => steps,
    };
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
    if !seams.is_known(MARK) || seams.drop_characters() {
        return None;
    }
    // Gemma has tokens of markup, with marks behind brackets.
    let joins_marks = |left, right| left != MARK && right == MARK;
    if seams.any(joins_marks) {
        let unguarded = seams.any(|left, right| joins_marks(left, right) && !is_guarded(left));
        return (!unguarded).then_some(Cut::GuardedMarks);
    }
    if !seams.is_known('\n') || seams.any(|left, right| left == '\n' || right == '\n') {
        return Some(Cut::Marks);
    }
    let all_known = seams.all_known() || ('!'..='~').filter(|&c| is_punctuation(c)).all(|c| seams.is_known(c));
    let of_both = |a: char, b| a.is_ascii_alphanumeric() && is_punctuation(b);
    if !all_known || seams.any(|left, right| of_both(left, right) || of_both(right, left)) {
        return Some(Cut::MarksLines);
    }
    // Unknown characters that are fused would meet at these places.
    let joins = |of: fn(char) -> bool| !seams.all_known() || seams.any(|left, right| of(left) || of(right));
    let across = |left, right| is_ideograph(left) != is_ideograph(right);
    if joins(is_of_small_script) || seams.any(across) {
        return Some(Cut::MarksLinesPunctuation);
    }
    Some(if joins(is_ideograph) { Cut::MarksScripts } else { Cut::MarksIdeographs })
}

impl Tokenizer {
    /// Encodes a part of a segment's raw text, the first one or another.
    pub(super) fn encode_raw<const LEVEL: u8>(
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
pub(super) struct Places<'i> {
    /// Without it they are the same.
    pub(super) index: Option<&'i CharIndex>,
    /// The text's first byte in the input.
    pub(super) base: u32,
    /// The text is the first part of a segment. The key of one begins with [`FIRST_PART`], a byte before the input's.
    pub(super) first: bool,
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
