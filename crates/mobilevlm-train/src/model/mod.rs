//! The model that is trained, in the order of the data's way through it.
//!
//! Parameters keep upstream's layout, and the path of fields to one is its name in an
//! [`Inventory`](mobilevlm_checkpoint::Inventory): [`parameters`] and [`values`] go by names.
//!
//! - `source`: where the first values come from, a checkpoint or chance
//! - `layers`: linear layers, norms, convolutions
//! - `encoder`: the block of CLIP's towers; `vision`: the tower of pictures; `projector`: all of the family; `language`: LLaMA and adapters
//! - `rows`: a batch, padded or packed; `embeds`: pictures put in their places; `recompute`: gradients in less memory
//! - `named`: parameters and gradients by upstream's names

mod embeds;
mod encoder;
mod language;
mod layers;
mod named;
mod projector;
mod recompute;
mod rows;
mod source;
mod vision;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use mobilevlm_checkpoint::{Config, TensorError};
use mobilevlm_data::Splice;

use crate::error::ModelError;
use crate::random::Draws;
use crate::recipe::Precision;

pub use embeds::used_pictures;
pub(crate) use encoder::{Block, BlockSizes};
use language::Context;
pub(crate) use language::merge;
pub use language::{Language, LoraConfig};
pub(crate) use layers::{LayerNorm, Linear};
pub(crate) use named::{Change, change_trained, flat, lora_targets, to_stored, upstream_embedding};
pub use named::{Described, NamedGradients, parameters, train_only, values};
pub use source::{Beginning, Either, Init, RandomSource, Source};

pub use vision::VisionTower;

use projector::Projector;
use rows::Rows;
pub(crate) use source::Place;

/// Projector and language model: what the two stages train. A frozen tower is a [`VisionTower`] of
/// its own, whose features come in here; one that learns is a part of the model.
#[derive(Module, Debug)]
pub struct MobileVlm {
    vision: Option<VisionTower>,
    projector: Projector,
    language: Language,
    #[module(skip)]
    sizes: Sizes,
    #[module(skip)]
    packs: bool,
}

/// What an input is checked against.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// T, the places of a picture in a row.
    tokens: usize,
    /// P, the patches of a picture.
    patches: usize,
    /// V, the width of the tower.
    features: usize,
}

impl Precision {
    /// The type of activations and of products.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        }
    }
}

impl MobileVlm {
    /// Makes the model on `device`, which has autodiff if it is to be trained.
    ///
    /// `pad`: the id whose embedding gets no gradient (`pad_token_id` of the configuration).
    ///
    /// # Errors
    /// [`TensorError`] where the source lacks a tensor.
    pub fn new(
        config: &Config,
        pad: Option<u32>,
        source: &dyn Source,
        device: &Device,
    ) -> Result<MobileVlm, TensorError> {
        let place = Place::new(source, device, "projector");
        Ok(MobileVlm {
            vision: None,
            projector: Projector::new(config, &place)?,
            language: Language::new(&config.language, pad, source, device)?,
            sizes: Sizes {
                tokens: projector::tokens(config),
                patches: config.vision.patches(),
                features: config.vision.hidden,
            },
            packs: false,
        })
    }

    /// The same with adapters in the language model, which is frozen but for them.
    ///
    /// # Errors
    /// [`TensorError`] where the source lacks a tensor.
    pub fn with_lora(
        self,
        lora: &LoraConfig,
        source: &dyn Source,
        device: &Device,
    ) -> Result<MobileVlm, TensorError> {
        Ok(MobileVlm {
            language: self.language.with_lora(lora, source, device)?,
            ..self
        })
    }

    /// The same with other arithmetic; parameters stay float32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> MobileVlm {
        MobileVlm {
            language: self.language.with_precision(precision),
            ..self
        }
    }

    /// The same, for whose [`loss`](MobileVlm::loss) the rows of a batch share one, where they do
    /// not see each other, instead of standing beside each other with padding. The loss is the
    /// same; what dropout drops is not.
    #[must_use]
    pub fn with_packing(self, packs: bool) -> MobileVlm {
        MobileVlm { packs, ..self }
    }

    /// The same with a tower that learns, made on the model's device.
    #[must_use]
    pub fn with_tower(self, tower: VisionTower) -> MobileVlm {
        MobileVlm {
            vision: Some(tower),
            ..self
        }
    }

    /// The tower, where it learns.
    pub fn tower(&self) -> Option<&VisionTower> {
        self.vision.as_ref()
    }

    /// The language model.
    pub fn language(&self) -> &Language {
        &self.language
    }

    /// Number T of places that a picture takes in a row.
    pub fn picture_places(&self) -> usize {
        self.sizes.tokens
    }

    /// `features`: `[pictures, P, V]` on the model's device. Returns image embeds
    /// `[pictures, T, d]`, of the type that is computed in.
    pub fn project(&self, features: Tensor<3>) -> Tensor<3> {
        self.projector.forward(self.language.rounded(features))
    }

    /// The summed cross-entropy over the supervised ids of a batch; label k is predicted from place
    /// k − 1. Logits, and all of the last block but keys and values, are computed for those places
    /// only.
    ///
    /// `features`: those of [`used_pictures`] in that order, `[pictures, P, V]`, on a device without
    /// autodiff where the tower is frozen; `None` where there are none. `draws`: for dropout; `None` drops nothing.
    ///
    /// # Errors
    /// [`ModelError::Input`] where features, ids or labels do not fit the model.
    pub fn loss(
        &self,
        splice: &Splice,
        features: Option<Tensor<3>>,
        draws: Option<Draws>,
    ) -> Result<Loss, ModelError> {
        let rows = Rows::new(splice, self.packs)?;
        let (places, targets) = rows.supervised(self.language.vocabulary())?;
        if targets.is_empty() {
            return Ok(Loss {
                sum: None,
                supervised: 0,
            });
        }
        let device = self.language.device();
        let context = rows.context(&self.language, &device);
        let context = context.wanting(&places, &device);
        let hidden = self.hidden(&rows, &context, features, draws)?;
        Ok(self.language.loss_of(hidden, targets))
    }

    /// Logits of every place, `[rows, length, vocabulary]`.
    ///
    /// # Errors
    /// As [`MobileVlm::loss`].
    pub fn logits(
        &self,
        splice: &Splice,
        features: Option<Tensor<3>>,
    ) -> Result<Tensor<3>, ModelError> {
        let rows = Rows::new(splice, false)?;
        let context = rows.context(&self.language, &self.language.device());
        let hidden = self.hidden(&rows, &context, features, None)?;
        let [rows, length, width] = hidden.dims();
        let logits = self.language.logits(hidden.reshape([rows * length, width]));
        Ok(logits.reshape([rows, length, self.language.vocabulary()]))
    }

    /// The hidden state before the last norm, `[rows, length, d]` or what of it is wanted.
    fn hidden(
        &self,
        rows: &Rows<'_>,
        context: &Context,
        features: Option<Tensor<3>>,
        draws: Option<Draws>,
    ) -> Result<Tensor<3>, ModelError> {
        let [count, length] = rows.shape();
        let embeds = self.embeds(&rows.splice, features)?;
        let embeds = embeds.reshape([count, length, self.language.hidden()]);
        Ok(self.language.forward(embeds, context, draws))
    }
}

/// The loss of a batch, before anybody divides it.
#[derive(Debug)]
pub struct Loss {
    /// The sum over the supervised ids, `[1]`; `None` where there are none.
    pub sum: Option<Tensor<1>>,
    /// Ids that are supervised.
    pub supervised: usize,
}
