//! The block that CLIP's two towers are made of.

use burn::module::Module;
use burn::tensor::Tensor;
use mobilevlm_checkpoint::{Activation, TensorError};

use super::layers::{LayerNorm, Linear};
use super::source::{Init, Place};
use crate::ops::{self, Mask};

/// Sizes of a tower's blocks.
pub(crate) struct BlockSizes {
    pub(crate) hidden: usize,
    /// Heads; divide `hidden`.
    pub(crate) heads: usize,
    /// Width inside the feed-forward part.
    pub(crate) ffn: usize,
    /// Blocks of the tower.
    pub(crate) layers: usize,
    /// Added to variances.
    pub(crate) eps: f64,
    pub(crate) activation: Activation,
}

/// Upstream: HF's `CLIPEncoderLayer`.
#[derive(Module, Debug)]
pub(crate) struct Block {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    mlp: FeedForward,
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    #[module(skip)]
    heads: usize,
}

#[derive(Module, Debug)]
struct FeedForward {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    is_quick: bool,
}

impl Block {
    /// Begins as HF's `CLIPPreTrainedModel._init_weights`.
    pub(crate) fn new(config: &BlockSizes, place: &Place<'_>) -> Result<Block, TensorError> {
        let (hidden, ffn) = (config.hidden, config.ffn);
        let eps = config.eps;
        let width = hidden as f64;
        let narrow = Init::Normal(width.powf(-0.5) * (2.0 * config.layers as f64).powf(-0.5));
        let out = Init::Normal(width.powf(-0.5));
        let wide = Init::Normal((2.0 * width).powf(-0.5));
        let (attention, mlp) = (place.pp("self_attn"), place.pp("mlp"));
        let linear = |place: Place<'_>, inputs, outputs, init| {
            Linear::new(&place, inputs, outputs, (init, Init::Constant(0.0)))
        };
        Ok(Block {
            layer_norm1: LayerNorm::new(&place.pp("layer_norm1"), hidden, eps)?,
            self_attn: Attention {
                q_proj: linear(attention.pp("q_proj"), hidden, hidden, narrow)?,
                k_proj: linear(attention.pp("k_proj"), hidden, hidden, narrow)?,
                v_proj: linear(attention.pp("v_proj"), hidden, hidden, narrow)?,
                out_proj: linear(attention.pp("out_proj"), hidden, hidden, out)?,
                heads: config.heads,
            },
            layer_norm2: LayerNorm::new(&place.pp("layer_norm2"), hidden, eps)?,
            mlp: FeedForward {
                fc1: linear(mlp.pp("fc1"), hidden, ffn, wide)?,
                fc2: linear(mlp.pp("fc2"), ffn, hidden, narrow)?,
                is_quick: config.activation == Activation::QuickGelu,
            },
        })
    }

    /// `x`: `[rows, places, hidden]`.
    pub(crate) fn forward(&self, x: Tensor<3>, mask: &Mask) -> Tensor<3> {
        let x = x.clone() + self.self_attn.forward(self.layer_norm1.forward(x), mask);
        x.clone() + self.mlp.forward(self.layer_norm2.forward(x))
    }
}

impl Attention {
    fn forward(&self, x: Tensor<3>, mask: &Mask) -> Tensor<3> {
        let [rows, places, hidden] = x.dims();
        let heads = |x: Tensor<3>| {
            x.reshape([rows, places, self.heads, hidden / self.heads])
                .swap_dims(1, 2)
        };
        let query = heads(self.q_proj.forward(x.clone()));
        let key = heads(self.k_proj.forward(x.clone()));
        let value = heads(self.v_proj.forward(x));
        let attended = ops::attention(query, key, value, mask);
        self.out_proj
            .forward(attended.swap_dims(1, 2).reshape([rows, places, hidden]))
    }
}

impl FeedForward {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.fc1.forward(x);
        self.fc2.forward(match self.is_quick {
            true => ops::quick_gelu(x),
            false => ops::gelu(x),
        })
    }
}
