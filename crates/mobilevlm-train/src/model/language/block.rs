use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mobilevlm_checkpoint::{LanguageConfig, TensorError};

use super::MATRIX;
use super::lora::{AdaptedLinear, LoraConfig};
use crate::model::layers::RmsNorm;
use crate::model::source::Place;
use crate::ops::{self, Mask, Text};
use crate::random::Draws;

/// One decoder layer. Upstream: `LlamaDecoderLayer`.
#[derive(Module, Debug)]
pub(super) struct Block {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: FeedForward,
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: AdaptedLinear,
    k_proj: AdaptedLinear,
    v_proj: AdaptedLinear,
    o_proj: AdaptedLinear,
    #[module(skip)]
    head_dim: usize,
}

#[derive(Module, Debug)]
struct FeedForward {
    gate_proj: AdaptedLinear,
    up_proj: AdaptedLinear,
    down_proj: AdaptedLinear,
}

impl Block {
    pub(super) fn new(config: &LanguageConfig, place: &Place<'_>) -> Result<Block, TensorError> {
        let (hidden, ffn) = (config.hidden, config.ffn);
        let eps = f64::from(config.rms_eps);
        let query = config.heads * config.head_dim;
        let kv = config.kv_heads * config.head_dim;
        let linear = |part: &str, name: &str, inputs, outputs| {
            AdaptedLinear::new(&place.pp(part).pp(name), inputs, outputs, MATRIX)
        };
        Ok(Block {
            input_layernorm: RmsNorm::new(&place.pp("input_layernorm"), hidden, eps)?,
            self_attn: Attention {
                q_proj: linear("self_attn", "q_proj", hidden, query)?,
                k_proj: linear("self_attn", "k_proj", hidden, kv)?,
                v_proj: linear("self_attn", "v_proj", hidden, kv)?,
                o_proj: linear("self_attn", "o_proj", query, hidden)?,
                head_dim: config.head_dim,
            },
            post_attention_layernorm: RmsNorm::new(
                &place.pp("post_attention_layernorm"),
                hidden,
                eps,
            )?,
            mlp: FeedForward {
                gate_proj: linear("mlp", "gate_proj", hidden, ffn)?,
                up_proj: linear("mlp", "up_proj", hidden, ffn)?,
                down_proj: linear("mlp", "down_proj", ffn, hidden)?,
            },
        })
    }

    /// The same with adapters on every linear layer.
    pub(super) fn with_lora(
        self,
        lora: &LoraConfig,
        place: &Place<'_>,
    ) -> Result<Block, TensorError> {
        let (attention, mlp) = (place.pp("self_attn"), place.pp("mlp"));
        Ok(Block {
            self_attn: Attention {
                q_proj: self
                    .self_attn
                    .q_proj
                    .adapted(lora, &attention.pp("q_proj"))?,
                k_proj: self
                    .self_attn
                    .k_proj
                    .adapted(lora, &attention.pp("k_proj"))?,
                v_proj: self
                    .self_attn
                    .v_proj
                    .adapted(lora, &attention.pp("v_proj"))?,
                o_proj: self
                    .self_attn
                    .o_proj
                    .adapted(lora, &attention.pp("o_proj"))?,
                head_dim: self.self_attn.head_dim,
            },
            mlp: FeedForward {
                gate_proj: self.mlp.gate_proj.adapted(lora, &mlp.pp("gate_proj"))?,
                up_proj: self.mlp.up_proj.adapted(lora, &mlp.pp("up_proj"))?,
                down_proj: self.mlp.down_proj.adapted(lora, &mlp.pp("down_proj"))?,
            },
            ..self
        })
    }

    pub(super) fn rms_eps(&self) -> [f64; 2] {
        [
            self.input_layernorm.eps(),
            self.post_attention_layernorm.eps(),
        ]
    }

    /// `x`: `[rows, length, d]`. `wanted`: the only places, counted over all rows, that are looked
    /// at afterwards, `[1, wanted, d]` then; the others are keys and values and no more.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        context: &Context,
        wanted: Option<&Tensor<1, Int>>,
        draws: Option<Draws>,
    ) -> Tensor<3> {
        let y = self.input_layernorm.forward(x.clone());
        let attended = self.self_attn.attended(y, context, draws);
        let (x, attended) = match wanted {
            Some(wanted) => (picked(x, wanted), picked(attended, wanted)),
            None => (x, attended),
        };
        let x = x + self.self_attn.o_proj.forward(attended, of(draws, 3));
        let y = self.post_attention_layernorm.forward(x.clone());
        x + self.mlp.forward(y, draws)
    }
}

/// Some places, counted over all rows, in one row.
fn picked(x: Tensor<3>, places: &Tensor<1, Int>) -> Tensor<3> {
    let [rows, length, width] = x.dims();
    let x = x.reshape([rows * length, width]);
    x.select(0, places.clone()).unsqueeze()
}

/// The stream of a layer's own dropout.
fn of(draws: Option<Draws>, layer: u64) -> Option<Draws> {
    // Behind the numbers of the blocks.
    draws.map(|draws| draws.at(1 << 32 | layer))
}

impl Attention {
    /// What each place has looked up, before `o_proj`.
    fn attended(&self, x: Tensor<3>, context: &Context, draws: Option<Draws>) -> Tensor<3> {
        let heads = |x: Tensor<3>| {
            let [rows, length, width] = x.dims();
            x.reshape([rows, length, width / self.head_dim, self.head_dim])
                .swap_dims(1, 2)
        };
        let Rotary { cos, sin } = &context.rotary;
        let rotated = |x: Tensor<3>| ops::rotate(heads(x), cos.clone(), sin.clone());
        let query = rotated(self.q_proj.forward(x.clone(), of(draws, 0)));
        let key = rotated(self.k_proj.forward(x.clone(), of(draws, 1)));
        let value = heads(self.v_proj.forward(x, of(draws, 2)));
        let Mask { keys, .. } = &context.mask;
        let attended = match &context.texts {
            Some(texts) => ops::texts_attention(query, key, value, texts, keys.as_ref()),
            None => ops::attention(query, key, value, &context.mask),
        }
        .swap_dims(1, 2);
        let [rows, length, heads, head_dim] = attended.dims();
        attended.reshape([rows, length, heads * head_dim])
    }
}

impl FeedForward {
    fn forward(&self, x: Tensor<3>, draws: Option<Draws>) -> Tensor<3> {
        let gate = self.gate_proj.forward(x.clone(), of(draws, 4));
        let up = self.up_proj.forward(x, of(draws, 5));
        self.down_proj.forward(ops::swiglu(gate, up), of(draws, 6))
    }
}

/// What all blocks look at alike.
pub(crate) struct Context {
    pub(super) mask: Mask,
    pub(super) rotary: Rotary,
    /// Where texts share a row, its texts.
    pub(super) texts: Option<Vec<Text>>,
    /// The only places, counted over all rows, of which the hidden state is wanted behind the last
    /// block; `None` if all are.
    pub(super) wanted: Option<Tensor<1, Int>>,
}

impl Context {
    /// The same where only some places, counted over all rows, are looked at behind the last block.
    pub(crate) fn wanting(self, places: &[i64], device: &Device) -> Context {
        let count = places.len();
        let places = TensorData::new(places.to_vec(), [count]);
        Context {
            wanted: Some(Tensor::from_data(places, device)),
            ..self
        }
    }
}

/// What rotary tables are made of.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    /// `[head_dim / 2]`, the angle of one position.
    frequencies: Vec<f32>,
}

/// Rotary tables, `[places, head_dim / 2]`.
pub(super) struct Rotary {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Positions {
    /// As `LlamaRotaryEmbedding`, which rounds frequencies and angles to float32.
    pub(super) fn new(config: &LanguageConfig) -> Positions {
        let theta = f64::from(config.rope_theta);
        let pairs = config.head_dim / 2;
        let frequency =
            |pair| (1.0 / theta.powf(2.0 * pair as f64 / config.head_dim as f64)) as f32;
        Positions {
            frequencies: (0..pairs).map(frequency).collect(),
        }
    }

    /// Those of places at these positions.
    pub(super) fn tables(
        &self,
        positions: impl IntoIterator<Item = usize>,
        device: &Device,
    ) -> Rotary {
        let positions: Vec<usize> = positions.into_iter().collect();
        let angles = |of: fn(f32) -> f32| {
            let rows = positions.iter().flat_map(|&position| {
                let angle = move |frequency: &f32| of(position as f32 * frequency);
                self.frequencies.iter().map(angle)
            });
            let values: Vec<f32> = rows.collect();
            let shape = [positions.len(), self.frequencies.len()];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Rotary {
            cos: angles(|angle| f64::from(angle).cos() as f32),
            sin: angles(|angle| f64::from(angle).sin() as f32),
        }
    }
}
