use mobilevlm_checkpoint::{LanguageConfig, Scope};
use mobilevlm_tensor::ops::Rotary;
use mobilevlm_tensor::{Compute, Matrix, ops};

use super::block::Block;
use super::{Cache, Pass};
use crate::{ModelError, norm::RmsNorm};

/// Most positions of a sequence, whatever the configuration says: the angles of each are tabulated,
/// and a cache of so many takes 50 GB with the sizes of V2-1.7B.
const MOST_POSITIONS: usize = 1 << 17;

/// LLaMA: embeddings, blocks, norm, head.
pub struct LanguageModel {
    embed_tokens: Matrix,
    layers: Vec<Block>,
    norm: RmsNorm,
    lm_head: Matrix,
    rotary: Rotary,
    config: LanguageConfig,
}

/// Widths of the buffers of a pass.
pub(super) struct Widths {
    pub(super) hidden: usize,
    pub(super) query: usize,
    pub(super) key: usize,
    pub(super) ffn: usize,
}

impl LanguageModel {
    /// Takes the tensors below `scope`, which are named as upstream names them after `model.`,
    /// `lm_head` among them (for a tied head, the embedding under that name).
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a tensor is missing or misshaped.
    pub fn load(config: &LanguageConfig, scope: Scope<'_>) -> Result<LanguageModel, ModelError> {
        let layers = scope.pp("layers");
        let matrix = |name| scope.pp(name).matrix("weight", config.vocab, config.hidden);
        Ok(LanguageModel {
            embed_tokens: matrix("embed_tokens")?,
            lm_head: matrix("lm_head")?,
            layers: (0..config.layers)
                .map(|layer| Block::load(config, &layers.pp(layer)))
                .collect::<Result<_, _>>()?,
            norm: RmsNorm::load(&scope.pp("norm"), config.hidden, config.rms_eps)?,
            rotary: Rotary::new(
                config.head_dim,
                config.rope_theta,
                config.context.min(MOST_POSITIONS),
            ),
            config: config.clone(),
        })
    }

    /// Width d of embeddings.
    pub fn hidden(&self) -> usize {
        self.config.hidden
    }

    /// Number of ids.
    pub fn vocab(&self) -> usize {
        self.config.vocab
    }

    /// Number of positions that a sequence can have.
    pub fn context(&self) -> usize {
        self.rotary.positions()
    }

    /// An empty cache for one sequence.
    pub fn new_cache(&self) -> Cache {
        Cache::new(&self.config)
    }

    /// The embedding of a token, `[d]`.
    ///
    /// # Panics
    /// If `id` is not below [`LanguageModel::vocab`] or `out` is not `[d]`.
    pub fn embed(&self, id: u32, out: &mut [f32]) {
        self.embed_tokens.row(id as usize, out);
    }

    /// Reads the rows of `pass` into the caches and computes the logits asked for.
    ///
    /// Each sequence continues behind what its cache holds. In the last block only the rows whose
    /// logits are wanted go further than their query, key and value.
    ///
    /// # Panics
    /// If `pass` names a cache that `caches` does not have, or a sequence would become longer than
    /// [`LanguageModel::context`].
    pub fn forward(&self, compute: &Compute, pass: &mut Pass, caches: &mut [Cache]) {
        pass.start(self, caches);
        let mut compute = compute.with_steps(pass.steps());
        for (index, layer) in self.layers.iter().enumerate() {
            layer.remember(&compute, index, &self.rotary, pass, caches);
            if index + 1 == self.layers.len() {
                pass.keep_wanted(self.hidden(), self.widths().query);
                if pass.positions.is_empty() {
                    return;
                }
                compute = compute.with_steps(pass.steps());
            }
            layer.forward(&compute, index, pass, caches);
        }
        let normed = &mut pass.buffers.normed[..pass.x.len()];
        self.norm.forward(&compute, &pass.x, normed);
        pass.logits.resize(pass.positions.len() * self.vocab(), 0.0);
        ops::linear(&compute, normed, &self.lm_head, None, &mut pass.logits);
    }

    /// Multiply-adds of a forward pass over `rows` positions behind `past` others of one sequence,
    /// with the logits of the last.
    pub fn multiply_adds(&self, rows: usize, past: usize) -> u64 {
        let (rows, past) = (rows as u64, past as u64);
        // Scores and their weighted sum, over what each row sees.
        let query = self.widths().query as u64;
        let seen = rows * past + rows * (rows + 1) / 2;
        let mut sum = self.vocab() as u64 * self.hidden() as u64;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let (keys, rest) = layer.multiply_adds();
            sum += rows * keys;
            sum += if last { rest } else { rows * rest };
            sum += 2 * query * if last { past + rows } else { seen };
        }
        sum
    }

    /// The weights that a decode step reads, each once: all matrices but the embedding.
    pub fn step_weights(&self) -> impl Iterator<Item = &Matrix> {
        let blocks = self.layers.iter().flat_map(Block::weights);
        blocks.chain([&self.lm_head])
    }

    pub(super) fn widths(&self) -> Widths {
        let config = &self.config;
        Widths {
            hidden: config.hidden,
            query: config.heads * config.head_dim,
            key: config.kv_heads * config.head_dim,
            ffn: config.ffn,
        }
    }
}
