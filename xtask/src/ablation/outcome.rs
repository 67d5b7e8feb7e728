//! What came out of a run, kept so that it is not run again.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use mobilevlm_data::replace_file;
use serde::{Deserialize, Serialize};

use super::cells::Cell;
use super::statistics::median;

/// What came out of one cell with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) cell: Cell,
    pub(super) seed: u64,
    /// Places that a picture takes in the language model.
    pub(super) tokens: usize,
    /// Numbers of the projector.
    pub(super) projector_parameters: u64,
    pub(super) stage1: Stage,
    pub(super) stage2: Stage,
    /// Figures of every kind that stage 2 trains.
    pub(super) figures: BTreeMap<String, Figures>,
}

/// What a stage leaves behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stage {
    pub(super) steps: usize,
    pub(super) samples: u64,
    /// Mean loss of an id over the last tenth of the steps. Samples are
    /// seen once, so none of these was seen before.
    pub(super) loss: f64,
    /// Seconds of the steps: their number times their median, as some wait for pictures that are
    /// encoded the first time, or for a machine with other work.
    pub(super) seconds: f64,
}

/// What `mobilevlm eval world` says of a kind; shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) n: usize,
    pub(super) accuracy: f64,
    pub(super) majority: f64,
    pub(super) text_only: f64,
}

impl Outcome {
    /// Mean over the kinds.
    pub(super) fn mean(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        self.figures.values().map(figure).sum::<f64>() / self.figures.len().max(1) as f64
    }

    /// The outcome in `path`; nothing if the run has not come to its end.
    pub(super) fn read(path: &Path) -> Result<Option<Outcome>, Box<dyn Error>> {
        match fs::read(path) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes);
                let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(Some(read))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: cannot be read: {error}", path.display()).into()),
        }
    }

    /// Keeps it.
    pub(super) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let text = serde_json::to_vec_pretty(self)?;
        replace_file(path, |out| out.write_all(&text))
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()).into())
    }
}

/// A line of `metrics.jsonl` that is a step.
#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    loss: Option<f64>,
    #[serde(default)]
    supervised: u64,
    #[serde(default)]
    samples: u64,
}

/// A line of `timings.jsonl`.
#[derive(Deserialize)]
struct Timing {
    seconds: f64,
}

impl Stage {
    /// From the folder of a run that has ended.
    pub(super) fn read(folder: &Path) -> Result<Stage, Box<dyn Error>> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))
        };
        Stage::of(&text("metrics.jsonl")?, &text("timings.jsonl")?)
    }

    fn of(metrics: &str, timings: &str) -> Result<Stage, Box<dyn Error>> {
        let steps: Vec<Step> = metrics
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let timings: Vec<Timing> = timings
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let last = &steps[steps.len() - steps.len().div_ceil(10)..];
        let (mut sum, mut ids) = (0.0, 0);
        for step in last {
            let loss = step.loss.ok_or("a step at the end has no loss")?;
            sum += loss * step.supervised as f64;
            ids += step.supervised;
        }
        let middle = median(timings.iter().map(|timing| timing.seconds).collect());
        match (ids, middle) {
            (1.., Some(middle)) => Ok(Stage {
                steps: steps.len(),
                samples: steps.iter().map(|step| step.samples).sum(),
                loss: sum / ids as f64,
                seconds: middle * steps.len() as f64,
            }),
            _ => Err("expected steps in metrics.jsonl and timings.jsonl, found none".into()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ablation::cells::TABLE_6;

    /// An outcome with this accuracy of both its kinds.
    pub(in crate::ablation) fn outcome(cell: Cell, seed: u64, accuracy: f64) -> Outcome {
        let stage = Stage {
            steps: 10,
            samples: 160,
            loss: 1.0 - accuracy,
            seconds: 12.0,
        };
        let figures = Figures {
            n: 100,
            accuracy,
            majority: 0.5,
            text_only: 0.25,
        };
        Outcome {
            cell,
            seed,
            tokens: 144,
            projector_parameters: 7936,
            stage1: stage.clone(),
            stage2: stage,
            figures: ["colour", "counting"]
                .map(|kind| (kind.to_owned(), figures))
                .into(),
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcome.json");
        assert_eq!(Outcome::read(&path).unwrap(), None);
        let kept = outcome(TABLE_6[1], 2, 0.625);
        kept.write(&path).unwrap();
        assert_eq!(Outcome::read(&path).unwrap(), Some(kept));
        fs::write(&path, "{").unwrap();
        let error = Outcome::read(&path).unwrap_err().to_string();
        assert!(error.contains("outcome.json"), "{error}");
    }

    #[test]
    fn a_stage_is_summed_up_by_its_last_tenth() {
        let mut metrics = String::new();
        let mut timings = String::new();
        for step in 1..=20 {
            // The last two: 3 ids of loss 1, 1 id of loss 5.
            let (loss, supervised) = [(1.0, 3), (5.0, 1)][step % 2];
            let loss = if step < 19 { 100.0 } else { loss };
            metrics += &format!(
                "{{\"kind\":\"step\",\"step\":{step},\"loss\":{loss},\"samples\":4,\
                 \"supervised\":{supervised}}}\n"
            );
            let seconds = if step == 1 { 90.0 } else { 0.5 };
            timings += &format!("{{\"step\":{step},\"seconds\":{seconds}}}\n");
        }
        let stage = Stage::of(&metrics, &timings).unwrap();
        assert_eq!((stage.steps, stage.samples), (20, 80));
        assert_eq!((stage.loss, stage.seconds), (2.0, 10.0));
        assert!(Stage::of("", "").is_err());
        assert!(Stage::of("{\"loss\":null}\n", "{\"seconds\":1}\n").is_err());
    }
}
