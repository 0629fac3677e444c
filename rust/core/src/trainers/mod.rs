//! Learns a `model` from text.
//!
//! Text arrives already normalized and split: [`WordCounter`] takes it through a callback, on all cores, and gives the
//! [`Words`] of a corpus with their counts, sorted. Everything after that works on the distinct words and is a function
//! of them alone, so that neither the number of threads nor the order of the texts can change a result.
//!
//! [`BpeTrainer`] follows the reference token by token, [`WordPieceTrainer`] is the same with a prefix,
//! [`WordLevelTrainer`] keeps the most frequent words and [`UnigramTrainer`] runs expectation maximization.

mod bpe;
mod long_word;
mod pair_counts;
mod queue;
mod unigram;
mod word_counts;
mod wordlevel;
mod wordpiece;

use std::time::{Duration, Instant};

pub use bpe::{BpeTrainer, TrainedBpe};
pub use unigram::{TrainedUnigram, UnigramTrainer};
pub use word_counts::{WordCounter, WordCounts, Words};
pub use wordlevel::WordLevelTrainer;
pub use wordpiece::WordPieceTrainer;

use crate::{Error, Result, vocab::MAX_TOKEN_ID};

/// How far a trainer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does, in a few words.
    pub stage: &'static str,
    /// Steps done.
    pub done: usize,
    /// Steps there are; an estimate in some stages.
    pub total: usize,
}

/// Where a trainer reports, and hears whether to stop.
pub struct Watch<'a> {
    report: &'a mut dyn FnMut(Progress) -> bool,
    stage: &'static str,
    last: Instant,
}

impl<'a> Watch<'a> {
    /// Time between two reports of one stage: often enough for a person to see movement and for Ctrl-C to feel prompt.
    const INTERVAL: Duration = Duration::from_millis(50);

    /// Reports to `report`, which returns true to stop.
    pub fn new(report: &'a mut dyn FnMut(Progress) -> bool) -> Self {
        Self { report, stage: "", last: Instant::now() }
    }

    /// Reports if a stage begins or ends, or if the last report is some time ago.
    fn step(&mut self, stage: &'static str, done: usize, total: usize) -> Result<()> {
        if self.stage == stage && done < total && self.last.elapsed() < Self::INTERVAL {
            return Ok(());
        }
        self.stage = stage;
        let stop = (self.report)(Progress { stage, done, total });
        self.last = Instant::now();
        if stop { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// Refuses a vocabulary that ids cannot number.
fn check_vocab_size(vocab_size: usize) -> Result<()> {
    let limit = MAX_TOKEN_ID as usize + 1;
    if vocab_size > limit {
        return Err(Error::Limit { what: "vocab_size", found: vocab_size, limit });
    }
    Ok(())
}
