//! Micro-batches, made ready ahead of the steps that take them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use mobilevlm_data::{
    AttentionMask, Batch, Finding, Labelled, Problem, Splice, SpliceError, collate, splice,
};

use super::error::TrainError;
use super::features::Features;
use super::plan::Plan;
use super::samples::Samples;
use crate::error::ModelError;
use crate::model::used_pictures;

/// Samples that went through the same step at the same time.
#[derive(Debug)]
pub(super) struct MicroBatch {
    /// The rows with their pictures in place; nothing where all samples are left out.
    pub(super) splice: Option<Splice>,
    /// Features of the pictures that [`used_pictures`] tells, one after the other, and how many
    /// there are.
    pub(super) features: (usize, Vec<f32>),
    /// Samples in it.
    pub(super) samples: u64,
    /// Places of the language model, padding left out.
    pub(super) tokens: u64,
    /// Samples that were left out, and what is wrong with them.
    pub(super) left_out: Vec<(usize, Finding)>,
}

/// What micro-batches are made of.
#[derive(Debug)]
pub(super) struct Loader {
    pub(super) samples: Samples,
    pub(super) features: Features,
    /// Places that a picture takes in a row.
    pub(super) places: usize,
    pub(super) mask: AttentionMask,
    /// Samples that are got ready at the same time.
    pub(super) threads: usize,
}

impl Loader {
    /// Sends the micro-batches of the steps from `first`, in order, until there are no more steps
    /// or nobody listens.
    pub(super) fn run(
        &self,
        plan: &Plan,
        first: u64,
        to: &SyncSender<Result<Vec<MicroBatch>, TrainError>>,
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
                let made = batches.into_iter().map(|indices| self.micro_batch(indices));
                let made: Result<Vec<MicroBatch>, ModelError> = made.collect();
                epoch = Some((number, current));
                Ok(made?)
            });
            let failed = made.is_err();
            if to.send(made).is_err() || failed {
                return;
            }
        }
    }

    /// Makes a micro-batch of these samples.
    fn micro_batch(&self, indices: &[usize]) -> Result<MicroBatch, ModelError> {
        let mut rows: Vec<Labelled> = Vec::with_capacity(indices.len());
        let mut features = Vec::with_capacity(indices.len());
        let mut left_out = Vec::new();
        for (index, loaded) in indices.iter().zip(self.load(indices)) {
            match loaded {
                Ok((labelled, of_picture)) => {
                    rows.push(labelled);
                    features.push(of_picture);
                }
                Err(finding) => left_out.push((*index, finding)),
            }
        }
        let samples = rows.len() as u64;
        if rows.is_empty() {
            return Ok(MicroBatch {
                splice: None,
                features: (0, Vec::new()),
                samples,
                tokens: 0,
                left_out,
            });
        }
        let splice = self.splice(&rows)?;
        let used = used_pictures(&splice);
        // A picture that is cut off has been encoded and is not used.
        let flat: Vec<f32> = used
            .iter()
            .flat_map(|&row| features[row].take().unwrap_or_default())
            .collect();
        let seen = splice.rows.iter().flat_map(|row| &row.attention_mask);
        Ok(MicroBatch {
            tokens: seen.filter(|seen| **seen).count() as u64,
            splice: Some(splice),
            features: (used.len(), flat),
            samples,
            left_out,
        })
    }

    fn splice(&self, rows: &[Labelled]) -> Result<Splice, SpliceError> {
        let labeller = self.samples.labeller();
        let length = labeller.options().model_max_length;
        let batch: Batch = collate(rows, length, labeller.pad(), self.mask);
        splice(&batch, rows.len(), self.places)
    }

    /// The samples in their order, got ready on several threads.
    #[expect(
        clippy::type_complexity,
        reason = "told apart at once by the only caller"
    )]
    fn load(&self, indices: &[usize]) -> Vec<Result<(Labelled, Option<Vec<f32>>), Finding>> {
        let next = AtomicUsize::new(0);
        let loaded = Mutex::new(BTreeMap::new());
        let work = || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(index) = indices.get(place) else {
                    return;
                };
                let one = self.load_one(*index);
                loaded
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(place, one);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(indices.len()) {
                scope.spawn(work);
            }
            work();
        });
        let loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        loaded.into_values().collect()
    }

    fn load_one(&self, index: usize) -> Result<(Labelled, Option<Vec<f32>>), Finding> {
        let (labelled, picture) = self.samples.load(index)?;
        // One picture a sample: with more, the batch cannot be put together.
        if labelled.pictures() > 1 {
            return Err(Finding {
                problem: Problem::SeveralMarks,
                message: format!("{} places for one picture", labelled.pictures()),
            });
        }
        let features = picture.map(|picture| self.features.of(&picture));
        Ok((labelled, features.transpose()?))
    }
}
