//! Times of something done again and again, and what they come to.

use std::time::{Duration, Instant};

use serde::Serialize;

/// A stage is repeated for about this long.
const ENOUGH: Duration = Duration::from_secs(4);
/// But at least so often, the first time, which warms up, not counted.
const FEWEST: usize = 3;
/// And at most so often.
const MOST: usize = 200;

/// How long each repetition took.
pub(super) struct Times {
    /// Milliseconds, sorted.
    sorted: Vec<f64>,
}

/// Does `work` again and again, with the number of the run; ends at its first error.
pub(super) fn repeat<E>(mut work: impl FnMut(usize) -> Result<(), E>) -> Result<Times, E> {
    work(0)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < FEWEST || (times.len() < MOST && begun.elapsed() < ENOUGH) {
        let start = Instant::now();
        work(times.len() + 1)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Times::new(times))
}

impl Times {
    pub(super) fn new(mut times: Vec<f64>) -> Times {
        times.sort_by(f64::total_cmp);
        Times { sorted: times }
    }

    /// The smallest time that at least this share of all are not above (nearest rank).
    fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
    }

    /// Half of the times are not above it.
    pub(super) fn median_ms(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// One stage, as it is reported.
#[derive(Serialize)]
pub(super) struct Stage {
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    /// Work by the median time.
    pub(super) rate: f64,
    pub(super) unit: &'static str,
    /// Of the limit in the same unit.
    pub(super) share: f64,
}

impl Stage {
    /// `work`: operations or bytes of one repetition; `limit`: 10⁹ of them a second.
    pub(super) fn new(times: Times, work: f64, unit: &'static str, limit: f64) -> Stage {
        let rate = work / times.median_ms() / 1e6;
        Stage {
            median_ms: times.median_ms(),
            p95_ms: times.quantile(0.95),
            rate,
            unit,
            share: rate / limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_p95_are_nearest_ranks() {
        let times = Times::new((1..=40).rev().map(f64::from).collect());
        assert_eq!((times.median_ms(), times.quantile(0.95)), (20.0, 38.0));
        let one = Times::new(vec![7.0]);
        assert_eq!((one.median_ms(), one.quantile(0.95)), (7.0, 7.0));
    }

    #[test]
    fn a_rate_is_billions_a_second() {
        // 6·10⁹ operations in 2 ms are 3000·10⁹ a second.
        let stage = Stage::new(Times::new(vec![2.0]), 6e9, "GFLOP/s", 6000.0);
        assert_eq!((stage.rate, stage.share), (3000.0, 0.5));
    }

    #[test]
    fn the_first_run_is_not_counted() {
        let mut runs = Vec::new();
        let times = repeat(|run| {
            runs.push(run);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(runs.len(), times.sorted.len() + 1);
        assert_eq!(runs.len(), MOST + 1);
        assert_eq!(
            repeat(|run| if run == 2 { Err(run) } else { Ok(()) }).err(),
            Some(2)
        );
    }
}
