//! The task `clip`: a vision tower against captions.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use mobilevlm_checkpoint::{Preprocess, VisionConfig};
use mobilevlm_data::{Finding, Grouping, IGNORE, LabelOptions, Labeller, Problem, TrainTemplate};
use mobilevlm_processor::Preprocessor;

use super::TrainOptions;
use super::error::TrainError;
use super::job::{Job, MicroBatch, load};
use super::samples::Samples;
use super::setup::{adamw, check, devices, preprocessor, tokenizer};
use crate::clip::{ClipModel, ClipSizes};
use crate::error::ModelError;
use crate::model::{Either, RandomSource, parameters};
use crate::optimizer::{AdamW, Method, ParameterGroup};
use crate::random::Draws;
use crate::recipe::{From, Recipe};
use crate::step::PartGradients;
use crate::weights::{export_tower, read_tower};

/// The task `clip`.
#[derive(Debug)]
pub(super) struct Clip {
    vision: VisionConfig,
    preprocess: Preprocess,
    preprocessor: Preprocessor,
    samples: Samples,
    /// Ids of a caption at most.
    longest: usize,
    /// The id that ends a caption.
    end: u32,
    /// With autodiff.
    device: Device,
}

impl Clip {
    /// Reads what the recipe starts from.
    pub(super) fn new(
        recipe: &Recipe,
        options: &mut TrainOptions<'_>,
    ) -> Result<(Clip, ClipModel, AdamW, Device), TrainError> {
        check(recipe)?;
        if recipe.run.eval_steps.is_some() {
            let wrong = "expected 0; what is examined is a whole model";
            return Err(TrainError::key("run.eval_steps", wrong));
        }
        let (tokenizer, _) = tokenizer(recipe)?;
        let (Some(vision), Some(text)) = (&recipe.start.vision, &recipe.start.text) else {
            let wrong = "expected a tower of pictures and one of captions";
            return Err(TrainError::key("vision, text", wrong));
        };
        let random = RandomSource::new(recipe.seed).beginning(recipe.start.beginning);
        let (vision, preprocess, tensors) = match vision {
            From::Nothing(vision) => {
                let preprocess = Preprocess::clip(recipe.data.aspect, vision.image_size);
                (vision.clone(), preprocess, None)
            }
            From::Folder(folder) => {
                let (vision, preprocess, tensors) = read_tower(folder)?;
                (vision, preprocess, Some(tensors))
            }
        };
        let preprocess = Preprocess {
            aspect: recipe.data.aspect,
            ..preprocess
        };
        let (plain, device) = devices(recipe)?;
        let sizes = ClipSizes {
            vision: &vision,
            text,
            vocabulary: tokenizer.vocab_size(),
            caption_length: recipe.data.model_max_length,
            loss: recipe.train.clip_loss,
        };
        let is_read = |name: &str| tensors.is_some() && name.starts_with("vision.");
        let tensors = tensors.clone().unwrap_or_default();
        let source = Either(&tensors, &random, &is_read);
        let model = ClipModel::new(&sizes, &source, &device).map_err(ModelError::from)?;
        let model = model.with_precision(recipe.run.precision);
        let optimizer = optimizer(recipe, &model);
        let end = tokenizer.eos();
        let labeller = Labeller::new(tokenizer, LabelOptions::new(TrainTemplate::Plain));
        let job = Clip {
            samples: Samples::open(
                &recipe.data.source,
                vision.image_size,
                labeller,
                false,
                options.stop,
            )?,
            preprocessor: preprocessor(&preprocess),
            vision,
            preprocess,
            longest: recipe.data.model_max_length,
            end,
            device,
        };
        Ok((job, model, optimizer, plain))
    }

    /// The pixels of a picture, normalised, and the ids of its caption.
    fn load_one(&self, index: usize) -> Result<(Vec<f32>, Vec<u32>), Finding> {
        let (rows, picture) = self.samples.load(index)?;
        let image = match picture {
            Some(picture) => picture.pixels()?,
            None => None,
        };
        let image = image.ok_or_else(|| Finding {
            problem: Problem::NoPicture,
            message: "expected a picture and its caption, found text alone".to_owned(),
        })?;
        // What is supervised in `plain` is the caption.
        let labels = rows.iter().flat_map(|row| &row.labels);
        let caption = labels.filter(|&&label| label != IGNORE);
        let caption = caption.filter_map(|&label| u32::try_from(label).ok());
        let mut caption: Vec<u32> = caption.take(self.longest - 1).collect();
        caption.push(self.end);
        let pixels = self
            .preprocessor
            .normalise(&self.preprocessor.prepare(&image));
        Ok((pixels, caption))
    }
}

/// Pictures and their captions.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Pixels of the pictures, one after the other.
    pixels: Vec<f32>,
    captions: Vec<Vec<u32>>,
}

impl Job for Clip {
    type Model = ClipModel;
    type Batch = Pairs;
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

    fn micro_batch(&self, indices: &[usize]) -> Result<MicroBatch<Pairs>, ModelError> {
        let (loaded, left_out) = load(indices, |index| self.load_one(index));
        let (pixels, captions): (Vec<Vec<f32>>, Vec<Vec<u32>>) = loaded.into_iter().unzip();
        let samples = captions.len() as u64;
        Ok(MicroBatch {
            samples,
            tokens: captions.iter().map(|caption| caption.len() as u64).sum(),
            content: (samples > 0).then(|| Pairs {
                pixels: pixels.concat(),
                captions,
            }),
            left_out,
        })
    }

    fn gradients(
        &self,
        model: &ClipModel,
        batch: Pairs,
        _: Draws,
    ) -> Result<PartGradients, ModelError> {
        let side = self.vision.image_size;
        let pixels = TensorData::new(batch.pixels, [batch.captions.len(), 3, side, side]);
        let loss = model.loss(Tensor::from_data(pixels, &self.device), &batch.captions)?;
        Ok(PartGradients::of(model, Self::PREFIX, loss))
    }

    fn stepped(&self, model: ClipModel) -> ClipModel {
        model.with_bounded_scale()
    }

    fn export(&self, model: &ClipModel, folder: &Path) -> Result<(), ModelError> {
        export_tower(folder, model, &self.vision, &self.preprocess)
    }
}

/// Matrices decay; norms, biases, the class token and the scale do not. Source: CLIP (Radford et
/// al. 2021), section 2.5.
fn optimizer(recipe: &Recipe, model: &ClipModel) -> AdamW {
    let group = |decays| ParameterGroup {
        rate: recipe.train.learning_rate,
        weight_decay: if decays {
            recipe.train.weight_decay
        } else {
            0.0
        },
        decays,
        method: Method::AdamW,
        parameters: parameters(model, "")
            .into_iter()
            .filter(|parameter| (parameter.shape.len() > 1) == decays)
            .map(|parameter| parameter.name)
            .collect(),
    };
    adamw(recipe, vec![group(true), group(false)])
}
