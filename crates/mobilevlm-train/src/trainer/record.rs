//! What a run writes down while it goes on.

use std::path::PathBuf;

use crate::recipe::Recipe;
use crate::run::{
    EvaluationRecord, Events, Metrics, PlotOptions, Record, RunError, RunFolder, StepRecord,
    TimingRecord, Timings, plot,
};

/// The files of a run that grow with it.
#[derive(Debug)]
pub(super) struct Records {
    metrics_path: PathBuf,
    plot_path: PathBuf,
    title: String,
    metrics: Metrics,
    timings: Timings,
    events: Option<Events>,
    /// Steps between lines.
    every: u64,
}

impl Records {
    /// Opens them, cut back to step `last`.
    pub(super) fn open(folder: &RunFolder, recipe: &Recipe, last: u64) -> Result<Self, RunError> {
        let metrics_path = folder.file("metrics.jsonl");
        let events_path = folder.file("events.out.tfevents.run");
        Ok(Records {
            metrics: Metrics::open(&metrics_path, last)?,
            timings: Timings::open(&folder.file("timings.jsonl"), last)?,
            events: match recipe.run.tensorboard {
                true => Some(Events::open(&events_path, last)?),
                false => None,
            },
            metrics_path,
            plot_path: folder.file("curves.svg"),
            title: recipe
                .file
                .file_stem()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            every: recipe.run.logging_steps,
        })
    }

    /// Writes a step down, if it is one of those that are.
    pub(super) fn step(
        &mut self,
        record: &StepRecord,
        timing: &TimingRecord,
        is_last: bool,
    ) -> Result<(), RunError> {
        if !(record.step.is_multiple_of(self.every) || is_last || record.skipped) {
            return Ok(());
        }
        self.metrics.add(&Record::Step(record.clone()))?;
        self.timings.add(timing)?;
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        let rates: Vec<(String, f64)> = record
            .learning_rates
            .iter()
            .map(|(name, rate)| (format!("learning rate/{name}"), *rate))
            .collect();
        let mut scalars: Vec<(&str, f64)> = Vec::new();
        scalars.extend(record.loss.map(|loss| ("loss", loss)));
        scalars.extend(record.gradient_norm.map(|norm| ("gradient norm", norm)));
        scalars.extend(rates.iter().map(|(name, rate)| (name.as_str(), *rate)));
        scalars.push(("speed/samples per second", timing.samples_per_second));
        scalars.push(("speed/tokens per second", timing.tokens_per_second));
        events.add(record.step, &scalars)
    }

    /// Writes an evaluation down.
    pub(super) fn evaluation(&mut self, record: &EvaluationRecord) -> Result<(), RunError> {
        self.metrics.add(&Record::Evaluation(record.clone()))?;
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        let scores: Vec<(String, f64)> = record
            .scores
            .iter()
            .map(|(name, score)| (format!("held-out/{name}"), *score))
            .collect();
        let scores: Vec<(&str, f64)> = scores
            .iter()
            .map(|(name, score)| (name.as_str(), *score))
            .collect();
        events.add(record.step, &scores)
    }

    /// Draws the curves and puts all on the disk: before a checkpoint, and at the end.
    pub(super) fn sync(&self) -> Result<(), RunError> {
        self.metrics.sync()?;
        self.timings.sync()?;
        let options = PlotOptions {
            title: self.title.clone(),
            scale: None,
        };
        let svg = plot(&Metrics::read(&self.metrics_path)?, &options);
        let written =
            mobilevlm_data::replace_file(&self.plot_path, |out| out.write_all(svg.as_bytes()));
        written.map_err(RunError::file(&self.plot_path, "written"))
    }
}
