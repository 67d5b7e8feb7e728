use mobilevlm_checkpoint::Scope;
use mobilevlm_tensor::{Compute, ops};

use crate::ModelError;

/// Layer norm over the last dimension, with weight and bias.
pub(crate) struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    /// Reads `weight` and `bias` of `scope`.
    pub(crate) fn load(scope: &Scope<'_>, width: usize, eps: f32) -> Result<LayerNorm, ModelError> {
        Ok(LayerNorm {
            weight: scope.vector("weight", width)?,
            bias: scope.vector("bias", width)?,
            eps,
        })
    }

    /// `x`, `out`: `[m, width]`.
    pub(crate) fn forward(&self, compute: &Compute, x: &[f32], out: &mut [f32]) {
        ops::layer_norm(compute, x, &self.weight, &self.bias, self.eps, out);
    }
}

/// LLaMA's norm: x / sqrt(mean(x²) + eps) · weight.
pub(crate) struct RmsNorm {
    weight: Vec<f32>,
    eps: f32,
}

impl RmsNorm {
    /// Reads `weight` of `scope`.
    pub(crate) fn load(scope: &Scope<'_>, width: usize, eps: f32) -> Result<RmsNorm, ModelError> {
        Ok(RmsNorm {
            weight: scope.vector("weight", width)?,
            eps,
        })
    }

    /// `x`, `out`: `[m, width]`.
    pub(crate) fn forward(&self, compute: &Compute, x: &[f32], out: &mut [f32]) {
        ops::rms_norm(compute, x, &self.weight, self.eps, out);
    }
}
