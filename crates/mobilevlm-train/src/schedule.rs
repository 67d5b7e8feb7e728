//! Learning rates.

use std::f64::consts::PI;

/// HF's cosine schedule with warm-up (`get_cosine_schedule_with_warmup`), to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CosineSchedule {
    /// Steps of the whole run.
    pub total: u64,
    /// Steps in which the rate rises from 0.
    pub warmup: u64,
}

impl CosineSchedule {
    /// The schedule of a run: ceil(total × ratio) steps of warm-up (`warmup_ratio`).
    pub fn with_ratio(total: u64, ratio: f64) -> CosineSchedule {
        CosineSchedule {
            total,
            warmup: (total as f64 * ratio).ceil() as u64,
        }
    }

    /// The rate of step `step`, which counts from 0; the first is 0 where there is a warm-up.
    pub fn rate(&self, step: u64, peak: f64) -> f64 {
        if step < self.warmup {
            return peak * (step as f64 / self.warmup.max(1) as f64);
        }
        let rest = self.total.saturating_sub(self.warmup).max(1);
        let progress = (step - self.warmup) as f64 / rest as f64;
        peak * (0.5 * (1.0 + (PI * 0.5 * 2.0 * progress).cos())).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_falls_and_ends_at_zero() {
        let schedule = CosineSchedule::with_ratio(100, 0.03);
        assert_eq!(schedule.warmup, 3);
        assert_eq!(schedule.rate(0, 1.0), 0.0);
        assert_eq!(schedule.rate(3, 2.0), 2.0);
        assert!((schedule.rate(51, 1.0) - 0.5).abs() < 0.01);
        assert_eq!(schedule.rate(100, 1.0), 0.0);
    }

    #[test]
    fn without_warmup_the_first_step_has_the_peak() {
        let schedule = CosineSchedule::with_ratio(10, 0.0);
        assert_eq!(schedule.rate(0, 1e-3), 1e-3);
    }
}
