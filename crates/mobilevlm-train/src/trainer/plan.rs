//! Which samples go into which step: a function of the recipe and the data set, without a state.

use std::num::NonZeroUsize;

use mobilevlm_data::{EpochOrder, Grouping, Mt19937, Order, upstream_order};

use super::error::TrainError;
use crate::recipe::{Length, Recipe};

/// The plan of a run.
#[derive(Debug)]
pub(super) struct Plan {
    order: Ordering,
    batch_size: usize,
    replicas: usize,
    accumulation: usize,
    /// Micro-batches of an epoch, those of all replicas counted as one.
    micro_batches: u64,
    steps_per_epoch: u64,
    steps: u64,
}

#[derive(Debug)]
enum Ordering {
    Ours(Order),
    /// Upstream's, of lengths and seed.
    Upstream(Vec<i32>, Grouping, u64),
}

/// The samples of one epoch in their order.
#[derive(Debug)]
pub(super) struct Epoch {
    number: u64,
    indices: Vec<usize>,
}

impl Plan {
    /// The plan for samples of these lengths.
    pub(super) fn new(recipe: &Recipe, lengths: Vec<i32>) -> Result<Plan, TrainError> {
        let train = &recipe.train;
        let replicas = recipe.run.replicas;
        let samples = lengths.len();
        if samples == 0 {
            return Err(TrainError::key("data", "expected samples, found none"));
        }
        let batch = train.batch_size.saturating_mul(replicas);
        let micro_batches = samples.div_ceil(batch) as u64;
        let accumulation = train.accumulation as u64;
        let steps_per_epoch = match recipe.upstream.drop_accumulation_rest {
            // HF's Trainer takes one step where an epoch has none.
            true => (micro_batches / accumulation).max(1),
            false => micro_batches.div_ceil(accumulation),
        };
        let steps = match train.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => (epochs * steps_per_epoch as f64).ceil() as u64,
        };
        let grouping = recipe.data.grouping;
        let order = match recipe.upstream.sampler {
            true => Ordering::Upstream(lengths, grouping, recipe.seed),
            false => Ordering::Ours(Order::new(
                lengths,
                grouping,
                at_least_one(train.batch_size),
                at_least_one(replicas),
                recipe.seed,
            )),
        };
        Ok(Plan {
            order,
            batch_size: train.batch_size,
            replicas,
            accumulation: train.accumulation,
            micro_batches,
            steps_per_epoch,
            steps,
        })
    }

    /// Steps of the whole run.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The epoch of a step, both from 0.
    pub(super) fn epoch_of(&self, step: u64) -> u64 {
        step / self.steps_per_epoch
    }

    /// The order of an epoch.
    pub(super) fn epoch(&self, number: u64) -> Result<Epoch, TrainError> {
        let indices = match &self.order {
            Ordering::Ours(order) => {
                let order: EpochOrder = order.epoch(number);
                order.indices().to_vec()
            }
            Ordering::Upstream(lengths, grouping, seed) => {
                // One generator for all epochs: those before have to be gone through. torch too takes
                // the low half of a seed.
                let mut generator = Mt19937::new(*seed as u32);
                let mut draw = || {
                    upstream_order(
                        lengths,
                        *grouping,
                        at_least_one(self.batch_size),
                        at_least_one(self.replicas),
                        &mut generator,
                    )
                };
                for _ in 0..number {
                    draw()?;
                }
                draw()?
            }
        };
        Ok(Epoch { number, indices })
    }

    /// The micro-batches of a step, for each of them the samples of each replica, together one
    /// list: micro-batch 0 of replica 0, micro-batch 0 of replica 1, …
    pub(super) fn batches<'a>(&self, step: u64, epoch: &'a Epoch) -> Vec<&'a [usize]> {
        debug_assert_eq!(epoch.number, self.epoch_of(step));
        let first = step % self.steps_per_epoch * self.accumulation as u64;
        let last = (first + self.accumulation as u64).min(self.micro_batches);
        let (first, last) = (
            first as usize * self.replicas,
            last as usize * self.replicas,
        );
        (first..last)
            .map(|batch| {
                let indices = epoch.indices.iter().len();
                let start = batch.saturating_mul(self.batch_size).min(indices);
                let end = start.saturating_add(self.batch_size).min(indices);
                &epoch.indices[start..end]
            })
            .filter(|batch| !batch.is_empty())
            .collect()
    }
}

/// The recipe has looked.
fn at_least_one(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}
