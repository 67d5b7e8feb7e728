//! How a run goes: what is shown while it runs.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use super::metrics::{StepRecord, TimingRecord};

/// Steps that speeds shown to people are the mean of.
const WINDOW: usize = 50;

/// Times steps.
#[derive(Debug)]
pub struct Clock {
    last: Instant,
    /// Seconds, samples and tokens of the last steps.
    steps: VecDeque<(f64, u64, u64)>,
}

/// A run after a step. Its text is one line: loss, learning rates, gradient norm, speeds, time
/// left.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Steps that are done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss over the supervised tokens, if it is a finite number.
    pub loss: Option<f64>,
    /// The learning rate of each group of parameters, by its name.
    pub learning_rates: BTreeMap<String, f64>,
    /// Norm of the gradient before clipping, if it is a finite number.
    pub gradient_norm: Option<f64>,
    /// Samples per second, over the last steps.
    pub samples_per_second: f64,
    /// Places of the language model per second, over the last steps.
    pub tokens_per_second: f64,
    /// What is left at this speed.
    pub left: Duration,
}

impl Clock {
    /// Starts it.
    #[expect(
        clippy::new_without_default,
        reason = "a clock that runs is no default"
    )]
    pub fn new() -> Clock {
        Clock {
            last: Instant::now(),
            steps: VecDeque::new(),
        }
    }

    /// Leaves out what happened since the last step: a checkpoint, an evaluation.
    pub fn resume(&mut self) {
        self.last = Instant::now();
    }

    /// A step is done.
    pub fn step(&mut self, record: &StepRecord) -> TimingRecord {
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        self.steps
            .push_back((seconds, record.samples, record.tokens));
        if self.steps.len() > WINDOW {
            self.steps.pop_front();
        }
        TimingRecord {
            step: record.step,
            seconds,
            samples_per_second: per_second(record.samples, seconds),
            tokens_per_second: per_second(record.tokens, seconds),
        }
    }

    /// The run after the step of `record`, of `steps` in all.
    pub fn progress(&self, record: &StepRecord, steps: u64) -> Progress {
        let seconds: f64 = self.steps.iter().map(|step| step.0).sum();
        let samples = self.steps.iter().map(|step| step.1).sum();
        let tokens = self.steps.iter().map(|step| step.2).sum();
        let a_step = seconds / self.steps.len().max(1) as f64;
        let left = steps.saturating_sub(record.step) as f64 * a_step;
        Progress {
            step: record.step,
            steps,
            loss: record.loss,
            learning_rates: record.learning_rates.clone(),
            gradient_norm: record.gradient_norm,
            samples_per_second: per_second(samples, seconds),
            tokens_per_second: per_second(tokens, seconds),
            left: Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX),
        }
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    // A clock of low resolution can say 0.
    count as f64 / seconds.max(1e-9)
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.loss {
            Some(loss) => write!(f, "loss {loss:.4}")?,
            None => write!(f, "loss –")?,
        }
        // Groups that differ by weight decay alone share a rate.
        let mut rates: Vec<String> = self
            .learning_rates
            .values()
            .map(|rate| format!("{rate:.2e}"))
            .collect();
        rates.sort_unstable();
        rates.dedup();
        write!(f, "  lr {}", rates.join(" "))?;
        match self.gradient_norm {
            Some(norm) => write!(f, "  norm {norm:.3}")?,
            None => write!(f, "  norm –")?,
        }
        let (samples, tokens) = (self.samples_per_second, self.tokens_per_second);
        write!(f, "  {samples:.1} samples/s  {tokens:.0} tokens/s  ")?;
        let seconds = self.left.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        match hours {
            0 => write!(f, "{minutes}:{:02} left", seconds % 60),
            hours => write!(f, "{hours} h {minutes:02} min left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_and_time_left_are_those_of_the_last_steps() {
        let mut clock = Clock::new();
        let record = StepRecord {
            step: 10,
            loss: Some(2.5),
            gradient_norm: Some(1.25),
            learning_rates: BTreeMap::from([
                ("a".to_owned(), 1e-3),
                ("b".to_owned(), 1e-3),
                ("c".to_owned(), 2e-5),
            ]),
            samples: 8,
            tokens: 400,
            ..StepRecord::default()
        };
        clock.steps = VecDeque::from([(2.0, 8, 400), (6.0, 8, 400)]);
        let progress = clock.progress(&record, 1010);
        assert_eq!(progress.samples_per_second, 2.0);
        assert_eq!(progress.tokens_per_second, 100.0);
        assert_eq!(progress.left, Duration::from_secs(4000));
        assert_eq!(
            progress.to_string(),
            "loss 2.5000  lr 1.00e-3 2.00e-5  norm 1.250  2.0 samples/s  100 tokens/s  1 h 06 min left"
        );
        for _ in 0..100 {
            clock.step(&record);
        }
        assert_eq!(clock.steps.len(), WINDOW);
    }
}
