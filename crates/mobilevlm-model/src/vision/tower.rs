use mobilevlm_checkpoint::{Scope, VisionConfig};
use mobilevlm_tensor::{Arithmetic, Compute, Matrix};

use super::block::{Block, Workspace};
use super::embeddings::Embeddings;
use crate::ModelError;

/// CLIP's vision transformer, up to the hidden state that `mm_vision_select_layer` names.
///
/// Blocks after that hidden state and `post_layernorm` are neither loaded nor run, because nothing
/// reads them.
pub struct VisionTower {
    embeddings: Embeddings,
    blocks: Vec<Block>,
    config: VisionConfig,
}

impl VisionTower {
    /// Takes the tensors below `scope`, which are named as CLIP names them after `vision_model.`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a tensor is missing or misshaped.
    pub fn load(config: &VisionConfig, scope: Scope<'_>) -> Result<VisionTower, ModelError> {
        let layers = scope.pp("encoder").pp("layers");
        let blocks = (0..config.blocks_to_run)
            .map(|layer| Block::load(config, &layers.pp(layer)))
            .collect::<Result<_, _>>()?;
        Ok(VisionTower {
            embeddings: Embeddings::load(config, &scope)?,
            blocks,
            config: config.clone(),
        })
    }

    /// Side S of the square picture in pixels.
    pub fn image_size(&self) -> usize {
        self.embeddings.image_size()
    }

    /// Number of patches P of a picture: (S / patch size)².
    pub fn patches(&self) -> usize {
        self.embeddings.patches()
    }

    /// Width V of the features.
    pub fn hidden(&self) -> usize {
        self.config.hidden
    }

    /// Encodes one picture.
    ///
    /// `pixels`: `[3, S, S]`, normalised. Returns `[P, V]`; the class token is dropped. Upstream:
    /// `CLIPVisionTower.feature_select`.
    ///
    /// # Errors
    /// [`ModelError::Pixels`] if the number of values is another one.
    pub fn encode(&self, compute: &Compute, pixels: &[f32]) -> Result<Vec<f32>, ModelError> {
        let side = self.image_size();
        if pixels.len() != 3 * side * side {
            return Err(ModelError::Pixels {
                side,
                found: pixels.len(),
            });
        }
        let compute = &self.suited(compute);
        let mut x = self.embeddings.forward(compute, pixels);
        let mut work = Workspace::new(&self.config, self.patches() + 1);
        for (index, block) in self.blocks.iter().enumerate() {
            block.forward(compute, &mut x, self.skipped(index), &mut work);
        }
        x.drain(..self.hidden());
        Ok(x)
    }

    /// Multiply-adds that [`VisionTower::encode`] does.
    pub fn multiply_adds(&self) -> u64 {
        let rows = self.patches() + 1;
        let blocks = self.blocks.iter().enumerate();
        self.embeddings.multiply_adds()
            + blocks
                .map(|(index, block)| block.multiply_adds(rows, self.skipped(index)))
                .sum::<u64>()
    }

    /// `compute`, with attention in integers only where the weights are multiplied as integers too:
    /// float weights give the numbers of float arithmetic.
    fn suited(&self, compute: &Compute) -> Compute {
        if self.blocks.iter().any(Block::is_interleaved) {
            compute.clone()
        } else {
            compute.clone().with_arithmetic(Arithmetic::F32)
        }
    }

    /// The matrices that [`VisionTower::encode`] multiplies with.
    pub fn weights(&self) -> impl Iterator<Item = &Matrix> {
        let blocks = self.blocks.iter().flat_map(Block::weights);
        std::iter::once(self.embeddings.weight()).chain(blocks)
    }

    /// Rows that block `index` need not compute: the class token in the last block.
    fn skipped(&self, index: usize) -> usize {
        usize::from(index + 1 == self.blocks.len())
    }
}
