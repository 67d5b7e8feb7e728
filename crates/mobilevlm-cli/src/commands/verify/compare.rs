//! Differences between what was computed and what was recorded.

use serde::Serialize;

/// The differences of one stage, over all its tensors.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stage {
    /// Tensors compared.
    tensors: usize,
    /// Values compared.
    values: usize,
    /// The largest difference.
    max_abs: f64,
    /// The mean of all differences.
    mean_abs: f64,
    /// The smallest cosine between a computed tensor and its record.
    cosine: f64,
    /// The largest difference of a tensor over the standard deviation of its record; what counts.
    max_over_std: f64,
    tolerance: f64,
    passed: bool,
    #[serde(skip)]
    sum_abs: f64,
}

impl Stage {
    pub(super) fn new(tolerance: f64) -> Stage {
        Stage {
            tensors: 0,
            values: 0,
            max_abs: 0.0,
            mean_abs: 0.0,
            cosine: 1.0,
            max_over_std: 0.0,
            tolerance,
            passed: true,
            sum_abs: 0.0,
        }
    }

    /// Adds a tensor of which `computed` may be the first part; the deviation is that of all of
    /// `recorded`. A value that is no number is infinitely wrong.
    pub(super) fn add(&mut self, computed: &[f32], recorded: &[f32]) {
        let (mut largest, mut dot, mut computed_squares, mut recorded_squares) =
            (0.0_f64, 0.0, 0.0, 0.0);
        for (&x, &y) in computed.iter().zip(recorded) {
            let (x, y) = (f64::from(x), f64::from(y));
            let difference = if (x - y).is_nan() {
                f64::INFINITY
            } else {
                (x - y).abs()
            };
            largest = largest.max(difference);
            self.sum_abs += difference;
            dot += x * y;
            computed_squares += x * x;
            recorded_squares += y * y;
        }
        let std = deviation(recorded);
        // A record without deviation, or with one that is no number, allows no difference.
        let over_std = match largest / std {
            _ if largest == 0.0 => 0.0,
            ratio if std.is_finite() && !ratio.is_nan() => ratio,
            _ => f64::INFINITY,
        };
        let lengths = (computed_squares * recorded_squares).sqrt();
        let cosine = if lengths > 0.0 {
            dot / lengths
        } else {
            f64::from(computed_squares == recorded_squares)
        };

        self.tensors += 1;
        self.values += computed.len().min(recorded.len());
        self.mean_abs = self.sum_abs / self.values.max(1) as f64;
        self.max_abs = self.max_abs.max(largest);
        self.max_over_std = self.max_over_std.max(over_std);
        self.cosine = if cosine.is_nan() {
            0.0
        } else {
            self.cosine.min(cosine)
        };
        self.passed = self.max_over_std <= self.tolerance;
    }

    pub(super) fn tensors(&self) -> usize {
        self.tensors
    }

    /// What is wrong, if something is.
    pub(super) fn failure(&self, name: &str) -> Option<String> {
        (!self.passed).then(|| {
            format!(
                "{name}: largest difference over standard deviation is {:.2e}, at most {:.0e} is allowed",
                self.max_over_std, self.tolerance
            )
        })
    }

    pub(super) fn row(&self, name: &str) -> String {
        let Stage {
            tensors,
            max_abs,
            mean_abs,
            cosine,
            max_over_std,
            tolerance,
            ..
        } = self;
        format!(
            "{name:<16} {tensors:>7} {max_abs:>9.1e} {mean_abs:>9.1e} {cosine:>12.9} {max_over_std:>9.1e} {tolerance:>9.0e}"
        )
    }

    pub(super) fn heading() -> String {
        format!(
            "{:<16} {:>7} {:>9} {:>9} {:>12} {:>9} {:>9}",
            "stage", "tensors", "largest", "mean", "cosine", "over std", "allowed"
        )
    }
}

/// Standard deviation of all values.
pub(super) fn deviation(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    (values
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / count)
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(pairs: &[(&[f32], &[f32])]) -> Stage {
        let mut stage = Stage::new(0.01);
        pairs
            .iter()
            .for_each(|(computed, recorded)| stage.add(computed, recorded));
        stage
    }

    #[test]
    fn the_measure_is_the_largest_difference_over_the_records_deviation() {
        // Deviation of 1, 3, 5, 7 is the square root of 5.
        let stage = compared(&[(&[1.0, 3.0, 5.0, 7.5], &[1.0, 3.0, 5.0, 7.0])]);
        assert!((stage.max_over_std - 0.5 / 5.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(
            (stage.max_abs, stage.mean_abs, stage.values),
            (0.5, 0.125, 4)
        );
        assert!(stage.failure("x").is_some());
    }

    #[test]
    fn the_worst_tensor_counts() {
        let good: (&[f32], &[f32]) = (&[1.0, 2.0], &[1.0, 2.0]);
        let bad: (&[f32], &[f32]) = (&[1.0, 2.1], &[1.0, 2.0]);
        assert!(compared(&[good, good]).failure("x").is_none());
        assert!(compared(&[bad, good]).failure("x").is_some());
        assert!(compared(&[good, bad]).failure("x").is_some());
    }

    #[test]
    fn what_is_no_number_fails() {
        for (computed, recorded) in [
            (&[f32::NAN, 1.0][..], &[0.0_f32, 1.0][..]),
            (&[f32::INFINITY, 1.0], &[f32::INFINITY, 1.0]),
            (&[0.0, 1.0], &[f32::NAN, 1.0]),
            (&[1.0, 1.0], &[2.0, 2.0]),
        ] {
            let stage = compared(&[(computed, recorded)]);
            assert!(stage.failure("x").is_some(), "{computed:?} {recorded:?}");
        }
    }

    #[test]
    fn a_later_good_tensor_does_not_heal_a_bad_one() {
        let stage = compared(&[(&[f32::NAN, 1.0], &[0.0, 1.0]), (&[0.0, 1.0], &[0.0, 1.0])]);
        assert!(stage.failure("x").is_some());
    }
}
