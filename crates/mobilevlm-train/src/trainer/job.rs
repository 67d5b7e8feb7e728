//! What differs between tasks: model, micro-batches, loss and the folder that comes of it.

use std::path::Path;
use std::sync::mpsc::SyncSender;

use burn::module::Module;
use mobilevlm_data::{Finding, Grouping};
use rayon::ThreadPool;
use rayon::prelude::*;

use super::error::TrainError;
use super::plan::Plan;
use crate::error::ModelError;
use crate::random::Draws;
use crate::step::PartGradients;

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

    /// The loss of a micro-batch and its gradients. `draws`: for dropout.
    fn gradients(
        &self,
        model: &Self::Model,
        batch: Self::Batch,
        draws: Draws,
    ) -> Result<PartGradients, ModelError>;

    /// What a step leaves, put right.
    fn stepped(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// Writes the folder that the next task or the engine reads.
    fn export(&self, model: &Self::Model, folder: &Path) -> Result<(), ModelError>;

    /// Writes what the run leaves, if that is something else.
    fn leave(&self, model: &Self::Model, folder: &Path) -> Result<(), ModelError> {
        self.export(model, folder)
    }
}

/// The micro-batches of a step, or why there are none.
pub(super) type Ready<T> = Result<Vec<MicroBatch<T>>, TrainError>;

/// Sends the micro-batches of the steps from `first`, in order, until there are no more steps or
/// nobody listens. They are got ready in `pool`.
pub(super) fn send_ahead<J: Job>(
    job: &J,
    plan: &Plan,
    pool: &ThreadPool,
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
            let made = batches
                .into_iter()
                .map(|indices| pool.install(|| job.micro_batch(indices)));
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

/// The samples in their order, got ready on the threads of the pool that calls; those that are left
/// out apart.
pub(super) fn load<T: Send>(
    indices: &[usize],
    one: impl Fn(usize) -> Result<T, Finding> + Sync,
) -> (Vec<T>, Vec<(usize, Finding)>) {
    let loaded: Vec<_> = indices.par_iter().map(|&index| one(index)).collect();
    let (mut samples, mut left_out) = (Vec::with_capacity(indices.len()), Vec::new());
    for (index, loaded) in indices.iter().zip(loaded) {
        match loaded {
            Ok(sample) => samples.push(sample),
            Err(finding) => left_out.push((*index, finding)),
        }
    }
    (samples, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Products;
    use crate::replicas::pool;
    use mobilevlm_data::Problem;

    #[test]
    fn samples_keep_their_order_and_stay_on_the_threads_of_the_pool() {
        let indices: Vec<usize> = (0..100).collect();
        for threads in [1, 3] {
            let one = |index: usize| {
                assert_eq!(rayon::current_num_threads(), threads);
                assert!(rayon::current_thread_index().is_some());
                match index % 7 {
                    3 => Err(Finding {
                        problem: Problem::BrokenRow,
                        message: index.to_string(),
                    }),
                    _ => Ok(index),
                }
            };
            let pool = pool(threads, Products::F32).unwrap();
            let (samples, left_out) = pool.install(|| load(&indices, one));
            let (broken, whole): (Vec<usize>, Vec<usize>) =
                indices.iter().partition(|index| *index % 7 == 3);
            assert_eq!(samples, whole);
            let found: Vec<usize> = left_out.iter().map(|(index, _)| *index).collect();
            assert_eq!(found, broken);
            assert!(
                left_out
                    .iter()
                    .all(|(index, finding)| finding.message == index.to_string())
            );
        }
    }
}
