use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use mobilevlm_checkpoint::TensorError;

use crate::model::source::{Init, Place};
use crate::ops;
use crate::random::Draws;

/// Low-rank adapters. The names are peft's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraConfig {
    /// The rank of an update.
    pub r: usize,
    /// An update counts alpha / r.
    pub alpha: f64,
    /// The share of inputs of an adapter that are dropped while training, from 0 to 1.
    pub dropout: f64,
}

/// A linear layer that can have an adapter: y = W·x + alpha / r · B·A·dropout(x). Upstream: peft's
/// `lora.Linear`.
#[derive(Module, Debug)]
pub(super) struct AdaptedLinear {
    /// `[out, in]`.
    weight: Param<Tensor<2>>,
    lora: Option<Adapter>,
}

/// Their names in files are peft's: `lora_A.default.weight`, `lora_B.default.weight`.
#[derive(Module, Debug)]
struct Adapter {
    /// `[r, in]`.
    a: Param<Tensor<2>>,
    /// `[out, r]`.
    b: Param<Tensor<2>>,
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    dropout: f64,
}

impl AdaptedLinear {
    pub(super) fn new(
        place: &Place<'_>,
        inputs: usize,
        outputs: usize,
        init: Init,
    ) -> Result<AdaptedLinear, TensorError> {
        Ok(AdaptedLinear {
            weight: place.param("weight", [outputs, inputs], init)?,
            lora: None,
        })
    }

    /// The same with an adapter that begins as peft's: A as torch's `nn.Linear`, B zero.
    pub(super) fn adapted(
        self,
        lora: &LoraConfig,
        place: &Place<'_>,
    ) -> Result<AdaptedLinear, TensorError> {
        let [outputs, inputs] = self.weight.dims();
        let half = |name, shape, init| place.pp(name).pp("default").param("weight", shape, init);
        Ok(AdaptedLinear {
            lora: Some(Adapter {
                a: half("lora_A", [lora.r, inputs], Init::torch_default(inputs))?,
                b: half("lora_B", [outputs, lora.r], Init::Constant(0.0))?,
                scale: lora.alpha / lora.r.max(1) as f64,
                dropout: lora.dropout,
            }),
            ..self
        })
    }

    pub(super) fn forward(&self, x: Tensor<3>, draws: Option<Draws>) -> Tensor<3> {
        let y = ops::linear(x.clone(), self.weight.val(), None);
        match &self.lora {
            Some(adapter) => y + adapter.forward(x, draws),
            None => y,
        }
    }
}

impl Adapter {
    fn forward(&self, x: Tensor<3>, draws: Option<Draws>) -> Tensor<3> {
        let x = match draws {
            Some(draws) if self.dropout > 0.0 => drop_some(x, self.dropout, draws),
            _ => x,
        };
        let inner = ops::linear(x, self.a.val(), None);
        ops::linear(inner, self.b.val(), None) * self.scale
    }
}

/// Sets a share of the numbers to 0 and scales the others, so that the mean stays.
fn drop_some(x: Tensor<3>, share: f64, draws: Draws) -> Tensor<3> {
    let shape = x.dims();
    let kept = match share < 1.0 {
        true => (1.0 / (1.0 - share)) as f32,
        false => 0.0,
    };
    let places = 0..shape.iter().product::<usize>() as u64;
    let factors: Vec<f32> = places
        .map(|place| match draws.uniform(place) < share {
            true => 0.0,
            false => kept,
        })
        .collect();
    let factors: Tensor<3> = Tensor::from_data(TensorData::new(factors, shape), &x.device());
    let dtype = x.dtype();
    x * factors.cast(dtype)
}

/// W + alpha / r · B·A, summed in float64. Upstream: `merge_and_unload`, which
/// `mergelora.py` runs in float16.
///
/// `weight`: `[outputs, inputs]`, `a`: `[r, inputs]`, `b`: `[outputs, r]`.
pub(crate) fn merge(weight: &mut [f32], a: &[f32], b: &[f32], r: usize, scale: f64) {
    let inputs = a.len() / r.max(1);
    if inputs == 0 {
        return;
    }
    for (row, b) in weight.chunks_exact_mut(inputs).zip(b.chunks_exact(r)) {
        for (column, value) in row.iter_mut().enumerate() {
            let products = b.iter().zip(a.iter().skip(column).step_by(inputs));
            let update: f64 = products.map(|(&b, &a)| f64::from(b) * f64::from(a)).sum();
            *value = (f64::from(*value) + scale * update) as f32;
        }
    }
}
