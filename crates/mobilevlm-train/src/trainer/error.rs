//! Why a run does not begin, or ends before its time.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use mobilevlm_data::world::WorldError;
use mobilevlm_data::{DataError, OrderError, Problem};

use crate::error::ModelError;
use crate::recipe::TooLarge;
use crate::run::RunError;

/// Why a run does not begin, or ends before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// What the run leaves behind cannot be written or read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model cannot be made, stepped or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The synthetic world cannot be used.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Upstream has no order for these samples.
    #[error("upstream.sampler = true: {0}; without it there is an order for all samples")]
    Order(#[from] OrderError),
    /// The model does not fit the device.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A key of the recipe that this build, or this data set, cannot follow.
    #[error("{key}: {wrong}")]
    Key {
        /// The key, or the keys.
        key: &'static str,
        /// What was expected and found.
        wrong: String,
    },
    /// The folder holds a run, and it was not asked to go on with it.
    #[error(
        "{}: holds a run of {steps} steps already; go on with it (--resume), or choose another folder",
        path.display()
    )]
    Begun {
        /// The folder.
        path: PathBuf,
        /// Steps of its newest checkpoint.
        steps: u64,
    },
    /// The run to go on with had another recipe or other data.
    #[error(
        "{key} has changed since the run began: expected {before}, found {now}; a run goes on as it \
         began, so change it back, or train into another folder"
    )]
    Changed {
        /// The key of the recipe, or `data set`.
        key: String,
        /// What the checkpoint says.
        before: String,
        /// What the recipe says now.
        now: String,
    },
    /// All checkpoints of the run are damaged.
    #[error("{}: no checkpoint is intact, the newest is damaged: {first}", path.display())]
    Damaged {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// What is wrong with the newest one.
        first: String,
    },
    /// The tokenizer cannot be read.
    #[error("{}: {wrong}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        wrong: String,
    },
    /// Not one step was taken: no sample was whole and had a supervised id, or no loss was finite.
    #[error(
        "data: expected samples to learn from, found none in {steps} steps ({}); the model is not \
         written. `mobilevlm data check` says which rows are wrong",
        left_out_text(left_out)
    )]
    NothingLearnt {
        /// Steps of the run.
        steps: u64,
        /// Samples that were left out, by what is wrong with them.
        left_out: BTreeMap<Problem, u64>,
    },
    /// The evaluation failed.
    #[error("the evaluation after step {step} failed")]
    Evaluation {
        /// Steps that were done.
        step: u64,
        /// What is wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl TrainError {
    pub(super) fn key(key: &'static str, wrong: impl Into<String>) -> TrainError {
        TrainError::Key {
            key,
            wrong: wrong.into(),
        }
    }
}

fn left_out_text(left_out: &BTreeMap<Problem, u64>) -> String {
    if left_out.is_empty() {
        return "no sample was left out".to_owned();
    }
    let each = left_out.iter();
    let each: Vec<String> = each
        .map(|(problem, count)| format!("left out {count}: {problem}"))
        .collect();
    each.join(", ")
}
