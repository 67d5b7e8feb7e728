//! The language model: LLaMA's sizes, and refusals of what is not computed.

use super::fields::{Fields, show};
use super::{ConfigError, Layout};

/// Sizes of a LLaMA language model.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageConfig {
    /// Width of the hidden state.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Width inside the feed-forward part.
    pub ffn: usize,
    /// Blocks.
    pub layers: usize,
    /// Rows of the embedding and of the head.
    pub vocab: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// Positions that the model was trained for.
    pub context: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// The id that begins every prompt.
    pub bos: u32,
    /// The id that ends an answer.
    pub eos: u32,
}

/// What transformers' `LlamaConfig` says where a configuration says nothing: LLaMA 7B.
impl Default for LanguageConfig {
    fn default() -> Self {
        Self {
            hidden: 4096,
            heads: 32,
            kv_heads: 32,
            head_dim: 128,
            ffn: 11008,
            layers: 32,
            vocab: 32000,
            rms_eps: 1e-6,
            rope_theta: 10000.0,
            context: 2048,
            tied: false,
            bos: 1,
            eos: 2,
        }
    }
}

impl LanguageConfig {
    pub(super) fn from_fields(text: &Fields<'_>, layout: Layout) -> Result<Self, ConfigError> {
        if layout == Layout::LlavaHf
            && let Some(kind) = text.text("model_type")?
            && kind != "llama"
        {
            let expected = "\"llama\": other language models are not implemented";
            return Err(text.wrong("model_type", expected, format!("{kind:?}")));
        }
        refuse_variants(text)?;

        let spare = Self::default();
        let hidden = text
            .whole("hidden_size", 1..=1 << 16)?
            .unwrap_or(spare.hidden);
        let heads = text
            .whole("num_attention_heads", 1..=1 << 10)?
            .unwrap_or(spare.heads);
        let kv_heads = text
            .whole("num_key_value_heads", 1..=1 << 10)?
            .unwrap_or(heads);
        if heads % kv_heads != 0 {
            let expected = format!("a divisor of num_attention_heads ({heads})");
            return Err(text.wrong("num_key_value_heads", expected, kv_heads));
        }
        let head_dim = match text.whole("head_dim", 2..=1 << 12)? {
            Some(size) => size,
            None if hidden % heads == 0 => hidden / heads,
            None => {
                let expected = format!("a divisor of hidden_size ({hidden})");
                return Err(text.wrong("num_attention_heads", expected, heads));
            }
        };
        if head_dim % 2 != 0 {
            return Err(text.wrong("head_dim", "an even number, for rotary pairs", head_dim));
        }
        let vocab = text
            .whole("vocab_size", 3..=1 << 20)?
            .unwrap_or(spare.vocab);
        Ok(Self {
            hidden,
            heads,
            kv_heads,
            head_dim,
            ffn: text
                .whole("intermediate_size", 1..=1 << 18)?
                .unwrap_or(spare.ffn),
            layers: text
                .whole("num_hidden_layers", 1..=1 << 10)?
                .unwrap_or(spare.layers),
            vocab,
            rms_eps: text
                .real("rms_norm_eps", 0.0..=1.0)?
                .unwrap_or(spare.rms_eps),
            rope_theta: rope_theta(text)?.unwrap_or(spare.rope_theta),
            context: text
                .whole("max_position_embeddings", 1..=1 << 24)?
                .unwrap_or(spare.context),
            tied: text.flag("tie_word_embeddings")?.unwrap_or(spare.tied),
            bos: text.token("bos_token_id", vocab)?.unwrap_or(spare.bos),
            eos: text.token("eos_token_id", vocab)?.unwrap_or(spare.eos),
        })
    }
}

/// Refuses what would be computed wrongly without a word.
fn refuse_variants(text: &Fields<'_>) -> Result<(), ConfigError> {
    if let Some(activation) = text.text("hidden_act")?
        && !matches!(activation, "silu" | "swish")
    {
        return Err(text.wrong("hidden_act", "\"silu\"", format!("{activation:?}")));
    }
    for key in ["attention_bias", "mlp_bias"] {
        if text.flag(key)? == Some(true) {
            return Err(text.wrong(key, "false: biases are not implemented", "true"));
        }
    }
    if text.flag("mm_use_im_start_end")? == Some(true) {
        let expected = "false: tokens around a picture are not implemented";
        return Err(text.wrong("mm_use_im_start_end", expected, "true"));
    }
    Ok(())
}

/// The rotary base, from `rope_theta` or the `rope_parameters` of newer transformers.
fn rope_theta(text: &Fields<'_>) -> Result<Option<f32>, ConfigError> {
    let bounds = || 1.0..=1e12;
    let mut theta = text.real("rope_theta", bounds())?;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = text.object(key)? else {
            continue;
        };
        let kind = match rope.text("rope_type")? {
            Some(kind) => Some(kind),
            None => rope.text("type")?,
        };
        let factor = rope.real("factor", 0.0..=1e6)?;
        // A linear stretch by one changes nothing.
        let plain = matches!(kind, None | Some("default"))
            || (kind == Some("linear") && factor == Some(1.0));
        if !plain || (kind.is_none() && factor.is_some_and(|factor| factor != 1.0)) {
            let found = text.value(key).map(show).unwrap_or_default();
            return Err(text.wrong(
                key,
                "null: scaled rotary positions are not implemented",
                found,
            ));
        }
        theta = rope.real("rope_theta", bounds())?.or(theta);
    }
    Ok(theta)
}
