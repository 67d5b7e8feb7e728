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

#[cfg(test)]
mod tests {
    use mobilevlm_checkpoint::{Dtype, Inventory, Tensor};
    use mobilevlm_tensor::Kernels;

    use super::*;

    /// A wrong eps moves the logits of the reference sets by less than their tolerance, so it is
    /// tested where it matters: on rows that are as small as its root.
    #[test]
    fn eps_counts_where_values_are_small() {
        let weight = [2.0_f32, -1.0];
        let bytes: Vec<u8> = weight
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let tensor =
            |bytes: &[u8]| Tensor::new(Dtype::F32, vec![2], bytes.to_vec().into()).unwrap();
        let inventory: Inventory = [
            ("norm.weight".to_owned(), tensor(&bytes)),
            ("norm.bias".to_owned(), tensor(&[0; 8])),
        ]
        .into_iter()
        .collect();
        let compute = Compute::new(Kernels::best(), 1);
        let x = [3e-3_f32, -1e-3];
        for eps in [1e-6_f32, 1e-5] {
            // Mean square 5e-6, mean 1e-3, variance 4e-6.
            let rms = (5e-6 + eps).sqrt();
            let deviation = (4e-6 + eps).sqrt();
            let mut out = [0.0; 2];
            let scope = inventory.scope("norm");
            RmsNorm::load(&scope, 2, eps)
                .unwrap()
                .forward(&compute, &x, &mut out);
            assert_near(out, [2.0 * 3e-3 / rms, 1e-3 / rms]);
            LayerNorm::load(&scope, 2, eps)
                .unwrap()
                .forward(&compute, &x, &mut out);
            assert_near(out, [2.0 * 2e-3 / deviation, 2e-3 / deviation]);
        }
    }

    fn assert_near(found: [f32; 2], expected: [f32; 2]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5 * expected.abs(),
                "expected {expected}, found {found}"
            );
        }
    }
}
