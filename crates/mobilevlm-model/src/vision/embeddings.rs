use mobilevlm_checkpoint::{Scope, VisionConfig};
use mobilevlm_tensor::{Compute, Matrix, ops};

use crate::{ModelError, norm::LayerNorm};

const CHANNELS: usize = 3;

/// Patches, class token and positions, then CLIP's `pre_layrnorm` (spelled so upstream).
pub(crate) struct Embeddings {
    class: Vec<f32>,
    /// `[hidden, 3 · patch · patch]`: a convolution whose stride is its size is a linear layer over
    /// the patches. CLIP has no bias here.
    patches: Matrix,
    /// `[patches + 1, hidden]`, the class token's first.
    positions: Vec<f32>,
    norm: LayerNorm,
    image_size: usize,
    patch_size: usize,
    hidden: usize,
}

impl Embeddings {
    pub(crate) fn load(config: &VisionConfig, scope: &Scope<'_>) -> Result<Self, ModelError> {
        let patch_size = config.patch_size;
        let hidden = config.hidden;
        let embeddings = scope.pp("embeddings");
        let positions = embeddings
            .pp("position_embedding")
            .tensor("weight", &[config.patches() + 1, hidden])?;
        Ok(Embeddings {
            class: embeddings.vector("class_embedding", hidden)?,
            patches: embeddings.pp("patch_embedding").matrix(
                "weight",
                hidden,
                CHANNELS * patch_size * patch_size,
            )?,
            positions,
            norm: LayerNorm::load(&scope.pp("pre_layrnorm"), hidden, config.eps)?,
            image_size: config.image_size,
            patch_size,
            hidden,
        })
    }

    pub(crate) fn image_size(&self) -> usize {
        self.image_size
    }

    /// Number of patches, without the class token.
    pub(crate) fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// The weight of the patches.
    pub(crate) fn weight(&self) -> &Matrix {
        &self.patches
    }

    pub(crate) fn multiply_adds(&self) -> u64 {
        (self.patches() * self.patches.rows() * self.patches.columns()) as u64
    }

    /// `pixels`: `[3, S, S]`. Returns `[patches + 1, hidden]`, the class token first.
    pub(crate) fn forward(&self, compute: &Compute, pixels: &[f32]) -> Vec<f32> {
        let rows = self.rows(pixels);
        let mut summed = vec![0.0; (self.patches() + 1) * self.hidden];
        let (class, patches) = summed.split_at_mut(self.hidden);
        class.copy_from_slice(&self.class);
        ops::linear(compute, &rows, &self.patches, None, patches);
        ops::add(compute, &mut summed, &self.positions);
        let mut out = vec![0.0; summed.len()];
        self.norm.forward(compute, &summed, &mut out);
        out
    }

    /// Gathers the pixels of each patch: `[patches, 3 · patch · patch]`, patches row by row, and
    /// in a patch channel, line, column, the order of the convolution's weight.
    fn rows(&self, pixels: &[f32]) -> Vec<f32> {
        let (size, patch) = (self.image_size, self.patch_size);
        let grid = size / patch;
        let mut rows = Vec::with_capacity(pixels.len());
        for y in 0..grid {
            for x in 0..grid {
                for channel in 0..CHANNELS {
                    for line in 0..patch {
                        let start = (channel * size + y * patch + line) * size + x * patch;
                        rows.extend_from_slice(&pixels[start..start + patch]);
                    }
                }
            }
        }
        rows
    }
}
