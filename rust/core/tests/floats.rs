//! The passes over rows: every instruction set gives the bits of the scalar one, and what they find is what a naive loop finds.
#![expect(clippy::cast_precision_loss, reason = "at most 24 bits are counted")]
#![expect(clippy::float_cmp, reason = "the same bits are asked for")]

use penstock::{
    kernels::{
        Isa,
        floats::{self, BEHIND, CHUNK, Changes, Penalized, Race, Rule, SumLanes, Terms},
    },
    sampling::Seen,
};

/// Numbers that look random; the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn unit(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 24) as f32
    }

    /// A row: random, tied, masked, or with values that are no numbers.
    fn row(&mut self, kind: usize, length: usize) -> Vec<f32> {
        (0..length)
            .map(|_| match (kind, self.below(40)) {
                (2, 0..30) | (3, 0) => f32::NEG_INFINITY,
                (3, 1) => f32::NAN,
                (3, 2) => f32::INFINITY,
                (1, at) => at as f32 / 4.0 - 5.0,
                _ => 24.0 * (self.unit() - 0.6),
            })
            .collect()
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Calls `check` with rows of all lengths around the widths of the passes.
fn rows(mut check: impl FnMut(&mut Numbers, &[f32])) {
    let mut numbers = Numbers(1);
    let lengths = (0..200).chain([255, 256, 257, 511, 640, 1000, 1024, 4096, 4099, 9000]);
    for length in lengths {
        for kind in 0..4 {
            let row = numbers.row(kind, length);
            check(&mut numbers, &row);
        }
    }
}

fn sets() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// The same of all sets, and given once.
fn of_all<T: PartialEq + std::fmt::Debug>(run: impl Fn(Isa) -> T) -> T {
    let expected = run(Isa::Scalar);
    for isa in sets() {
        assert_eq!(run(isa), expected, "{}", isa.name());
    }
    expected
}

fn maxima(isa: Isa, row: &[f32]) -> (Vec<f32>, Option<f32>) {
    let mut out = vec![0.0; row.len().div_ceil(CHUNK)];
    let extent = floats::maxima(isa, row, &mut out);
    // With a NaN in the row its maxima mean nothing.
    (if extent.nan { Vec::new() } else { out }, (!extent.nan).then_some(extent.max))
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[test]
fn maxima_and_the_first_of_the_largest() {
    rows(|_, row| {
        let nan = row.iter().any(|value| value.is_nan());
        let (chunks, max) = of_all(|isa| maxima(isa, row));
        assert_eq!(max, (!nan).then(|| largest(row)));
        if !nan {
            assert_eq!(chunks, row.chunks(CHUNK).map(largest).collect::<Vec<_>>());
            assert_eq!(floats::largest_of(row), largest(row));
        }
        if !row.is_empty() {
            let at = of_all(|isa| {
                let (at, extent) = floats::argmax(isa, row);
                (!extent.nan).then_some((at, extent.max))
            });
            let first = row.iter().position(|&value| value >= largest(row)).unwrap_or_default();
            assert_eq!(at, (!nan).then(|| (first, largest(row))));
        }
    });
}

/// Counts a context as long as a part of the row.
fn seen(numbers: &mut Numbers, row: &[f32], part: usize) -> Seen {
    let ids: Vec<i64> = (0..row.len() / part).map(|_| numbers.below(row.len()) as i64).collect();
    let mut seen = Seen::default();
    seen.update(Isa::Scalar, &ids, row.len()).expect("no id is negative");
    seen
}

#[test]
fn values_penalized_in_blocks() {
    rows(|numbers, row| {
        let part = [1, 3, 50][numbers.below(3)];
        let seen = seen(numbers, row, part);
        let before: Vec<f32> = seen.tokens().iter().map(|&token| row[token as usize]).collect();
        let all = [Rule::Scaled(1.3), Rule::Scaled(0.7), Rule::Lowered(0.25, 0.1), Rule::Lowered(-3.0, 0.0)];
        let from = numbers.below(4);
        let rules = &all[from..=from + numbers.below(4 - from)];
        let mut changed = row.to_vec();
        for ((&token, &x), &count) in seen.tokens().iter().zip(&before).zip(seen.counts()) {
            changed[token as usize] = rules.iter().fold(x, |x, rule| rule.of(x, count));
        }
        let after: Vec<f32> = seen.tokens().iter().map(|&token| changed[token as usize]).collect();
        let found = of_all(|isa| {
            // What was there before must not matter.
            let (mut values, mut new) = (vec![f32::NAN; before.len()], vec![f32::NAN; before.len() + BEHIND]);
            let (mut maxima, mut moved) = (vec![f32::NAN; row.len().div_ceil(CHUNK)], vec![7; 3]);
            let penalized = Penalized { before: &mut values, after: &mut new, moved: &mut moved };
            let (top, extent) = floats::penalize(isa, row, seen.listed(), rules, &mut maxima, penalized);
            assert_eq!((bits(&values), bits(&new[..before.len()])), (bits(&before), bits(&after)), "{}", isa.name());
            assert_eq!(extent.nan, row.iter().any(|value| value.is_nan()));
            (!extent.nan).then_some((top, extent.max, maxima))
        });
        if let Some((top, max, maxima)) = found {
            assert_eq!((top, max), (largest(row), largest(&changed)));
            assert_eq!(maxima, changed.chunks(CHUNK).map(largest).collect::<Vec<_>>());
        }
    });
}

#[test]
fn terms_around_those_of_a_list() {
    rows(|numbers, row| {
        let max = largest(row);
        if row.iter().any(|value| value.is_nan()) || !max.is_finite() {
            return;
        }
        let seen = seen(numbers, row, 2);
        let how = Terms { temperature: [1.0, 0.8][numbers.below(2)], max, lanes: SumLanes::Sixteen };
        let mut expected = vec![0.0; row.len()];
        floats::exp_terms(Isa::Scalar, row, Changes::default(), how, &mut expected);
        let sum_of = |terms: &[f32]| terms.iter().map(|&term| f64::from(term)).sum::<f64>();
        let all = sum_of(&expected);
        let replaced = sum_of(&seen.tokens().iter().map(|&token| expected[token as usize]).collect::<Vec<_>>());
        let new: Vec<f32> = seen.tokens().iter().map(|_| numbers.unit()).collect();
        for (&token, &term) in seen.tokens().iter().zip(&new) {
            expected[token as usize] = term;
        }
        let (terms, found) = of_all(|isa| {
            let mut terms = vec![f32::NAN; row.len()];
            let (all, replaced) = floats::exp_terms_around(isa, row, seen.listed(), &new, how, &mut terms);
            (bits(&terms), [all.to_bits(), replaced.to_bits()])
        });
        assert_eq!(terms, bits(&expected));
        assert!((f64::from_bits(found[0]) - all).abs() <= 1e-6 * all);
        assert!((f64::from_bits(found[1]) - replaced).abs() <= 1e-12 * replaced);
    });
}

#[test]
fn exponentials_down_to_nothing() {
    // Down through the subnormal numbers, where a second rounding would show.
    let row: Vec<f32> = (0..60_000).map(|i| -0.002 * i as f32).chain([f32::NEG_INFINITY]).collect();
    let how = Terms { temperature: 1.0, max: 0.0, lanes: SumLanes::Sixteen };
    let terms = of_all(|isa| {
        let mut terms = vec![0.0; row.len()];
        floats::exp_terms(isa, &row, Changes::default(), how, &mut terms);
        bits(&terms)
    });
    for (&x, &term) in row.iter().zip(&terms) {
        let (term, exact) = (f64::from(f32::from_bits(term)), f64::from(x).exp());
        assert!((term - exact).abs() <= 1.3e-7 * exact + 2e-45, "{x}: {term} {exact}");
    }
}

#[test]
fn rows_with_changes() {
    rows(|numbers, row| {
        if row.is_empty() {
            return;
        }
        // One token in three is in the list, one in eleven stands for itself, some in both.
        let seen = seen(numbers, row, 2);
        let mut values: Vec<f32> = seen.tokens().iter().map(|_| 24.0 * (numbers.unit() - 0.6)).collect();
        values.resize(values.len() + BEHIND, 0.0);
        let own: Vec<f32> = row.iter().map(|_| numbers.unit()).collect();
        let mut stored = vec![0u64; row.len().div_ceil(CHUNK)];
        for _ in 0..row.len() / 11 {
            let at = numbers.below(row.len());
            stored[at / CHUNK] |= 1 << (at % CHUNK);
        }
        let (listed, starts) = (seen.words(), seen.starts());
        let all = Changes { listed, starts, values: &values, stored: &stored, own: &own };
        for changes in [Changes::default(), Changes { stored: &[], ..all }, Changes { listed: &[], ..all }, all] {
            let changed: Vec<f32> = row.iter().enumerate().map(|(id, &x)| changes.value(id, x)).collect();
            let written = of_all(|isa| {
                let mut out = vec![0.0; row.len()];
                floats::write_changed(isa, row, changes, &mut out);
                bits(&out)
            });
            assert_eq!(written, bits(&changed));
            if changed.iter().any(|value| value.is_nan()) {
                continue;
            }
            let (maxima_of_changed, _) = maxima(Isa::Scalar, &changed);
            let chunks: Vec<u32> = (0..maxima_of_changed.len() as u32).collect();
            let renewed = of_all(|isa| {
                let mut out = vec![f32::NAN; chunks.len()];
                floats::renew_maxima(isa, row, changes, &chunks, &mut out);
                out
            });
            assert_eq!(renewed, maxima_of_changed);
            let bound = changed[numbers.below(changed.len())];
            let found = of_all(|isa| {
                let mut out = Vec::new();
                floats::positions_at_least(isa, row, changes, &maxima_of_changed, bound, usize::MAX, &mut out);
                out
            });
            let expected: Vec<u32> = (0..row.len() as u32).filter(|&id| changed[id as usize] >= bound).collect();
            assert_eq!(found, expected);
            for lanes in [SumLanes::Eight, SumLanes::Sixteen] {
                let how = Terms { temperature: [1.0, 0.8][numbers.below(2)], max: largest(&changed), lanes };
                let terms = |isa, row: &[f32], changes| {
                    let mut out = vec![0.0; row.len()];
                    let sums = floats::exp_terms(isa, row, changes, how, &mut out);
                    (bits(&out), sums.torch.to_bits(), sums.wide.to_bits())
                };
                if how.max > f32::NEG_INFINITY && how.max < f32::INFINITY {
                    let expected = of_all(|isa| terms(isa, row, changes));
                    assert_eq!(terms(Isa::Scalar, &changed, Changes::default()), expected);
                }
            }
        }
    });
}

#[test]
fn terms_and_what_filters_make_of_them() {
    rows(|numbers, row| {
        let max = largest(row);
        if row.iter().any(|value| value.is_nan()) || !max.is_finite() {
            return;
        }
        let how = Terms { temperature: 0.9, max: max / 0.9, lanes: SumLanes::Sixteen };
        let mut terms = vec![0.0; row.len()];
        floats::exp_terms(Isa::Scalar, row, Changes::default(), how, &mut terms);
        let mut borders = [0; 4].map(|_| terms[numbers.below(terms.len())]);
        borders.sort_by(f32::total_cmp);
        let [from, to] = [borders[0], borders[3]];
        let (ids, below) = of_all(|isa| {
            let mut ids = Vec::new();
            let below = floats::zone(isa, &terms, from, to, &mut ids);
            (ids, below.to_bits())
        });
        let inside = |&id: &u32| terms[id as usize] >= from && terms[id as usize] < to;
        assert_eq!(ids, (0..row.len() as u32).filter(inside).collect::<Vec<_>>());
        let expected: f64 = terms.iter().filter(|&&term| term < from).map(|&term| f64::from(term)).sum();
        assert!((f64::from_bits(below) - expected).abs() <= 1e-6 * expected);
        for lanes in [SumLanes::Eight, SumLanes::Sixteen] {
            let cut = of_all(|isa| {
                let mut terms = terms.clone();
                let sums = floats::cut_terms(isa, &mut terms, to, lanes);
                (bits(&terms), sums.torch.to_bits(), sums.wide.to_bits())
            });
            let kept: Vec<f32> = terms.iter().map(|&term| if term < to { 0.0 } else { term }).collect();
            assert_eq!(cut.0, bits(&kept));
        }
        let above = of_all(|isa| {
            let mut out = vec![0.0; row.len()];
            floats::divide_above(isa, row, &terms, to, 0.9, &mut out);
            bits(&out)
        });
        let kept = row.iter().zip(&terms).map(|(&x, &term)| if term < to { f32::NEG_INFINITY } else { x / 0.9 });
        assert_eq!(above, bits(&kept.collect::<Vec<_>>()));
        let mut edges = [0; 4].map(|_| row[numbers.below(row.len())]);
        edges.sort_by(f32::total_cmp);
        let within = of_all(|isa| {
            let mut out = vec![0.0; row.len()];
            floats::divide_within(isa, row, edges[0], edges[3], 0.9, &mut out);
            bits(&out)
        });
        let kept = row.iter().map(|&x| if x >= edges[0] && x <= edges[3] { x / 0.9 } else { f32::NEG_INFINITY });
        assert_eq!(within, bits(&kept.collect::<Vec<_>>()));
        let (ids, _) = of_all(|isa| {
            let mut ids = Vec::new();
            let sum = floats::around(isa, row, &terms, edges, &mut ids);
            (ids, sum.to_bits())
        });
        let at_edge = |&id: &u32| {
            let x = row[id as usize];
            x >= edges[0] && x < edges[1] || x >= edges[2] && x < edges[3]
        };
        assert_eq!(ids, (0..row.len() as u32).filter(at_edge).collect::<Vec<_>>());
        of_all(|isa| floats::weighted_sum(isa, row, &terms, 0.9, max / 0.9).to_bits());
        of_all(|isa| {
            let mut out = terms.clone();
            floats::scale(isa, &mut out, 0.37);
            bits(&out)
        });
        // Whoever may win is asked, in order; others may be asked as well, but by all sets alike.
        let words: Vec<u32> = (0..2 * row.len()).map(|_| numbers.below(1 << 31) as u32 ^ 0x9e37_79b9).collect();
        of_all(|isa| {
            let mut asked = Vec::new();
            let mut best = -1.0f32;
            let last = Race::new(isa).run(&words, &terms, best, &mut |pair| {
                asked.push(pair);
                best = best.max(terms[pair] * 3.0);
                best
            });
            (asked, last.to_bits())
        });
    });
}
