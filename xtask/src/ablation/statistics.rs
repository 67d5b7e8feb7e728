//! Means, and how far apart seeds are.

use serde::Serialize;

/// Mean and standard deviation of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    /// Values.
    pub(super) n: usize,
    /// Their mean.
    pub(super) mean: f64,
    /// Their standard deviation as an estimate from a sample (divided by n - 1); 0 of one value.
    pub(super) sd: f64,
}

impl Spread {
    /// Of these values; nothing of none.
    pub(super) fn of(values: &[f64]) -> Option<Spread> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = match n {
            1 => 0.0,
            _ => (squares / (n - 1) as f64).sqrt(),
        };
        Some(Spread { n, mean, sd })
    }
}

/// How two ways to train differ with the same seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// Mean of the differences.
    pub(super) mean: f64,
    /// Half the width of the interval that holds the true one in 95 of 100 such trials, if it
    /// varies like a normal distribution (Student).
    pub(super) margin: f64,
}

/// Student's 97.5 % points for 1, 2, … degrees of freedom; beyond them the last is taken, which is
/// a little too wide.
const STUDENT: [f64; 10] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
];

impl Difference {
    /// Of pairs of values with the same seed; nothing of fewer than two.
    pub(super) fn of(pairs: &[(f64, f64)]) -> Option<Difference> {
        let differences: Vec<f64> = pairs.iter().map(|(one, other)| one - other).collect();
        let spread = Spread::of(&differences)?;
        let freedom = spread.n.checked_sub(2)?;
        let factor = STUDENT[freedom.min(STUDENT.len() - 1)];
        Some(Difference {
            mean: spread.mean,
            margin: factor * spread.sd / (spread.n as f64).sqrt(),
        })
    }

    /// Whether it is more than seeds explain.
    pub(super) fn is_beyond_noise(self) -> bool {
        self.mean.abs() > self.margin
    }
}

/// The value in the middle; nothing of none.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_those_of_a_sample() {
        let spread = Spread::of(&[2.0, 4.0, 9.0]).unwrap();
        assert_eq!((spread.n, spread.mean), (3, 5.0));
        // (9 + 1 + 16) / 2 = 13.
        assert!((spread.sd - 13.0_f64.sqrt()).abs() < 1e-12);
        let one = Spread::of(&[0.25]).unwrap();
        assert_eq!((one.n, one.mean, one.sd), (1, 0.25, 0.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_difference_is_beyond_noise_only_where_seeds_agree() {
        let difference = Difference::of(&[(0.61, 0.50), (0.72, 0.60), (0.53, 0.40)]).unwrap();
        assert!((difference.mean - 0.12).abs() < 1e-12);
        // Differences 0.11, 0.12 and 0.13 have the deviation 0.01.
        assert!((difference.margin - 4.303 * 0.01 / 3.0_f64.sqrt()).abs() < 1e-12);
        assert!(difference.is_beyond_noise());
        let unsure = Difference::of(&[(0.61, 0.50), (0.72, 0.60), (0.33, 0.40)]).unwrap();
        assert!(!unsure.is_beyond_noise());
        assert_eq!(Difference::of(&[(0.9, 0.1)]), None);
        assert_eq!(Difference::of(&[]), None);
    }

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 100.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }
}
