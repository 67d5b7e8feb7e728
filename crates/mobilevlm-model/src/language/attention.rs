use mobilevlm_checkpoint::{LanguageConfig, Scope};
use mobilevlm_tensor::Compute;
use mobilevlm_tensor::ops::{self, Rotary, Visible};

use super::{Cache, Pass};
use crate::{ModelError, linear::Linear};

/// Causal self-attention with rotary positions; several query heads may share a key-value head.
pub(super) struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    heads: usize,
    head_dim: usize,
}

impl Attention {
    pub(super) fn load(config: &LanguageConfig, scope: &Scope<'_>) -> Result<Self, ModelError> {
        let hidden = config.hidden;
        let queries = config.heads * config.head_dim;
        let keys = config.kv_heads * config.head_dim;
        Ok(Attention {
            q_proj: Linear::load_without_bias(&scope.pp("q_proj"), hidden, queries)?,
            k_proj: Linear::load_without_bias(&scope.pp("k_proj"), hidden, keys)?,
            v_proj: Linear::load_without_bias(&scope.pp("v_proj"), hidden, keys)?,
            o_proj: Linear::load_without_bias(&scope.pp("o_proj"), queries, hidden)?,
            heads: config.heads,
            head_dim: config.head_dim,
        })
    }

    /// Appends the keys and values of all rows of `pass` to layer `layer` of their caches, and
    /// leaves their queries in the pass.
    pub(super) fn remember(
        &self,
        compute: &Compute,
        layer: usize,
        rotary: &Rotary,
        pass: &mut Pass,
        caches: &mut [Cache],
    ) {
        let rows = pass.positions.len();
        let width = self.k_proj.outputs();
        let normed = &pass.buffers.normed[..pass.x.len()];
        let query = &mut pass.buffers.query[..rows * self.q_proj.outputs()];
        let key = &mut pass.buffers.key[..rows * width];
        let value = &mut pass.buffers.value[..rows * width];
        let layers = &mut [
            self.q_proj.with_output(query),
            self.k_proj.with_output(key),
            self.v_proj.with_output(value),
        ];
        ops::linears(compute, normed, layers);
        ops::rotary(compute, query, self.head_dim, rotary, &pass.positions);
        ops::rotary(compute, key, self.head_dim, rotary, &pass.positions);

        let mut start = 0;
        for segment in &pass.segments {
            let rows = start..start + segment.rows * width;
            start = rows.end;
            let cache = caches[segment.cache].layer(layer);
            cache.append(compute, &key[rows.clone()], &value[rows]);
        }
    }

    /// Adds the attention's output to the residual stream, for the rows that are still in `pass`.
    pub(super) fn forward_add(
        &self,
        compute: &Compute,
        layer: usize,
        pass: &mut Pass,
        caches: &mut [Cache],
    ) {
        let rows = pass.positions.len();
        let width = self.q_proj.outputs();
        let query = &pass.buffers.query[..rows * width];
        let attended = &mut pass.buffers.attended[..rows * width];
        let mut start = 0;
        for segment in &pass.segments {
            let rows = start..start + segment.rows * width;
            start = rows.end;
            let visible = Visible::Causal {
                first: segment.first,
            };
            let cache = caches[segment.cache].layer(layer);
            let out = &mut attended[rows.clone()];
            ops::attention(compute, &query[rows], self.heads, cache, visible, out);
        }
        self.o_proj.forward_add(compute, attended, &mut pass.x);
    }

    /// The linear layers: those that every row goes through, and the one that only rows with a
    /// reader do.
    pub(super) fn linears(&self) -> ([&Linear; 3], [&Linear; 1]) {
        ([&self.q_proj, &self.k_proj, &self.v_proj], [&self.o_proj])
    }
}
