//! One text through the stages of tokenizer.json, in order.

use std::cell::RefCell;

use super::{
    EncodeOptions, Tokenizer,
    bytes::encode_bytes,
    chars::CharIndex,
    finish::Finish,
    raw_words::{Places, RawScratch, RawWords},
};
use crate::{
    AddedVocabulary, Encoding, Error, Result, Span, TokenId,
    added_vocabulary::Segment,
    encoding::{IDS, SPANS, Tokens, WORDS},
    kernels::Boundaries,
    models::{
        Model, ModelScratch,
        words::{CacheHandle, Open},
    },
    post_processors::{blanks, without_processor},
    pre_tokenizers::CutScratch,
};

/// What is encoded: a text, or words that the caller has already cut.
#[derive(Clone, Debug)]
pub enum Input<'t> {
    /// A text.
    Text(&'t str),
    /// Words of a text (`is_pretokenized=True`).
    Words(Vec<&'t str>),
}

impl Input<'_> {
    /// Size in bytes, to share work between threads.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Words(words) => words.iter().map(|word| word.len()).sum(),
        }
    }
}

/// The longest text: spans count bytes in 32 bits.
pub const MAX_TEXT_BYTES: usize = u32::MAX as usize - 64;

/// Bytes of a part whose spans are turned into characters before the next part: its spans, eight bytes a token, still lie
/// in the second-level cache then. Turned at the end of a 10 MB text they were read again from memory.
const PART_BYTES: usize = 64 << 10;

/// Buffers that a thread reuses from text to text.
#[derive(Default)]
pub struct Scratch {
    pub(super) boundaries: Boundaries,
    pub(super) pieces: Vec<Span>,
    pub(super) prefixed: String,
    pub(super) cut: CutScratch,
    pub(super) cache: CacheHandle,
    pub(super) model: ModelScratch,
    pub(super) raw: RawScratch,
    /// The tokens of [`Tokenizer::with_ids`].
    tokens: Tokens,
}

impl Scratch {
    /// Runs `f` with the buffers of this thread.
    pub(super) fn with<R>(f: impl FnOnce(&mut Self) -> R) -> R {
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => {
                // A call that panicked may have set it.
                scratch.cache.leave_open(Open::No);
                f(&mut scratch)
            }
            Err(_) => f(&mut Self::default()),
        })
    }
}

impl Tokenizer {
    /// Encodes a text or a pair, with everything the reference's `Encoding` has.
    ///
    /// # Errors
    /// [`Error::Limit`] for a text beyond 4 GiB, [`Error::RegexSearch`] when the regex engine gives up on a text, and those
    /// of [`Truncation::truncate`](crate::encoding::Truncation::truncate).
    pub fn encode(&self, input: &Input<'_>, pair: Option<&Input<'_>>, options: &EncodeOptions) -> Result<Encoding> {
        let (encoding, mut pair): (Encoding, Option<Encoding>) = Scratch::with(|scratch| {
            let encoding = self.encode_input(input, scratch)?;
            Ok::<_, Error>((encoding, pair.map(|pair| self.encode_input(pair, scratch)).transpose()?))
        })?;
        if let Some(pair) = &mut pair {
            pair.type_ids.fill(1);
        }
        self.post_process(encoding, pair, options)
    }

    /// What happens to a text or pair once it is tokens: it is cut, finished by the post-processor and filled up.
    ///
    /// # Errors
    /// Those of [`Truncation::truncate`](crate::encoding::Truncation::truncate).
    pub fn post_process(
        &self,
        mut encoding: Encoding,
        mut pair: Option<Encoding>,
        options: &EncodeOptions,
    ) -> Result<Encoding> {
        if let Some(truncation) = self.room(options, pair.is_some()) {
            truncation.truncate(&mut encoding, pair.as_mut())?;
        }
        let token = |id| self.inner.model.id_to_token(id);
        let mut encoding = match &self.inner.post_processor {
            Some(processor) => processor.process(encoding, pair, options.add_special_tokens, &token),
            None => without_processor(encoding, pair),
        };
        if let Some(padding) = &options.padding {
            padding.pad(std::slice::from_mut(&mut encoding), &token);
        }
        Ok(encoding)
    }

    /// The ids of one text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_ids(&self, text: &str, add_special_tokens: bool) -> Result<Vec<TokenId>> {
        let Some(Finish { before, after, .. }) = self.finish(add_special_tokens) else {
            return Ok(self.encode(&Input::Text(text), None, &EncodeOptions::plain(add_special_tokens))?.ids);
        };
        let mut out = Tokens::with_capacity::<IDS>(text.len() + before.len() + after.len());
        out.extend(before.iter().copied());
        Scratch::with(|scratch| self.encode_text::<IDS>(text, scratch, &mut out))?;
        out.extend(after.iter().copied());
        Ok(out.into_ids())
    }

    /// The ids of one text, which `take` gets to see: [`Self::encode_ids`] for short texts, without memory of their own.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn with_ids<R>(&self, text: &str, add_special_tokens: bool, take: impl FnOnce(&[TokenId]) -> R) -> Result<R> {
        let Some(Finish { before, after, .. }) = self.finish(add_special_tokens) else {
            return Ok(take(&self.encode_ids(text, add_special_tokens)?));
        };
        Scratch::with(|scratch| {
            let mut out = std::mem::take(&mut scratch.tokens);
            out.restart::<IDS>(text.len() + before.len() + after.len());
            out.extend(before.iter().copied());
            self.encode_text::<IDS>(text, scratch, &mut out)?;
            out.extend(after.iter().copied());
            let taken = take(out.ids());
            scratch.tokens = out;
            Ok(taken)
        })
    }

    /// What the post-processor does to one text, where that is simple.
    pub(super) fn finish(&self, add_special_tokens: bool) -> Option<&Finish> {
        self.inner.finish[usize::from(add_special_tokens)].as_ref()
    }

    /// A text before post-processing.
    fn encode_input(&self, input: &Input<'_>, scratch: &mut Scratch) -> Result<Encoding> {
        let mut out = Tokens::with_capacity::<WORDS>(input.len());
        self.encode_tokens::<WORDS>(input, scratch, &mut out)?;
        let len = out.len();
        out.words.shrink_to_fit();
        Ok(Encoding {
            type_ids: vec![0; len],
            offsets: out.spans.iter().map(|&[start, end]| (start, end)).collect(),
            words: std::mem::take(&mut out.words),
            special_tokens_mask: vec![0; len],
            attention_mask: vec![1; len],
            token_texts: std::mem::take(&mut out.texts),
            ids: out.into_ids(),
            ..Encoding::default()
        })
    }

    /// A text or words to tokens; the words of words that the caller cut are their numbers.
    pub(super) fn encode_tokens<const LEVEL: u8>(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        match input {
            Input::Text(text) => self.encode_text::<LEVEL>(text, scratch, out),
            Input::Words(words) => {
                for (i, word) in words.iter().enumerate() {
                    let first = out.words.len();
                    self.encode_text::<LEVEL>(word, scratch, out)?;
                    if LEVEL >= WORDS {
                        out.words[first..].fill(i as u32);
                    }
                }
                Ok(())
            }
        }
    }

    /// The pipeline: added tokens are cut out and the rest is normalized; what is left goes to pre-tokenizer and model.
    /// Spans come out in characters.
    #[inline(always)]
    pub(super) fn encode_text<const LEVEL: u8>(
        &self,
        text: &str,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::Limit { what: "length of a text in bytes", found: text.len(), limit: MAX_TEXT_BYTES });
        }
        let (one, mut some);
        let segments: &[Segment<'_>] = if self.is_one_segment(text) {
            // Nearly every text: a list of its own was a twentieth of the time of a short one.
            one = Segment::whole(text);
            std::slice::from_ref(&one)
        } else {
            some = Vec::new();
            self.segments_to_encode::<LEVEL>(text, &mut some)?;
            &some
        };
        let index = if LEVEL >= SPANS { CharIndex::new(text) } else { None };
        let bytes = if index.is_some() { PART_BYTES } else { text.len() };
        for segment in segments {
            for (at, part) in self.parts_of::<LEVEL>(segment, bytes)? {
                self.encode_part::<LEVEL>(segment, part, at, index.as_ref(), scratch, out)?;
            }
        }
        if LEVEL >= SPANS {
            settle_odd_spans(text, &mut out.odd_spans, &mut out.spans);
        }
        Ok(())
    }

    /// Cuts the added tokens out of a text and normalizes the rest.
    pub(super) fn segments<'t, const LEVEL: u8>(&self, text: &'t str, out: &mut Vec<Segment<'t>>) -> Result<()> {
        let normalizer = self.inner.normalizer.as_ref();
        let track = LEVEL >= SPANS || self.inner.steps.need_originals();
        self.added_vocabulary.split(text, normalizer, self.encode_special_tokens, track, out)
    }

    /// As [`Self::segments`], but not normalized if [`Self::raw_words`] take them.
    pub(super) fn segments_to_encode<'t, const LEVEL: u8>(
        &self,
        text: &'t str,
        out: &mut Vec<Segment<'t>>,
    ) -> Result<()> {
        if self.raw_words().is_some() {
            return self.added_vocabulary.split(text, None, self.encode_special_tokens, false, out);
        }
        self.segments::<LEVEL>(text, out)
    }

    /// Whether [`Self::segments_to_encode`] gives just the text.
    fn is_one_segment(&self, text: &str) -> bool {
        (self.inner.normalizer.is_none() || self.raw_words().is_some())
            && self.added_vocabulary.leaves_whole(text, self.encode_special_tokens)
    }

    /// Segments of raw text are encoded word by word, if that is possible: no added token is looked for in normalized text.
    pub(super) fn raw_words(&self) -> Option<&RawWords> {
        self.inner.raw_words.as_ref().filter(|_| !self.added_vocabulary.searches_normalized_text())
    }

    /// Encodes a segment whose text is not normalized yet by the general path.
    #[cold]
    fn encode_unnormalized<const LEVEL: u8>(
        &self,
        segment: &Segment<'_>,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let normalizer = self.inner.normalizer.as_ref();
        let track = LEVEL >= SPANS || self.inner.steps.need_originals();
        let mut parts = Vec::new();
        AddedVocabulary::new().split(&segment.text, normalizer, false, track, &mut parts)?;
        for part in &mut parts {
            part.shift(segment.original.start);
            self.encode_any::<LEVEL>(part, scratch, out)?;
        }
        Ok(())
    }

    fn push_added<const LEVEL: u8>(&self, id: TokenId, segment: &Segment<'_>, out: &mut Tokens) {
        if LEVEL >= SPANS {
            let blank_ends = blanks(&segment.text) != (0, 0);
            if blank_ends || self.inner.model.id_to_token(id) != Some(&segment.text) {
                out.texts.push((out.len() as u32, segment.text.as_ref().into()));
            }
        }
        out.push(id);
        if LEVEL >= SPANS {
            out.push_span(segment.original.start, segment.original.end);
        }
        if LEVEL >= WORDS {
            out.push_word(1);
        }
    }

    /// Encodes a part of a segment, an added token or text that begins at byte `skipped` of it. Spans come out in characters,
    /// which are bytes without an index.
    pub(super) fn encode_part<const LEVEL: u8>(
        &self,
        segment: &Segment<'_>,
        text: &str,
        skipped: usize,
        index: Option<&CharIndex>,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let first = out.spans.len();
        if let Some(id) = segment.token {
            self.push_added::<LEVEL>(id, segment, out);
        } else if let Some(raw) = self.raw_words() {
            if raw.runs::<LEVEL>(text, skipped)? {
                let places = Places { index, base: segment.original.start + skipped as u32, first: skipped == 0 };
                return self.encode_raw::<LEVEL>(raw, text, places, scratch, out);
            }
            self.encode_unnormalized::<LEVEL>(segment, scratch, out)?;
        } else {
            match (&self.inner.splitter, &*self.inner.model) {
                (Some(splitter), Model::Bpe(bpe)) if self.inner.on_bytes && !segment.starts_inserted() => {
                    encode_bytes::<LEVEL>(bpe, splitter, segment, text, skipped, scratch, out)?;
                }
                _ => self.encode_any::<LEVEL>(segment, scratch, out)?,
            }
        }
        if let Some(index) = index {
            index.convert(&mut out.spans[first..]);
        }
        Ok(())
    }
}

/// Spans of a text in bytes to spans in characters.
pub(super) fn to_characters(text: &str, spans: &mut [[u32; 2]]) {
    if let Some(index) = CharIndex::new(text) {
        index.convert(spans);
    }
}

/// Puts the spans that need the whole text where they belong.
pub(super) fn settle_odd_spans(text: &str, odd_spans: &mut Vec<(u32, [u32; 2])>, spans: &mut [[u32; 2]]) {
    for (index, span) in odd_spans.drain(..) {
        spans[index as usize] = odd_to_characters(text, span);
    }
}

/// A span of bytes that may lie beyond the text, as the reference makes it one of characters: left alone where it begins
/// beyond the end.
fn odd_to_characters(text: &str, span: [u32; 2]) -> [u32; 2] {
    let holding = |at: usize| (at < text.len()).then(|| text.char_indices().filter(|&(i, _)| i <= at).count() - 1);
    let [start, end] = span.map(|at| at as usize);
    match (holding(start), holding(end)) {
        (Some(start), Some(end)) => [start as u32, end as u32],
        (Some(start), None) => [start as u32, holding(end - 1).unwrap_or(start + 1) as u32 + 1],
        (None, _) => span,
    }
}
