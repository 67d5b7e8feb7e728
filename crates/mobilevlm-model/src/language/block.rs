use mobilevlm_checkpoint::{LanguageConfig, Scope};
use mobilevlm_tensor::ops::{self, Rotary};
use mobilevlm_tensor::{Compute, Matrix};

use super::attention::Attention;
use super::{Cache, Pass};
use crate::{ModelError, linear::Linear, norm::RmsNorm};

/// One decoder block: x + attention(norm(x)), then x + down(silu(gate(n)) · up(n)), n = norm(x).
pub(super) struct Block {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Block {
    pub(super) fn load(config: &LanguageConfig, scope: &Scope<'_>) -> Result<Block, ModelError> {
        let (hidden, ffn, eps) = (config.hidden, config.ffn, config.rms_eps);
        let norm = |name| RmsNorm::load(&scope.pp(name), hidden, eps);
        let mlp = scope.pp("mlp");
        Ok(Block {
            input_layernorm: norm("input_layernorm")?,
            self_attn: Attention::load(config, &scope.pp("self_attn"))?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            gate_proj: Linear::load_without_bias(&mlp.pp("gate_proj"), hidden, ffn)?,
            up_proj: Linear::load_without_bias(&mlp.pp("up_proj"), hidden, ffn)?,
            down_proj: Linear::load_without_bias(&mlp.pp("down_proj"), ffn, hidden)?,
        })
    }

    /// First half: reads all rows into layer `layer` of the caches.
    pub(super) fn remember(
        &self,
        compute: &Compute,
        layer: usize,
        rotary: &Rotary,
        pass: &mut Pass,
        caches: &mut [Cache],
    ) {
        self.input_layernorm
            .forward(compute, &pass.x, &mut pass.buffers.normed[..pass.x.len()]);
        self.self_attn
            .remember(compute, layer, rotary, pass, caches);
    }

    /// Second half: replaces the residual stream by the block's output, for the rows that are
    /// still in the pass. Needs the queries that [`Block::remember`] left there.
    pub(super) fn forward(
        &self,
        compute: &Compute,
        layer: usize,
        pass: &mut Pass,
        caches: &mut [Cache],
    ) {
        self.self_attn.forward_add(compute, layer, pass, caches);

        let inner = pass.positions.len() * self.gate_proj.outputs();
        let normed = &mut pass.buffers.normed[..pass.x.len()];
        let gate = &mut pass.buffers.gate[..inner];
        let up = &mut pass.buffers.up[..inner];
        self.post_attention_layernorm
            .forward(compute, &pass.x, normed);
        let layers = &mut [
            self.gate_proj.with_output(gate),
            self.up_proj.with_output(up),
        ];
        ops::linears(compute, normed, layers);
        ops::silu_mul(compute, gate, up);
        self.down_proj.forward_add(compute, gate, &mut pass.x);
    }

    /// Multiply-adds of the linear layers for one row: those of [`Block::remember`], those of
    /// [`Block::forward`].
    pub(super) fn multiply_adds(&self) -> (u64, u64) {
        let (keys, rest) = self.self_attn.linears();
        let sum = |linears: &[&Linear]| linears.iter().map(|linear| linear.multiply_adds()).sum();
        let mlp: u64 = sum(&[&self.gate_proj, &self.up_proj, &self.down_proj]);
        let rest: u64 = sum(&rest);
        (sum(&keys), rest + mlp)
    }

    /// The weights of the linear layers.
    pub(super) fn weights(&self) -> impl Iterator<Item = &Matrix> {
        let (keys, rest) = self.self_attn.linears();
        let mlp = [&self.gate_proj, &self.up_proj, &self.down_proj];
        keys.into_iter().chain(rest).chain(mlp).map(Linear::weight)
    }
}
