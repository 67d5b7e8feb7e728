//! Projector and language model: the paper's stages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use mobilevlm_data::{
    AttentionMask, Batch, Finding, Grouping, Labelled, Place, Problem, Splice, SpliceError,
    collate, splice,
};

use super::TrainOptions;
use super::error::TrainError;
use super::features::Features;
use super::job::{Job, MicroBatch, load};
use super::samples::Samples;
use super::setup::Setup;
use crate::error::ModelError;
use crate::model::{LoraConfig, MobileVlm, used_pictures};
use crate::optimizer::AdamW;
use crate::random::Draws;
use crate::recipe::{From, Learns, Lora, Recipe};
use crate::step::PartGradients;
use crate::weights::{Export, ExportDtype, Start};

/// The tasks `stage1`, `stage2` and `vlm`.
#[derive(Debug)]
pub(super) struct Vlm {
    start: Start,
    /// The folder of the tokenizer's files.
    tokenizer: PathBuf,
    lora: Option<LoraConfig>,
    /// The folder that adapters are for, where they are left beside its weights.
    base: Option<PathBuf>,
    samples: Samples,
    features: Features,
    /// Places that a picture takes in a row.
    places: usize,
    mask: AttentionMask,
    /// Without autodiff.
    device: Device,
    /// Whether adapters have dropout.
    drops: bool,
    /// Whether layers are computed again in the backward pass.
    recomputes: bool,
    /// Whether the tower learns: pictures come to the model as pixels then, not as features.
    tower_learns: bool,
}

impl Vlm {
    /// Reads what the recipe starts from.
    pub(super) fn new(
        recipe: &Recipe,
        options: &mut TrainOptions<'_>,
    ) -> Result<(Vlm, MobileVlm, AdamW, Device), TrainError> {
        let setup = Setup::new(recipe, options.observe)?;
        let samples = Samples::open(
            &recipe.data.source,
            setup.start.config.preprocess.image_size,
            setup.labeller.clone(),
            recipe.upstream.keep_masked_samples,
            options.stop,
        )?;
        let preprocessor = setup.preprocessor();
        let job = Vlm {
            features: Features::new(
                setup.tower,
                setup.start.config.vision.hidden,
                preprocessor,
                recipe.run.feature_cache.as_deref(),
            ),
            start: setup.start,
            tokenizer: setup.tokenizer,
            lora: setup.lora,
            base: match (recipe.train.language, &recipe.start.language) {
                (Learns::Adapters(Lora { merge: false, .. }), Some(From::Folder(folder))) => {
                    Some(folder.clone())
                }
                _ => None,
            },
            samples,
            places: setup.model.picture_places(),
            mask: match recipe.upstream.attention_mask_not_pad {
                true => AttentionMask::UpstreamNotPad,
                false => AttentionMask::Length,
            },
            device: setup.device.clone(),
            drops: matches!(recipe.train.language, Learns::Adapters(_)),
            recomputes: recipe.run.gradient_checkpointing,
            tower_learns: recipe.train.vision,
        };
        Ok((job, setup.model, setup.optimizer, setup.device))
    }

    fn export_of(&self) -> Export<'_> {
        Export {
            start: &self.start,
            tokenizer: &self.tokenizer,
            lora: self.lora,
            dtype: ExportDtype::F32,
        }
    }

    /// The rows of samples in one batch; those of a sample are about one picture, which has the
    /// number of its first row.
    fn splice(&self, samples: &[Vec<Labelled>]) -> Result<Splice, SpliceError> {
        let labeller = self.samples.labeller();
        let length = labeller.options().model_max_length;
        let rows = samples.concat();
        let batch: Batch = collate(&rows, length, labeller.pad(), self.mask);
        let mut splice = splice(&batch, rows.len(), self.places)?;
        let mut rows = splice.rows.iter_mut();
        let mut first = 0;
        for sample in samples {
            for row in rows.by_ref().take(sample.len()) {
                for place in &mut row.places {
                    if let Place::Picture { picture, .. } = place {
                        *picture = first;
                    }
                }
            }
            first += sample.len();
        }
        Ok(splice)
    }

    fn load_one(&self, index: usize) -> Result<(Vec<Labelled>, Option<Vec<f32>>), Finding> {
        let (rows, picture) = self.samples.load(index)?;
        // One picture a sample: with more, the batch cannot be put together.
        let marks = rows.iter().map(Labelled::pictures).max().unwrap_or(0);
        if marks > 1 {
            return Err(Finding {
                problem: Problem::SeveralMarks,
                message: format!("{marks} places for one picture"),
            });
        }
        let seen = picture.map(|picture| match self.tower_learns {
            true => self.features.pixels(&picture),
            false => self.features.of(&picture),
        });
        Ok((rows, seen.transpose()?))
    }
}

/// Rows and what their pictures are seen as.
#[derive(Debug)]
pub(super) struct Rows {
    /// Rows with their pictures in place.
    splice: Splice,
    /// Features, or pixels, of the pictures that [`used_pictures`] tells, one after the other.
    seen: Vec<f32>,
    /// How many pictures there are.
    pictures: usize,
}

impl Job for Vlm {
    type Model = MobileVlm;
    type Batch = Rows;
    const PREFIX: &'static str = "";

    fn samples(&self) -> usize {
        self.samples.len()
    }

    fn lengths(&self, grouping: Grouping) -> Vec<i32> {
        self.samples.lengths(grouping)
    }

    fn identity(&self) -> String {
        self.samples.identity()
    }

    fn micro_batch(&self, indices: &[usize]) -> Result<MicroBatch<Rows>, ModelError> {
        let (loaded, left_out) = load(indices, |index| self.load_one(index));
        let samples = loaded.len() as u64;
        let (mut rows, mut pictures) = (Vec::new(), BTreeMap::new());
        let mut first = 0;
        for (of_sample, picture) in loaded {
            pictures.insert(first, picture);
            first += of_sample.len();
            rows.push(of_sample);
        }
        if rows.is_empty() {
            return Ok(MicroBatch {
                content: None,
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
            .flat_map(|row| pictures.remove(row).flatten().unwrap_or_default())
            .collect();
        let seen = splice.rows.iter().flat_map(|row| &row.attention_mask);
        Ok(MicroBatch {
            tokens: seen.filter(|seen| **seen).count() as u64,
            content: Some(Rows {
                splice,
                seen: flat,
                pictures: used.len(),
            }),
            samples,
            left_out,
        })
    }

    fn gradients(
        &self,
        model: &MobileVlm,
        batch: Rows,
        draws: Draws,
    ) -> Result<PartGradients, ModelError> {
        let pictures = batch.pictures;
        let features = (pictures > 0).then(|| match model.tower() {
            Some(tower) => {
                let side = tower.image_size();
                let pixels = TensorData::new(batch.seen, [pictures, 3, side, side]);
                tower.forward(Tensor::from_data(pixels, &tower.device()))
            }
            None => {
                let patches = self.features.tower().patches();
                let width = batch.seen.len() / (pictures * patches);
                let features = TensorData::new(batch.seen, [pictures, patches, width]);
                Tensor::from_data(features, &self.device)
            }
        });
        let draws = self.drops.then_some(draws);
        if self.recomputes {
            return model.recomputed_gradients(&batch.splice, features, draws);
        }
        let loss = model.loss(&batch.splice, features, draws)?;
        Ok(PartGradients::of(model, Self::PREFIX, loss))
    }

    fn export(&self, model: &MobileVlm, folder: &Path) -> Result<(), ModelError> {
        self.export_of().write(folder, model, self.features.tower())
    }

    fn leave(&self, model: &MobileVlm, folder: &Path) -> Result<(), ModelError> {
        match (&self.lora, &self.base) {
            (Some(lora), Some(base)) => self.export_of().write_adapters(folder, model, lora, base),
            _ => self.export(model, folder),
        }
    }
}
