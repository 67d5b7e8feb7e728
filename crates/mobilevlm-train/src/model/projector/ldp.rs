use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use mobilevlm_checkpoint::TensorError;

use super::{run, sequence};
use crate::model::layers::{Depthwise, LayerNorm, Linear, to_grid, to_rows};
use crate::model::source::{Init, Place};
use crate::ops;

/// Upstream's `LayerNormAct2d`: torch's default.
const EPS: f64 = 1e-5;

/// `ldpnet` (V1): two linear layers with an exact GELU between, then two inverted residual blocks,
/// the second with stride 2. Upstream: `LDPBlock`. Nothing in it looks at the rest of a batch.
#[derive(Module, Debug)]
pub(crate) struct Ldp {
    model: Model,
}

#[derive(Module, Debug)]
struct Model {
    mlp: Vec<Option<Linear>>,
    mb_block: Vec<Option<Residual>>,
}

#[derive(Module, Debug)]
struct Residual {
    block: (Spatial, Excitation, Pointwise),
    #[module(skip)]
    adds_input: bool,
}

/// Depthwise convolution, norm; then hard-swish.
type Spatial = (Depthwise, LayerNorm);
/// 1×1 convolution, norm.
type Pointwise = (Convolution, LayerNorm);

/// torchvision's `SqueezeExcitation` with a hard sigmoid.
#[derive(Module, Debug)]
struct Excitation {
    fc1: Convolution,
    fc2: Convolution,
}

/// A 1×1 convolution, which is a linear layer over the channels.
#[derive(Module, Debug)]
struct Convolution {
    /// `[out, in, 1, 1]`.
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Ldp {
    pub(crate) fn new(
        place: &Place<'_>,
        features: usize,
        width: usize,
    ) -> Result<Ldp, TensorError> {
        let model = place.pp("model");
        let blocks = model.pp("mb_block");
        Ok(Ldp {
            model: Model {
                // Place 0 of both is an identity upstream.
                mlp: sequence(&model.pp("mlp"), 2, 1, features, width)?,
                mb_block: vec![
                    None,
                    Some(Residual::new(&blocks.pp(1), width, 1)?),
                    Some(Residual::new(&blocks.pp(2), width, 2)?),
                ],
            },
        })
    }

    /// `features`: `[pictures, P, V]`. Returns `[pictures, T, d]`.
    pub(crate) fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let x = run(&self.model.mlp, features);
        let blocks = self.model.mb_block.iter().flatten();
        blocks.fold(x, |x, block| block.forward(x))
    }
}

impl Residual {
    fn new(place: &Place<'_>, width: usize, stride: usize) -> Result<Residual, TensorError> {
        let block = place.pp("block");
        let (spatial, excitation, pointwise) = (block.pp(0), block.pp(1), block.pp(2));
        let squeezed = squeezed_channels(width);
        Ok(Residual {
            block: (
                (
                    Depthwise::new(&spatial.pp(0), width, stride, false)?,
                    LayerNorm::new(&spatial.pp(1), width, EPS)?,
                ),
                Excitation {
                    fc1: Convolution::new(&excitation.pp("fc1"), width, squeezed, true)?,
                    fc2: Convolution::new(&excitation.pp("fc2"), squeezed, width, true)?,
                },
                (
                    Convolution::new(&pointwise.pp(0), width, width, false)?,
                    LayerNorm::new(&pointwise.pp(1), width, EPS)?,
                ),
            ),
            adds_input: stride == 1,
        })
    }

    /// `x`: `[pictures, places, d]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let ((depthwise, spatial_norm), excitation, (pointwise, pointwise_norm)) = &self.block;
        let y = to_rows(depthwise.forward(to_grid(x.clone())));
        let y = ops::hard_swish(spatial_norm.forward(y));
        let scale = excitation.forward(y.clone());
        let y = pointwise_norm.forward(pointwise.forward(y * scale));
        match self.adds_input {
            true => y + x,
            false => y,
        }
    }
}

impl Excitation {
    /// One factor for each picture and channel, `[pictures, 1, d]`, from the mean over the grid.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = relu(self.fc1.forward(x.mean_dim(1)));
        // torch's Hardsigmoid: relu6(x + 3) / 6.
        (self.fc2.forward(x) + 3.0).clamp(0.0, 6.0) / 6.0
    }
}

impl Convolution {
    fn new(
        place: &Place<'_>,
        inputs: usize,
        outputs: usize,
        has_bias: bool,
    ) -> Result<Convolution, TensorError> {
        let init = Init::torch_default(inputs);
        let bias = has_bias.then(|| place.param("bias", [outputs], init));
        Ok(Convolution {
            weight: place.param("weight", [outputs, inputs, 1, 1], init)?,
            bias: bias.transpose()?,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [outputs, inputs, _, _] = self.weight.dims();
        let weight = self.weight.val().reshape([outputs, inputs]);
        ops::linear(x, weight, self.bias.as_ref().map(Param::val))
    }
}

/// Channels inside the squeeze-excitation: a quarter, rounded to a multiple of eight that loses no
/// more than a tenth (torchvision: `_make_divisible(channels // 4, 8)`).
fn squeezed_channels(width: usize) -> usize {
    let quarter = width / 4;
    let rounded = ((quarter + 4) / 8 * 8).max(8);
    match 10 * rounded < 9 * quarter {
        true => rounded + 8,
        false => rounded,
    }
}
