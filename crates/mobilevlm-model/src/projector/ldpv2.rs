use mobilevlm_checkpoint::{LdpV2 as Variant, Scope};
use mobilevlm_tensor::{Arithmetic, Compute, ops};

use crate::{ModelError, linear::Linear};

/// `ldpnetv2`: two linear layers with an exact GELU between, a mean to 12×12, and a positional
/// encoding x + depthwise3x3(x).
///
/// The mean is taken before the second linear layer: it commutes with it, and the layer then has a
/// quarter of the rows.
pub(crate) struct LdpV2 {
    first: Linear,
    second: Linear,
    positions: Positions,
    /// Patches along a side of the tower's grid.
    side: usize,
    /// The side of the grid that the mean is taken to; without it every patch is a token.
    pooled: Option<usize>,
}

enum Positions {
    None,
    /// Upstream's PEG: a depthwise 3x3 convolution `[d, 3, 3]` with bias, added to its input.
    Convolution {
        weight: Vec<f32>,
        bias: Vec<f32>,
    },
    /// A learned table `[T, d]`, added.
    Table(Vec<f32>),
}

impl LdpV2 {
    pub(crate) fn load(
        variant: Variant,
        features: usize,
        width: usize,
        side: usize,
        scope: &Scope<'_>,
    ) -> Result<LdpV2, ModelError> {
        let mlp = scope.pp("mlp").pp("mlp");
        let pooled = variant.grid();
        let positions = match variant {
            Variant::PoolPeg | Variant::PoolPegTo(_) | Variant::NoPool => {
                let peg = scope.pp("peg").pp("peg").pp(0);
                Positions::Convolution {
                    weight: peg.tensor("weight", &[width, 1, 3, 3])?,
                    bias: peg.vector("bias", width)?,
                }
            }
            Variant::PoolPositions => {
                let places = pooled.map_or(0, |side| side * side);
                Positions::Table(scope.tensor("positions", &[places, width])?)
            }
            Variant::Pool => Positions::None,
        };
        Ok(LdpV2 {
            first: Linear::load(&mlp.pp(0), features, width)?,
            second: Linear::load(&mlp.pp(2), width, width)?,
            positions,
            side,
            pooled,
        })
    }

    pub(crate) fn tokens(&self) -> usize {
        self.grid() * self.grid()
    }

    fn grid(&self) -> usize {
        self.pooled.unwrap_or(self.side)
    }

    /// `features`: `[side · side, V]`. Returns `[tokens, d]`.
    pub(crate) fn forward(&self, compute: &Compute, features: &[f32]) -> Vec<f32> {
        let (side, grid, width) = (self.side, self.grid(), self.second.outputs());
        let mut inner = vec![0.0; side * side * width];
        self.first.forward(compute, features, &mut inner);
        ops::gelu(compute, &mut inner);
        if self.pooled.is_some() {
            let mut pooled = vec![0.0; grid * grid * width];
            ops::adaptive_mean(compute, &inner, side, side, grid, grid, &mut pooled);
            inner = pooled;
        }
        let mut x = vec![0.0; grid * grid * width];
        // Behind the mean no rounding is averaged out any more, and there are few rows: a hundredth
        // of the tower's time makes up for what pooling first would lose in bytes.
        let exact = match compute.rounds_to_bytes(self.second.weight()) {
            true => compute.clone().with_arithmetic(Arithmetic::F32),
            false => compute.clone(),
        };
        self.second.forward(&exact, &inner, &mut x);
        match &self.positions {
            Positions::None => {}
            Positions::Convolution { weight, bias } => {
                ops::depthwise3x3(compute, &x, grid, grid, weight, Some(bias), 1, &mut inner);
                ops::add(compute, &mut x, &inner);
            }
            Positions::Table(table) => ops::add(compute, &mut x, table),
        }
        x
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        vec![&self.first, &self.second]
    }

    pub(crate) fn multiply_adds(&self) -> u64 {
        (self.side * self.side) as u64 * self.first.multiply_adds()
            + self.tokens() as u64 * self.second.multiply_adds()
    }
}
