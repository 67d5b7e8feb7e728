use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use mobilevlm_checkpoint::{Activation, TensorError};

use crate::error::ModelError;
use crate::model::{Block, BlockSizes, Init, LayerNorm, Place};
use crate::ops::Mask;
use crate::recipe::{Precision, TextSizes};

/// What HF's CLIP begins embeddings with (`initializer_range`).
const EMBEDDING: Init = Init::Normal(0.02);

/// CLIP's tower of texts: blocks of the same kind, each id sees those before it, and what the last
/// one sees stands for the text.
#[derive(Module, Debug)]
pub(super) struct TextTower {
    /// `[vocabulary, hidden]`.
    token_embedding: Param<Tensor<2>>,
    /// `[caption_length, hidden]`.
    position_embedding: Param<Tensor<2>>,
    layers: Vec<Block>,
    final_layer_norm: LayerNorm,
    #[module(skip)]
    precision: Precision,
}

impl TextTower {
    pub(super) fn new(
        sizes: &TextSizes,
        vocabulary: usize,
        length: usize,
        place: &Place<'_>,
    ) -> Result<TextTower, TensorError> {
        let blocks = BlockSizes {
            hidden: sizes.hidden,
            heads: sizes.heads,
            ffn: sizes.ffn,
            layers: sizes.layers,
            eps: 1e-5,
            activation: Activation::QuickGelu,
        };
        let (hidden, layers) = (sizes.hidden, place.pp("layers"));
        Ok(TextTower {
            token_embedding: place.param("token_embedding", [vocabulary, hidden], EMBEDDING)?,
            position_embedding: place.param("position_embedding", [length, hidden], EMBEDDING)?,
            layers: (0..sizes.layers)
                .map(|layer| Block::new(&blocks, &layers.pp(layer)))
                .collect::<Result<_, _>>()?,
            final_layer_norm: LayerNorm::new(&place.pp("final_layer_norm"), hidden, blocks.eps)?,
            precision: Precision::F32,
        })
    }

    pub(super) fn with_precision(self, precision: Precision) -> TextTower {
        TextTower { precision, ..self }
    }

    /// What the last ids see, `[captions, hidden]`, float32.
    pub(super) fn forward(
        &self,
        captions: &[Vec<u32>],
        device: &Device,
    ) -> Result<Tensor<2>, ModelError> {
        let [vocabulary, hidden] = self.token_embedding.dims();
        let most = self.position_embedding.dims()[0];
        for (caption, ids) in captions.iter().enumerate() {
            let input = |expected: String, found: String| ModelError::Input {
                what: "caption",
                expected,
                found: format!("{found} in caption {caption}"),
            };
            if ids.is_empty() || ids.len() > most {
                return Err(input(
                    format!("1 to {most} ids"),
                    format!("{} ids", ids.len()),
                ));
            }
            if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
                return Err(input(format!("ids below {vocabulary}"), id.to_string()));
            }
        }
        let rows = captions.len();
        let length = captions.iter().map(Vec::len).max().unwrap_or(0);
        let indices = |indices: Vec<i64>| {
            let count = indices.len();
            Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), device)
        };
        // What follows the last id of a caption is seen by nobody who counts.
        let padded = captions.iter().flat_map(|ids| {
            let places = 0..length;
            places.map(|place| i64::from(ids.get(place).copied().unwrap_or(0)))
        });
        let tokens = self
            .token_embedding
            .val()
            .select(0, indices(padded.collect()))
            .reshape([rows, length, hidden]);
        let positions = self.position_embedding.val().narrow(0, 0, length);
        let mask = Mask {
            causal: true,
            keys: None,
        };
        let x = (tokens + positions.unsqueeze::<3>()).cast(self.precision.dtype());
        let layers = self.layers.iter();
        let x = layers.fold(x, |x, layer| layer.forward(x, &mask));
        let last = captions
            .iter()
            .enumerate()
            .map(|(row, ids)| (row * length + ids.len() - 1) as i64);
        let x = x
            .reshape([rows * length, hidden])
            .select(0, indices(last.collect()))
            .cast(DType::F32);
        Ok(self.final_layer_norm.forward(x))
    }
}
