use mobilevlm_checkpoint::Scope;
use mobilevlm_tensor::{Compute, Matrix, ops};

use crate::ModelError;

/// y = x·Wᵀ + b, with W `[outputs, inputs]` kept as stored.
pub(crate) struct Linear {
    weight: Matrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Reads `weight` and `bias` of `scope`.
    pub(crate) fn load(
        scope: &Scope<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Linear, ModelError> {
        let bias = Some(scope.vector("bias", outputs)?);
        Ok(Linear {
            bias,
            ..Linear::load_without_bias(scope, inputs, outputs)?
        })
    }

    /// Reads `weight` of `scope`.
    pub(crate) fn load_without_bias(
        scope: &Scope<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Linear, ModelError> {
        Ok(Linear {
            weight: scope.matrix("weight", outputs, inputs)?,
            bias: None,
        })
    }

    pub(crate) fn outputs(&self) -> usize {
        self.weight.rows()
    }

    /// `x`: `[m, inputs]`; `y`: `[m, outputs]`, overwritten.
    pub(crate) fn forward(&self, compute: &Compute, x: &[f32], y: &mut [f32]) {
        ops::linear(compute, x, &self.weight, self.bias.as_deref(), y);
    }

    /// This layer as one of several with the same input, for [`ops::linears`].
    pub(crate) fn with_output<'a>(&'a self, y: &'a mut [f32]) -> ops::Linear<'a> {
        ops::Linear {
            w: &self.weight,
            bias: self.bias.as_deref(),
            y,
        }
    }

    /// As [`Linear::forward`], added to what `y` holds: the residual connection.
    pub(crate) fn forward_add(&self, compute: &Compute, x: &[f32], y: &mut [f32]) {
        ops::linear_add(compute, x, &self.weight, self.bias.as_deref(), y);
    }

    /// Multiply-adds for one row.
    pub(crate) fn multiply_adds(&self) -> u64 {
        self.weight.rows() as u64 * self.weight.columns() as u64
    }

    /// The stored weight.
    pub(crate) fn weight(&self) -> &Matrix {
        &self.weight
    }
}
