//! Intervals by the bootstrap: how much a figure would change had other pictures been drawn.

use mobilevlm_data::Mt19937;

/// How often pictures are drawn anew: the ends of a 95 % interval are then each the mean of 50
/// draws beyond and 50 within, and change by a few hundredths of the interval between seeds.
pub(crate) const DRAWS: usize = 2000;

/// Start of the random numbers, so that a report is the same whenever it is made.
const SEED: u32 = 0;

/// An interval, from lower to upper end.
pub type Interval = [f64; 2];

/// Draws as many of each stratum's clusters as it has, with replacement, [`DRAWS`] times, and gives
/// `each` how often each cluster was drawn. A stratum lists its clusters; all of them are numbered
/// from 0.
pub(crate) fn draw(strata: &[Vec<usize>], each: &mut dyn FnMut(&[f64])) {
    let mut random = Mt19937::new(SEED);
    let mut weights = vec![0.0; strata.iter().map(Vec::len).sum()];
    for _ in 0..DRAWS {
        weights.fill(0.0);
        for clusters in strata {
            for _ in clusters {
                // 32 bits times a number of clusters far below 2^32: as good as uniform.
                let at = (u64::from(random.next_u32()) * clusters.len() as u64) >> 32;
                weights[clusters[at as usize]] += 1.0;
            }
        }
        each(&weights);
    }
}

/// The middle 95 % of the values. Where few pictures are drawn, some drawings leave a figure
/// undefined; they are passed over, but if they are more than one in twenty there is no interval.
pub(crate) fn interval(all: &[Option<f64>]) -> Option<Interval> {
    let mut values: Vec<f64> = all.iter().copied().flatten().collect();
    if 20 * (all.len() - values.len()) > all.len() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| {
        let place = share * last as f64;
        let (low, part) = (place.floor(), place.fract());
        let (low, high) = (low as usize, (low as usize + 1).min(last));
        values[low] + part * (values[high] - values[low])
    };
    Some([at(0.025), at(0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_that_of_the_binomial() {
        // 400 questions about a picture each, 3 in 4 right: the standard error is 2.165 points.
        let right = |cluster: usize| f64::from(!cluster.is_multiple_of(4));
        let mut shares = Vec::new();
        draw(&[(0..400).collect()], &mut |weights| {
            let sum: f64 = weights
                .iter()
                .enumerate()
                .map(|(at, w)| w * right(at))
                .sum();
            assert_eq!(weights.iter().sum::<f64>(), 400.0);
            shares.push(Some(sum / 4.0));
        });
        let [low, high] = interval(&shares).unwrap();
        let error = 1.96 * 2.165;
        assert!((low - (75.0 - error)).abs() < 0.3, "{low}");
        assert!((high - (75.0 + error)).abs() < 0.3, "{high}");
    }

    #[test]
    fn every_stratum_keeps_its_size() {
        draw(&[vec![1, 3], vec![0, 2, 4]], &mut |weights| {
            assert_eq!(weights[1] + weights[3], 2.0);
            assert_eq!(weights[0] + weights[2] + weights[4], 3.0);
        });
    }

    #[test]
    fn ends_are_quantiles_and_the_undefined_has_none() {
        let values: Vec<Option<f64>> = (0..=1000).rev().map(|n| Some(f64::from(n))).collect();
        assert_eq!(interval(&values), Some([25.0, 975.0]));
        assert_eq!(interval(&[Some(1.0)]), Some([1.0, 1.0]));
        let with_undefined = |count: usize| {
            let mut values = vec![Some(1.0); 20 - count];
            values.resize(20, None);
            interval(&values)
        };
        assert_eq!(with_undefined(1), Some([1.0, 1.0]));
        assert_eq!(with_undefined(2), None);
        assert_eq!(interval(&[]), None);
    }
}
