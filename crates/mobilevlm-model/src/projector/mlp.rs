use mobilevlm_checkpoint::Scope;
use mobilevlm_tensor::{Compute, ops};

use crate::{ModelError, linear::Linear};

/// `mlpNx_gelu`: N linear layers with exact GELUs between them (LLaVA-1.5, ShareGPT4V).
pub(crate) struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Reads layers `0`, `2`, `4`, … of `scope`: upstream's `nn.Sequential` counts the GELUs too.
    pub(crate) fn load(
        depth: usize,
        features: usize,
        width: usize,
        scope: &Scope<'_>,
    ) -> Result<Mlp, ModelError> {
        let layers = (0..depth)
            .map(|layer| {
                let inputs = if layer == 0 { features } else { width };
                Linear::load(&scope.pp(2 * layer), inputs, width)
            })
            .collect::<Result<_, _>>()?;
        Ok(Mlp { layers })
    }

    /// `features`: `[rows, V]`. Returns `[rows, d]`.
    pub(crate) fn forward(&self, compute: &Compute, features: &[f32], rows: usize) -> Vec<f32> {
        let mut x = features.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                ops::gelu(compute, &mut x);
            }
            let mut y = vec![0.0; rows * layer.outputs()];
            layer.forward(compute, &x, &mut y);
            x = y;
        }
        x
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        self.layers.iter().collect()
    }

    pub(crate) fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(Linear::multiply_adds).sum()
    }
}
