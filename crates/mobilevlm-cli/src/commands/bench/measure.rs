//! Times of something done again and again, and what they come to.

use std::time::{Duration, Instant};

use mobilevlm_tensor::Compute;
use serde::Serialize;

/// A stage is repeated for about this long.
const ENOUGH: Duration = Duration::from_secs(4);
/// But at least so often, the first time, which warms up, not counted.
const FEWEST: usize = 3;
/// And at most so often.
const MOST: usize = 200;

/// How long each repetition took, and how much of it products took.
#[derive(Default)]
pub(super) struct Times {
    /// Milliseconds, sorted.
    all: Vec<f64>,
    /// Milliseconds inside products, sorted.
    products: Vec<f64>,
}

/// Does `work` again and again, with the number of the run; ends at its first error.
pub(super) fn repeat<E>(
    compute: &Compute,
    mut work: impl FnMut(usize) -> Result<(), E>,
) -> Result<Times, E> {
    work(0)?;
    let begun = Instant::now();
    let mut times = Times::default();
    while times.all.len() < FEWEST || (times.all.len() < MOST && begun.elapsed() < ENOUGH) {
        let run = times.all.len() + 1;
        times.time(compute, || work(run))?;
    }
    Ok(times.sorted())
}

impl Times {
    /// Does `work` once and notes how long it took.
    pub(super) fn time<T>(&mut self, compute: &Compute, work: impl FnOnce() -> T) -> T {
        let clock = compute.product_clock();
        clock.switch(true);
        clock.take();
        let start = Instant::now();
        let result = work();
        self.all.push(milliseconds(start.elapsed()));
        self.products.push(milliseconds(clock.take()));
        clock.switch(false);
        result
    }

    pub(super) fn sorted(mut self) -> Times {
        self.all.sort_by(f64::total_cmp);
        self.products.sort_by(f64::total_cmp);
        self
    }

    /// Half of the times are not above it.
    pub(super) fn median_ms(&self) -> f64 {
        quantile(&self.all, 0.5)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Half of the values are not above it.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// The smallest of `sorted` that at least this share of all are not above (nearest rank).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

/// What one repetition needs.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Work {
    /// Multiplications and additions of its products.
    Operations(u64),
    /// Bytes of the weights that it reads.
    Bytes(u64),
}

/// What bounds a stage, as measured in the same run.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    /// Its name among the limits of the report.
    pub(super) name: &'static str,
    /// 10⁹ operations or bytes a second.
    pub(super) rate: f64,
    pub(super) unit: &'static str,
}

impl From<(&'static str, f64, &'static str)> for Bound {
    fn from((name, rate, unit): (&'static str, f64, &'static str)) -> Bound {
        Bound { name, rate, unit }
    }
}

/// One stage, as it is reported.
#[derive(Serialize)]
pub(super) struct Stage {
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    /// Of the time inside products, the median.
    pub(super) matrix_ms: f64,
    #[serde(flatten)]
    work: Work,
    /// Work by the median time.
    pub(super) rate: f64,
    pub(super) unit: &'static str,
    /// The limit that the shares are of.
    pub(super) limit: &'static str,
    /// Work by the median time, of the limit.
    pub(super) share: f64,
    /// Work by the time inside products, of the limit.
    pub(super) matrix_share: f64,
    /// Positions read or made in a second by the median time, where the stage has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens_per_s: Option<f64>,
}

impl Stage {
    pub(super) fn new(times: &Times, work: Work, bound: Bound) -> Stage {
        let (Work::Operations(amount) | Work::Bytes(amount)) = work;
        let rate = |ms: f64| amount as f64 / ms / 1e6;
        let (median_ms, matrix_ms) = (times.median_ms(), quantile(&times.products, 0.5));
        Stage {
            median_ms,
            p95_ms: quantile(&times.all, 0.95),
            matrix_ms,
            work,
            rate: rate(median_ms),
            unit: bound.unit,
            limit: bound.name,
            share: rate(median_ms) / bound.rate,
            matrix_share: rate(matrix_ms) / bound.rate,
            tokens_per_s: None,
        }
    }

    /// The same with the positions of a repetition.
    pub(super) fn of_tokens(self, tokens: usize) -> Stage {
        Stage {
            tokens_per_s: Some(tokens as f64 / self.median_ms * 1e3),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use mobilevlm_tensor::{Bytes, Format, Kernels, Matrix, ops};

    use super::*;

    #[test]
    fn median_and_p95_are_nearest_ranks() {
        let values: Vec<f64> = (1..=40).map(f64::from).collect();
        assert_eq!(
            (quantile(&values, 0.5), quantile(&values, 0.95)),
            (20.0, 38.0)
        );
        assert_eq!(median(values.into_iter().rev().collect()), 20.0);
        assert_eq!((quantile(&[7.0], 0.5), quantile(&[7.0], 0.95)), (7.0, 7.0));
    }

    #[test]
    fn a_rate_is_billions_a_second() {
        let times = Times {
            all: vec![2.0],
            products: vec![1.5],
        };
        let bound = Bound {
            name: "f32_gflops",
            rate: 6000.0,
            unit: "GFLOP/s",
        };
        // 6·10⁹ operations in 2 ms are 3000·10⁹ a second, in 1.5 ms 4000·10⁹.
        let stage = Stage::new(&times, Work::Operations(6_000_000_000), bound).of_tokens(8);
        assert_eq!((stage.rate, stage.share), (3000.0, 0.5));
        assert_eq!(stage.matrix_share, 4000.0 / 6000.0);
        assert_eq!(stage.tokens_per_s, Some(4000.0));
        let json = serde_json::to_value(&stage).unwrap();
        assert_eq!(json["operations"], 6_000_000_000_u64);
        assert_eq!(json.get("bytes"), None);
    }

    #[test]
    fn the_first_run_is_not_counted() {
        let compute = Compute::new(Kernels::best(), 1);
        let mut runs = Vec::new();
        let times = repeat(&compute, |run| {
            runs.push(run);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(runs.len(), times.all.len() + 1);
        assert_eq!(runs.len(), MOST + 1);
        let end = repeat(&compute, |run| if run == 2 { Err(run) } else { Ok(()) });
        assert_eq!(end.err(), Some(2));
    }

    #[test]
    fn products_are_a_part_of_the_time() {
        let compute = Compute::new(Kernels::best(), 1);
        let weight = Matrix::new(Format::F32, 64, 64, Bytes::from(vec![0; 4 * 64 * 64])).unwrap();
        let (x, mut y) = (vec![1.0; 64], vec![0.0; 64]);
        let mut times = Times::default();
        times.time(&compute, || {
            ops::linear(&compute, &x, &weight, None, &mut y);
        });
        times.time(&compute, || ());
        assert!(times.products[0] > 0.0 && times.products[0] <= times.all[0]);
        assert_eq!(times.products[1], 0.0);
    }
}
