//! What differs between tasks: model, micro-batches, loss and the folder that comes of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use mobilevlm_data::{Finding, Grouping};

use super::error::TrainError;
use super::plan::Plan;
use crate::error::ModelError;
use crate::model::Loss;
use crate::random::Draws;

/// Samples that go through the same step at the same time.
#[derive(Debug)]
pub(super) struct MicroBatch<T> {
    /// Nothing where all samples are left out.
    pub(super) content: Option<T>,
    /// Samples in it.
    pub(super) samples: u64,
    /// Places of the language model, or of the tower of captions; padding left out.
    pub(super) tokens: u64,
    /// Samples that were left out, and what is wrong with them.
    pub(super) left_out: Vec<(usize, Finding)>,
}

/// A task of a recipe, with all that it works on but the model.
pub(super) trait Job: Sync {
    /// What learns.
    type Model: Module;
    /// A micro-batch on the host.
    type Batch: Send;
    /// The model's place in the tree of names: what [`parameters`](crate::parameters) is told.
    const PREFIX: &'static str;

    /// Number of samples.
    fn samples(&self) -> usize;

    /// What the order groups by: words, negative without a picture.
    fn lengths(&self, grouping: Grouping) -> Vec<i32>;

    /// What the samples are known by: a run goes on with the same ones only.
    fn identity(&self) -> String;

    /// Makes a micro-batch of these samples; called ahead of the step, in another thread.
    fn micro_batch(&self, indices: &[usize]) -> Result<MicroBatch<Self::Batch>, ModelError>;

    /// The loss of a micro-batch. `draws`: for dropout.
    fn loss(
        &self,
        model: &Self::Model,
        batch: Self::Batch,
        draws: Draws,
    ) -> Result<Loss, ModelError>;

    /// What a step leaves, put right.
    fn stepped(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// Writes the folder that the next task or the engine reads.
    fn export(&self, model: &Self::Model, folder: &Path) -> Result<(), ModelError>;
}

/// The micro-batches of a step, or why there are none.
pub(super) type Ready<T> = Result<Vec<MicroBatch<T>>, TrainError>;

/// Sends the micro-batches of the steps from `first`, in order, until there are no more steps or
/// nobody listens.
pub(super) fn send_ahead<J: Job>(
    job: &J,
    plan: &Plan,
    first: u64,
    to: &SyncSender<Ready<J::Batch>>,
) {
    let mut epoch = None;
    for step in first..plan.steps() {
        let number = plan.epoch_of(step);
        let current = match epoch.take() {
            Some((known, order)) if known == number => Ok(order),
            _ => plan.epoch(number),
        };
        let made = current.and_then(|current| {
            let batches = plan.batches(step, &current);
            let made = batches.into_iter().map(|indices| job.micro_batch(indices));
            let made: Result<Vec<_>, ModelError> = made.collect();
            epoch = Some((number, current));
            Ok(made?)
        });
        let failed = made.is_err();
        if to.send(made).is_err() || failed {
            return;
        }
    }
}

/// The samples in their order, got ready on several threads; those that are left out apart.
pub(super) fn load<T: Send>(
    indices: &[usize],
    threads: usize,
    one: impl Fn(usize) -> Result<T, Finding> + Sync,
) -> (Vec<T>, Vec<(usize, Finding)>) {
    let next = AtomicUsize::new(0);
    let loaded = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(index) = indices.get(place) else {
                return;
            };
            let one = one(*index);
            loaded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(place, one);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(indices.len()) {
            scope.spawn(work);
        }
        work();
    });
    let loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (mut samples, mut left_out) = (Vec::with_capacity(indices.len()), Vec::new());
    for (index, loaded) in indices.iter().zip(loaded.into_values()) {
        match loaded {
            Ok(sample) => samples.push(sample),
            Err(finding) => left_out.push((*index, finding)),
        }
    }
    (samples, left_out)
}
