//! Many texts, or one long text, over the cores.

use super::{
    EncodeOptions, Tokenizer,
    chars::CharIndex,
    encode::{Input, Scratch, settle_odd_spans},
    finish::Finish,
    joined::{Done, Unsettled, join},
};
use crate::{
    Encoding, Error, Result, TokenId,
    added_vocabulary::Segment,
    encoding::{IDS, SPANS, Tokens},
    threads,
};

/// Token ids of many texts, one behind the other.
#[derive(Debug, Default)]
pub struct Ragged {
    /// The ids of all texts.
    pub values: Vec<TokenId>,
    /// Text `i` has the ids `row_offsets[i]..row_offsets[i + 1]`.
    pub row_offsets: Vec<i64>,
    /// The characters of each token, when asked for.
    pub offsets: Option<Vec<[u32; 2]>>,
}

/// Text per task: long enough that a task's start does not show, short enough that threads end together.
pub(super) const TASK_BYTES: usize = 256 << 10;
/// Tasks between two looks at the caller's interrupt.
pub(super) const WAVE: usize = 64;
/// The same for each thread, where there are many.
const WAVE_OF_THREAD: usize = 16;
/// A text is cut into tasks from this length on.
pub(super) const LONG_TEXT: usize = 2 * TASK_BYTES;

/// A part of a long text: of a segment, from a byte of it on.
struct Part<'a, 't> {
    segment: &'a Segment<'t>,
    start: usize,
    text: &'a str,
}

impl Tokenizer {
    /// Encodes texts into one array. `interrupt` is asked now and then on the calling thread; true stops the work.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], and [`Error::Interrupted`].
    pub fn encode_ragged(
        &self,
        texts: &[&str],
        add_special_tokens: bool,
        offsets: bool,
        interrupt: &dyn Fn() -> bool,
    ) -> Result<Ragged> {
        match self.finish(add_special_tokens) {
            Some(finish) if offsets => self.ragged::<SPANS>(texts, finish, interrupt),
            Some(finish) => self.ragged::<IDS>(texts, finish, interrupt),
            None => self.ragged_from_encodings(texts, add_special_tokens, offsets, interrupt),
        }
    }

    /// Number of tokens of each text, special tokens not counted.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_ragged`].
    pub fn count_tokens(&self, texts: &[&str], interrupt: &dyn Fn() -> bool) -> Result<Vec<usize>> {
        let mut counts = Vec::with_capacity(texts.len());
        // A wave's ids are dropped before the next one's are made.
        for texts in group_by_bytes(texts, TASK_BYTES * WAVE, |text| text.len()) {
            let ragged = self.encode_ragged(texts, false, false, interrupt)?;
            counts.extend(ragged.row_offsets.windows(2).map(|row| (row[1] - row[0]) as usize));
        }
        Ok(counts)
    }

    /// Encodes texts or pairs with everything the reference's `Encoding` has.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_ragged`].
    pub fn encode_batch(
        &self,
        inputs: &[(Input<'_>, Option<Input<'_>>)],
        options: &EncodeOptions,
        interrupt: &dyn Fn() -> bool,
    ) -> Result<Vec<Encoding>> {
        let mut encodings = Vec::with_capacity(inputs.len());
        let size = |(input, pair): &(Input<'_>, Option<Input<'_>>)| input.len() + pair.as_ref().map_or(0, Input::len);
        for wave in group_by_bytes(inputs, TASK_BYTES * WAVE, size) {
            let done = threads::map(&group(wave, size), |inputs| {
                let encode = |(input, pair): &(Input<'_>, _)| self.encode(input, Option::as_ref(pair), options);
                inputs.iter().map(encode).collect::<Result<Vec<_>>>()
            });
            for done in done {
                encodings.extend(done?);
            }
            if interrupt() {
                return Err(Error::Interrupted);
            }
        }
        if let Some(padding) = &options.padding {
            padding.pad(&mut encodings, &|id| self.inner.model.id_to_token(id));
        }
        Ok(encodings)
    }

    /// Texts to text, for ids.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_batch(&self, rows: &[&[TokenId]], skip_special_tokens: bool) -> Result<Vec<String>> {
        let tasks = group(rows, |row| row.len() * 4);
        let done = threads::map(&tasks, |rows| {
            rows.iter().map(|row| self.decode(row, skip_special_tokens)).collect::<Result<Vec<_>>>()
        });
        let mut texts = Vec::with_capacity(rows.len());
        for done in done {
            texts.extend(done?);
        }
        Ok(texts)
    }

    fn ragged_from_encodings(
        &self,
        texts: &[&str],
        add_special_tokens: bool,
        offsets: bool,
        interrupt: &dyn Fn() -> bool,
    ) -> Result<Ragged> {
        let inputs: Vec<_> = texts.iter().map(|text| (Input::Text(text), None)).collect();
        let mut ragged = Ragged { row_offsets: vec![0], offsets: offsets.then(Vec::new), ..Ragged::default() };
        for encoding in self.encode_batch(&inputs, &EncodeOptions::plain(add_special_tokens), interrupt)? {
            if let Some(all) = &mut ragged.offsets {
                all.extend(encoding.offsets.iter().map(|&(start, end)| [start, end]));
            }
            ragged.values.extend(encoding.ids);
            ragged.row_offsets.push(ragged.values.len() as i64);
        }
        Ok(ragged)
    }

    fn ragged<const LEVEL: u8>(&self, texts: &[&str], finish: &Finish, interrupt: &dyn Fn() -> bool) -> Result<Ragged> {
        let total: usize = texts.iter().map(|text| text.len()).sum();
        if threads::count() == 1 || total < LONG_TEXT {
            let mut done = Done::default();
            self.encode_texts::<LEVEL>(texts, finish, interrupt, &mut done)?;
            let mut row_offsets = Vec::with_capacity(texts.len() + 1);
            row_offsets.push(0);
            row_offsets.extend(done.ends.iter().map(|&end| end as i64));
            let mut tokens = done.tokens;
            let offsets = (LEVEL >= SPANS).then(|| std::mem::take(&mut tokens.spans));
            let offsets = offsets.map(|mut offsets| {
                offsets.shrink_to_fit();
                offsets
            });
            return Ok(Ragged { values: tokens.into_ids(), row_offsets, offsets });
        }
        let mut ragged = Ragged { row_offsets: vec![0], offsets: (LEVEL >= SPANS).then(Vec::new), ..Ragged::default() };
        let mut rest = texts;
        while let Some(position) = rest.iter().position(|text| text.len() >= LONG_TEXT) {
            self.ragged_texts::<LEVEL>(&rest[..position], finish, interrupt, &mut ragged)?;
            self.ragged_long::<LEVEL>(rest[position], finish, interrupt, &mut ragged)?;
            rest = &rest[position + 1..];
        }
        self.ragged_texts::<LEVEL>(rest, finish, interrupt, &mut ragged)?;
        ragged.values.shrink_to_fit();
        ragged.offsets.iter_mut().for_each(Vec::shrink_to_fit);
        Ok(ragged)
    }

    /// Texts in a row on this thread.
    fn encode_texts<const LEVEL: u8>(
        &self,
        texts: &[&str],
        finish: &Finish,
        interrupt: &dyn Fn() -> bool,
        Done { tokens, ends }: &mut Done,
    ) -> Result<()> {
        let Finish { before, after, .. } = finish;
        tokens.restart::<LEVEL>(room(texts, finish));
        ends.reserve(texts.len());
        let mut unasked = 0;
        Scratch::with(|scratch| {
            for text in texts {
                push_specials::<LEVEL>(before, tokens);
                let first = tokens.len();
                self.encode_text::<LEVEL>(text, scratch, tokens)?;
                if LEVEL >= SPANS {
                    let texts = rebased(&mut tokens.texts, first);
                    let (ids, spans) = tokens.ids_and_spans(first);
                    finish.trim(ids, spans, &texts);
                }
                push_specials::<LEVEL>(after, tokens);
                ends.push(tokens.len());
                unasked += text.len();
                if unasked > TASK_BYTES * WAVE {
                    unasked = 0;
                    if interrupt() {
                        return Err(Error::Interrupted);
                    }
                }
            }
            Ok(())
        })
    }

    fn ragged_texts<const LEVEL: u8>(
        &self,
        texts: &[&str],
        finish: &Finish,
        interrupt: &dyn Fn() -> bool,
        ragged: &mut Ragged,
    ) -> Result<()> {
        for wave in group(texts, |text| text.len()).chunks(wave()) {
            let room = wave.iter().map(|texts| room(texts, finish)).sum();
            // Every text is settled by its own task.
            join::<LEVEL, _>(wave, room, ragged, &mut Unsettled::default(), |texts, done| {
                self.encode_texts::<LEVEL>(texts, finish, &|| false, done)
            })?;
            if interrupt() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// One text over the cores, in parts of its segments.
    fn ragged_long<const LEVEL: u8>(
        &self,
        text: &str,
        finish: &Finish,
        interrupt: &dyn Fn() -> bool,
        ragged: &mut Ragged,
    ) -> Result<()> {
        let Finish { before, after, .. } = finish;
        let mut segments = Vec::new();
        self.segments_to_encode::<LEVEL>(text, &mut segments)?;
        let mut parts = Vec::new();
        for segment in &segments {
            parts.extend(self.parts_of::<LEVEL>(segment, TASK_BYTES)?.map(|(start, text)| Part {
                segment,
                start,
                text,
            }));
        }
        let index = if LEVEL >= SPANS { CharIndex::new(text) } else { None };
        append_specials(before, ragged);
        let first = ragged.values.len();
        let mut unsettled = Unsettled { first, ..Unsettled::default() };
        for wave in parts.chunks(wave()) {
            let room = wave.iter().map(|part| part.text.len()).sum();
            join::<LEVEL, _>(wave, room, ragged, &mut unsettled, |part, done| {
                self.encode_task::<LEVEL>(part, index.as_ref(), &mut done.tokens)
            })?;
            if interrupt() {
                return Err(Error::Interrupted);
            }
        }
        if let Some(offsets) = &mut ragged.offsets {
            settle_odd_spans(text, &mut unsettled.odd_spans, &mut offsets[first..]);
            finish.trim(&ragged.values[first..], &mut offsets[first..], &unsettled.texts);
        }
        append_specials(after, ragged);
        ragged.row_offsets.push(ragged.values.len() as i64);
        Ok(())
    }

    fn encode_task<const LEVEL: u8>(
        &self,
        part: &Part<'_, '_>,
        index: Option<&CharIndex>,
        tokens: &mut Tokens,
    ) -> Result<()> {
        tokens.restart::<LEVEL>(part.text.len());
        Scratch::with(|scratch| self.encode_part::<LEVEL>(part.segment, part.text, part.start, index, scratch, tokens))
    }
}

/// Tokens of texts: hardly ever more than they have bytes. In many bytes there are hardly ever three to four (GPT-2 makes two
/// to three of multilingual text), and blocks of moderate size are kept for the next call.
fn room(texts: &[&str], Finish { before, after, .. }: &Finish) -> usize {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    (if bytes < LONG_TEXT { bytes } else { bytes / 4 * 3 }) + texts.len() * (before.len() + after.len())
}

/// Tasks of a wave over the threads.
fn wave() -> usize {
    WAVE.max(WAVE_OF_THREAD * threads::count())
}

fn append_specials(ids: &[TokenId], ragged: &mut Ragged) {
    ragged.values.extend_from_slice(ids);
    if let Some(offsets) = &mut ragged.offsets {
        offsets.resize(offsets.len() + ids.len(), [0; 2]);
    }
}

fn push_specials<const LEVEL: u8>(ids: &[TokenId], tokens: &mut Tokens) {
    for &id in ids {
        tokens.push(id);
        if LEVEL >= SPANS {
            tokens.push_span(0, 0);
        }
    }
}

/// Takes the texts of added tokens out, with indices that count from the token `first`.
pub(super) fn rebased(texts: &mut Vec<(u32, Box<str>)>, first: usize) -> Vec<(u32, Box<str>)> {
    let mut texts = std::mem::take(texts);
    for (index, _) in &mut texts {
        *index -= first as u32;
    }
    texts
}

/// Runs of items of about [`TASK_BYTES`].
pub(super) fn group<T>(items: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    group_by_bytes(items, TASK_BYTES, size)
}

/// Runs of items of about `limit` bytes.
pub(super) fn group_by_bytes<T>(items: &[T], limit: usize, size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    /// What an item costs without any text.
    const ITEM: usize = 64;

    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, item) in items.iter().enumerate() {
        bytes += size(item) + ITEM;
        if bytes >= limit {
            groups.push(&items[start..=i]);
            (start, bytes) = (i + 1, 0);
        }
    }
    if start < items.len() {
        groups.push(&items[start..]);
    }
    groups
}
