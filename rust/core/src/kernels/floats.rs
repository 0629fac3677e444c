//! Passes over rows of logits, written once over sixteen lanes of `f32`.
//!
//! Every operation is an IEEE one in a fixed order and fused multiplications are asked for by name, so each
//! instruction set gives the same bits. The exponential and the order of the sums are those of torch's CPU softmax,
//! which is what makes probabilities equal to its own, bit for bit.

#![expect(clippy::cast_precision_loss, reason = "at most 24 bits are counted")]

use std::ops::Range;

use super::Isa;
#[cfg(target_arch = "x86_64")]
use super::floats_x86_64;

/// Values that one maximum stands for.
pub const CHUNK: usize = 64;

/// Sixteen numbers.
///
/// # Safety
/// Every method needs the instruction set of its implementation.
pub(super) trait Lanes: Copy {
    unsafe fn load(from: &[f32; 16]) -> Self;
    unsafe fn store(self, to: &mut [f32; 16]);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// The larger, lane by lane; either where one is NaN.
    unsafe fn max(self, other: Self) -> Self;
    /// `self * factor + term`, rounded once.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// Sums the lanes of two registers at a time: `self[8..16]` as lanes 0 to 7.
    unsafe fn high(self) -> Self;
    /// To the nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// `self * 2^exponent` in two steps, as halves of the integer `exponent`; zero where `zero` is set.
    unsafe fn scale(self, exponent: Self, zero: u16) -> Self;
    /// Zero where `mask` is not set.
    unsafe fn keep(self, mask: u16) -> Self;
    /// `other` where `mask` is set.
    unsafe fn blend(self, mask: u16, other: Self) -> Self;
    /// The next values of `from`, one for each lane where `mask` is set.
    unsafe fn expand(self, mask: u16, from: &[f32; 16]) -> Self;
    /// Lanes with `self < other`.
    unsafe fn less(self, other: Self) -> u16;
    /// Lanes with `self >= other`.
    unsafe fn at_least(self, other: Self) -> u16;
    /// Lanes where one of the two is NaN.
    unsafe fn unordered(self, other: Self) -> u16;
    /// Adds the lanes to eight sums in double precision: lanes `i` and `i + 8` to sum `i`.
    unsafe fn add_to(self, sums: &mut [f64; 8]);
    /// Adds `self * (other - from)`, lane by lane in double precision, to the sums of `add_to`.
    unsafe fn add_weighted_to(self, other: Self, from: Self, sums: &mut [f64; 8]);
    /// Adds the ids where a mask is set, ascending, of a chunk that begins with `first`.
    unsafe fn push_ids(masks: [u16; 4], first: u32, out: &mut Vec<u32>);
    /// Adds those ids where `mask` is set.
    unsafe fn push_some(ids: &[u32; 16], mask: u16, out: &mut Vec<u32>);
    /// The value of each token, whose block has these.
    unsafe fn of_block(tokens: &[u32; 16], block: &[f32; PENALIZED]) -> Self;
    /// The maximum of each token's chunk, whose block has these.
    unsafe fn of_chunks(tokens: &[u32; 16], maxima: &[f32; CHUNK]) -> Self;
    /// Lower bounds of sixteen uniforms from the tempered even words, times `scale`, compared: `p >= bound`.
    unsafe fn may_win(words: &[u32; 32], p: Self, scale: Self) -> u16;
}

/// The largest value, and whether the row holds a NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Largest value; meaningless if there is a NaN.
    pub max: f32,
    /// Whether a value is NaN.
    pub nan: bool,
}

/// What becomes of a value that a penalty meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Below zero it is multiplied, else divided.
    Scaled(f32),
    /// The first is subtracted for each occurrence of the token, then the second once.
    Lowered(f32, f32),
}

impl Rule {
    /// The value that `x` becomes if its token occurred `count` times.
    #[inline(always)]
    pub fn of(self, x: f32, count: f32) -> f32 {
        match self {
            Self::Scaled(penalty) => {
                if x < 0.0 {
                    x * penalty
                } else {
                    x / penalty
                }
            }
            Self::Lowered(each, once) => x - each * count - once,
        }
    }

    /// Whether no number, infinite ones included, becomes NaN.
    pub fn is_tame(self) -> bool {
        match self {
            Self::Scaled(penalty) => penalty.is_finite() && penalty > 0.0,
            // Counts do not grow beyond 2^24, where adding one changes nothing.
            Self::Lowered(each, once) => (each * 16_777_216.0).is_finite() && once.is_finite(),
        }
    }

    /// Whether a value may become larger.
    pub fn may_raise(self) -> bool {
        match self {
            Self::Scaled(penalty) => penalty < 1.0,
            Self::Lowered(each, once) => each < 0.0 || once < 0.0,
        }
    }
}

/// What differs from a row, without a copy of it. There is a word for each chunk, with a bit for each token; no words if
/// nothing differs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'c> {
    /// Tokens whose value stands in `values`.
    pub listed: &'c [u64],
    /// Number of those tokens before each chunk.
    pub starts: &'c [u32],
    /// Their values, ascending by token, and [`BEHIND`] more.
    pub values: &'c [f32],
    /// Tokens whose value stands in `own`, whatever `values` says.
    pub stored: &'c [u64],
    /// As long as the row.
    pub own: &'c [f32],
}

/// What stands behind the values of a list of changes, so that as many are read wherever one is: more than a chunk's masks
/// can point to, which spares a check for each.
pub const BEHIND: usize = 2 * CHUNK + 16;

impl Changes<'_> {
    /// The value of a token, which is `x` in the row.
    #[inline]
    pub fn value(&self, id: usize, x: f32) -> f32 {
        let (chunk, bit) = (id / CHUNK, 1 << (id % CHUNK));
        let word = |words: &[u64]| words.get(chunk).copied().unwrap_or(0);
        if word(self.stored) & bit != 0 {
            self.own[id]
        } else if word(self.listed) & bit != 0 {
            self.values[self.starts[chunk] as usize + (word(self.listed) & (bit - 1)).count_ones() as usize]
        } else {
            x
        }
    }

    /// Whether nothing differs.
    fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.stored.is_empty()
    }

    /// Whether a token of the chunk differs.
    #[inline(always)]
    fn touch(&self, chunk: usize) -> bool {
        self.listed.get(chunk).copied().unwrap_or(0) | self.stored.get(chunk).copied().unwrap_or(0) != 0
    }

    /// The values of the tokens from `at` on, which is a multiple of 16; `x` are those of the row, `count` of them.
    ///
    /// # Safety
    /// The instruction set of `L`.
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L, at: usize, count: usize) -> L {
        let (chunk, bit) = (at / CHUNK, at % CHUNK);
        let mut out = x;
        // SAFETY: the caller's duty.
        unsafe {
            if let Some(&listed) = self.listed.get(chunk) {
                let before = (listed & ((1 << bit) - 1)).count_ones() as usize;
                out = out.expand((listed >> bit) as u16, sixteen(self.of_chunk(chunk), before));
            }
            match self.stored.get(chunk).map_or(0, |stored| (stored >> bit) as u16) {
                0 => out,
                stored => out.blend(stored, L::load(&padded(&self.own[at..at + count], 0.0))),
            }
        }
    }

    /// The values of a whole chunk.
    ///
    /// # Safety
    /// The instruction set of `L`.
    #[inline(always)]
    unsafe fn apply_to_chunk<L: Lanes>(&self, x: [L; 4], chunk: usize) -> [L; 4] {
        let mut out = x;
        // SAFETY: the caller's duty.
        unsafe {
            if let Some(&listed) = self.listed.get(chunk) {
                let (values, mut at) = (self.of_chunk(chunk), 0);
                for (i, out) in out.iter_mut().enumerate() {
                    let mask = (listed >> (16 * i)) as u16;
                    *out = out.expand(mask, sixteen(values, at));
                    at += mask.count_ones() as usize;
                }
            }
            if let Some(&stored) = self.stored.get(chunk)
                && stored != 0
            {
                let own = self.own[CHUNK * chunk..CHUNK * (chunk + 1)].as_chunks::<16>().0;
                for (i, out) in out.iter_mut().enumerate() {
                    *out = out.blend((stored >> (16 * i)) as u16, L::load(&own[i]));
                }
            }
        }
        out
    }

    /// The values of a chunk's listed tokens, and what stands behind them.
    #[inline(always)]
    fn of_chunk(&self, chunk: usize) -> &[f32; BEHIND] {
        self.values[self.starts[chunk] as usize..].first_chunk().expect("more stands behind the values")
    }
}

#[inline(always)]
fn sixteen(values: &[f32; BEHIND], at: usize) -> &[f32; 16] {
    values[at..].first_chunk().expect("no more than a chunk comes before them")
}

/// Sums of the terms of a softmax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermSum {
    /// In the order of torch's softmax.
    pub torch: f32,
    /// In double precision, from sums of four terms.
    pub wide: f64,
}

/// How torch was compiled for this machine: the lanes that its sums run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SumLanes {
    /// Eight: torch's AVX2 capability.
    Eight,
    /// Sixteen: torch's AVX-512 capability.
    #[default]
    Sixteen,
}

impl SumLanes {
    /// The number.
    pub fn count(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    /// The sum of the lanes: halves onto halves.
    pub fn fold(self, lanes: &[f32; 16]) -> f32 {
        let mut sums = *lanes;
        let mut half = self.count() / 2;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        sums[0]
    }
}

macro_rules! dispatch {
    ($isa:expr, $name:ident($($argument:expr),*)) => {
        match $isa {
            // SAFETY: `isa()` and the tests hand out a set only after `is_available` said yes.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { floats_x86_64::avx512::$name($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { floats_x86_64::avx2::$name($($argument),*) },
            // SAFETY: arrays need no instruction set.
            _ => unsafe { $name::<Array>($($argument),*) },
        }
    };
}

/// Maxima of the row's chunks of [`CHUNK`] values (the last one may be shorter) and of the row.
///
/// # Panics
/// If `out` has not a place for each chunk.
pub fn maxima(isa: Isa, row: &[f32], out: &mut [f32]) -> Extent {
    assert_eq!(row.len().div_ceil(CHUNK), out.len(), "one maximum for each chunk");
    dispatch!(isa, maxima_with(row, out))
}

/// Looks for the maxima of these chunks again, in a row of which values have changed.
pub fn renew_maxima(isa: Isa, row: &[f32], changes: Changes<'_>, chunks: &[u32], out: &mut [f32]) {
    dispatch!(isa, renew_maxima_with(row, changes, chunks, out));
}

/// Writes the row as it is after the changes.
///
/// # Panics
/// If `out` is not as long as `row`.
pub fn write_changed(isa: Isa, row: &[f32], changes: Changes<'_>, out: &mut [f32]) {
    assert_eq!(row.len(), out.len(), "a place for each value");
    dispatch!(isa, write_changed_with(row, changes, out));
}

/// The distinct tokens of a context.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'l> {
    /// The tokens, ascending.
    pub tokens: &'l [u32],
    /// How often each of them occurs.
    pub counts: &'l [f32],
    /// A bit for each token, a word for each chunk of a row.
    pub words: &'l [u64],
    /// Number of the tokens before each chunk.
    pub starts: &'l [u32],
}

impl Listed<'_> {
    /// Where the tokens of `from..to` stand, which are multiples of a chunk.
    #[inline(always)]
    pub fn slots(&self, from: usize, to: usize) -> Range<usize> {
        let before = |id: usize| self.starts.get(id / CHUNK).map_or(self.tokens.len(), |&start| start as usize);
        before(from)..before(to)
    }
}

/// The values of listed tokens without and with what penalties make of them.
#[derive(Debug)]
pub struct Penalized<'p> {
    /// A place for each token.
    pub before: &'p mut [f32],
    /// The same, and [`BEHIND`] more.
    pub after: &'p mut [f32],
    /// A buffer: tokens whose chunk may have another maximum.
    pub moved: &'p mut Vec<u32>,
}

/// Collects the values of listed tokens, and applies the rules to them, one after the other; `maxima` become those of the
/// chunks of the row with the new values in it. The largest value before that comes back, and the new extent.
///
/// Thousands of values among those of the row would be another row through the caches: so they stand in lists of their own,
/// and are taken from a block of the row when the search for its maxima has put it into the nearest cache.
///
/// # Panics
/// If there is not a place for each chunk, or not one for each token.
pub fn penalize(
    isa: Isa,
    row: &[f32],
    listed: Listed<'_>,
    rules: &[Rule],
    maxima: &mut [f32],
    values: Penalized<'_>,
) -> (f32, Extent) {
    let Penalized { before, after, .. } = &values;
    let count = listed.tokens.len();
    assert_eq!((row.len().div_ceil(CHUNK), count), (maxima.len(), before.len()), "a place for each maximum and token");
    assert_eq!((listed.counts.len(), after.len()), (count, count + BEHIND), "a count for each token, and a value");
    dispatch!(isa, penalize_with(row, listed, rules, maxima, values))
}

/// The largest of a few values without NaN.
pub fn largest_of(values: &[f32]) -> f32 {
    let (groups, tail) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    tail.iter().fold(largest(&lanes), |max, &value| if value > max { value } else { max })
}

/// The first of the largest values of a row that is not empty, and its extent; meaningless if there is a NaN.
pub fn argmax(isa: Isa, row: &[f32]) -> (usize, Extent) {
    dispatch!(isa, argmax_with(row))
}

/// How a row becomes the terms of a softmax.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What values are divided by.
    pub temperature: f32,
    /// The largest value after that.
    pub max: f32,
    /// Order of torch's sum.
    pub lanes: SumLanes,
}

/// `exp(x / temperature - max)` of every value, as torch's softmax computes it, and the sums.
///
/// # Panics
/// If `out` is not as long as `row`.
pub fn exp_terms(isa: Isa, row: &[f32], changes: Changes<'_>, how: Terms, out: &mut [f32]) -> TermSum {
    assert_eq!(row.len(), out.len(), "one term for each value");
    dispatch!(isa, exp_terms_with(row, changes, how, out))
}

/// Ids of the values that are at least `bound`, ascending; `maxima` are the row's own. Stops soon after `limit` ids.
pub fn positions_at_least(
    isa: Isa,
    row: &[f32],
    changes: Changes<'_>,
    maxima: &[f32],
    bound: f32,
    limit: usize,
    out: &mut Vec<u32>,
) {
    dispatch!(isa, positions_with(row, changes, maxima, bound, limit, out));
}

/// The terms of `exp_terms` with those of listed tokens replaced by `new`: the sum of all before that, and of those replaced.
///
/// # Panics
/// If `out` is not as long as `row`, or there is not a term for each token.
pub fn exp_terms_around(
    isa: Isa,
    row: &[f32],
    listed: Listed<'_>,
    new: &[f32],
    how: Terms,
    out: &mut [f32],
) -> (f64, f64) {
    assert_eq!((row.len(), listed.tokens.len()), (out.len(), new.len()), "one term for each value and token");
    dispatch!(isa, exp_terms_around_with(row, listed, new, how, out))
}

/// Ids of the terms that are at least `from` and below `to`, ascending, and the sum of the terms below `from`.
pub fn zone(isa: Isa, terms: &[f32], from: f32, to: f32, out: &mut Vec<u32>) -> f64 {
    dispatch!(isa, zone_with(terms, from, to, out))
}

/// Makes terms below `bound` zero, and sums the rest.
pub fn cut_terms(isa: Isa, terms: &mut [f32], bound: f32, lanes: SumLanes) -> TermSum {
    dispatch!(isa, cut_terms_with(terms, bound, lanes))
}

/// Copies `from`, with negative infinity where `keys` lies below `bound`, and divides by `temperature`.
pub fn divide_above(isa: Isa, from: &[f32], keys: &[f32], bound: f32, temperature: f32, out: &mut [f32]) {
    dispatch!(isa, divide_above_with(from, keys, bound, temperature, out));
}

/// Copies `from` and divides by `temperature`, with negative infinity for values outside of `low..=high`.
pub fn divide_within(isa: Isa, from: &[f32], low: f32, high: f32, temperature: f32, out: &mut [f32]) {
    dispatch!(isa, divide_within_with(from, low, high, temperature, out));
}

/// The sum of `term * (x / temperature - max)`, in double precision; a term of zero counts as nothing.
pub fn weighted_sum(isa: Isa, row: &[f32], terms: &[f32], temperature: f32, max: f32) -> f64 {
    dispatch!(isa, weighted_sum_with(row, terms, temperature, max))
}

/// Ids of the values in `bounds[0]..bounds[1]` or `bounds[2]..bounds[3]`, ascending, and the sum of the terms of the values
/// in `bounds[1]..bounds[2]`.
pub fn around(isa: Isa, row: &[f32], terms: &[f32], bounds: [f32; 4], out: &mut Vec<u32>) -> f64 {
    dispatch!(isa, around_with(row, terms, bounds, out))
}

/// Multiplies in place.
pub fn scale(isa: Isa, values: &mut [f32], factor: f32) {
    dispatch!(isa, scale_with(values, factor));
}

/// `exp(x)` as torch's vectorised loops compute it, for one value that is not above 0.
pub fn exp(x: f32) -> f32 {
    let mut out = [0.0; 16];
    // SAFETY: arrays need no instruction set.
    unsafe { exp_with(Array([x; 16])).store(&mut out) };
    out[0]
}

/// Lanes of sixteen `p` whose exponential race against `best` is not decided by the uniform's upper bits alone.
///
/// `words` are thirty-two untempered words of the Mersenne Twister: the upper and lower word of each uniform.
#[derive(Clone, Copy)]
pub struct Race(Isa);

impl Race {
    /// A race on this instruction set.
    pub fn new(isa: Isa) -> Self {
        Self(isa)
    }

    /// Calls `candidate(pair)` for each pair of `words` that may beat the best so far; it returns the new best.
    pub fn run(self, words: &[u32], p: &[f32], best: f32, candidate: &mut dyn FnMut(usize) -> f32) -> f32 {
        dispatch!(self.0, race_with(words, p, best, candidate))
    }
}

/// Loads the tail of a row, filled up with `fill`.
#[inline(always)]
fn padded(tail: &[f32], fill: f32) -> [f32; 16] {
    let mut out = [fill; 16];
    out[..tail.len()].copy_from_slice(tail);
    out
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn load_chunk<L: Lanes>(chunk: &[f32; CHUNK]) -> [L; 4] {
    let quarters = chunk.as_chunks::<16>().0;
    // SAFETY: the caller's duty.
    unsafe { [L::load(&quarters[0]), L::load(&quarters[1]), L::load(&quarters[2]), L::load(&quarters[3])] }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn maxima_with<L: Lanes>(row: &[f32], out: &mut [f32]) -> Extent {
    // SAFETY of all blocks here: the caller's duty.
    unsafe {
        let mut all = L::splat(f32::NEG_INFINITY);
        let mut nan = 0;
        let mut lanes = [0.0; 16];
        let (chunks, tail) = row.as_chunks::<CHUNK>();
        for (chunk, out) in chunks.iter().zip(&mut *out) {
            let [a, b, c, d] = load_chunk::<L>(chunk);
            nan |= a.unordered(b) | c.unordered(d);
            let top = a.max(b).max(c.max(d));
            all = all.max(top);
            top.store(&mut lanes);
            *out = largest(&lanes);
        }
        let mut max = f32::NEG_INFINITY;
        if !tail.is_empty() {
            for &value in tail {
                nan |= u16::from(value.is_nan());
                max = if value > max { value } else { max };
            }
            out[chunks.len()] = max;
        }
        all.store(&mut lanes);
        Extent { max: max.max(largest(&lanes)), nan: nan != 0 }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn renew_maxima_with<L: Lanes>(row: &[f32], changes: Changes<'_>, chunks: &[u32], out: &mut [f32]) {
    // SAFETY: the caller's duty.
    unsafe {
        for &chunk in chunks {
            out[chunk as usize] = maximum_of::<L>(row, changes, chunk as usize);
        }
    }
}

/// The maximum of a chunk with its changes.
///
/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn maximum_of<L: Lanes>(row: &[f32], changes: Changes<'_>, chunk: usize) -> f32 {
    let from = chunk * CHUNK;
    // SAFETY: the caller's duty.
    unsafe {
        // The largest so far comes second: a NaN is not the maximum of its chunk.
        let mut top = L::splat(f32::NEG_INFINITY);
        if let Some(own) = row[from..].first_chunk::<CHUNK>() {
            for values in changes.apply_to_chunk(load_chunk::<L>(own), chunk) {
                top = values.max(top);
            }
        } else {
            for (i, own) in row[from..].chunks(16).enumerate() {
                let values = changes.apply(L::load(&padded(own, f32::NEG_INFINITY)), from + 16 * i, own.len());
                let kept = L::splat(f32::NEG_INFINITY).blend(u16::MAX >> (16 - own.len()), values);
                top = kept.max(top);
            }
        }
        let mut lanes = [0.0; 16];
        top.store(&mut lanes);
        largest(&lanes)
    }
}

/// Values of a row that are penalized while they are in the nearest cache.
pub(super) const PENALIZED: usize = CHUNK * CHUNK;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn penalize_with<L: Lanes>(
    row: &[f32],
    listed: Listed<'_>,
    rules: &[Rule],
    maxima: &mut [f32],
    mut values: Penalized<'_>,
) -> (f32, Extent) {
    let mut extent = Extent { max: f32::NEG_INFINITY, nan: false };
    for (i, (logits, maxima)) in row.chunks(PENALIZED).zip(maxima.chunks_mut(CHUNK)).enumerate() {
        let slots = listed.slots(i * PENALIZED, (i + 1) * PENALIZED);
        values.moved.clear();
        // SAFETY: the caller's duty.
        unsafe {
            let Extent { max, nan } = maxima_with::<L>(logits, maxima);
            extent = Extent { max: extent.max.max(max), nan: extent.nan || nan };
            if let (Some(block), Some(maxima)) = (logits.first_chunk(), maxima.first_chunk()) {
                penalize_block::<L>(block, maxima, listed, slots, rules, &mut values);
            } else {
                let (mut block, mut block_maxima) = ([0.0; PENALIZED], [0.0; CHUNK]);
                block[..logits.len()].copy_from_slice(logits);
                block_maxima[..maxima.len()].copy_from_slice(maxima);
                penalize_block::<L>(&block, &block_maxima, listed, slots, rules, &mut values);
            }
            let Listed { words, starts, .. } = listed;
            let changes = Changes { listed: words, starts, values: values.after, ..Changes::default() };
            let mut last = usize::MAX;
            for chunk in values.moved.iter().map(|&token| token as usize / CHUNK) {
                if chunk != last {
                    maxima[chunk % CHUNK] = maximum_of::<L>(row, changes, chunk);
                    last = chunk;
                }
            }
        }
    }
    (extent.max, Extent { max: largest_of(maxima), ..extent })
}

/// Sixteen tokens at a time: what a register holds behind those of the block is left to the next one. Tokens whose chunk may
/// have another maximum now are added to a list.
///
/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn penalize_block<L: Lanes>(
    block: &[f32; PENALIZED],
    maxima: &[f32; CHUNK],
    Listed { tokens, counts, .. }: Listed<'_>,
    slots: Range<usize>,
    rules: &[Rule],
    Penalized { before, after, moved }: &mut Penalized<'_>,
) {
    for at in slots.clone().step_by(16) {
        let after = after[at..].first_chunk_mut().expect("more stands behind the values");
        let left = u16::MAX >> (16 - (slots.end - at).min(16));
        let whole = (tokens[at..].first_chunk(), counts[at..].first_chunk(), before[at..].first_chunk_mut());
        // SAFETY: the caller's duty.
        unsafe {
            let (tokens, counts, x) = if let (Some(tokens), Some(counts), Some(before)) = whole {
                let x = L::of_block(tokens, block);
                x.store(before);
                (*tokens, L::load(counts), x)
            } else {
                // The last ones of the row.
                let (mut group, mut values) = ([0; 16], [0.0; 16]);
                group[..tokens.len() - at].copy_from_slice(&tokens[at..]);
                let x = L::of_block(&group, block);
                x.store(&mut values);
                before[at..].copy_from_slice(&values[..tokens.len() - at]);
                (group, L::load(&padded(&counts[at..], 0.0)), x)
            };
            let mut y = x;
            for rule in rules {
                y = match *rule {
                    Rule::Scaled(penalty) => {
                        let [zero, penalty] = [L::splat(0.0), L::splat(penalty)];
                        y.div(penalty).blend(y.less(zero), y.mul(penalty))
                    }
                    Rule::Lowered(each, once) => y.sub(counts.mul(L::splat(each))).sub(L::splat(once)),
                };
            }
            y.store(after);
            let max = L::of_chunks(&tokens, maxima);
            L::push_some(&tokens, (x.at_least(max) | max.less(y)) & left, moved);
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn write_changed_with<L: Lanes>(row: &[f32], changes: Changes<'_>, out: &mut [f32]) {
    // SAFETY: the caller's duty.
    unsafe {
        for (i, (own, out)) in row.chunks(16).zip(out.chunks_mut(16)).enumerate() {
            let mut all = [0.0; 16];
            changes.apply(L::load(&padded(own, 0.0)), 16 * i, own.len()).store(&mut all);
            out.copy_from_slice(&all[..own.len()]);
        }
    }
}

/// Values among which a new maximum is looked for at once.
const BLOCK: usize = 256;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn argmax_with<L: Lanes>(row: &[f32]) -> (usize, Extent) {
    // SAFETY: the caller's duty.
    unsafe {
        let (mut max, mut from, mut nan) = (f32::NEG_INFINITY, 0, 0);
        let mut best = L::splat(max);
        let (blocks, tail) = row.as_chunks::<BLOCK>();
        for (i, block) in blocks.iter().enumerate() {
            let mut tops = [L::splat(f32::NEG_INFINITY); 4];
            for quads in block.as_chunks::<CHUNK>().0 {
                let [a, b, c, d] = load_chunk::<L>(quads);
                nan |= a.unordered(b) | c.unordered(d);
                tops = [tops[0].max(a), tops[1].max(b), tops[2].max(c), tops[3].max(d)];
            }
            let top = tops[0].max(tops[1]).max(tops[2].max(tops[3]));
            // A later block has to be larger, so the first of equal values stays.
            if best.less(top) != 0 {
                let mut lanes = [0.0; 16];
                top.store(&mut lanes);
                (max, from) = (largest(&lanes), i * BLOCK);
                best = L::splat(max);
            }
        }
        for (i, &value) in tail.iter().enumerate() {
            nan |= u16::from(value.is_nan());
            if value > max {
                (max, from) = (value, row.len() - tail.len() + i);
            }
        }
        let at = row[from..].iter().position(|&value| value >= max).unwrap_or_default();
        (from + at, Extent { max, nan: nan != 0 })
    }
}

#[inline(always)]
fn largest(lanes: &[f32; 16]) -> f32 {
    let mut sums = *lanes;
    let mut half = 8;
    while half > 0 {
        for i in 0..half {
            sums[i] = if sums[i] > sums[i + half] { sums[i] } else { sums[i + half] };
        }
        half /= 2;
    }
    sums[0]
}

/// The exponential of torch's vectorised loops (that of the SLEEF library with an error of one unit): `x = q ln 2 + s`
/// with the logarithm in two parts, a polynomial of degree five in `s`, and a power of two in two factors.
///
/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn exp_with<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's duty.
    unsafe {
        let q = x.mul(L::splat(std::f32::consts::LOG2_E)).round();
        let s = q.mul_add(L::splat(-0.693_145_75), x);
        let s = q.mul_add(L::splat(-1.428_606_8e-6), s);
        let mut u = L::splat(0.000_198_527_62);
        for coefficient in [0.001_393_043_6, 0.008_333_361, 0.041_666_485, 0.166_666_67, 0.5] {
            u = u.mul_add(s, L::splat(coefficient));
        }
        let u = L::splat(1.0).add(s.mul(s).mul_add(u, s));
        u.scale(q, x.less(L::splat(-104.0)))
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn exp_terms_with<L: Lanes>(
    row: &[f32],
    changes: Changes<'_>,
    how: Terms,
    out: &mut [f32],
) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        match (how.lanes, how.temperature.to_bits() == 1f32.to_bits(), changes.is_empty()) {
            (SumLanes::Sixteen, false, true) => terms::<L, true, true, false>(row, changes, how, out),
            (SumLanes::Sixteen, true, true) => terms::<L, true, false, false>(row, changes, how, out),
            (SumLanes::Eight, false, true) => terms::<L, false, true, false>(row, changes, how, out),
            (SumLanes::Eight, true, true) => terms::<L, false, false, false>(row, changes, how, out),
            (SumLanes::Sixteen, false, false) => terms::<L, true, true, true>(row, changes, how, out),
            (SumLanes::Sixteen, true, false) => terms::<L, true, false, true>(row, changes, how, out),
            (SumLanes::Eight, false, false) => terms::<L, false, true, true>(row, changes, how, out),
            (SumLanes::Eight, true, false) => terms::<L, false, false, true>(row, changes, how, out),
        }
    }
}

// A closure would be compiled without the instruction set of the function around it, so these are functions.

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn term<L: Lanes, const DIVIDE: bool>(x: L, temperature: L, max: L) -> L {
    // SAFETY: the caller's duty.
    unsafe { exp_with(if DIVIDE { x.div(temperature).sub(max) } else { x.sub(max) }) }
}

/// Both sums of the terms of a row, chunk by chunk.
struct Sums<L, const SIXTEEN: bool> {
    torch: L,
    wide: [f64; 8],
}

impl<L: Lanes, const SIXTEEN: bool> Sums<L, SIXTEEN> {
    /// # Safety
    /// The instruction set of `L`, here and below.
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the caller's duty.
        Self { torch: unsafe { L::splat(0.0) }, wide: [0.0; 8] }
    }

    /// # Safety
    /// See `new`.
    #[inline(always)]
    unsafe fn count(&mut self, term: L) {
        // SAFETY: the caller's duty.
        unsafe {
            self.torch = self.torch.add(term);
            if !SIXTEEN {
                self.torch = self.torch.add(term.high());
            }
        }
    }

    /// # Safety
    /// See `new`.
    #[inline(always)]
    unsafe fn add(&mut self, [a, b, c, d]: [L; 4]) {
        // SAFETY: the caller's duty.
        unsafe {
            self.count(a);
            self.count(b);
            self.count(c);
            self.count(d);
            a.add(b).add(c.add(d)).add_to(&mut self.wide);
        }
    }

    /// Stores and counts what is left of a row; lanes beyond it are zero, which changes no sum.
    ///
    /// # Safety
    /// See `new`.
    #[inline(always)]
    unsafe fn add_last(&mut self, term: L, to: &mut [f32]) {
        // SAFETY: the caller's duty.
        unsafe {
            let mut all = [0.0; 16];
            term.store(&mut all);
            to.copy_from_slice(&all[..to.len()]);
            self.count(term);
            term.add_to(&mut self.wide);
        }
    }

    /// # Safety
    /// See `new`.
    #[inline(always)]
    unsafe fn finish(self, terms: &[f32]) -> TermSum {
        let lanes = if SIXTEEN { SumLanes::Sixteen } else { SumLanes::Eight };
        let mut sums = [0.0; 16];
        // SAFETY: the caller's duty.
        unsafe { self.torch.store(&mut sums) };
        let torch = if terms.len() < lanes.count() { terms.iter().sum() } else { lanes.fold(&sums) };
        TermSum { torch, wide: self.wide.iter().sum() }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn terms<L: Lanes, const SIXTEEN: bool, const DIVIDE: bool, const CHANGED: bool>(
    row: &[f32],
    changes: Changes<'_>,
    how: Terms,
    out: &mut [f32],
) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        let [temperature, max] = [L::splat(how.temperature), L::splat(how.max)];
        let mut sums = Sums::<L, SIXTEEN>::new();
        let (from, from_tail) = row.as_chunks::<CHUNK>();
        let (to, to_tail) = out.as_chunks_mut::<CHUNK>();
        let tail_at = CHUNK * from.len();
        for (chunk, (from, to)) in from.iter().zip(to).enumerate() {
            let (mut x, to) = (load_chunk::<L>(from), to.as_chunks_mut::<16>().0);
            if CHANGED && changes.touch(chunk) {
                x = changes.apply_to_chunk(x, chunk);
            }
            let a = term::<L, DIVIDE>(x[0], temperature, max);
            let b = term::<L, DIVIDE>(x[1], temperature, max);
            let c = term::<L, DIVIDE>(x[2], temperature, max);
            let d = term::<L, DIVIDE>(x[3], temperature, max);
            a.store(&mut to[0]);
            b.store(&mut to[1]);
            c.store(&mut to[2]);
            d.store(&mut to[3]);
            sums.add([a, b, c, d]);
        }
        for (part, (from, to)) in from_tail.chunks(16).zip(to_tail.chunks_mut(16)).enumerate() {
            // The term of negative infinity is zero.
            let mut x = L::load(&padded(from, f32::NEG_INFINITY));
            if CHANGED {
                x = changes.apply(x, tail_at + 16 * part, from.len());
            }
            sums.add_last(term::<L, DIVIDE>(x, temperature, max), to);
        }
        sums.finish(out)
    }
}

/// Values of a row among whose terms others are written while they are in the nearest cache.
const AROUND: usize = 1024;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn exp_terms_around_with<L: Lanes>(
    row: &[f32],
    listed: Listed<'_>,
    new: &[f32],
    how: Terms,
    out: &mut [f32],
) -> (f64, f64) {
    let (mut all, mut replaced) = (0.0, 0.0);
    for (i, (row, out)) in row.chunks(AROUND).zip(out.chunks_mut(AROUND)).enumerate() {
        // SAFETY: the caller's duty.
        all += unsafe { exp_terms_with::<L>(row, Changes::default(), how, out).wide };
        let slots = listed.slots(i * AROUND, (i + 1) * AROUND);
        let (tokens, new) = (&listed.tokens[slots.clone()], &new[slots]);
        replaced += if let Some(out) = out.first_chunk_mut::<AROUND>() {
            // No check of a bound is left.
            replace(tokens, new, |token, new| std::mem::replace(&mut out[token as usize % AROUND], new))
        } else {
            replace(tokens, new, |token, new| std::mem::replace(&mut out[token as usize % AROUND], new))
        };
    }
    (all, replaced)
}

/// Replaces the term of each token, and sums up those that stood there.
#[inline(always)]
fn replace(tokens: &[u32], new: &[f32], mut term: impl FnMut(u32, f32) -> f32) -> f64 {
    let ((groups, tail), (new_groups, new_tail)) = (tokens.as_chunks::<4>(), new.as_chunks::<4>());
    // Four sums, so that no addition waits for the one before.
    let mut sums = [0.0; 4];
    for (tokens, new) in groups.iter().zip(new_groups) {
        for ((sum, &token), &new) in sums.iter_mut().zip(tokens).zip(new) {
            *sum += f64::from(term(token, new));
        }
    }
    tail.iter().zip(new_tail).map(|(&token, &new)| f64::from(term(token, new))).sum::<f64>() + sums.iter().sum::<f64>()
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn scan<L: Lanes>(row: &[f32], changes: Changes<'_>, chunk: usize, bounds: L, out: &mut Vec<u32>) {
    // SAFETY: the caller's duty.
    unsafe {
        let from = chunk * CHUNK;
        if let Some(own) = row[from..].first_chunk::<CHUNK>() {
            let [a, b, c, d] = changes.apply_to_chunk(load_chunk::<L>(own), chunk);
            let masks = [a.at_least(bounds), b.at_least(bounds), c.at_least(bounds), d.at_least(bounds)];
            return L::push_ids(masks, from as u32, out);
        }
        for (i, values) in row[from..].chunks(16).enumerate() {
            let at = from + 16 * i;
            let x = changes.apply(L::load(&padded(values, f32::NEG_INFINITY)), at, values.len());
            // A padded lane equals the bound when that is negative infinity.
            push_ids(x.at_least(bounds) & (u16::MAX >> (16 - values.len())), at as u32, out);
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn positions_with<L: Lanes>(
    row: &[f32],
    changes: Changes<'_>,
    maxima: &[f32],
    bound: f32,
    limit: usize,
    out: &mut Vec<u32>,
) {
    // SAFETY: the caller's duty.
    unsafe {
        let bounds = L::splat(bound);
        let (groups, tail) = maxima.as_chunks::<16>();
        for (g, group) in groups.iter().enumerate() {
            let mut mask = L::load(group).at_least(bounds);
            while mask != 0 {
                scan::<L>(row, changes, 16 * g + mask.trailing_zeros() as usize, bounds, out);
                mask &= mask - 1;
            }
            if out.len() > limit {
                return;
            }
        }
        for (i, &max) in tail.iter().enumerate() {
            if max >= bound {
                scan::<L>(row, changes, 16 * groups.len() + i, bounds, out);
            }
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn zone_with<L: Lanes>(terms: &[f32], from: f32, to: f32, out: &mut Vec<u32>) -> f64 {
    // SAFETY: the caller's duty.
    unsafe {
        out.clear();
        let [from, to] = [L::splat(from), L::splat(to)];
        let mut below = [0.0; 8];
        let (chunks, tail) = terms.as_chunks::<CHUNK>();
        let mut id = 0;
        for chunk in chunks {
            let (mut low, mut masks) = ([L::splat(0.0); 4], [0; 4]);
            for ((low, mask), term) in low.iter_mut().zip(&mut masks).zip(load_chunk::<L>(chunk)) {
                *low = term.keep(term.less(from));
                *mask = term.at_least(from) & term.less(to);
            }
            L::push_ids(masks, id, out);
            id += CHUNK as u32;
            let [a, b, c, d] = low;
            a.add(b).add(c.add(d)).add_to(&mut below);
        }
        for part in tail.chunks(16) {
            // A padded lane counts as nothing below.
            let term = L::load(&padded(part, 0.0));
            term.keep(term.less(from)).add_to(&mut below);
            push_ids(term.at_least(from) & term.less(to) & (u16::MAX >> (16 - part.len())), id, out);
            id += 16;
        }
        below.iter().sum()
    }
}

#[inline(always)]
fn push_ids(mut mask: u16, first: u32, out: &mut Vec<u32>) {
    while mask != 0 {
        out.push(first + mask.trailing_zeros());
        mask &= mask - 1;
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn cut_terms_with<L: Lanes>(terms: &mut [f32], bound: f32, lanes: SumLanes) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        match lanes {
            SumLanes::Sixteen => cut::<L, true>(terms, bound),
            SumLanes::Eight => cut::<L, false>(terms, bound),
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
unsafe fn cut<L: Lanes, const SIXTEEN: bool>(terms: &mut [f32], bound: f32) -> TermSum {
    // SAFETY: the caller's duty.
    unsafe {
        let bound = L::splat(bound);
        let mut sums = Sums::<L, SIXTEEN>::new();
        let (chunks, tail) = terms.as_chunks_mut::<CHUNK>();
        for chunk in chunks {
            let mut kept = [L::splat(0.0); 4];
            for (kept, quarter) in kept.iter_mut().zip(chunk.as_chunks_mut::<16>().0) {
                let term = L::load(quarter);
                *kept = term.keep(term.at_least(bound));
                kept.store(quarter);
            }
            sums.add(kept);
        }
        for part in tail.chunks_mut(16) {
            let term = L::load(&padded(part, 0.0));
            sums.add_last(term.keep(term.at_least(bound)), part);
        }
        sums.finish(terms)
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn divide_above_with<L: Lanes>(
    from: &[f32],
    keys: &[f32],
    bound: f32,
    temperature: f32,
    out: &mut [f32],
) {
    // SAFETY: the caller's duty.
    unsafe {
        let temperatures = L::splat(temperature);
        let (rows, row_tail) = from.as_chunks::<16>();
        let (outs, out_tail) = out.as_chunks_mut::<16>();
        for ((x, out), keys) in rows.iter().zip(outs).zip(keys.as_chunks::<16>().0) {
            L::load(x).div(temperatures).store(out);
            for (out, key) in out.iter_mut().zip(keys) {
                *out = if *key < bound { f32::NEG_INFINITY } else { *out };
            }
        }
        let keys = &keys[from.len() - row_tail.len()..];
        for ((x, out), key) in row_tail.iter().zip(out_tail).zip(keys) {
            *out = if *key < bound { f32::NEG_INFINITY } else { x / temperature };
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn divide_within_with<L: Lanes>(
    from: &[f32],
    low: f32,
    high: f32,
    temperature: f32,
    out: &mut [f32],
) {
    // SAFETY: the caller's duty.
    unsafe {
        let [lows, highs, temperatures] = [L::splat(low), L::splat(high), L::splat(temperature)];
        let nothing = L::splat(f32::NEG_INFINITY);
        let (rows, row_tail) = from.as_chunks::<16>();
        let (outs, out_tail) = out.as_chunks_mut::<16>();
        for (x, out) in rows.iter().zip(outs) {
            let x = L::load(x);
            let kept = x.at_least(lows) & highs.at_least(x);
            nothing.blend(kept, x.div(temperatures)).store(out);
        }
        for (&x, out) in row_tail.iter().zip(out_tail) {
            *out = if x >= low && x <= high { x / temperature } else { f32::NEG_INFINITY };
        }
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn weighted_sum_with<L: Lanes>(row: &[f32], terms: &[f32], temperature: f32, max: f32) -> f64 {
    // SAFETY: the caller's duty.
    unsafe {
        let [temperatures, tops, zero] = [L::splat(temperature), L::splat(max), L::splat(0.0)];
        let mut sums = [0.0; 8];
        let (rows, row_tail) = row.as_chunks::<16>();
        let (groups, tail) = terms.as_chunks::<16>();
        for (x, term) in rows.iter().zip(groups) {
            let term = L::load(term);
            // Zero times negative infinity would be no number.
            let y = tops.blend(zero.less(term), L::load(x).div(temperatures));
            term.add_weighted_to(y, tops, &mut sums);
        }
        if !tail.is_empty() {
            let term = L::load(&padded(tail, 0.0));
            let y = tops.blend(zero.less(term), L::load(&padded(row_tail, 0.0)).div(temperatures));
            term.add_weighted_to(y, tops, &mut sums);
        }
        sums.iter().sum()
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn around_with<L: Lanes>(row: &[f32], terms: &[f32], bounds: [f32; 4], out: &mut Vec<u32>) -> f64 {
    // SAFETY: the caller's duty.
    unsafe {
        out.clear();
        let [a, b, c, d] = [L::splat(bounds[0]), L::splat(bounds[1]), L::splat(bounds[2]), L::splat(bounds[3])];
        let mut sums = [0.0; 8];
        let (rows, row_tail) = row.as_chunks::<16>();
        let (groups, tail) = terms.as_chunks::<16>();
        let mut id = 0;
        for (x, term) in rows.iter().zip(groups) {
            let x = L::load(x);
            L::load(term).keep(x.at_least(b) & x.less(c)).add_to(&mut sums);
            push_ids(x.at_least(a) & x.less(b) | x.at_least(c) & x.less(d), id, out);
            id += 16;
        }
        if !tail.is_empty() {
            let x = L::load(&padded(row_tail, f32::NAN));
            L::load(&padded(tail, 0.0)).keep(x.at_least(b) & x.less(c)).add_to(&mut sums);
            push_ids(x.at_least(a) & x.less(b) | x.at_least(c) & x.less(d), id, out);
        }
        sums.iter().sum()
    }
}

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn scale_with<L: Lanes>(values: &mut [f32], factor: f32) {
    // SAFETY: the caller's duty.
    unsafe {
        let factors = L::splat(factor);
        let (chunks, tail) = values.as_chunks_mut::<16>();
        for chunk in chunks {
            L::load(chunk).mul(factors).store(chunk);
        }
        for value in tail {
            *value *= factor;
        }
    }
}

/// Below one by more than the roundings of a draw, so that a bound from it is a bound.
const RACE_SLACK: f32 = 0.999_999;

/// # Safety
/// The instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn race_with<L: Lanes>(
    words: &[u32],
    p: &[f32],
    mut best: f32,
    candidate: &mut dyn FnMut(usize) -> f32,
) -> f32 {
    // SAFETY: the caller's duty.
    unsafe {
        let unit = RACE_SLACK / (1u32 << 21) as f32;
        let (groups, tail) = words.as_chunks::<32>();
        let mut pair = 0;
        for group in groups {
            let (values, _) = p[pair..pair + 16].as_chunks::<16>();
            let values = L::load(&values[0]);
            // A row starts with the best at -1: everything with a probability may win.
            let mut mask = L::may_win(group, values, L::splat(unit * best.max(0.0)));
            while mask != 0 {
                best = candidate(pair + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
            pair += 16;
        }
        for words in tail.as_chunks::<2>().0 {
            if p[pair] > 0.0 && p[pair] >= (temper(words[0]) & 0x1f_ffff) as f32 * (unit * best.max(0.0)) {
                best = candidate(pair);
            }
            pair += 1;
        }
        best
    }
}

/// The output word of the Mersenne Twister for a state word.
#[inline(always)]
pub fn temper(word: u32) -> u32 {
    let mut y = word;
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

/// Lanes in an array: the oracle, and what the compiler makes vectors of where there is no shell.
#[derive(Clone, Copy)]
pub(super) struct Array([f32; 16]);

impl Array {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i])))
    }
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
    #[inline(always)]
    fn mask(self, other: Self, f: impl Fn(f32, f32) -> bool) -> u16 {
        (0..16).fold(0, |mask, i| mask | u16::from(f(self.0[i], other.0[i])) << i)
    }
}

// SAFETY: safe operations only; `unsafe` is the trait's.
impl Lanes for Array {
    #[inline(always)]
    unsafe fn load(from: &[f32; 16]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    unsafe fn store(self, to: &mut [f32; 16]) {
        *to = self.0;
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], term.0[i])))
    }
    #[inline(always)]
    unsafe fn high(self) -> Self {
        Self(std::array::from_fn(|i| self.0[(i + 8) % 16]))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self, zero: u16) -> Self {
        let power = |e: i32| f32::from_bits(((e + 127) << 23) as u32);
        Self(std::array::from_fn(|i| {
            // Below -104 the result is zero whatever the factors are, so the exponent may be cut off there.
            let q = exponent.0[i].max(-160.0) as i32;
            let value = self.0[i] * power(q >> 1) * power(q - (q >> 1));
            if zero >> i & 1 == 1 { 0.0 } else { value }
        }))
    }
    #[inline(always)]
    unsafe fn keep(self, mask: u16) -> Self {
        Self(std::array::from_fn(|i| if mask >> i & 1 == 1 { self.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn blend(self, mask: u16, other: Self) -> Self {
        Self(std::array::from_fn(|i| if mask >> i & 1 == 1 { other.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn expand(mut self, mut mask: u16, from: &[f32; 16]) -> Self {
        let mut next = from.iter();
        while mask != 0
            && let Some(&value) = next.next()
        {
            self.0[mask.trailing_zeros() as usize] = value;
            mask &= mask - 1;
        }
        self
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> u16 {
        self.mask(other, |a, b| a < b)
    }
    #[inline(always)]
    unsafe fn at_least(self, other: Self) -> u16 {
        self.mask(other, |a, b| a >= b)
    }
    #[inline(always)]
    unsafe fn unordered(self, other: Self) -> u16 {
        self.mask(other, |a, b| a.is_nan() || b.is_nan())
    }
    #[inline(always)]
    unsafe fn add_to(self, sums: &mut [f64; 8]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += f64::from(self.0[i]) + f64::from(self.0[i + 8]);
        }
    }
    #[inline(always)]
    unsafe fn add_weighted_to(self, other: Self, from: Self, sums: &mut [f64; 8]) {
        let product = |i: usize| f64::from(self.0[i]) * (f64::from(other.0[i]) - f64::from(from.0[i]));
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += product(i) + product(i + 8);
        }
    }
    #[inline(always)]
    unsafe fn push_ids(masks: [u16; 4], first: u32, out: &mut Vec<u32>) {
        for (i, mask) in (0..).zip(masks) {
            push_ids(mask, first + 16 * i, out);
        }
    }
    #[inline(always)]
    unsafe fn push_some(ids: &[u32; 16], mask: u16, out: &mut Vec<u32>) {
        out.extend(ids.iter().enumerate().filter(|&(i, _)| mask >> i & 1 == 1).map(|(_, id)| id));
    }
    #[inline(always)]
    unsafe fn of_block(tokens: &[u32; 16], block: &[f32; PENALIZED]) -> Self {
        Self(tokens.map(|token| block[token as usize % PENALIZED]))
    }
    #[inline(always)]
    unsafe fn of_chunks(tokens: &[u32; 16], maxima: &[f32; CHUNK]) -> Self {
        Self(tokens.map(|token| maxima[token as usize / CHUNK % CHUNK]))
    }
    #[inline(always)]
    unsafe fn may_win(words: &[u32; 32], p: Self, scale: Self) -> u16 {
        (0..16).fold(0, |mask, i| {
            let bound = (temper(words[2 * i]) & 0x1f_ffff) as f32 * scale.0[i];
            mask | u16::from(p.0[i] > 0.0 && p.0[i] >= bound) << i
        })
    }
}
