use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;
use mobilevlm_checkpoint::{LdpV2 as Variant, TensorError};

use super::{run, sequence};
use crate::model::layers::{Depthwise, Linear, to_grid, to_rows};
use crate::model::source::{Init, Place};

/// `ldpnetv2` and its relatives of the paper's Table 7: two linear layers with a GELU between, a
/// mean to a smaller grid, and a positional encoding. Upstream: `LDPNetV2Projector`.
#[derive(Module, Debug)]
pub(crate) struct LdpV2 {
    mlp: Mlp,
    /// Upstream's `PosInjectLayer`: x + depthwise 3×3(x).
    peg: Option<Peg>,
    /// Learned positions `[T, d]`, added.
    positions: Option<Param<Tensor<2>>>,
    #[module(skip)]
    /// The side of the grid that is pooled to, if any.
    grid: Option<usize>,
}

#[derive(Module, Debug)]
struct Mlp {
    mlp: Vec<Option<Linear>>,
}

#[derive(Module, Debug)]
struct Peg {
    peg: Vec<Depthwise>,
}

impl LdpV2 {
    pub(crate) fn new(
        variant: Variant,
        place: &Place<'_>,
        features: usize,
        width: usize,
    ) -> Result<LdpV2, TensorError> {
        let peg = || Depthwise::new(&place.pp("peg").pp("peg").pp(0), width, 1, true);
        let grid = variant.grid();
        let places = grid.map_or(0, |side| side * side);
        let positions = || place.param("positions", [places, width], Init::Normal(0.02));
        let (peg, positions) = match variant {
            Variant::PoolPeg | Variant::PoolPegTo(_) | Variant::NoPool => (Some(peg()?), None),
            Variant::PoolPositions => (None, Some(positions()?)),
            Variant::Pool => (None, None),
        };
        Ok(LdpV2 {
            mlp: Mlp {
                mlp: sequence(&place.pp("mlp").pp("mlp"), 2, 0, features, width)?,
            },
            peg: peg.map(|peg| Peg { peg: vec![peg] }),
            positions,
            grid,
        })
    }

    /// `features`: `[pictures, P, V]`. Returns `[pictures, T, d]`.
    pub(crate) fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let mut x = run(&self.mlp.mlp, features);
        // A mean over one place each is the place itself.
        if let Some(side) = self.grid
            && x.dims()[1] != side * side
        {
            x = to_rows(adaptive_avg_pool2d(to_grid(x), [side, side]));
        }
        if let Some(peg) = &self.peg {
            let grid = to_grid(x);
            let convolved = peg.peg.iter().fold(grid.clone(), |x, peg| peg.forward(x));
            x = to_rows(grid + convolved);
        }
        match &self.positions {
            Some(positions) => {
                let positions = positions.val().cast(x.dtype());
                x + positions.unsqueeze::<3>()
            }
            None => x,
        }
    }
}
