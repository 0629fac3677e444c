//! From logits to the next token: edits, filters and the draw of transformers, on one row at a time.
//!
//! # The way to the hot loop
//!
//! `Sampler::run` (`batch.rs`) → `Plan::filter` (here) runs the ordered steps on [`Candidates`] → a filter reads the
//! row once or twice (`kernels::floats`) and leaves a short list → `draw` (`draw.rs`) steps the generator over the row
//! and makes noise for the survivors alone (`rng/torch.rs`).

// Integers that become numbers here are lengths, or fit the mantissa on purpose.
#![allow(clippy::cast_precision_loss)]

mod batch;
pub mod candidates;
mod draw;
pub mod edits;
pub mod error;
pub mod filters;
pub mod guidance;
pub mod rng;
pub mod seen;
pub mod softmax;
pub mod speech;
mod turns;
pub mod watermarks;

pub use batch::{Logits, Output, Random, Request, RowOptions, Sampler, ScoresOutput, TopLogprobs};
pub use candidates::{Arithmetic, Candidates, Patch, Scratch};
pub use draw::{Distribution, Drawn, Noise, multinomial};
pub use edits::{Bias, Contexts, Edit, EditScratch, History, ordered_biases};
pub use error::{Error, Result, RowFault};
pub use filters::Filter;
pub use guidance::Mix;
pub use seen::Seen;
pub use speech::Timestamps;
pub use watermarks::{GreenList, Mark, SynthId};

use crate::kernels::Isa;

/// One step between logits and the distribution.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Changes values.
    Edit(Edit),
    /// Cuts the distribution down or scales it.
    Filter(Filter),
}

/// Ordered steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether a step counts the tokens of a context.
    fn counts_tokens(&self) -> bool {
        self.edits().any(Edit::counts_tokens)
    }

    fn edits(&self) -> impl Iterator<Item = &Edit> {
        self.steps.iter().filter_map(|step| match step {
            Step::Edit(edit) => Some(edit),
            Step::Filter(_) => None,
        })
    }

    /// Counts the tokens of the contexts that steps look at.
    ///
    /// # Errors
    /// Those of edits.
    pub fn count(&self, history: &History<'_>, isa: Isa, vocabulary: usize, contexts: &mut Contexts) -> Result<()> {
        contexts.begin();
        self.edits().try_for_each(|edit| edit.count(history, isa, vocabulary, contexts))
    }

    /// Runs the steps on one row, whose contexts are counted.
    ///
    /// # Errors
    /// Those of edits.
    pub fn filter<'a>(
        &self,
        row: &mut Candidates<'a>,
        history: &History<'_>,
        contexts: &'a Contexts,
        scratch: &mut EditScratch,
    ) -> Result<()> {
        let mut steps = &self.steps[..];
        while let Some((step, rest)) = steps.split_first() {
            steps = rest;
            match step {
                Step::Edit(edit) => match edit.penalty(history) {
                    // Penalties of the same tokens that follow each other visit them once.
                    Some((context, _, rule)) => {
                        let mut rules = vec![rule];
                        while let Some((Step::Edit(next), rest)) = steps.split_first()
                            && let Some((same, _, rule)) = next.penalty(history)
                            && same == context
                        {
                            rules.push(rule);
                            steps = rest;
                        }
                        row.penalize(contexts.of(context), &rules);
                    }
                    None => edit.apply(row, history, scratch)?,
                },
                Step::Filter(filter) => filter.apply(row),
            }
        }
        Ok(())
    }
}
