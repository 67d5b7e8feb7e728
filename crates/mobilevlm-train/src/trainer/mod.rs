//! A training run: from a recipe to a folder that the engine reads.
//!
//! - `job`: what differs between tasks, and getting micro-batches ready ahead; the tasks are `vlm`
//!   (the paper's stages), `clip` and `lm`
//! - `setup`: model and optimiser; `samples`: the data set; `features`: what the tower sees
//! - `plan`: which samples go into which step
//! - `steps`: the loop; `state`: checkpoints; `record`: what is written down
//!
//! A run is a function of recipe and data set: the order of samples, dropout and initial values
//! are drawn by counters, so that a run that is stopped and resumed goes on with the same bits.

mod clip;
mod error;
mod features;
mod job;
mod lm;
mod plan;
mod record;
mod samples;
mod setup;
mod state;
mod steps;
mod vlm;

use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use burn::tensor::Device;
use mobilevlm_data::{Finding, Problem};

use crate::optimizer::AdamW;
use crate::recipe::{Recipe, Task};
use crate::replicas::{Replicas, pool};
use crate::run::{
    Checkpoints, Damaged, EvaluationRecord, Progress, RunError, RunFolder, Saved, StepRecord,
};

use clip::Clip;
use job::{Job, send_ahead};
use lm::Lm;
use plan::Plan;
use record::Records;
use setup::{threads, tracked};
use state::State;
use steps::Trainer;
use vlm::Vlm;

pub use error::TrainError;

/// Steps whose micro-batches are ready before they are needed.
const AHEAD: usize = 2;

/// How a run is watched and stopped.
pub struct TrainOptions<'a> {
    /// Goes on with the run in the folder, if there is one. Otherwise a folder with a run is
    /// refused.
    pub resume: bool,
    /// Asked between micro-batches: whether to write a checkpoint and stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Hears of everything that happens.
    pub observe: &'a mut dyn FnMut(TrainEvent<'_>),
    /// Examines the model in a folder every `run.eval_steps` steps and gives scores by name.
    pub evaluate: Option<Evaluate<'a>>,
}

/// Examines the model in a folder; gives scores by name.
pub type Evaluate<'a> =
    &'a mut dyn FnMut(&Path) -> Result<BTreeMap<String, f64>, Box<dyn Error + Send + Sync>>;

/// What happens in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainEvent<'a> {
    /// Something that may go wrong later: memory for the longest rows.
    Warning(&'a str),
    /// A checkpoint is damaged and passed over.
    Damaged(&'a Damaged),
    /// The first step is about to be taken.
    Begun {
        /// Steps that were done before.
        done: u64,
        /// Steps of the whole run.
        steps: u64,
        /// Samples of the data set.
        samples: usize,
        /// Numbers that are learnt.
        parameters: usize,
    },
    /// A step is done.
    Step(&'a StepRecord, &'a Progress),
    /// A sample is left out: its number, and what is wrong with it.
    LeftOut(usize, &'a Finding),
    /// A checkpoint is written.
    Saved(&'a Path),
    /// The model was examined.
    Evaluated(&'a EvaluationRecord),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are done.
    Finished {
        /// The folder of the model.
        model: PathBuf,
        /// Steps of the run.
        steps: u64,
        /// The last step's loss; nothing where it was taken by an earlier process.
        loss: Option<f64>,
        /// Samples that were left out, by what is wrong with them.
        left_out: BTreeMap<Problem, u64>,
    },
    /// It was asked to stop.
    Stopped {
        /// Steps that are done, and in a checkpoint.
        step: u64,
    },
}

/// Trains as the recipe says, in `recipe.output_dir`; the model lies in its folder `model`
/// afterwards, the rest is described by [`run`](crate::run).
///
/// # Errors
/// [`TrainError`]. Checkpoints that were written stay intact, and the run can go on from them when
/// the cause is gone.
pub fn train(recipe: &Recipe, mut options: TrainOptions<'_>) -> Result<Outcome, TrainError> {
    // What cannot be begun is found before a weight is read.
    let run = Begun::new(recipe, &mut options)?;
    match recipe.task {
        Task::Stage1 | Task::Stage2 | Task::Vlm => {
            let (job, model, optimizer, device) = Vlm::new(recipe, &mut options)?;
            run.go_on(recipe, &job, model, optimizer, &device, &mut options)
        }
        Task::Clip => {
            let (job, model, optimizer, device) = Clip::new(recipe, &mut options)?;
            run.go_on(recipe, &job, model, optimizer, &device, &mut options)
        }
        Task::Lm => {
            let (job, model, optimizer, device) = Lm::new(recipe, &mut options)?;
            run.go_on(recipe, &job, model, optimizer, &device, &mut options)
        }
        Task::Tokenizer => {
            let wrong = "expected a model; a tokenizer has no steps (tokenizer::make)";
            Err(TrainError::key("task", wrong))
        }
    }
}

/// A run's folder, and the checkpoint to go on from.
struct Begun {
    folder: RunFolder,
    checkpoints: Checkpoints,
    saved: Option<Saved>,
}

impl Begun {
    fn new(recipe: &Recipe, options: &mut TrainOptions<'_>) -> Result<Begun, TrainError> {
        let folder = RunFolder::open(&recipe.output_dir)?;
        let keep = NonZeroUsize::new(recipe.run.save_total_limit).unwrap_or(NonZeroUsize::MIN);
        let checkpoints = Checkpoints::open(&folder.file("checkpoints"), keep)?;
        let saved = newest(&checkpoints, &folder, options.resume, options.observe)?;
        Ok(Begun {
            folder,
            checkpoints,
            saved,
        })
    }

    /// Takes the steps that are left.
    fn go_on<J: Job>(
        &self,
        recipe: &Recipe,
        job: &J,
        mut model: J::Model,
        mut optimizer: AdamW,
        device: &Device,
        options: &mut TrainOptions<'_>,
    ) -> Result<Outcome, TrainError> {
        let plan = Plan::new(recipe, job.lengths(recipe.data.grouping))?;
        let mut state = State::new(recipe, job.identity());
        if let Some(saved) = &self.saved {
            state = State::read(saved, &state)?;
            model = state.restore(saved, model, J::PREFIX, &mut optimizer, device)?;
        }
        write_recipe(&self.folder, recipe)?;
        let evaluated = self.folder.file("evaluated");
        if evaluated.exists() {
            // Of an evaluation that was interrupted.
            std::fs::remove_dir_all(&evaluated).map_err(RunError::file(evaluated, "removed"))?;
        }
        let records = Records::open(&self.folder, recipe, state.step)?;
        let trained = crate::model::parameters(&model, J::PREFIX).into_iter();
        let parameters = trained
            .filter(|parameter| parameter.trained)
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum();
        (options.observe)(TrainEvent::Begun {
            done: state.step,
            steps: plan.steps(),
            samples: job.samples(),
            parameters,
        });
        let threads = threads(recipe);
        let too_many = |error| TrainError::key("run.threads", format!("none to be had: {error}"));
        let replicas =
            Replicas::new(recipe.run.replicas, threads, recipe.run.products).map_err(too_many)?;
        // One replica and the next samples take turns on the same threads; several have no turn to
        // give away.
        let own = match replicas.count() {
            1 => None,
            _ => Some(pool(threads, recipe.run.products).map_err(too_many)?),
        };
        let (to, from) = sync_channel(AHEAD);
        let first = state.step;
        let trainer = Trainer {
            job,
            recipe,
            folder: &self.folder,
            checkpoints: &self.checkpoints,
            device: tracked(recipe, device),
            replicas: &replicas,
            optimizer,
            plan: &plan,
            records,
            state,
            options,
        };
        std::thread::scope(|scope| {
            let plan = &plan;
            let pool = own.as_ref().unwrap_or(replicas.first());
            scope.spawn(move || send_ahead(job, plan, pool, first, &to));
            trainer.run(model, from)
        })
    }
}

/// The checkpoint to go on from.
fn newest(
    checkpoints: &Checkpoints,
    folder: &RunFolder,
    resume: bool,
    observe: &mut dyn FnMut(TrainEvent<'_>),
) -> Result<Option<Saved>, TrainError> {
    let (saved, damaged) = checkpoints.newest()?;
    if !resume {
        let last = checkpoints.steps()?.last().copied();
        return match last {
            None => Ok(None),
            Some(steps) => Err(TrainError::Begun {
                path: folder.path().to_owned(),
                steps,
            }),
        };
    }
    damaged
        .iter()
        .for_each(|damaged| observe(TrainEvent::Damaged(damaged)));
    match damaged.first() {
        Some(first) if saved.is_none() => Err(TrainError::Damaged {
            path: folder.file("checkpoints"),
            first: first.error.to_string(),
        }),
        _ => Ok(saved),
    }
}

/// `recipe.toml`: the recipe with all defaults, for people.
fn write_recipe(folder: &RunFolder, recipe: &Recipe) -> Result<(), RunError> {
    let path = folder.file("recipe.toml");
    let written =
        mobilevlm_data::replace_file(&path, |out| out.write_all(recipe.resolved.as_bytes()));
    written.map_err(RunError::file(path, "written"))
}
