//! Contrastive pre-training of a vision tower: pictures and their captions go to the same places.
//!
//! - `text`: the tower that captions go through; it is thrown away afterwards
//! - `loss`: how near a picture is to its own caption, and how far from the others
//!
//! A picture is the **mean of its patches** in the last hidden state, through CLIP's last norm; in
//! CLIP it is the class token. The projector of MobileVLM reads patches and never the class token,
//! and with the mean every patch of every block learns directly, which counts where a tower is
//! small and sees few pictures. The class token stays: patches look at it.

mod loss;
mod text;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};
use mobilevlm_checkpoint::{TensorError, VisionConfig};

use self::text::TextTower;
use crate::error::ModelError;
use crate::model::{Init, LayerNorm, Linear, Loss, Place, Source, VisionTower};
use crate::recipe::{ClipLoss, Precision, TextSizes};

/// The largest factor of similarities. Upstream: CLIP (Radford et al. 2021, section 2.5).
const LARGEST_SCALE: f64 = 100.0;

/// Sizes of a [`ClipModel`].
#[derive(Clone, Debug)]
pub struct ClipSizes<'a> {
    /// The tower; all of its blocks are run, whatever `blocks_to_run` says.
    pub vision: &'a VisionConfig,
    /// The tower of captions.
    pub text: &'a TextSizes,
    /// Ids of the tokenizer.
    pub vocabulary: usize,
    /// Ids of a caption at most.
    pub caption_length: usize,
    /// What is minimised.
    pub loss: ClipLoss,
}

/// A vision tower and what it learns from captions with.
#[derive(Module, Debug)]
pub struct ClipModel {
    vision: VisionTower,
    post_layernorm: LayerNorm,
    visual_projection: Linear,
    text: TextTower,
    text_projection: Linear,
    /// The logarithm of the factor, `[1]`.
    logit_scale: Param<Tensor<1>>,
    /// SigLIP's, `[1]`.
    logit_bias: Option<Param<Tensor<1>>>,
}

impl ClipModel {
    /// Makes it on `device`, which has autodiff. Names of the tower begin with `vision.`, the last
    /// norm's among them, all others with `clip.`.
    ///
    /// # Errors
    /// [`TensorError`] where the source lacks a tensor.
    pub fn new(
        sizes: &ClipSizes<'_>,
        source: &dyn Source,
        device: &Device,
    ) -> Result<ClipModel, TensorError> {
        let place = Place::new(source, device, "clip");
        let of_tower = Place::new(source, device, "vision");
        let all = VisionConfig {
            blocks_to_run: sizes.vision.layers,
            ..sizes.vision.clone()
        };
        let (width, eps) = (all.hidden, f64::from(all.eps));
        let projection = |name, inputs: usize| {
            let init = Init::Normal((inputs as f64).powf(-0.5));
            Linear::without_bias(&place.pp(name), inputs, sizes.text.projection, init)
        };
        let number = |name, value: f64| place.param(name, [1], Init::Constant(value as f32));
        // What the papers begin with: CLIP 1 / 0.07, SigLIP 10 and -10.
        let (scale, bias) = match sizes.loss {
            ClipLoss::Softmax => (1.0_f64 / 0.07, None),
            ClipLoss::Siglip => (10.0, Some(-10.0)),
        };
        let bias = bias.map(|bias| number("logit_bias", bias));
        Ok(ClipModel {
            vision: VisionTower::new(&all, source, device)?,
            post_layernorm: LayerNorm::new(&of_tower.pp("post_layernorm"), width, eps)?,
            visual_projection: projection("visual_projection", width)?,
            text: TextTower::new(
                sizes.text,
                sizes.vocabulary,
                sizes.caption_length,
                &place.pp("text"),
            )?,
            text_projection: projection("text_projection", sizes.text.hidden)?,
            logit_scale: number("logit_scale", scale.ln())?,
            logit_bias: bias.transpose()?,
        })
    }

    /// The same with other arithmetic in both towers; parameters, and all that comes behind the
    /// towers, stay float32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> ClipModel {
        ClipModel {
            vision: self.vision.with_precision(precision),
            text: self.text.with_precision(precision),
            ..self
        }
    }

    /// The tower, which runs all of its blocks.
    pub fn tower(&self) -> &VisionTower {
        &self.vision
    }

    /// The norm behind the tower's last block.
    pub(crate) fn post_layernorm(&self) -> &LayerNorm {
        &self.post_layernorm
    }

    /// Where pictures are: `pixels` `[pictures, 3, S, S]`, normalised. Returns
    /// `[pictures, projection]`, each row of length 1.
    pub fn pictures(&self, pixels: Tensor<4>) -> Tensor<2> {
        let patches = self.vision.forward(pixels).cast(DType::F32);
        let mean = patches.mean_dim(1).squeeze_dim::<2>(1);
        let x = self
            .visual_projection
            .forward(self.post_layernorm.forward(mean));
        loss::unit(x)
    }

    /// Where captions are, `[captions, projection]`, each row of length 1.
    ///
    /// # Errors
    /// [`ModelError::Input`] where a caption is empty or too long, or has an id that is none.
    pub fn captions(&self, captions: &[Vec<u32>]) -> Result<Tensor<2>, ModelError> {
        let x = self.text.forward(captions, &self.vision.device())?;
        Ok(loss::unit(self.text_projection.forward(x)))
    }

    /// How alike pictures and captions are, `[pictures, captions]`: what the loss is computed from.
    fn logits(&self, pictures: Tensor<2>, captions: Tensor<2>) -> Tensor<2> {
        let alike = pictures.matmul(captions.transpose());
        let scaled = alike * self.logit_scale.val().exp().unsqueeze::<2>();
        match &self.logit_bias {
            Some(bias) => scaled + bias.val().unsqueeze::<2>(),
            None => scaled,
        }
    }

    /// The loss of pictures and their captions, in the same order; summed over pairs.
    ///
    /// # Errors
    /// [`ModelError::Input`] as [`ClipModel::captions`], or where there are not as many captions as
    /// pictures.
    pub fn loss(&self, pixels: Tensor<4>, captions: &[Vec<u32>]) -> Result<Loss, ModelError> {
        let pairs = pixels.dims()[0];
        if captions.len() != pairs {
            return Err(ModelError::Input {
                what: "captions",
                expected: format!("{pairs}, one for each picture"),
                found: captions.len().to_string(),
            });
        }
        let logits = self.logits(self.pictures(pixels), self.captions(captions)?);
        let sum = match self.logit_bias {
            Some(_) => loss::siglip(logits),
            None => loss::softmax(logits),
        };
        Ok(Loss {
            sum: Some(sum),
            supervised: pairs,
        })
    }

    /// The same with the factor of similarities at most 100; after every step, as CLIP does.
    pub fn with_bounded_scale(self) -> ClipModel {
        let scale = self.logit_scale.map(|scale| {
            let bounded = scale.inner().clamp_max(LARGEST_SCALE.ln());
            Tensor::from_inner(bounded).require_grad()
        });
        ClipModel {
            logit_scale: scale,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
