//! One row on its way from logits to a draw: the whole row at first, a short list once a filter has cut it down.

use crate::kernels::{
    Isa,
    floats::{self, BEHIND, CHUNK, Changes, Extent, Penalized, Rule, SumLanes, TermSum, Terms},
};

use super::error::RowFault;
use super::seen::Seen;
use super::softmax;

/// Lists longer than this stay a row: passes over it are then quicker than work on a list.
pub(crate) const LONGEST_LIST: usize = 4096;

/// How far the largest logit may lie above the largest value after penalties, after the temperature, for sums to be corrected.
const FAR: f32 = 4.0;

/// Whether a token is in the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is.
    Kept,
    /// It depends on a rounding or a tie inside torch; by our arithmetic it is.
    OpenKept,
    /// It depends on a rounding or a tie inside torch; by our arithmetic it is not.
    OpenRemoved,
}

impl Place {
    /// A place that depends on torch.
    pub fn open(kept: bool) -> Self {
        if kept { Self::OpenKept } else { Self::OpenRemoved }
    }

    /// Whether the place depends on torch.
    pub fn is_open(self) -> bool {
        self != Self::Kept
    }
}

/// Buffers that rows share, one after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The row, once it differs from the logits; or those of its values that do.
    pub(crate) values: Vec<f32>,
    /// While the row is that of the logits but for a few values: those of the tokens seen, and a bit for each token whose
    /// value stands in `values`; no bits if there is none.
    penalized: Vec<f32>,
    stored: Vec<u64>,
    /// The logits of the tokens seen, and the terms of their values after penalties.
    seen_logits: Vec<f32>,
    seen_terms: Vec<f32>,
    /// Chunks whose maximum a change may have moved.
    moved: Vec<u32>,
    /// Maxima of chunks of the row.
    pub(crate) maxima: Vec<f32>,
    /// Terms of the row's softmax, or its probabilities.
    pub(crate) terms: Vec<f32>,
    /// The list: ascending ids, values and places.
    pub(crate) ids: Vec<u32>,
    pub(crate) ys: Vec<f32>,
    pub(crate) places: Vec<Place>,
    /// Terms of the list's softmax, or its probabilities.
    pub(crate) list_terms: Vec<f32>,
    /// Positions of the list in another order.
    pub(crate) order: Vec<u32>,
    pub(crate) floats: Vec<f32>,
}

/// How a row is computed.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    /// Instruction set.
    pub isa: Isa,
    /// Order of torch's sums.
    pub lanes: SumLanes,
    /// Sorts whole rows where a bound on torch's rounding would leave tokens open.
    pub exact: bool,
}

/// One row.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says where a part of the row stands")]
pub struct Candidates<'a> {
    pub(crate) arithmetic: Arithmetic,
    logits: &'a [f32],
    pub(crate) scratch: &'a mut Scratch,
    copied: bool,
    /// A few values differ from the logits, those that are marked.
    marked: bool,
    /// The tokens whose values stand in `scratch.penalized`.
    seen: Option<&'a Seen>,
    /// The largest of the logits, once a few values differ from them.
    top_logit: f32,
    /// The values are still to be divided by this (a row only).
    pub(crate) temperature: f32,
    extent: Option<Extent>,
    terms: Option<TermSum>,
    /// `scratch.terms` holds those of the logits for the tokens seen, whose own stand in `scratch.seen_terms`.
    terms_apart: bool,
    listed: bool,
    /// Tokens of a row whose place is open, ascending.
    pub(crate) open_ids: Vec<(u32, Place)>,
    /// Whether torch itself has to be asked for this row.
    pub(crate) uncertain: bool,
    /// Tokens without a term are removed, although the row still has their values.
    cut: bool,
}

impl<'a> Candidates<'a> {
    /// All tokens of a row.
    pub fn new(logits: &'a [f32], arithmetic: Arithmetic, scratch: &'a mut Scratch) -> Self {
        Self {
            arithmetic,
            logits,
            scratch,
            copied: false,
            marked: false,
            seen: None,
            top_logit: f32::INFINITY,
            temperature: 1.0,
            extent: None,
            terms: None,
            terms_apart: false,
            listed: false,
            open_ids: Vec::new(),
            uncertain: false,
            cut: false,
        }
    }

    /// Size of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.logits.len()
    }

    /// The list's ids and values, once there is a list.
    pub fn list(&self) -> Option<(&[u32], &[f32])> {
        self.listed.then_some((&*self.scratch.ids, &*self.scratch.ys))
    }

    /// Whether the row has become a list.
    pub fn is_list(&self) -> bool {
        self.listed
    }

    /// Whether the row's values are in the buffer rather than in the logits.
    pub(crate) fn is_copied(&self) -> bool {
        self.copied
    }

    /// The first token with the largest value.
    ///
    /// # Errors
    /// [`RowFault`] for a row without a distribution.
    pub fn greedy(&mut self) -> Result<u32, RowFault> {
        if !self.listed && !self.cut && self.extent.is_none() && !is_not_one(self.temperature) && self.vocabulary() > 0
        {
            let (at, extent) = floats::argmax(self.arithmetic.isa, self.row());
            return fault_of(if extent.nan { f32::NAN } else { extent.max }).map(|()| at as u32);
        }
        self.check().map(|()| self.argmax())
    }

    fn argmax(&mut self) -> u32 {
        self.finish_cut();
        let max = self.max();
        if let Some((ids, ys)) = self.list() {
            return ids[ys.iter().position(|&y| y >= max).unwrap_or_default()];
        }
        let top = self.extent().max;
        let chunk = self.scratch.maxima.iter().position(|&value| value >= top).unwrap_or_default();
        let from = chunk * CHUNK;
        let temperature = self.temperature;
        if is_not_one(temperature) {
            // Division may make smaller values equal to the largest.
            return self.row().iter().position(|&value| value / temperature >= max).unwrap_or_default() as u32;
        }
        let values = self.values();
        (from..self.vocabulary()).find(|&id| values.of(id) >= top).unwrap_or_default() as u32
    }

    /// The row's values, before the temperature and before a cut by terms.
    pub(crate) fn row(&mut self) -> &[f32] {
        if self.marked {
            self.own();
        }
        if self.copied { &self.scratch.values } else { self.logits }
    }

    /// The same, one by one.
    pub(crate) fn values(&self) -> Values<'_> {
        let (base, changes) = self.parts();
        Values { base, changes }
    }

    /// The row that the values come from, and what was changed in it.
    fn parts(&self) -> (&[f32], Changes<'_>) {
        let Scratch { values, penalized, stored, .. } = &*self.scratch;
        if self.copied {
            (values, Changes::default())
        } else if self.marked {
            (self.logits, changes(self.seen, penalized, stored, values))
        } else {
            (self.logits, Changes::default())
        }
    }

    /// Puts the row's values into the buffer.
    fn own(&mut self) {
        if self.marked {
            let mut buffer = std::mem::take(&mut self.scratch.floats);
            buffer.resize(self.logits.len(), 0.0);
            let (row, changes) = self.parts();
            floats::write_changed(self.arithmetic.isa, row, changes, &mut buffer);
            self.scratch.floats = std::mem::replace(&mut self.scratch.values, buffer);
        } else if !self.copied {
            self.scratch.values.clear();
            self.scratch.values.extend_from_slice(self.logits);
        }
        (self.copied, self.marked) = (true, false);
    }

    /// Makes a list a row again.
    pub(crate) fn spread(&mut self) {
        if !self.listed {
            return;
        }
        let Scratch { values, ids, ys, places, .. } = &mut *self.scratch;
        values.clear();
        values.resize(self.logits.len(), f32::NEG_INFINITY);
        for (&id, &y) in ids.iter().zip(&*ys) {
            values[id as usize] = y;
        }
        self.open_ids.clear();
        self.open_ids
            .extend(ids.iter().zip(&*places).filter(|(_, place)| place.is_open()).map(|(&id, &place)| (id, place)));
        (self.listed, self.copied, self.marked, self.temperature) = (false, true, false, 1.0);
        (self.extent, self.terms) = (None, None);
    }

    /// The row's values after the temperature, to change: what was kept so far, negative infinity elsewhere.
    pub fn edit(&mut self) -> &mut [f32] {
        self.spread();
        self.finish_cut();
        // An open token cannot be followed through an edit.
        self.settle();
        self.own();
        let temperature = std::mem::replace(&mut self.temperature, 1.0);
        if is_not_one(temperature) {
            self.scratch.values.iter_mut().for_each(|value| *value /= temperature);
        }
        (self.extent, self.terms) = (None, None);
        &mut self.scratch.values
    }

    /// The row's values after the temperature, to change a few of them: they are marked, the others stay where they are.
    pub fn patch(&mut self) -> Patch<'_, 'a> {
        if self.listed || self.cut || self.has_open() || is_not_one(self.temperature) {
            self.edit();
        }
        let top = self.top().max;
        self.terms = None;
        let isa = self.arithmetic.isa;
        let Scratch { values, maxima, penalized, stored, moved, .. } = &mut *self.scratch;
        values.resize(self.logits.len(), 0.0);
        if !self.copied && !self.marked {
            stored.clear();
            (self.marked, self.seen, self.top_logit) = (true, None, top);
        }
        let base = (!self.copied).then_some(Base { logits: self.logits, seen: &mut self.seen, penalized, stored });
        Patch { isa, base, values, maxima, moved, extent: &mut self.extent }
    }

    /// Gives each token seen the value that the rules, one after the other, make of its own, after the temperature.
    pub fn penalize(&mut self, seen: &'a Seen, rules: &[Rule]) {
        let untouched = !(self.listed || self.copied || self.marked || self.cut || is_not_one(self.temperature));
        if !untouched || !rules.iter().all(|rule| rule.is_tame()) {
            return self.patch().replace(seen, rules);
        }
        let Scratch { maxima, penalized, seen_logits, stored, moved, .. } = &mut *self.scratch;
        let listed = seen.listed();
        stored.clear();
        maxima.resize(self.logits.len().div_ceil(CHUNK), 0.0);
        seen_logits.resize(listed.tokens.len(), 0.0);
        penalized.resize(listed.tokens.len() + BEHIND, 0.0);
        let isa = self.arithmetic.isa;
        let values = Penalized { before: seen_logits, after: penalized, moved };
        let (top, extent) = floats::penalize(isa, self.logits, listed, rules, maxima, values);
        self.scratch.moved.clear();
        (self.marked, self.seen, self.top_logit, self.extent) = (true, Some(seen), top, Some(extent));
        self.terms = None;
    }

    /// Puts open tokens where our arithmetic has them; the row is then uncertain if there were any.
    pub fn settle(&mut self) {
        if !self.has_open() {
            return;
        }
        self.uncertain = true;
        if self.listed {
            let places = std::mem::take(&mut self.scratch.places);
            self.scratch.places.resize(places.len(), Place::Kept);
            self.retain(|i, _, _| places[i] != Place::OpenRemoved);
        } else {
            self.finish_cut();
            let open = std::mem::take(&mut self.open_ids);
            self.own();
            for (id, place) in open {
                if place == Place::OpenRemoved {
                    self.scratch.values[id as usize] = f32::NEG_INFINITY;
                }
            }
            (self.extent, self.terms) = (None, None);
        }
    }

    /// Divides all values.
    pub fn divide(&mut self, temperature: f32) {
        if self.listed {
            self.scratch.ys.iter_mut().for_each(|y| *y /= temperature);
        } else {
            self.finish_cut();
            if is_not_one(self.temperature) {
                self.edit();
            }
            self.temperature = temperature;
            self.terms = None;
        }
    }

    /// Maxima of the row; none for a list.
    pub(crate) fn extent(&mut self) -> Extent {
        self.finish_cut();
        self.top()
    }

    /// The largest value of a row before the temperature; a cut has not taken it.
    pub(crate) fn top(&mut self) -> Extent {
        if let Some(extent) = self.extent {
            return extent;
        }
        if self.marked {
            self.own();
        }
        let Scratch { values, maxima, .. } = &mut *self.scratch;
        let row = if self.copied { &**values } else { self.logits };
        maxima.resize(row.len().div_ceil(CHUNK), 0.0);
        let extent = floats::maxima(self.arithmetic.isa, row, maxima);
        self.extent = Some(extent);
        extent
    }

    /// Why the row has no distribution, if it has none.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&mut self) -> Result<(), RowFault> {
        let max = if self.listed {
            self.scratch.ys.iter().copied().fold(f32::NEG_INFINITY, f32::max)
        } else {
            let extent = self.top();
            if extent.nan {
                return Err(RowFault::Nan);
            }
            extent.max / self.temperature
        };
        fault_of(max)
    }

    /// The largest value, after the temperature.
    pub(crate) fn max(&mut self) -> f32 {
        if self.listed {
            self.scratch.ys.iter().copied().fold(f32::NEG_INFINITY, f32::max)
        } else {
            self.top().max / self.temperature
        }
    }

    /// Terms of the softmax (`scratch.terms` for a row, `scratch.list_terms` for a list) and their sums.
    pub(crate) fn terms(&mut self) -> TermSum {
        let max = self.max();
        if self.listed {
            let size = self.logits.len();
            let Scratch { ids, ys, list_terms, .. } = &mut *self.scratch;
            softmax::exp_terms(self.arithmetic, ys, max, list_terms);
            let terms = ids.iter().zip(&*list_terms).map(|(&id, &term)| (id as usize, term));
            let torch = softmax::torch_sum(terms, size, self.arithmetic.lanes);
            return TermSum { torch, wide: list_terms.iter().map(|&term| f64::from(term)).sum() };
        }
        if let Some(terms) = self.terms {
            return terms;
        }
        let mut terms = std::mem::take(&mut self.scratch.terms);
        terms.resize(self.logits.len(), 0.0);
        let Arithmetic { isa, lanes, .. } = self.arithmetic;
        let (row, changes) = self.parts();
        let sums =
            floats::exp_terms(isa, row, changes, Terms { temperature: self.temperature, max, lanes }, &mut terms);
        self.scratch.terms = terms;
        (self.terms, self.terms_apart) = (Some(sums), false);
        sums
    }

    /// The double sum of the terms of a row's softmax, and what its error is relative to. What penalties change is taken out of
    /// the sum over the logits and put in anew, which takes less than to do so in the pass: among the terms themselves at
    /// once if `whole`, else only when [`Candidates::finish_terms`] or [`Candidates::finish_terms_found`] is called.
    pub(crate) fn wide_terms(&mut self, whole: bool) -> (f64, f64) {
        let max = self.max();
        let few = match self.seen {
            // Terms of logits far above the largest value would bury the others in the sum.
            Some(seen) if self.marked && self.terms.is_none() && self.scratch.stored.is_empty() => {
                (self.top_logit / self.temperature - max <= FAR).then_some(seen)
            }
            _ => None,
        };
        let Some(seen) = few else {
            let sum = self.terms().wide;
            return (sum, sum);
        };
        let Arithmetic { isa, lanes, .. } = self.arithmetic;
        let sum = |row: &[f32], terms: &mut [f32]| {
            floats::exp_terms(isa, row, Changes::default(), Terms { temperature: self.temperature, max, lanes }, terms)
                .wide
        };
        let Scratch { terms, penalized, seen_logits, seen_terms: new, .. } = &mut *self.scratch;
        terms.resize(self.logits.len(), 0.0);
        new.resize(seen.tokens().len(), 0.0);
        let (all, removed, added) = if whole {
            let added = sum(&penalized[..new.len()], new);
            let how = Terms { temperature: self.temperature, max, lanes };
            let (all, removed) = floats::exp_terms_around(isa, self.logits, seen.listed(), new, how, terms);
            (all, removed, added)
        } else {
            (sum(self.logits, terms), sum(seen_logits, new), sum(&penalized[..new.len()], new))
        };
        self.terms_apart = !whole;
        (all - removed + added, all + removed + added)
    }

    /// Puts the terms of the tokens seen among those of the row.
    pub(crate) fn finish_terms(&mut self) {
        if std::mem::take(&mut self.terms_apart)
            && let Some(seen) = self.seen
        {
            let Scratch { terms, seen_terms, .. } = &mut *self.scratch;
            for (&token, &term) in seen.tokens().iter().zip(&*seen_terms) {
                terms[token as usize] = term;
            }
        }
    }

    /// The same for the ids that stand where the list will be.
    pub(crate) fn finish_terms_found(&mut self) {
        if self.terms_apart
            && let Some(seen) = self.seen
        {
            let Scratch { terms, seen_terms, ids, .. } = &mut *self.scratch;
            for &id in &*ids {
                if let Some(slot) = seen.slot_of(id) {
                    terms[id as usize] = seen_terms[slot];
                }
            }
        }
    }

    /// Makes the row a list of the tokens with a value (before the temperature) of at least `bound`; -inf is left out.
    pub(crate) fn gather(&mut self, bound: f32) {
        self.find(bound, usize::MAX);
        self.list_found();
    }

    /// About how many values are at least `bound`: as many as would leave so many chunks without one if they fell on chunks at
    /// random.
    pub(crate) fn guess_at_least(&mut self, bound: f32) -> f64 {
        self.extent();
        let (all, without) =
            (self.chunks() as f64, self.scratch.maxima.iter().filter(|&&max| max < bound).count() as f64);
        all * (all / without).ln()
    }

    /// Puts the ids with a value of at least `bound` where the list will be; false if there are more than `limit`.
    pub(crate) fn find(&mut self, bound: f32, limit: usize) -> bool {
        self.extent();
        let mut ids = std::mem::take(&mut self.scratch.ids);
        ids.clear();
        let (row, changes) = self.parts();
        let (isa, maxima) = (self.arithmetic.isa, &self.scratch.maxima);
        floats::positions_at_least(isa, row, changes, maxima, bound.max(f32::MIN), limit, &mut ids);
        self.scratch.ids = ids;
        self.scratch.ids.len() <= limit
    }

    /// Makes a list of the ids that stand where the list will be.
    pub(crate) fn list_found(&mut self) {
        let mut ys = std::mem::take(&mut self.scratch.ys);
        let (values, temperature) = (self.values(), self.temperature);
        ys.clear();
        ys.extend(self.scratch.ids.iter().map(|&id| values.of(id as usize) / temperature));
        let Scratch { ids, places, .. } = &mut *self.scratch;
        places.clear();
        places.resize(ids.len(), Place::Kept);
        for &(id, place) in &self.open_ids {
            if let Ok(i) = ids.binary_search(&id) {
                places[i] = place;
            }
        }
        self.scratch.ys = ys;
        self.open_ids.clear();
        self.listed = true;
        self.temperature = 1.0;
    }

    /// Number of chunks of the row.
    pub(crate) fn chunks(&self) -> usize {
        self.logits.len().div_ceil(CHUNK)
    }

    /// Keeps the tokens of the list whose flag says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(usize, u32, f32) -> bool) {
        let Scratch { ids, ys, places, .. } = &mut *self.scratch;
        let mut kept = 0;
        for i in 0..ids.len() {
            if keep(i, ids[i], ys[i]) {
                (ids[kept], ys[kept], places[kept]) = (ids[i], ys[i], places[i]);
                kept += 1;
            }
        }
        ids.truncate(kept);
        ys.truncate(kept);
        places.truncate(kept);
    }

    /// Removes tokens of a row whose term lies below `bound`, which is positive. The values follow when they are needed.
    pub(crate) fn cut_terms(&mut self, bound: f32) {
        debug_assert!(bound > 0.0, "terms say what is removed");
        let Arithmetic { isa, lanes, .. } = self.arithmetic;
        self.terms = Some(floats::cut_terms(isa, &mut self.scratch.terms, bound, lanes));
        self.cut = true;
    }

    /// Removes values (before the temperature) outside of `low..=high`. The largest may go, so the terms are new ones.
    pub(crate) fn cut_values(&mut self, low: f32, high: f32) {
        let isa = self.arithmetic.isa;
        if self.marked {
            self.own();
        }
        let Scratch { values, floats: buffer, .. } = &mut *self.scratch;
        let row = if self.copied { &**values } else { self.logits };
        buffer.resize(row.len(), 0.0);
        floats::divide_within(isa, row, low, high, self.temperature, buffer);
        std::mem::swap(values, buffer);
        (self.copied, self.temperature) = (true, 1.0);
        (self.extent, self.terms) = (None, None);
    }

    /// Sum of each term times its value's distance from the largest: what is needed for the entropy.
    pub(crate) fn weighted_sum(&mut self) -> f64 {
        let max = self.max();
        self.terms();
        let terms = std::mem::take(&mut self.scratch.terms);
        let (isa, temperature) = (self.arithmetic.isa, self.temperature);
        let sum = floats::weighted_sum(isa, self.row(), &terms, temperature, max);
        self.scratch.terms = terms;
        sum
    }

    /// Puts the ids with values (before the temperature) in `bounds[0]..bounds[1]` or `bounds[2]..bounds[3]` where the list
    /// will be, and sums the terms of the values between the two.
    pub(crate) fn find_around(&mut self, bounds: [f32; 4]) -> f64 {
        let (isa, mut ids) = (self.arithmetic.isa, std::mem::take(&mut self.scratch.ids));
        let terms = std::mem::take(&mut self.scratch.terms);
        let sum = floats::around(isa, self.row(), &terms, bounds, &mut ids);
        (self.scratch.ids, self.scratch.terms) = (ids, terms);
        sum
    }

    /// Whether the terms, not the values, say what is removed.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Gives a cut row its values: `y` where there is a term, negative infinity elsewhere. The terms stay those of the row.
    pub(crate) fn finish_cut(&mut self) {
        if !std::mem::take(&mut self.cut) {
            return;
        }
        if self.marked {
            self.own();
        }
        let Scratch { values, terms, floats: buffer, .. } = &mut *self.scratch;
        let row = if self.copied { &**values } else { self.logits };
        buffer.resize(row.len(), 0.0);
        let least = f32::from_bits(1);
        floats::divide_above(self.arithmetic.isa, row, terms, least, self.temperature, buffer);
        std::mem::swap(values, buffer);
        self.copied = true;
        self.temperature = 1.0;
        self.extent = None;
    }

    /// Whether some token's place is open.
    pub(crate) fn has_open(&self) -> bool {
        if self.listed { self.scratch.places.iter().any(|place| place.is_open()) } else { !self.open_ids.is_empty() }
    }

    /// Writes the scores of the row: the values of what was kept, negative infinity elsewhere.
    pub fn write_scores(&mut self, out: &mut [f32]) {
        self.settle();
        self.finish_cut();
        if self.listed {
            out.fill(f32::NEG_INFINITY);
            for (&id, &y) in self.scratch.ids.iter().zip(&self.scratch.ys) {
                out[id as usize] = y;
            }
        } else {
            let temperature = self.temperature;
            if is_not_one(temperature) {
                out.iter_mut().zip(self.row()).for_each(|(out, &value)| *out = value / temperature);
            } else {
                out.copy_from_slice(self.row());
            }
        }
    }
}

/// The values of a row, one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'v> {
    base: &'v [f32],
    changes: Changes<'v>,
}

impl Values<'_> {
    /// The value of a token.
    #[inline]
    pub(crate) fn of(&self, id: usize) -> f32 {
        self.changes.value(id, self.base[id])
    }
}

fn changes<'c>(seen: Option<&'c Seen>, penalized: &'c [f32], stored: &'c [u64], own: &'c [f32]) -> Changes<'c> {
    let (listed, starts) = seen.map_or((&[][..], &[][..]), |seen| (seen.words(), seen.starts()));
    Changes { listed, starts, values: penalized, stored, own }
}

/// Logits of which a few values are changed, and what was changed.
#[derive(Debug)]
struct Base<'p, 'a> {
    logits: &'p [f32],
    seen: &'p mut Option<&'a Seen>,
    penalized: &'p mut Vec<f32>,
    stored: &'p mut Vec<u64>,
}

/// Values of a row of which a few are changed, without another pass over the rest.
#[derive(Debug)]
pub struct Patch<'p, 'a> {
    isa: Isa,
    /// None if the values are all in the buffer.
    base: Option<Base<'p, 'a>>,
    values: &'p mut [f32],
    maxima: &'p mut [f32],
    /// Chunks whose maximum has to be looked for, when all changes are made.
    moved: &'p mut Vec<u32>,
    extent: &'p mut Option<Extent>,
}

impl Patch<'_, '_> {
    /// Size of the vocabulary.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn parts(&self) -> (&[f32], Changes<'_>) {
        match &self.base {
            Some(Base { logits, seen, penalized, stored }) => (logits, changes(**seen, penalized, stored, self.values)),
            None => (self.values, Changes::default()),
        }
    }

    /// A value; none beyond the vocabulary.
    pub fn get(&self, id: usize) -> Option<f32> {
        let (row, changes) = self.parts();
        row.get(id).map(|&own| changes.value(id, own))
    }

    /// Changes a value.
    ///
    /// # Panics
    /// If the id lies beyond the vocabulary.
    #[inline]
    pub fn set(&mut self, id: usize, value: f32) {
        let old = self.get(id).expect("the id is one of the vocabulary");
        self.values[id] = value;
        if let Some(Base { logits, stored, .. }) = &mut self.base {
            stored.resize(logits.len().div_ceil(CHUNK), 0);
            stored[id / CHUNK] |= 1 << (id % CHUNK);
        }
        if old.is_nan() || value.is_nan() {
            *self.extent = None;
        }
        note(&mut self.maxima[id / CHUNK], self.moved, id as u32, |max| old >= max || value > max);
    }

    /// Gives each token seen the value that the rules make of its own.
    fn replace(&mut self, seen: &Seen, rules: &[Rule]) {
        let Self { base, maxima, moved, .. } = self;
        let (before, penalized) = match base {
            Some(Base { seen: Some(before), penalized, stored, .. })
                if rules.iter().all(|rule| rule.is_tame()) && stored.is_empty() && before.has_all_of(seen) =>
            {
                (*before, penalized)
            }
            _ => return self.replace_one_by_one(seen, rules),
        };
        for (&token, &count) in seen.tokens().iter().zip(seen.counts()) {
            let value = &mut penalized[before.slot_of(token).expect("the tokens are among those of the list")];
            let old = std::mem::replace(value, rules.iter().fold(*value, |x, rule| rule.of(x, count)));
            note(&mut maxima[token as usize / CHUNK], moved, token, |max| old >= max || *value > max);
        }
    }

    fn replace_one_by_one(&mut self, seen: &Seen, rules: &[Rule]) {
        for (&token, &count) in seen.tokens().iter().zip(seen.counts()) {
            let x = self.get(token as usize).expect("the tokens seen are those of the vocabulary");
            self.set(token as usize, rules.iter().fold(x, |x, rule| rule.of(x, count)));
        }
    }
}

/// Notes that the maximum of the token's chunk is another one, if `moves` says so of it.
#[inline(always)]
fn note(max: &mut f32, moved: &mut Vec<u32>, token: u32, moves: impl FnOnce(f32) -> bool) {
    if moves(*max) {
        // Once for each chunk, since nothing compares with NaN.
        *max = f32::NAN;
        moved.push(token / CHUNK as u32);
    }
}

impl Drop for Patch<'_, '_> {
    fn drop(&mut self) {
        if self.extent.is_some() {
            let moved = std::mem::take(self.moved);
            let mut maxima = std::mem::take(&mut self.maxima);
            let (row, changes) = self.parts();
            floats::renew_maxima(self.isa, row, changes, &moved, maxima);
            *self.moved = moved;
            if let Some(extent) = self.extent {
                extent.max = floats::largest_of(maxima);
            }
            std::mem::swap(&mut self.maxima, &mut maxima);
        }
        self.moved.clear();
    }
}

/// Why a row with this maximum has no distribution, if it has none.
fn fault_of(max: f32) -> Result<(), RowFault> {
    if max.is_nan() {
        Err(RowFault::Nan)
    } else if max == f32::INFINITY {
        Err(RowFault::Infinite)
    } else if max == f32::NEG_INFINITY {
        Err(RowFault::AllMasked)
    } else {
        Ok(())
    }
}

/// A temperature that changes values.
pub(crate) fn is_not_one(temperature: f32) -> bool {
    temperature.to_bits() != 1f32.to_bits()
}
