//! Layers with parameters, as torch stores them.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use mobilevlm_checkpoint::TensorError;

use super::source::{Init, Place};
use crate::ops;

/// A linear layer. Upstream: `nn.Linear`.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[out, in]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`.
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Weight and bias, both beginning as `init` says.
    pub(crate) fn new(
        place: &Place<'_>,
        inputs: usize,
        outputs: usize,
        (weight, bias): (Init, Init),
    ) -> Result<Linear, TensorError> {
        Ok(Linear {
            weight: place.param("weight", [outputs, inputs], weight)?,
            bias: Some(place.param("bias", [outputs], bias)?),
        })
    }

    /// Weight and bias as torch's `nn.Linear` begins.
    pub(crate) fn torch(
        place: &Place<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Linear, TensorError> {
        let init = Init::torch_default(inputs);
        Linear::new(place, inputs, outputs, (init, init))
    }

    /// A weight alone.
    pub(crate) fn without_bias(
        place: &Place<'_>,
        inputs: usize,
        outputs: usize,
        init: Init,
    ) -> Result<Linear, TensorError> {
        Ok(Linear {
            weight: place.param("weight", [outputs, inputs], init)?,
            bias: None,
        })
    }

    /// `x`: `[.., in]`. Returns `[.., out]`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        ops::linear(x, self.weight.val(), bias)
    }
}

/// Layer norm over the last dimension. Upstream: `nn.LayerNorm`.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    eps: f64,
}

impl LayerNorm {
    pub(crate) fn new(place: &Place<'_>, width: usize, eps: f64) -> Result<LayerNorm, TensorError> {
        Ok(LayerNorm {
            weight: place.param("weight", [width], Init::Constant(1.0))?,
            bias: place.param("bias", [width], Init::Constant(0.0))?,
            eps,
        })
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }
}

/// LLaMA's norm. Upstream: `LlamaRMSNorm`, which is no `nn.LayerNorm`: its weight decays.
#[derive(Module, Debug)]
pub(crate) struct RmsNorm {
    weight: Param<Tensor<1>>,
    #[module(skip)]
    eps: f64,
}

impl RmsNorm {
    pub(crate) fn new(place: &Place<'_>, width: usize, eps: f64) -> Result<RmsNorm, TensorError> {
        Ok(RmsNorm {
            weight: place.param("weight", [width], Init::Constant(1.0))?,
            eps,
        })
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::rms_norm(x, self.weight.val(), self.eps)
    }

    /// What is added to the mean square.
    pub(crate) fn eps(&self) -> f64 {
        self.eps
    }
}

/// A depthwise 3×3 convolution with one pixel of zeros around.
#[derive(Module, Debug)]
pub(crate) struct Depthwise {
    /// `[channels, 1, 3, 3]`.
    weight: Param<Tensor<4>>,
    /// `[channels]`.
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    stride: usize,
}

impl Depthwise {
    pub(crate) fn new(
        place: &Place<'_>,
        channels: usize,
        stride: usize,
        has_bias: bool,
    ) -> Result<Depthwise, TensorError> {
        let init = Init::torch_default(9);
        let bias = has_bias.then(|| place.param("bias", [channels], init));
        Ok(Depthwise {
            weight: place.param("weight", [channels, 1, 3, 3], init)?,
            bias: bias.transpose()?,
            stride,
        })
    }

    /// `x`: `[pictures, channels, side, side]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let channels = x.dims()[1];
        let options = ConvOptions::new([self.stride; 2], [1, 1], [1, 1], channels);
        let dtype = x.dtype();
        let bias = self.bias.as_ref().map(|bias| bias.val().cast(dtype));
        conv2d(x, self.weight.val().cast(dtype), bias, options)
    }
}

/// Rows `[pictures, side · side, channels]` as a grid `[pictures, channels, side, side]`.
pub(crate) fn to_grid(x: Tensor<3>) -> Tensor<4> {
    let [pictures, places, channels] = x.dims();
    let side = places.isqrt();
    x.swap_dims(1, 2).reshape([pictures, channels, side, side])
}

/// A grid as rows.
pub(crate) fn to_rows(x: Tensor<4>) -> Tensor<3> {
    let [pictures, channels, height, width] = x.dims();
    x.reshape([pictures, channels, height * width])
        .swap_dims(1, 2)
}
