//! The loop over the steps of a run.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use burn::tensor::Device;

use super::error::TrainError;
use super::job::{Job, MicroBatch, Ready};
use super::plan::Plan;
use super::record::Records;
use super::setup::{rate, step_options};
use super::state::State;
use super::{Outcome, TrainEvent, TrainOptions};
use crate::error::ModelError;
use crate::model::Loss;
use crate::optimizer::{AdamW, ParameterGroup};
use crate::random::Draws;
use crate::recipe::Recipe;
use crate::replicas::Replicas;
use crate::run::{Checkpoints, Clock, EvaluationRecord, RunFolder, StepRecord};
use crate::step::{Accumulated, PartGradients};

/// How often a run that waits for samples looks whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// A run that is under way.
pub(super) struct Trainer<'a, 'o, J> {
    pub(super) job: &'a J,
    pub(super) recipe: &'a Recipe,
    pub(super) folder: &'a RunFolder,
    pub(super) checkpoints: &'a Checkpoints,
    /// With autodiff.
    pub(super) device: Device,
    pub(super) replicas: &'a Replicas,
    pub(super) optimizer: AdamW,
    pub(super) plan: &'a Plan,
    pub(super) records: Records,
    pub(super) state: State,
    pub(super) options: &'a mut TrainOptions<'o>,
}

impl<J: Job> Trainer<'_, '_, J> {
    /// Takes all steps that are left. Dropping `from` on the way out is what ends the loader.
    pub(super) fn run(
        mut self,
        mut model: J::Model,
        from: Receiver<Ready<J::Batch>>,
    ) -> Result<Outcome, TrainError> {
        let mut clock = Clock::new();
        let mut loss = None;
        while self.state.step < self.plan.steps() {
            let Some(batches) = self.wait(&from)? else {
                return self.stop(&model);
            };
            let (stepped, record) = self.step(model, batches)?;
            model = stepped;
            let Some(record) = record else {
                return self.stop(&model);
            };
            loss = record.loss;
            let timing = clock.step(&record);
            let is_last = self.state.step == self.plan.steps();
            self.records.step(&record, &timing, is_last)?;
            let progress = clock.progress(&record, self.plan.steps());
            (self.options.observe)(TrainEvent::Step(&record, &progress));
            if is_due(self.recipe.run.eval_steps, &self.state) {
                self.evaluate(&model)?;
                clock.resume();
            }
            if is_last || is_due(Some(self.recipe.run.save_steps), &self.state) {
                self.save(&model)?;
                clock.resume();
            }
        }
        self.records.sync()?;
        if self.state.optimizer_steps == 0 {
            return Err(TrainError::NothingLearnt {
                steps: self.plan.steps(),
                left_out: self.state.left_out,
            });
        }
        let path = self.folder.file("model");
        self.job.leave(&model, &path)?;
        Ok(Outcome::Finished {
            model: path,
            steps: self.plan.steps(),
            loss,
            left_out: self.state.left_out,
        })
    }

    /// The next step's micro-batches; nothing if the run is to stop.
    fn wait(
        &self,
        from: &Receiver<Ready<J::Batch>>,
    ) -> Result<Option<Vec<MicroBatch<J::Batch>>>, TrainError> {
        loop {
            if (self.options.stop)() {
                return Ok(None);
            }
            match from.recv_timeout(LOOK) {
                Ok(batches) => return batches.map(Some),
                Err(RecvTimeoutError::Timeout) => {}
                // It sends a step or an error for each one that is waited for.
                Err(RecvTimeoutError::Disconnected) => {
                    let wrong = "samples ended before the steps";
                    return Err(TrainError::key("data", wrong));
                }
            }
        }
    }

    /// Takes a step; nothing is recorded and nothing has changed if the run was asked to stop in
    /// the middle of it.
    fn step(
        &mut self,
        model: J::Model,
        batches: Vec<MicroBatch<J::Batch>>,
    ) -> Result<(J::Model, Option<StepRecord>), TrainError> {
        let step = self.state.step;
        let draws = Draws::new(self.recipe.seed).named("dropout").at(step);
        let mut gathered = Accumulated::new(step_options(self.recipe));
        let mut record = StepRecord {
            step: step + 1,
            epoch: self.plan.epoch_of(step),
            ..StepRecord::default()
        };
        let mut left_out = Vec::new();
        let mut parts = Vec::new();
        for (number, batch) in batches.into_iter().enumerate() {
            record.samples += batch.samples;
            record.tokens += batch.tokens;
            left_out.extend(batch.left_out);
            parts.push((batch.content, draws.at(number as u64)));
        }
        let mut parts = parts.into_iter().peekable();
        while parts.peek().is_some() {
            if (self.options.stop)() {
                return Ok((model, None));
            }
            let together = parts.by_ref().take(self.replicas.count()).collect();
            let job = self.job;
            let gradients = |model: &J::Model, part| gradients(job, model, part);
            let parts = self
                .replicas
                .gradients(&model, &self.device, together, gradients)?;
            for part in parts {
                gathered.add_gradients(part);
            }
        }
        let peaks = self.optimizer.groups().iter().map(|group| group.rate);
        let rates: Vec<f64> = peaks
            .map(|peak| rate(self.recipe, self.plan.steps(), step, peak))
            .collect();
        for (group, rate) in self.optimizer.groups().iter().zip(&rates) {
            if !group.parameters.is_empty() {
                let name = self.name_of(group).to_owned();
                record.learning_rates.insert(name, *rate);
            }
        }
        let (optimizer, job) = (&mut self.optimizer, self.job);
        let finish = || -> Result<_, ModelError> {
            let (model, outcome) = gathered.finish(model, J::PREFIX, optimizer, &rates)?;
            Ok((job.stepped(model), outcome))
        };
        let (model, outcome) = self.replicas.together().install(finish)?;
        record.loss = Some(outcome.loss).filter(|loss| loss.is_finite());
        record.gradient_norm = Some(outcome.gradient_norm).filter(|norm| norm.is_finite());
        record.supervised = outcome.supervised as u64;
        record.skipped = !outcome.taken;
        for (index, finding) in &left_out {
            *self.state.left_out.entry(finding.problem).or_default() += 1;
            (self.options.observe)(TrainEvent::LeftOut(*index, finding));
        }
        record.left_out = self.state.left_out.values().sum();
        self.state.step += 1;
        self.state.epoch = self.plan.epoch_of(self.state.step);
        self.state.optimizer_steps = self.optimizer.steps();
        Ok((model, Some(record)))
    }

    /// The key of the recipe that the group's rate is from.
    fn name_of(&self, group: &ParameterGroup) -> &'static str {
        let is_projector = |name: &String| name.contains("mm_projector");
        match self.recipe.train.projector_rate {
            Some(_) if group.parameters.iter().any(is_projector) => "mm_projector_lr",
            _ => "learning_rate",
        }
    }

    fn evaluate(&mut self, model: &J::Model) -> Result<(), TrainError> {
        let Some(evaluate) = &mut self.options.evaluate else {
            return Ok(());
        };
        let step = self.state.step;
        let path = self.folder.file("evaluated");
        self.job.export(model, &path)?;
        let scores = evaluate(&path).map_err(|source| TrainError::Evaluation { step, source })?;
        // It is of no use any more, and in nobody's way if it stays.
        let _ = std::fs::remove_dir_all(&path);
        let record = EvaluationRecord { step, scores };
        self.records.evaluation(&record)?;
        (self.options.observe)(TrainEvent::Evaluated(&record));
        Ok(())
    }

    /// What the checkpoint stands for is on the disk before it is.
    fn save(&mut self, model: &J::Model) -> Result<(), TrainError> {
        self.records.sync()?;
        let path = self
            .state
            .save(self.checkpoints, model, J::PREFIX, &self.optimizer)?;
        let path: &Path = &path;
        (self.options.observe)(TrainEvent::Saved(path));
        Ok(())
    }

    fn stop(mut self, model: &J::Model) -> Result<Outcome, TrainError> {
        self.save(model)?;
        Ok(Outcome::Stopped {
            step: self.state.step,
        })
    }
}

/// The gradients of a micro-batch, of which nothing may be left.
fn gradients<J: Job>(
    job: &J,
    model: &J::Model,
    (content, draws): (Option<J::Batch>, Draws),
) -> Result<PartGradients, ModelError> {
    let nothing = Loss {
        sum: None,
        supervised: 0,
    };
    match content {
        Some(content) => job.gradients(model, content, draws),
        None => Ok(PartGradients::of(model, J::PREFIX, nothing)),
    }
}

fn is_due(every: Option<u64>, state: &State) -> bool {
    every.is_some_and(|every| every > 0 && state.step.is_multiple_of(every))
}
