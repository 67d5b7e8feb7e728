use mobilevlm_checkpoint::Scope;
use mobilevlm_tensor::{Compute, ops};

use crate::{ModelError, linear::Linear, norm::LayerNorm};

/// Upstream's `LayerNormAct2d`: torch's default.
const EPS: f32 = 1e-5;

/// `ldpnet` (V1): two linear layers with an exact GELU between, then two inverted residual blocks,
/// the second with stride 2. Upstream: `LDPBlock`.
pub(crate) struct Ldp {
    first: Linear,
    second: Linear,
    blocks: [Block; 2],
    side: usize,
}

impl Ldp {
    pub(crate) fn load(
        features: usize,
        width: usize,
        side: usize,
        scope: &Scope<'_>,
    ) -> Result<Ldp, ModelError> {
        let model = scope.pp("model");
        let mlp = model.pp("mlp");
        let blocks = model.pp("mb_block");
        Ok(Ldp {
            first: Linear::load(&mlp.pp(1), features, width)?,
            second: Linear::load(&mlp.pp(3), width, width)?,
            blocks: [
                Block::load(1, width, &blocks.pp(1).pp("block"))?,
                Block::load(2, width, &blocks.pp(2).pp("block"))?,
            ],
            side,
        })
    }

    pub(crate) fn tokens(&self) -> usize {
        self.side.div_ceil(2).pow(2)
    }

    /// `features`: `[side · side, V]`. Returns `[tokens, d]`.
    pub(crate) fn forward(&self, compute: &Compute, features: &[f32]) -> Vec<f32> {
        let rows = self.side * self.side;
        let width = self.second.outputs();
        let mut inner = vec![0.0; rows * width];
        self.first.forward(compute, features, &mut inner);
        ops::gelu(compute, &mut inner);
        let mut x = vec![0.0; rows * width];
        self.second.forward(compute, &inner, &mut x);

        let mut side = self.side;
        for block in &self.blocks {
            (x, side) = block.forward(compute, x, side);
        }
        x
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        let blocks = self.blocks.iter().flat_map(Block::linears);
        [&self.first, &self.second]
            .into_iter()
            .chain(blocks)
            .collect()
    }

    pub(crate) fn multiply_adds(&self) -> u64 {
        let rows = (self.side * self.side) as u64;
        rows * (self.first.multiply_adds() + self.second.multiply_adds())
            + rows * self.blocks[0].pointwise.multiply_adds()
            + self.tokens() as u64 * self.blocks[1].pointwise.multiply_adds()
    }
}

/// MobileNetV3's inverted residual without expansion: depthwise 3x3, squeeze-excitation,
/// pointwise. With stride 1 the input is added.
struct Block {
    stride: usize,
    depthwise: Vec<f32>,
    depthwise_norm: LayerNorm,
    squeeze: Linear,
    excite: Linear,
    pointwise: Linear,
    pointwise_norm: LayerNorm,
}

impl Block {
    fn load(stride: usize, width: usize, scope: &Scope<'_>) -> Result<Block, ModelError> {
        let (depthwise, excitation, pointwise) = (scope.pp(0), scope.pp(1), scope.pp(2));
        let squeeze = excitation.pp("fc1");
        // A quarter of the width rounded to a multiple of 8, which the tensor itself tells.
        let squeezed = squeeze.shape("weight")?.first().copied().unwrap_or(0);
        Ok(Block {
            stride,
            depthwise: depthwise.pp(0).tensor("weight", &[width, 1, 3, 3])?,
            depthwise_norm: LayerNorm::load(&depthwise.pp(1), width, EPS)?,
            squeeze: Linear::load(&squeeze, width, squeezed)?,
            excite: Linear::load(&excitation.pp("fc2"), squeezed, width)?,
            pointwise: Linear::load_without_bias(&pointwise.pp(0), width, width)?,
            pointwise_norm: LayerNorm::load(&pointwise.pp(1), width, EPS)?,
        })
    }

    fn linears(&self) -> [&Linear; 3] {
        [&self.squeeze, &self.excite, &self.pointwise]
    }

    /// `x`: `[side, side, d]`. Returns the output and its side.
    fn forward(&self, compute: &Compute, x: Vec<f32>, side: usize) -> (Vec<f32>, usize) {
        let width = self.pointwise.outputs();
        let out_side = side.div_ceil(self.stride);
        let mut convolved = vec![0.0; out_side * out_side * width];
        let mut normed = vec![0.0; convolved.len()];
        ops::depthwise3x3(
            compute,
            &x,
            side,
            side,
            &self.depthwise,
            None,
            self.stride,
            &mut convolved,
        );
        self.depthwise_norm
            .forward(compute, &convolved, &mut normed);
        ops::hard_swish(compute, &mut normed);

        let scale = self.excitation(compute, &normed, out_side);
        for row in normed.chunks_exact_mut(width) {
            row.iter_mut()
                .zip(&scale)
                .for_each(|(value, scale)| *value *= scale);
        }

        self.pointwise.forward(compute, &normed, &mut convolved);
        self.pointwise_norm
            .forward(compute, &convolved, &mut normed);
        if self.stride == 1 {
            ops::add(compute, &mut normed, &x);
        }
        (normed, out_side)
    }

    /// One factor for each channel, from the mean of `x` (`[side, side, d]`) over the grid.
    fn excitation(&self, compute: &Compute, x: &[f32], side: usize) -> Vec<f32> {
        let mut mean = vec![0.0; self.excite.outputs()];
        let mut squeezed = vec![0.0; self.squeeze.outputs()];
        ops::adaptive_mean(compute, x, side, side, 1, 1, &mut mean);
        self.squeeze.forward(compute, &mean, &mut squeezed);
        ops::relu(compute, &mut squeezed);
        self.excite.forward(compute, &squeezed, &mut mean);
        ops::hard_sigmoid(compute, &mut mean);
        mean
    }
}
