//! The vision tower: CLIP's ViT up to the hidden state that the projector reads.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use mobilevlm_checkpoint::{TensorError, VisionConfig};

use super::encoder::{Block, BlockSizes};
use super::layers::LayerNorm;
use super::source::{Init, Place, Source};
use crate::ops::{self, Mask};
use crate::recipe::Precision;

/// What HF's CLIP begins embeddings with (`initializer_range`).
const EMBEDDING: Init = Init::Normal(0.02);

/// CLIP's vision transformer, up to the hidden state that `mm_vision_select_layer` names.
///
/// Made on a plain device it runs without a graph, which is how it is frozen.
#[derive(Module, Debug)]
pub struct VisionTower {
    embeddings: Embeddings,
    pre_layrnorm: LayerNorm,
    encoder: Encoder,
    #[module(skip)]
    image_size: usize,
    #[module(skip)]
    patch_size: usize,
    #[module(skip)]
    precision: Precision,
}

#[derive(Module, Debug)]
struct Embeddings {
    class_embedding: Param<Tensor<1>>,
    patch_embedding: Patches,
    position_embedding: Positions,
}

#[derive(Module, Debug)]
struct Patches {
    /// `[hidden, 3, patch, patch]`: a convolution whose stride is its size.
    weight: Param<Tensor<4>>,
}

#[derive(Module, Debug)]
struct Positions {
    /// `[patches + 1, hidden]`, the class token's first.
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Encoder {
    layers: Vec<Block>,
}

impl VisionTower {
    /// Makes the tower; its names begin with `vision.`.
    ///
    /// # Errors
    /// [`TensorError`] where the source lacks a tensor.
    pub fn new(
        config: &VisionConfig,
        source: &dyn Source,
        device: &Device,
    ) -> Result<VisionTower, TensorError> {
        let place = Place::new(source, device, "vision");
        let (hidden, patch) = (config.hidden, config.patch_size);
        let eps = f64::from(config.eps);
        let embeddings = place.pp("embeddings");
        let class = Init::Normal((hidden as f64).powf(-0.5));
        let layers = place.pp("encoder").pp("layers");
        let sizes = BlockSizes {
            hidden,
            heads: config.heads,
            ffn: config.ffn,
            layers: config.layers,
            eps,
            activation: config.activation,
        };
        Ok(VisionTower {
            embeddings: Embeddings {
                class_embedding: embeddings.param("class_embedding", [hidden], class)?,
                patch_embedding: Patches {
                    weight: embeddings.pp("patch_embedding").param(
                        "weight",
                        [hidden, 3, patch, patch],
                        EMBEDDING,
                    )?,
                },
                position_embedding: Positions {
                    weight: embeddings.pp("position_embedding").param(
                        "weight",
                        [config.patches() + 1, hidden],
                        EMBEDDING,
                    )?,
                },
            },
            pre_layrnorm: LayerNorm::new(&place.pp("pre_layrnorm"), hidden, eps)?,
            encoder: Encoder {
                layers: (0..config.blocks_to_run)
                    .map(|layer| Block::new(&sizes, &layers.pp(layer)))
                    .collect::<Result<_, _>>()?,
            },
            image_size: config.image_size,
            patch_size: patch,
            precision: Precision::F32,
        })
    }

    /// The same with other arithmetic; parameters stay float32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> VisionTower {
        VisionTower { precision, ..self }
    }

    /// Side S of the square picture in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Number of patches P of a picture.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// The device of the parameters, on which pixels are expected.
    pub fn device(&self) -> Device {
        self.embeddings.class_embedding.val().device()
    }

    /// Encodes pictures.
    ///
    /// `pixels`: `[pictures, 3, S, S]`, normalised. Returns `[pictures, P, V]`; the class token is
    /// dropped. They are of the type that is computed in. Upstream: `CLIPVisionTower.forward` with
    /// `feature_select`.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let x = self.hidden(pixels);
        let [_, places, _] = x.dims();
        x.narrow(1, 1, places - 1)
    }

    /// The hidden state with the class token first, `[pictures, P + 1, V]`.
    pub fn hidden(&self, pixels: Tensor<4>) -> Tensor<3> {
        let Embeddings {
            class_embedding,
            patch_embedding,
            position_embedding,
        } = &self.embeddings;
        let dtype = self.precision.dtype();
        let pictures = pixels.dims()[0];
        let [hidden, channels, patch, _] = patch_embedding.weight.dims();
        let grid = self.image_size / patch;
        let columns = channels * patch * patch;
        let rows = pixels
            .cast(dtype)
            .reshape([pictures, channels, grid, patch, grid, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([pictures, grid * grid, columns]);
        let weight = patch_embedding.weight.val().reshape([hidden, columns]);
        let patches = ops::linear(rows, weight, None);
        let class = class_embedding
            .val()
            .cast(dtype)
            .reshape([1, 1, hidden])
            .expand([pictures, 1, hidden]);
        let x = Tensor::cat(vec![class, patches], 1);
        let positions = position_embedding.weight.val().cast(dtype);
        let x = x + positions.unsqueeze::<3>();
        let layers = self.encoder.layers.iter();
        let mask = Mask::default();
        layers.fold(self.pre_layrnorm.forward(x), |x, layer| {
            layer.forward(x, &mask)
        })
    }
}
