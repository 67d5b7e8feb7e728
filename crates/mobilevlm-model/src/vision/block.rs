use mobilevlm_checkpoint::{Activation, Scope, VisionConfig};
use mobilevlm_tensor::ops::KeyValues;
use mobilevlm_tensor::{Compute, Matrix, ops};

use crate::{ModelError, linear::Linear, norm::LayerNorm};

/// One block of CLIP's encoder: x + attention(norm(x)), then x + mlp(norm(x)).
pub(crate) struct Block {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    activation: fn(&Compute, &mut [f32]),
    heads: usize,
    hidden: usize,
}

/// Buffers of one picture, reused by all blocks.
pub(crate) struct Workspace {
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    inner: Vec<f32>,
    /// Memory for attention in `f32`.
    key_values: KeyValues,
}

impl Workspace {
    pub(crate) fn new(config: &VisionConfig, rows: usize) -> Workspace {
        let buffer = || vec![0.0; rows * config.hidden];
        let mut key_values = KeyValues::new(config.heads, config.hidden / config.heads);
        key_values.reserve(rows);
        Workspace {
            normed: buffer(),
            query: buffer(),
            key: buffer(),
            value: buffer(),
            attended: buffer(),
            inner: vec![0.0; rows * config.ffn],
            key_values,
        }
    }
}

impl Block {
    pub(crate) fn load(config: &VisionConfig, scope: &Scope<'_>) -> Result<Block, ModelError> {
        let hidden = config.hidden;
        let attention = scope.pp("self_attn");
        let mlp = scope.pp("mlp");
        Ok(Block {
            layer_norm1: LayerNorm::load(&scope.pp("layer_norm1"), hidden, config.eps)?,
            q_proj: Linear::load(&attention.pp("q_proj"), hidden, hidden)?,
            k_proj: Linear::load(&attention.pp("k_proj"), hidden, hidden)?,
            v_proj: Linear::load(&attention.pp("v_proj"), hidden, hidden)?,
            out_proj: Linear::load(&attention.pp("out_proj"), hidden, hidden)?,
            layer_norm2: LayerNorm::load(&scope.pp("layer_norm2"), hidden, config.eps)?,
            fc1: Linear::load(&mlp.pp("fc1"), hidden, config.ffn)?,
            fc2: Linear::load(&mlp.pp("fc2"), config.ffn, hidden)?,
            activation: match config.activation {
                Activation::QuickGelu => ops::quick_gelu,
                Activation::Gelu => ops::gelu,
            },
            heads: config.heads,
            hidden,
        })
    }

    /// Replaces rows `skip..` of `x` (`[rows, hidden]`) by the block's output.
    ///
    /// The first `skip` rows serve as keys and values only and are left as they were: nothing
    /// reads what the block would make of them.
    pub(crate) fn forward(
        &self,
        compute: &Compute,
        x: &mut [f32],
        skip: usize,
        work: &mut Workspace,
    ) {
        let skipped = skip * self.hidden;
        let Workspace {
            normed,
            query,
            key,
            value,
            attended,
            inner,
            key_values,
        } = work;

        self.layer_norm1.forward(compute, x, normed);
        // The queries of skipped rows come along: a few rows cost less than quantising twice.
        let layers = &mut [
            self.q_proj.with_output(query),
            self.k_proj.with_output(key),
            self.v_proj.with_output(value),
        ];
        ops::linears(compute, normed, layers);

        let x = &mut x[skipped..];
        let (query, attended) = (&query[skipped..], &mut attended[skipped..]);
        ops::full_attention(compute, query, key, value, self.heads, key_values, attended);
        self.out_proj.forward_add(compute, attended, x);

        let normed = &mut normed[skipped..];
        let inner = &mut inner[skip * self.fc1.outputs()..];
        self.layer_norm2.forward(compute, x, normed);
        self.fc1.forward(compute, normed, inner);
        (self.activation)(compute, inner);
        self.fc2.forward_add(compute, inner, x);
    }

    /// Whether its largest weights are in panels, which are multiplied as integers.
    pub(crate) fn is_interleaved(&self) -> bool {
        self.fc1.weight().is_interleaved()
    }

    /// Multiply-adds of [`Block::forward`] on `rows` rows.
    pub(crate) fn multiply_adds(&self, rows: usize, skip: usize) -> u64 {
        let (rows, out) = (rows as u64, (rows - skip) as u64);
        let keys = self.k_proj.multiply_adds() + self.v_proj.multiply_adds();
        let rest = [&self.q_proj, &self.out_proj, &self.fc1, &self.fc2];
        let rest: u64 = rest.into_iter().map(Linear::multiply_adds).sum();
        rows * keys + out * rest + 2 * out * rows * self.hidden as u64
    }

    /// The weights of the linear layers.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Matrix> {
        let attention = [&self.q_proj, &self.k_proj, &self.v_proj, &self.out_proj];
        let mlp = [&self.fc1, &self.fc2];
        attention.into_iter().chain(mlp).map(Linear::weight)
    }
}
