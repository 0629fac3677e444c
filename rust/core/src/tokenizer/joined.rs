//! The tokens of many tasks, one behind the other.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Ragged;
use crate::{
    Result, TokenId,
    encoding::{SPANS, Tokens},
    kernels::{Blank, Fill},
    threads,
};

/// What a task gives: tokens, and where each of its texts ends in them.
#[derive(Default)]
pub(super) struct Done {
    pub(super) tokens: Tokens,
    pub(super) ends: Vec<usize>,
}

/// What waits for the whole text, by the index of its token from the token `first` on.
#[derive(Default)]
pub(super) struct Unsettled {
    pub(super) first: usize,
    /// As [`Tokens::texts`].
    pub(super) texts: Vec<(u32, Box<str>)>,
    /// As [`Tokens::odd_spans`].
    pub(super) odd_spans: Vec<(u32, [u32; 2])>,
}

/// What has been joined so far, and what waits for its turn.
struct Joined<'r> {
    /// The task whose tokens come next.
    next: usize,
    /// Tasks that ended before their turn.
    waiting: BTreeMap<usize, Result<Done>>,
    /// Buffers for the next tasks.
    spare: Vec<Done>,
    ids: Fill<'r, TokenId>,
    spans: Fill<'r, [u32; 2]>,
    /// Number of tokens.
    len: usize,
    row_offsets: &'r mut Vec<i64>,
    unsettled: &'r mut Unsettled,
}

/// Tokens and their place in the result.
type Copying<'r> = (Done, Fill<'r, TokenId>, Fill<'r, [u32; 2]>);

/// Encodes tasks over the threads and puts their tokens behind those of `ragged`. `room` is their number, or more.
///
/// Whoever ends a task copies the tokens whose turn has come while others still encode, and then has their buffer for its next
/// task. So there are hardly more buffers than threads, and they stay in cache: when every task had one of its own, page faults
/// took longer than two threads needed to encode known words.
///
/// # Errors
/// That of the first task that fails.
pub(super) fn join<const LEVEL: u8, T: Sync>(
    tasks: &[T],
    room: usize,
    ragged: &mut Ragged,
    unsettled: &mut Unsettled,
    encode: impl Fn(&T, &mut Done) -> Result<()> + Sync + Send,
) -> Result<()> {
    let len = ragged.values.len();
    let mut ids = Blank::after(std::mem::take(&mut ragged.values), room);
    let spans = ragged.offsets.as_mut().map(std::mem::take).unwrap_or_default();
    let mut spans = Blank::after(spans, if LEVEL >= SPANS { room } else { 0 });
    let joined = Mutex::new(Joined {
        next: 0,
        waiting: BTreeMap::new(),
        spare: Vec::new(),
        ids: ids.part(),
        spans: spans.part(),
        len,
        row_offsets: &mut ragged.row_offsets,
        unsettled,
    });
    threads::in_order(tasks.len(), |task| {
        let mut done = lock(&joined).spare.pop().unwrap_or_default();
        let result = encode(&tasks[task], &mut done).map(|()| done);
        let ready = lock(&joined).end(task, result);
        for (done, mut ids, mut spans) in ready {
            ids.extend(done.tokens.ids(), |&id| id);
            spans.extend(&done.tokens.spans, |&span| span);
            lock(&joined).spare.push(done);
        }
    });
    let mut joined = joined.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut rest = Vec::new();
    for result in std::mem::take(&mut joined.waiting).into_values() {
        let mut done = result?;
        joined.note(&mut done);
        rest.push(done.tokens);
    }
    drop(joined);
    ragged.values = ids.finish_taken();
    for tokens in &rest {
        ragged.values.extend_from_slice(tokens.ids());
    }
    if let Some(offsets) = &mut ragged.offsets {
        *offsets = spans.finish_taken();
        for tokens in &rest {
            offsets.extend_from_slice(&tokens.spans);
        }
    }
    Ok(())
}

fn lock<'m, 'r>(joined: &'m Mutex<Joined<'r>>) -> MutexGuard<'m, Joined<'r>> {
    joined.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'r> Joined<'r> {
    /// Keeps the result of a task; gives out what can be copied now, up to the first error or to tokens that have no room.
    fn end(&mut self, task: usize, result: Result<Done>) -> Vec<Copying<'r>> {
        self.waiting.insert(task, result);
        let mut ready = Vec::new();
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() == self.next
            && entry.get().as_ref().is_ok_and(|done| done.tokens.len() <= self.ids.left())
            && let Ok(mut done) = entry.remove()
        {
            self.next += 1;
            self.note(&mut done);
            let (ids, spans) = (self.ids.take(done.tokens.len()), self.spans.take(done.tokens.spans.len()));
            ready.push((done, ids, spans));
        }
        ready
    }

    /// Counts tokens whose turn has come.
    fn note(&mut self, Done { tokens, ends }: &mut Done) {
        self.row_offsets.extend(ends.drain(..).map(|end| (self.len + end) as i64));
        let base = (self.len - self.unsettled.first) as u32;
        self.unsettled.texts.extend(tokens.texts.drain(..).map(|(i, text)| (base + i, text)));
        self.unsettled.odd_spans.extend(tokens.odd_spans.drain(..).map(|(i, span)| (base + i, span)));
        self.len += tokens.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// Task `n` has `n` tokens `n` in one row, and its last one waits for the whole text.
    fn joined(tasks: &[u32], room: usize, ragged: &mut Ragged) -> Result<Unsettled> {
        let mut unsettled = Unsettled { first: ragged.values.len(), ..Unsettled::default() };
        join::<SPANS, _>(tasks, room, ragged, &mut unsettled, |&n, Done { tokens, ends }| {
            if n == 13 {
                return Err(Error::Interrupted);
            }
            tokens.restart::<SPANS>(1);
            for _ in 0..n {
                tokens.push(n);
                tokens.push_span(n, n + 1);
            }
            ends.push(tokens.len());
            tokens.odd_spans.push((n - 1, [n, n]));
            Ok(())
        })?;
        Ok(unsettled)
    }

    #[test]
    fn tokens_lie_in_the_order_of_tasks_whatever_the_room() {
        let tasks: Vec<u32> = (0..60).map(|i| i * 7 % 11 + 1).collect();
        let total = tasks.iter().sum::<u32>() as usize;
        let ids: Vec<u32> = tasks.iter().flat_map(|&n| (0..n).map(move |_| n)).collect();
        for room in [0, 1, total / 2, total - 1, total, 3 * total] {
            let mut ragged = Ragged { values: vec![99], row_offsets: vec![0, 1], offsets: Some(vec![[0; 2]]) };
            let unsettled = joined(&tasks, room, &mut ragged).expect("no task fails");
            assert_eq!(ragged.values[0], 99);
            assert_eq!(ragged.values[1..], ids);
            let spans: Vec<_> = ids.iter().map(|&n| [n, n + 1]).collect();
            assert_eq!(ragged.offsets.expect("asked for")[1..], spans);
            assert_eq!(ragged.row_offsets.len(), 2 + tasks.len());
            for (i, &n) in tasks.iter().enumerate() {
                assert_eq!(ragged.row_offsets[i + 2] - ragged.row_offsets[i + 1], i64::from(n));
                let (at, span) = unsettled.odd_spans[i];
                assert_eq!((i64::from(at), span), (ragged.row_offsets[i + 2] - 2, [n, n]));
            }
        }
    }

    #[test]
    fn the_first_error_is_returned() {
        let mut ragged = Ragged::default();
        assert!(matches!(joined(&[1, 2, 13, 3], 20, &mut ragged), Err(Error::Interrupted)));
    }
}
