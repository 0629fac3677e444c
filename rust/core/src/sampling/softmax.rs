//! The arithmetic of torch's softmax on a few tokens of a row, and logarithms.

use crate::kernels::floats::{self, Changes, SumLanes, Terms};

use super::{
    candidates::{Arithmetic, Candidates, Scratch},
    error::RowFault,
};

/// Sums terms in the order in which torch's softmax sums a row of `size` values: `(position, term)`, ascending; what is
/// left out counts as zero.
pub fn torch_sum(terms: impl Iterator<Item = (usize, f32)>, size: usize, lanes: SumLanes) -> f32 {
    let count = lanes.count();
    if size < count {
        return terms.fold(0.0, |sum, (_, term)| sum + term);
    }
    let mut sums = [0.0; 16];
    for (position, term) in terms {
        sums[position & (count - 1)] += term;
    }
    lanes.fold(&sums)
}

/// Lanes of torch's sums of a row outside of its softmax, on every machine.
const TOTAL_LANES: usize = 8;
/// Values that torch gives a thread when it sums a single row.
const GRAIN: usize = 32768;

/// The sum of a row as `torch.sum` makes it, of a single row if there is more than one thread.
pub fn torch_total(values: &[f32], threads: usize) -> f32 {
    if threads <= 1 || values.len() < GRAIN {
        return total_of(values);
    }
    let workers = threads.min(values.len().div_ceil(GRAIN));
    let mut sums: Vec<f32> = values.chunks(values.len().div_ceil(workers)).map(total_of).collect();
    sums.resize(threads, 0.0);
    total_of(&sums)
}

fn total_of(values: &[f32]) -> f32 {
    if values.len() < TOTAL_LANES {
        let (singles, _) = values.as_chunks::<1>();
        return row_total(singles)[0];
    }
    let (groups, tail) = values.as_chunks::<TOTAL_LANES>();
    let lanes = row_total(groups);
    let rest = tail.iter().fold(0.0, |sum, &value| sum + value);
    lanes.iter().fold(rest, |sum, &lane| sum + lane)
}

/// Four sums side by side, each a cascade of four levels, which spill into the next whenever they are full.
fn row_total<const N: usize>(row: &[[f32; N]]) -> [f32; N] {
    const LEVELS: usize = 4;
    type Sums<const N: usize> = [[f32; N]; 4];
    let add = |to: &mut Sums<N>, from: &Sums<N>| {
        to.iter_mut().flatten().zip(from.iter().flatten()).for_each(|(to, from)| *to += from);
    };
    let (groups, tail) = row.as_chunks::<4>();
    let log = usize::BITS - groups.len().saturating_sub(1).leading_zeros();
    let power = (log as usize / LEVELS).max(4);
    let mut levels = [[[0.0; N]; 4]; LEVELS];
    let mut done = 0;
    for block in groups.chunks(1 << power) {
        for group in block {
            add(&mut levels[0], group);
        }
        if block.len() < 1 << power {
            break;
        }
        done += block.len();
        for level in 1..LEVELS {
            let below = std::mem::replace(&mut levels[level - 1], [[0.0; N]; 4]);
            add(&mut levels[level], &below);
            if done & (((1 << power) - 1) << (level * power)) != 0 {
                break;
            }
        }
    }
    let mut sums = levels[0];
    for level in &levels[1..] {
        add(&mut sums, level);
    }
    for group in tail {
        sums[0].iter_mut().zip(group).for_each(|(to, from)| *to += from);
    }
    let [mut out, rest @ ..] = sums;
    for lanes in rest {
        out.iter_mut().zip(lanes).for_each(|(to, from)| *to += from);
    }
    out
}

/// `exp(y - max)` of each value.
pub fn exp_terms(arithmetic: Arithmetic, ys: &[f32], max: f32, out: &mut Vec<f32>) {
    out.resize(ys.len(), 0.0);
    let how = Terms { temperature: 1.0, max, lanes: arithmetic.lanes };
    floats::exp_terms(arithmetic.isa, ys, Changes::default(), how, out);
}

/// The softmax of a row, with torch's arithmetic.
///
/// # Errors
/// [`RowFault`] for a row without a distribution.
pub fn probabilities(row: &[f32], lanes: SumLanes) -> Result<Vec<f32>, RowFault> {
    let mut scratch = Scratch::default();
    let arithmetic = Arithmetic { isa: crate::kernels::isa(), lanes, exact: false };
    let mut candidates = Candidates::new(row, arithmetic, &mut scratch);
    if row.is_empty() {
        return Err(RowFault::Empty);
    }
    candidates.check()?;
    let factor = 1.0 / candidates.terms().torch;
    floats::scale(arithmetic.isa, &mut scratch.terms, factor);
    Ok(scratch.terms)
}

/// The natural logarithm of torch's vectorised loops (SLEEF's, with an error of one unit): the mantissa is brought
/// between 3/4 and 3/2, and the series of the inverse hyperbolic tangent is summed in two parts.
pub fn log_f32(x: f32) -> f32 {
    if x == 0.0 {
        return f32::NEG_INFINITY;
    }
    if x.is_nan() || x < 0.0 {
        return f32::NAN;
    }
    if x.is_infinite() {
        return x;
    }
    let (mantissa, exponent) = split(x);
    // (m - 1) / (m + 1) in two parts.
    let below = add2(-1.0, mantissa);
    let above = add2(1.0, mantissa);
    let z = divide(below, above);
    let z2 = z.0 * z.0;
    let t = 0.302_729_5_f32.mul_add(z2, 0.399_610_82).mul_add(z2, 0.666_669_5);
    let s = product((std::f32::consts::LN_2, -1.904_654_3e-9), exponent);
    let s = add_pairs(s, (z.0 * 2.0, z.1 * 2.0));
    let s = add_one(s, z2 * z.0 * t);
    s.0 + s.1
}

/// Mantissa in [3/4, 3/2) and exponent.
fn split(x: f32) -> (f32, f32) {
    let (x, shift) = if x < f32::MIN_POSITIVE { (x * 16_777_216.0, 24) } else { (x, 0) };
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 127 - shift;
    let mut mantissa = f32::from_bits((bits & 0x7f_ffff) | 0x3f80_0000);
    if mantissa >= 1.5 {
        mantissa *= 0.5;
        exponent += 1;
    }
    (mantissa, exponent as f32)
}

type Pair = (f32, f32);

fn add2(a: f32, b: f32) -> Pair {
    let sum = a + b;
    let v = sum - a;
    (sum, (a - (sum - v)) + (b - v))
}

fn divide(n: Pair, d: Pair) -> Pair {
    let t = 1.0 / d.0;
    let quotient = n.0 * t;
    let u = t.mul_add(n.0, -quotient);
    let v = (-d.1).mul_add(t, (-d.0).mul_add(t, 1.0));
    (quotient, quotient.mul_add(v, n.1.mul_add(t, u)))
}

fn product(x: Pair, y: f32) -> Pair {
    let high = x.0 * y;
    (high, x.1.mul_add(y, x.0.mul_add(y, -high)))
}

fn add_pairs(x: Pair, y: Pair) -> Pair {
    let sum = x.0 + y.0;
    (sum, (((x.0 - sum) + y.0) + x.1) + y.1)
}

fn add_one(x: Pair, y: f32) -> Pair {
    let sum = x.0 + y;
    (sum, ((x.0 - sum) + y) + x.1)
}

/// The natural logarithm of a number in (0, 1), from IEEE additions, multiplications and divisions alone.
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let z = (m - 1.0) / (m + 1.0);
    let z2 = z * z;
    let mut sum = 0.0;
    // 2 atanh(z); |z| < 0.1716, so the next term is below 2^-53 of the sum.
    for k in (1..=10).rev() {
        sum = sum * z2 + 1.0 / f64::from(2 * k + 1);
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * (z + z * z2 * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close() {
        for i in 1..20_000 {
            let x = f64::from(i) / 20_000.0;
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * (1.0 + x.ln().abs()), "{x}");
            let y = (i as f32) * 7.3;
            assert!((f64::from(log_f32(y)) - f64::from(y).ln()).abs() <= 1.2e-7 * f64::from(y).ln().abs() + 1e-9);
        }
    }

    #[test]
    fn sums_run_over_lanes() {
        let terms = [(0usize, 1.0f32), (16, 2.0), (17, 4.0)];
        assert_eq!(torch_sum(terms.into_iter(), 20, SumLanes::Sixteen).to_bits(), 7f32.to_bits());
    }
}
