//! Many texts or pairs into matrices of equal rows, written in place over the cores.
//!
//! Ids are encoded into one buffer a task. A row is then a plan (special tokens, and ranges of the buffer) that is carried
//! out once, into its final place: neither an [`Encoding`] nor a list of ids exists in between. What a post-processor does
//! beyond such a plan goes the long way, over encodings.

use std::ops::Range;

use super::{
    EncodeOptions, Tokenizer,
    batch::{TASK_BYTES, WAVE, group, group_by_bytes},
    encode::{Input, Scratch},
    finish::Finish,
};
use crate::{
    Encoding, Error, PostProcessor, Result, TokenId,
    encoding::{Direction, IDS, Padding, SPANS, Tokens, Truncation, parts},
    kernels::{Blank, Fill},
    models::{
        Model,
        words::{Open, Place},
    },
    post_processors::{Slot, blanks, plain_layout, trim_blanks},
    threads,
};

/// An integer type of matrices.
pub trait Element: Copy + Default + Send + Sync {
    /// The largest value.
    const MAX: u64;
    /// One.
    const ONE: Self;
    /// A value that is known to fit.
    fn from_u32(value: u32) -> Self;
}

macro_rules! element {
    ($($integer:ty),*) => {$(
        impl Element for $integer {
            const MAX: u64 = <$integer>::MAX as u64;
            const ONE: Self = 1;

            #[inline(always)]
            fn from_u32(value: u32) -> Self {
                value as Self
            }
        }
    )*};
}
element!(i64, i32, u32);

/// Which matrices to fill beside the ids, and which rows.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one choice each")]
pub struct Fields {
    /// 0 for padding.
    pub attention_mask: bool,
    /// As the post-processor sets them.
    pub type_ids: bool,
    /// 1 for padding and what the post-processor added.
    pub special_tokens_mask: bool,
    /// Characters that each token covers.
    pub offsets: bool,
    /// A row for every part that truncation cuts off, behind the row of its input.
    pub overflowing: bool,
}

/// Matrices of `rows` by `width`, row after row. Those that were not asked for are empty.
#[derive(Debug, Default)]
pub struct Padded<T> {
    /// Number of rows.
    pub rows: usize,
    /// Tokens of each.
    pub width: usize,
    /// Token ids.
    pub input_ids: Vec<T>,
    /// 0 for padding.
    pub attention_mask: Vec<T>,
    /// Type ids.
    pub type_ids: Vec<T>,
    /// 1 for padding and what the post-processor added.
    pub special_tokens_mask: Vec<T>,
    /// Two values a token: the first character, and one past the last.
    pub offsets: Vec<T>,
    /// The input of each row; filled if overflow was asked for.
    pub samples: Vec<T>,
}

/// Room for tokens is made for texts of so many bytes a token, fewer than most have; where they have less, it grows. All of it
/// at once (a token a byte) cost a tenth of the time of encoding known words.
const BYTES_PER_TOKEN: usize = 3;

/// The longest text that is encoded together with others, in bytes: new words of a longer one are many enough by themselves.
const LONGEST_TOGETHER: usize = 1 << 12;

/// A text or pair.
pub(super) type Pair<'t> = (Input<'t>, Option<Input<'t>>);

/// A row to be written: ranges of tokens of both texts.
pub(super) struct Row {
    sample: usize,
    pub(super) texts: [Range<usize>; 2],
    /// Which of them are parts that were cut off.
    overflow: [bool; 2],
    pub(super) is_pair: bool,
    len: usize,
}

/// What a task has encoded.
pub(super) struct Encoded {
    pub(super) tokens: Tokens,
    pub(super) rows: Vec<Row>,
    /// Instead of both, rows that went the long way, with the number of their input.
    pub(super) encodings: Vec<(usize, Encoding)>,
}

/// The plan of a call: slots of a text, and of a pair.
pub(super) struct Plan<'a> {
    finish: &'a Finish,
    pub(super) layouts: [Vec<Slot>; 2],
    trims: [Vec<bool>; 2],
    truncations: [Option<Truncation>; 2],
    /// Only the beginning of a text is ever looked at.
    keeps_first: bool,
}

impl Plan<'_> {
    fn row(&self, sample: usize, is_pair: bool, texts: [Range<usize>; 2], overflow: [bool; 2]) -> Row {
        let of_slot = |slot: &Slot| match slot {
            Slot::Special { .. } => 1,
            Slot::Text { index, .. } => texts[*index].len(),
        };
        let len = self.layouts[usize::from(is_pair)].iter().map(of_slot).sum();
        Row { sample, texts, overflow, is_pair, len }
    }

    /// The rows of one input. With overflow every part of a text meets every part of the other, in the order in which
    /// merging encodings one after the other gives them.
    fn rows(
        &self,
        sample: usize,
        is_pair: bool,
        texts: [Range<usize>; 2],
        overflowing: bool,
        rows: &mut Vec<Row>,
    ) -> Result<[usize; 2]> {
        let Some(truncation) = &self.truncations[usize::from(is_pair)] else {
            rows.push(self.row(sample, is_pair, texts, [false; 2]));
            return Ok([usize::MAX; 2]);
        };
        let (first, second) = truncation.lengths(texts[0].len(), is_pair.then(|| texts[1].len()))?;
        if first >= texts[0].len() && second >= texts[1].len() {
            // Nothing is cut off: no lists of parts.
            rows.push(self.row(sample, is_pair, texts, [false; 2]));
            return Ok([first, second]);
        }
        let parts_of = |index: usize, length| -> Result<Vec<Range<usize>>> {
            let text: &Range<usize> = &texts[index];
            let parts = parts(text.len(), length, truncation.stride, truncation.direction)?;
            Ok(parts.into_iter().map(|part| text.start + part.start..text.start + part.end).collect())
        };
        let parts = [parts_of(0, first)?, parts_of(1, second)?];
        rows.push(self.row(sample, is_pair, [parts[0][0].clone(), parts[1][0].clone()], [false; 2]));
        if overflowing {
            let slots = &self.layouts[usize::from(is_pair)];
            // For every row so far, the part of each slot's text; the first row is the input's own.
            let mut combinations: Vec<Vec<usize>> = vec![Vec::new()];
            let mut slot_texts = Vec::new();
            for slot in slots {
                let Slot::Text { index, .. } = slot else { continue };
                slot_texts.push(*index);
                let count = parts[*index].len();
                let with = |row: &Vec<usize>, part| row.iter().copied().chain([part]).collect::<Vec<_>>();
                let mut next = vec![with(&combinations[0], 0)];
                for row in &combinations[1..] {
                    next.extend((0..count).map(|part| with(row, part)));
                }
                next.extend((1..count).map(|part| with(&combinations[0], part)));
                combinations = next;
            }
            for combination in &combinations[1..] {
                let (mut texts, mut overflow) = ([0..0, 0..0], [false; 2]);
                for (&index, &part) in slot_texts.iter().zip(combination) {
                    texts[index] = parts[index][part].clone();
                    overflow[index] = part > 0;
                }
                rows.push(self.row(sample, is_pair, texts, overflow));
            }
        }
        Ok([first, second])
    }

    /// How many tokens of each text are needed to know what is kept: where only beginnings are, no more than fit, and whether
    /// there are more.
    fn enough(&self, is_pair: bool) -> usize {
        match &self.truncations[usize::from(is_pair)] {
            Some(truncation) if self.keeps_first => truncation.max_length,
            _ => usize::MAX,
        }
    }

    /// Whether texts that begin with so many tokens are cut to the same lengths whatever follows.
    fn is_settled(&self, first: usize, second: Option<usize>) -> bool {
        let truncation = self.truncations[usize::from(second.is_some())].as_ref();
        truncation.is_none_or(|truncation| truncation.is_settled(first, second))
    }

    /// Whether all type ids are zero, of pairs too if there are any.
    fn types_are_zero(&self, has_pairs: bool) -> bool {
        let is_zero = |slot: &Slot| match slot {
            Slot::Special { type_id, .. } => *type_id == 0,
            Slot::Text { type_id, overflow_type_id, .. } => *type_id == 0 && *overflow_type_id == 0,
        };
        self.layouts[0].iter().all(is_zero) && (!has_pairs || self.layouts[1].iter().all(is_zero))
    }

    /// Whether one text stands in the output twice, so that a row may hold two parts of it.
    fn repeats(&self) -> bool {
        let twice = |slots: &Vec<Slot>, text: usize| {
            slots.iter().filter(|slot| matches!(slot, Slot::Text { index, .. } if *index == text)).count() > 1
        };
        self.layouts.iter().any(|slots| twice(slots, 0) || twice(slots, 1))
    }
}

/// The matrices before they are written. Those that were not asked for have no values.
struct Blanks<T> {
    input_ids: Blank<T>,
    attention_mask: Blank<T>,
    type_ids: Blank<T>,
    special_tokens_mask: Blank<T>,
    offsets: Blank<[T; 2]>,
    samples: Blank<T>,
}

impl<T: Element> Blanks<T> {
    fn new(rows: usize, width: usize, fields: Fields, with_type_ids: bool) -> Self {
        let cells = |wanted: bool| if wanted { rows * width } else { 0 };
        Self {
            input_ids: Blank::new(cells(true)),
            attention_mask: Blank::new(cells(fields.attention_mask)),
            type_ids: Blank::new(cells(with_type_ids)),
            special_tokens_mask: Blank::new(cells(fields.special_tokens_mask)),
            offsets: Blank::new(cells(fields.offsets)),
            samples: Blank::new(if fields.overflowing { rows } else { 0 }),
        }
    }

    fn places(&mut self) -> Places<'_, T> {
        Places {
            input_ids: self.input_ids.part(),
            attention_mask: self.attention_mask.part(),
            type_ids: self.type_ids.part(),
            special_tokens_mask: self.special_tokens_mask.part(),
            offsets: self.offsets.part(),
            samples: self.samples.part(),
        }
    }

    fn finish(self, rows: usize, width: usize) -> Padded<T> {
        Padded {
            rows,
            width,
            input_ids: self.input_ids.finish(),
            attention_mask: self.attention_mask.finish(),
            type_ids: self.type_ids.finish(),
            special_tokens_mask: self.special_tokens_mask.finish(),
            offsets: self.offsets.finish().into_flattened(),
            samples: self.samples.finish(),
        }
    }
}

/// The places of a task's rows in the matrices.
struct Places<'p, T> {
    input_ids: Fill<'p, T>,
    attention_mask: Fill<'p, T>,
    type_ids: Fill<'p, T>,
    special_tokens_mask: Fill<'p, T>,
    offsets: Fill<'p, [T; 2]>,
    samples: Fill<'p, T>,
}

impl<'p, T: Element> Places<'p, T> {
    /// Cuts the places of the first rows off.
    fn take(&mut self, rows: usize, width: usize) -> Places<'p, T> {
        Places {
            input_ids: self.input_ids.take(rows * width),
            attention_mask: self.attention_mask.take(rows * width),
            type_ids: self.type_ids.take(rows * width),
            special_tokens_mask: self.special_tokens_mask.take(rows * width),
            offsets: self.offsets.take(rows * width),
            samples: self.samples.take(rows),
        }
    }

    /// Padding, `count` cells of it.
    fn pad(&mut self, filling: Filling, count: usize) {
        self.input_ids.repeat(T::from_u32(filling.pad_id), count);
        self.attention_mask.repeat(T::default(), count);
        self.type_ids.repeat(T::from_u32(filling.pad_type_id), count);
        self.special_tokens_mask.repeat(T::ONE, count);
        self.offsets.repeat([T::default(); 2], count);
    }
}

/// The values of padding, and where it goes.
#[derive(Clone, Copy)]
struct Filling {
    width: usize,
    direction: Direction,
    pad_id: TokenId,
    pad_type_id: u32,
}

impl Filling {
    /// Where a row of `len` tokens begins.
    fn start(self, len: usize) -> usize {
        match self.direction {
            Direction::Right => 0,
            Direction::Left => self.width - len,
        }
    }
}

impl Tokenizer {
    /// Encodes texts or pairs into matrices of `T`. `interrupt` is asked now and then on the calling thread; true stops the
    /// work.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_batch`]; [`Error::RowLength`] when rows differ in length after truncation and padding;
    /// [`Error::Limit`] when an id does not fit `T`.
    pub fn encode_padded<T: Element>(
        &self,
        inputs: &[Pair<'_>],
        options: &EncodeOptions,
        fields: Fields,
        interrupt: &dyn Fn() -> bool,
    ) -> Result<Padded<T>> {
        self.require_fit::<T>(options)?;
        let (plan, done) = self.encode_tasks(inputs, options, fields, interrupt)?;
        let width = width(&done, options.padding.as_ref())?;
        let rows = done.iter().map(Encoded::rows).sum();
        let padding = options.padding.as_ref();
        let filling = Filling {
            width,
            direction: padding.map_or(Direction::Right, |padding| padding.direction),
            pad_id: padding.map_or(0, |padding| padding.pad_id),
            pad_type_id: padding.map_or(0, |padding| padding.pad_type_id),
        };
        // Zeros come untouched from the system, so a matrix that is nothing else need not be written.
        let has_pairs = inputs.iter().any(|(_, pair)| pair.is_some());
        let zero_types = filling.pad_type_id == 0 && plan.as_ref().is_some_and(|plan| plan.types_are_zero(has_pairs));
        let mut blanks = Blanks::new(rows, width, fields, fields.type_ids && !zero_types);
        let mut rest = blanks.places();
        let jobs = done.iter().map(|encoded| (encoded, rest.take(encoded.rows(), width))).collect();
        threads::for_each(jobs, |(encoded, places): (&Encoded, Places<'_, T>)| match &plan {
            Some(plan) => write_rows(encoded, plan, filling, places),
            None => write_encodings(encoded, filling, places),
        });
        drop(rest);
        let mut padded = blanks.finish(rows, width);
        if fields.type_ids && zero_types {
            padded.type_ids = vec![T::default(); rows * width];
        }
        Ok(padded)
    }

    /// Encodes the tokens of rows, over the cores; without a plan the rows are finished.
    pub(super) fn encode_tasks(
        &self,
        inputs: &[Pair<'_>],
        options: &EncodeOptions,
        fields: Fields,
        interrupt: &dyn Fn() -> bool,
    ) -> Result<(Option<Plan<'_>>, Vec<Encoded>)> {
        let plan = self.plan(options, fields);
        let size = |(input, pair): &Pair<'_>| input.len() + pair.as_ref().map_or(0, Input::len);
        // Tasks know where their inputs begin by their place in memory order: carry the number along.
        let mut tasks = Vec::new();
        let mut first = 0;
        for inputs in group(inputs, size) {
            tasks.push((first, inputs));
            first += inputs.len();
        }
        let mut done: Vec<Encoded> = Vec::with_capacity(tasks.len());
        for wave in group_by_bytes(&tasks, TASK_BYTES * WAVE, |(_, inputs)| inputs.iter().map(size).sum()) {
            let encoded = threads::map(wave, |&(first, inputs)| match &plan {
                Some(plan) if fields.offsets => self.encode_rows::<SPANS>(inputs, first, plan, fields),
                Some(plan) => self.encode_rows::<IDS>(inputs, first, plan, fields),
                None => self.encode_long_way(inputs, first, options, fields),
            });
            for encoded in encoded {
                done.push(encoded?);
            }
            if interrupt() {
                return Err(Error::Interrupted);
            }
        }
        Ok((plan, done))
    }

    /// Checks that all ids that may occur fit the element type.
    fn require_fit<T: Element>(&self, options: &EncodeOptions) -> Result<()> {
        let specials = self.inner.post_processor.as_ref().map_or(0, PostProcessor::largest_id);
        let added = self.added_vocabulary.iter().map(|(id, _)| id as usize + 1).max().unwrap_or(0);
        let largest = self.inner.model.vocab().id_bound().max(added).saturating_sub(1);
        let pad_id = options.padding.as_ref().map_or(0, |padding| padding.pad_id.max(padding.pad_type_id));
        let found = largest.max(pad_id as usize).max(specials as usize);
        if found as u64 > T::MAX {
            return Err(Error::Limit { what: "a token id for this dtype", found, limit: T::MAX as usize });
        }
        Ok(())
    }

    /// The plan of a call, where a plan is all it takes.
    fn plan(&self, options: &EncodeOptions, fields: Fields) -> Option<Plan<'_>> {
        let processor = self.inner.post_processor.as_ref();
        let add = options.add_special_tokens;
        let layout = |is_pair| processor.map_or_else(|| Some(plain_layout(is_pair)), |p| p.layout(is_pair, add));
        let trims = |is_pair| match processor {
            Some(processor) if fields.offsets => processor.trims(is_pair),
            _ => Some(Vec::new()),
        };
        let cuts_end = options.truncation.as_ref().is_some_and(|truncation| truncation.direction == Direction::Right);
        let plan = Plan {
            finish: self.finish(add)?,
            layouts: [layout(false)?, layout(true)?],
            trims: [trims(false)?, trims(true)?],
            truncations: [false, true].map(|is_pair| self.room(options, is_pair)),
            keeps_first: cuts_end && !fields.overflowing,
        };
        (!(fields.overflowing && plan.repeats())).then_some(plan)
    }

    fn encode_rows<const LEVEL: u8>(
        &self,
        inputs: &[Pair<'_>],
        first: usize,
        plan: &Plan<'_>,
        fields: Fields,
    ) -> Result<Encoded> {
        let room = |(input, pair): &Pair<'_>| input.len() + pair.as_ref().map_or(0, Input::len);
        let mut tokens = Tokens::with_capacity::<LEVEL>(inputs.iter().map(room).sum::<usize>() / BYTES_PER_TOKEN);
        let mut rows = Vec::with_capacity(inputs.len());
        Scratch::with(|scratch| {
            let mut sample = 0;
            while let Some((input, pair)) = inputs.get(sample) {
                let mut start = tokens.len();
                let ends = self.encode_together::<LEVEL>(&inputs[sample..], plan, scratch, &mut tokens)?;
                for &Place { tokens: end, .. } in &ends {
                    plan.rows(first + sample, false, [start..end, end..end], fields.overflowing, &mut rows)?;
                    (start, sample) = (end, sample + 1);
                }
                if !ends.is_empty() {
                    continue;
                }
                let mut encode = |enough, tokens: &mut Tokens| {
                    tokens.truncate(start);
                    let mut is_cut = self.encode_beginning::<LEVEL>(input, enough, scratch, tokens)?;
                    let middle = tokens.len();
                    if let Some(pair) = pair {
                        is_cut |= self.encode_beginning::<LEVEL>(pair, enough, scratch, tokens)?;
                    }
                    Ok::<_, Error>((middle, is_cut))
                };
                let (mut middle, is_cut) = encode(plan.enough(pair.is_some()), &mut tokens)?;
                let second = pair.is_some().then(|| tokens.len() - middle);
                if is_cut && !plan.is_settled(middle - start, second) {
                    (middle, _) = encode(usize::MAX, &mut tokens)?;
                }
                let texts = [start..middle, middle..tokens.len()];
                let kept = plan.rows(first + sample, pair.is_some(), texts, fields.overflowing, &mut rows)?;
                if plan.keeps_first {
                    // What is cut off the last text is never looked at again.
                    let (from, keep) = if pair.is_some() { (middle, kept[1]) } else { (start, kept[0]) };
                    tokens.truncate(from.saturating_add(keep));
                }
                sample += 1;
            }
            Ok::<_, Error>(())
        })?;
        Ok(Encoded { tokens, rows, encodings: Vec::new() })
    }

    /// Encodes the first inputs as long as they are texts of some length, until they have brought up many new words, which are
    /// merged together. Returns where each of the texts ends.
    fn encode_together<const LEVEL: u8>(
        &self,
        inputs: &[Pair<'_>],
        plan: &Plan<'_>,
        scratch: &mut Scratch,
        tokens: &mut Tokens,
    ) -> Result<Vec<Place>> {
        let mut ends = Vec::new();
        let Model::Bpe(bpe) = &*self.inner.model else { return Ok(ends) };
        if LEVEL > IDS || !self.inner.on_bytes {
            return Ok(ends);
        }
        scratch.cache.leave_open(Open::Texts);
        for input in inputs {
            let (Input::Text(text), None) = input else { break };
            if text.len() > LONGEST_TOGETHER || self.piece(text, plan.enough(false)).is_some() {
                break;
            }
            self.encode_text::<LEVEL>(text, scratch, tokens)?;
            ends.push(scratch.cache.place(tokens.len()));
            if scratch.cache.has_many_gaps() {
                break;
            }
        }
        bpe.fill(&mut scratch.cache, tokens, &mut ends);
        scratch.cache.leave_open(Open::No);
        Ok(ends)
    }

    /// Rows by way of encodings, for post-processors that are no plan.
    fn encode_long_way(
        &self,
        inputs: &[Pair<'_>],
        first: usize,
        options: &EncodeOptions,
        fields: Fields,
    ) -> Result<Encoded> {
        let options = EncodeOptions { padding: None, ..options.clone() };
        let mut encodings = Vec::with_capacity(inputs.len());
        for (sample, (input, pair)) in inputs.iter().enumerate() {
            let mut encoding = self.encode(input, pair.as_ref(), &options)?;
            let overflowing = std::mem::take(&mut encoding.overflowing);
            encodings.push((first + sample, encoding));
            if fields.overflowing {
                encodings.extend(overflowing.into_iter().map(|part| (first + sample, part)));
            }
        }
        Ok(Encoded { tokens: Tokens::default(), rows: Vec::new(), encodings })
    }
}

impl Encoded {
    fn rows(&self) -> usize {
        self.rows.len() + self.encodings.len()
    }

    /// The input of each row, and its length.
    pub(super) fn lengths(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.rows.iter().map(|row| (row.sample, row.len));
        rows.chain(self.encodings.iter().map(|(sample, encoding)| (*sample, encoding.len())))
    }
}

/// The width of the matrix.
fn width(done: &[Encoded], padding: Option<&Padding>) -> Result<usize> {
    let lengths = || done.iter().flat_map(Encoded::lengths).map(|(_, len)| len);
    // Rows of parts that were cut off do not count for the longest, as in the reference; they are never longer unless
    // nothing was to be kept.
    let mut last = None;
    let own = done.iter().flat_map(Encoded::lengths).filter(|&(sample, _)| last.replace(sample) != Some(sample));
    let target = padding.map_or(0, |padding| padding.length(own.map(|(_, len)| len).max().unwrap_or(0)));
    // A row that is longer than what rows are filled up to stays as it is; then all must be.
    let width = lengths().max().unwrap_or(0).max(target);
    match lengths().enumerate().find(|&(_, len)| len.max(target) != width) {
        Some((row, found)) => Err(Error::RowLength { row, found, expected: width }),
        None => Ok(width),
    }
}

fn write_rows<T: Element>(encoded: &Encoded, plan: &Plan<'_>, filling: Filling, mut places: Places<'_, T>) {
    let tokens = &encoded.tokens;
    for row in &encoded.rows {
        let mut place = places.take(1, filling.width);
        let before = filling.start(row.len);
        place.samples.repeat(T::from_u32(row.sample as u32), 1);
        place.pad(filling, before);
        place.attention_mask.repeat(T::ONE, row.len);
        let is_pair = usize::from(row.is_pair);
        for slot in &plan.layouts[is_pair] {
            match slot {
                Slot::Special { id, type_id } => {
                    place.input_ids.repeat(T::from_u32(*id), 1);
                    place.type_ids.repeat(T::from_u32(*type_id), 1);
                    place.special_tokens_mask.repeat(T::ONE, 1);
                    place.offsets.repeat([T::default(); 2], 1);
                }
                Slot::Text { index, type_id, overflow_type_id } => {
                    let type_id = if row.overflow[*index] { overflow_type_id } else { type_id };
                    let range = row.texts[*index].clone();
                    place.input_ids.extend(&tokens.ids()[range.clone()], |&id| T::from_u32(id));
                    place.type_ids.repeat(T::from_u32(*type_id), range.len());
                    place.special_tokens_mask.repeat(T::default(), range.len());
                    write_offsets(tokens, range, plan, &plan.trims[is_pair], &mut place.offsets);
                }
            }
        }
        place.pad(filling, filling.width - before - row.len);
    }
}

/// The offsets of a part of a text; blanks are taken out of them where the post-processor says so.
fn write_offsets<T: Element>(
    tokens: &Tokens,
    range: Range<usize>,
    plan: &Plan<'_>,
    trims: &[bool],
    places: &mut Fill<'_, [T; 2]>,
) {
    let Some(spans) = tokens.spans.get(range.clone()) else { return };
    if trims.is_empty() {
        places.extend(spans, |span| span.map(T::from_u32));
        return;
    }
    let from = tokens.texts.partition_point(|(token, _)| (*token as usize) < range.start);
    let mut texts = tokens.texts[from..].iter().peekable();
    for (i, &[start, end]) in spans.iter().enumerate() {
        let mut offsets = (start, end);
        let token = range.start + i;
        let ends = match texts.next_if(|(at, _)| *at as usize == token) {
            Some((_, text)) => blanks(text),
            None => plan.finish.blanks(tokens.id(token)),
        };
        if ends != (0, 0) {
            for &add_prefix_space in trims {
                trim_blanks(&mut offsets, ends, i == 0, add_prefix_space);
            }
        }
        places.repeat([T::from_u32(offsets.0), T::from_u32(offsets.1)], 1);
    }
}

fn write_encodings<T: Element>(encoded: &Encoded, filling: Filling, mut places: Places<'_, T>) {
    for (sample, encoding) in &encoded.encodings {
        let mut place = places.take(1, filling.width);
        let before = filling.start(encoding.len());
        place.samples.repeat(T::from_u32(*sample as u32), 1);
        place.pad(filling, before);
        place.input_ids.extend(&encoding.ids, |&id| T::from_u32(id));
        place.type_ids.extend(&encoding.type_ids, |&id| T::from_u32(id));
        place.attention_mask.extend(&encoding.attention_mask, |&value| T::from_u32(value.into()));
        place.special_tokens_mask.extend(&encoding.special_tokens_mask, |&value| T::from_u32(value.into()));
        place.offsets.extend(&encoding.offsets, |&(start, end)| [T::from_u32(start), T::from_u32(end)]);
        place.pad(filling, filling.width - before - encoding.len());
    }
}
