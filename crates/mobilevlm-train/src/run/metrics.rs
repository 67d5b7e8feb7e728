//! The figures of a run, a line for each.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::lines::{self, Lines, OfStep};

/// What `metrics.jsonl` has a line for. Nothing in it depends on the clock: the lines of two equal
/// runs are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// A step of the optimiser.
    Step(StepRecord),
    /// An evaluation on held-out data.
    Evaluation(EvaluationRecord),
}

/// A step of the optimiser.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step, from 1.
    pub step: u64,
    /// The epoch that the step's first batch is of, from 0.
    pub epoch: u64,
    /// Mean loss over the supervised tokens, in nats; `null` where it is no finite number.
    pub loss: Option<f64>,
    /// Norm of the whole gradient before clipping; `null` where it is no finite number.
    pub gradient_norm: Option<f64>,
    /// The learning rate of each group of parameters, by its name.
    pub learning_rates: BTreeMap<String, f64>,
    /// Samples that were trained on.
    pub samples: u64,
    /// Places that went through the language model, padding left out.
    pub tokens: u64,
    /// Tokens that the loss is the mean over.
    pub supervised: u64,
    /// Samples that were left out so far, since something is wrong with them.
    pub left_out: u64,
    /// Whether the step changed nothing, as its loss or its gradient is no finite number or
    /// nothing in it is supervised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// An evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The steps that were done.
    pub step: u64,
    /// The figures, by name.
    pub scores: BTreeMap<String, f64>,
}

/// How long a step took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimingRecord {
    /// The step, from 1.
    pub step: u64,
    /// Seconds of the step, reading its samples included.
    pub seconds: f64,
    /// Samples per second.
    pub samples_per_second: f64,
    /// Places of the language model per second, padding left out.
    pub tokens_per_second: f64,
}

impl Record {
    /// The steps that were done when it was written.
    pub fn step(&self) -> u64 {
        match self {
            Record::Step(record) => record.step,
            Record::Evaluation(record) => record.step,
        }
    }
}

impl OfStep for Record {
    fn step(&self) -> u64 {
        Record::step(self)
    }
}

impl OfStep for TimingRecord {
    fn step(&self) -> u64 {
        self.step
    }
}

/// `metrics.jsonl`, open for more lines.
#[derive(Debug)]
pub struct Metrics(Lines<Record>);

/// `timings.jsonl`, open for more lines.
#[derive(Debug)]
pub struct Timings(Lines<TimingRecord>);

impl Metrics {
    /// Opens the file `path`, or makes it, and cuts off what comes after step `last`.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be opened; [`RunError::Content`] if a line before that step
    /// cannot be read.
    pub fn open(path: &Path, last: u64) -> Result<Metrics, RunError> {
        Lines::open(path, last).map(Metrics)
    }

    /// Adds a line; whoever reads the file next sees it.
    ///
    /// # Errors
    /// [`RunError::File`] with what the system says.
    pub fn add(&mut self, record: &Record) -> Result<(), RunError> {
        self.0.add(record)
    }

    /// Puts all lines on the disk; to be done before a checkpoint is written.
    ///
    /// # Errors
    /// [`RunError::File`] with what the system says.
    pub fn sync(&self) -> Result<(), RunError> {
        self.0.sync()
    }

    /// Reads all lines of the file `path`. A last line that is being written is left out.
    ///
    /// # Errors
    /// [`RunError`] if the file cannot be read, with the number of the line.
    pub fn read(path: &Path) -> Result<Vec<Record>, RunError> {
        lines::read(path)
    }
}

impl Timings {
    /// As [`Metrics::open`].
    ///
    /// # Errors
    /// As [`Metrics::open`].
    pub fn open(path: &Path, last: u64) -> Result<Timings, RunError> {
        Lines::open(path, last).map(Timings)
    }

    /// As [`Metrics::add`].
    ///
    /// # Errors
    /// As [`Metrics::add`].
    pub fn add(&mut self, record: &TimingRecord) -> Result<(), RunError> {
        self.0.add(record)
    }

    /// As [`Metrics::sync`].
    ///
    /// # Errors
    /// As [`Metrics::sync`].
    pub fn sync(&self) -> Result<(), RunError> {
        self.0.sync()
    }

    /// As [`Metrics::read`].
    ///
    /// # Errors
    /// As [`Metrics::read`].
    pub fn read(path: &Path) -> Result<Vec<TimingRecord>, RunError> {
        lines::read(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn step(step: u64) -> Record {
        Record::Step(StepRecord {
            step,
            loss: Some(1.0 / step as f64),
            learning_rates: BTreeMap::from([("projector".to_owned(), 1e-3 / step as f64)]),
            ..StepRecord::default()
        })
    }

    fn evaluation(step: u64) -> Record {
        Record::Evaluation(EvaluationRecord {
            step,
            scores: BTreeMap::from([("accuracy".to_owned(), 0.1 * step as f64)]),
        })
    }

    #[test]
    fn what_is_resumed_ends_as_what_was_not_interrupted() {
        let home = tempfile::tempdir().unwrap();
        let (whole, cut) = (home.path().join("whole"), home.path().join("cut"));
        let all = [step(1), step(2), evaluation(2), step(3), step(4)];
        let mut metrics = Metrics::open(&whole, 0).unwrap();
        all.iter().for_each(|record| metrics.add(record).unwrap());

        // Killed in the middle of a line, gone on with after step 2.
        let mut metrics = Metrics::open(&cut, 0).unwrap();
        all[..4]
            .iter()
            .for_each(|record| metrics.add(record).unwrap());
        drop(metrics);
        let mut file = fs::OpenOptions::new().append(true).open(&cut).unwrap();
        file.write_all(b"{\"kind\":\"step\",\"st").unwrap();
        assert_eq!(Metrics::read(&cut).unwrap(), all[..4]);
        let mut metrics = Metrics::open(&cut, 2).unwrap();
        assert_eq!(Metrics::read(&cut).unwrap(), all[..3]);
        all[3..]
            .iter()
            .for_each(|record| metrics.add(record).unwrap());
        assert_eq!(fs::read(&cut).unwrap(), fs::read(&whole).unwrap());
        assert_eq!(Metrics::read(&cut).unwrap(), all);
    }

    #[test]
    fn what_no_number_is_becomes_null() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("metrics.jsonl");
        let record = Record::Step(StepRecord {
            step: 1,
            skipped: true,
            ..StepRecord::default()
        });
        Metrics::open(&path, 0).unwrap().add(&record).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"loss\":null"), "{text}");
        assert_eq!(Metrics::read(&path).unwrap(), [record]);
    }

    #[test]
    fn a_damaged_line_is_named_before_the_step_and_cut_off_after_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        metrics.add(&step(1)).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        // What a power cut may leave of lines that were not on the disk yet.
        file.write_all(&[0; 40]).unwrap();
        file.write_all(b"\n").unwrap();
        let error = Metrics::open(&path, 2).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        Metrics::open(&path, 1).unwrap();
        assert_eq!(Metrics::read(&path).unwrap(), [step(1)]);
    }
}
