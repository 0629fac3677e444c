//! Classifier-free guidance: the scores of a row mixed with those of a second pass of the model.

use crate::kernels::floats::SumLanes;

use super::{
    candidates::{Candidates, Scratch},
    error::{Error, Result},
    filters::{Filter, kth_largest},
};

/// How the two are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mix {
    /// From the second pass towards the row.
    FromGuide,
    /// From the row, away from the second pass; with a number, the row itself, of which the largest mixed values are kept.
    FromRow(Option<usize>),
    /// In log-probabilities, which the row's are already.
    Logs,
    /// The same with those of the second pass given too.
    OfLogs,
}

/// Mixes a row with its second pass.
///
/// # Errors
/// [`Error::Length`] without a second pass of the same length, or for more tokens to keep than there are.
pub fn apply(row: &mut Candidates<'_>, mix: Mix, scale: f32, guide: Option<&[f32]>) -> Result<()> {
    let lanes = row.arithmetic.lanes;
    let values = row.edit();
    let guide = guide.unwrap_or_default();
    if guide.len() != values.len() {
        return Err(Error::Length { what: "the guide's row", found: guide.len(), expected: values.len() });
    }
    let mixed = |mix: fn(f32, f32, f32) -> f32, values: &mut [f32], guide: &[f32]| {
        values.iter_mut().zip(guide).for_each(|(x, &guide)| *x = mix(*x, guide, scale));
    };
    match mix {
        Mix::FromGuide => mixed(|x, guide, scale| guide + (x - guide) * scale, values, guide),
        Mix::FromRow(None) => mixed(away, values, guide),
        Mix::FromRow(Some(k)) => {
            if k > values.len() {
                return Err(Error::Length { what: "the tokens that guidance keeps", found: k, expected: values.len() });
            }
            let mut mixed: Vec<f32> = values.iter().zip(guide).map(|(&x, &guide)| away(x, guide, scale)).collect();
            let has_nan = mixed.iter().any(|value| value.is_nan());
            let least = kth_largest(&mixed, k, &mut Vec::new());
            let (mut above, mut ties) = (0, 0);
            for &value in &mixed {
                above += usize::from(value > least);
                ties += usize::from(equal(value, least));
            }
            // Of equal values torch keeps any; by our arithmetic the first stay.
            let mut left = k.saturating_sub(above);
            for (x, value) in values.iter_mut().zip(&mut mixed) {
                let tied = equal(*value, least);
                if tied && left > 0 {
                    left -= 1;
                } else if tied || *value < least {
                    *x = f32::NEG_INFINITY;
                }
            }
            row.uncertain |= has_nan || above + ties > k;
        }
        Mix::Logs => mixed(ratio, values, &log_softmax(guide, row_arithmetic(lanes))),
        Mix::OfLogs => mixed(ratio, values, guide),
    }
    Ok(())
}

/// Equal numbers, infinite ones included.
#[expect(clippy::float_cmp, reason = "what torch finds equal is asked for")]
fn equal(a: f32, b: f32) -> bool {
    a == b
}

fn away(x: f32, guide: f32, scale: f32) -> f32 {
    x + (x - guide) * scale
}

fn ratio(x: f32, guide: f32, scale: f32) -> f32 {
    scale * (x - guide) + guide
}

fn row_arithmetic(lanes: SumLanes) -> super::Arithmetic {
    super::Arithmetic { isa: crate::kernels::isa(), lanes, exact: false }
}

/// The log-probabilities of a row; no numbers where it has no distribution.
fn log_softmax(row: &[f32], arithmetic: super::Arithmetic) -> Vec<f32> {
    let mut scratch = Scratch::default();
    let mut candidates = Candidates::new(row, arithmetic, &mut scratch);
    if candidates.check().is_err() {
        return vec![f32::NAN; row.len()];
    }
    Filter::Normalize.apply(&mut candidates);
    let mut out = vec![0.0; row.len()];
    candidates.write_scores(&mut out);
    out
}
