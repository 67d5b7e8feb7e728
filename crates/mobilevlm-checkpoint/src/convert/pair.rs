//! The two files that llama.cpp loads: a LLaMA language model, and a CLIP tower with projector.
//!
//! Names and keys are those of the converters in use, which `docs/layouts.md` lists.

use super::stored::Stored;
use super::{Conversion, ConvertError, File, Mix, set_vocabulary, size};
use crate::config::{Activation, Aspect, Config, LdpV2, Projector};
use crate::gguf::keys::{self, preprocess};
use crate::gguf::write::{Head, Setting};
use crate::tensor::Dtype;

/// The side of the grid of patches that llama.cpp's LDP projectors are made for.
const GRID: usize = 24;

pub(super) fn plan<'a>(conversion: &'a Conversion<'a>) -> Result<[File<'a>; 2], ConvertError> {
    let config = &conversion.checkpoint.config;
    let kind = projector_kind(config)?;
    let (mut language, mut vision) = (Vec::new(), Vec::new());
    for chosen in conversion.tensors() {
        let stored = |name, paired| Stored {
            name,
            shape: chosen.shape.clone(),
            dtype: chosen.dtype,
            paired,
            tensor: chosen.tensor,
        };
        if let Some(name) = chosen.name.strip_prefix("language.") {
            let is_paired = name.contains(".q_proj.") || name.contains(".k_proj.");
            let head = is_paired.then_some(config.language.head_dim);
            language.push(stored(language_name(name), head));
        } else {
            vision.push(stored(vision_name(&chosen.name, config), None));
        }
    }
    // The order of `llama-quantize`: what is outside the blocks first, then block by block.
    language.sort_by_cached_key(|tensor| {
        let block = tensor.name.strip_prefix("blk.");
        let number = block.and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        (number, tensor.name.clone())
    });
    let first = language_head(conversion, &language)?;
    let second = vision_head(conversion, kind, &vision);
    Ok([File::new(first, language), File::new(second, vision)])
}

/// llama.cpp's word for the projector.
fn projector_kind(config: &Config) -> Result<&'static str, ConvertError> {
    let kind = match config.projector {
        Projector::LdpNet => "ldp",
        Projector::LdpNetV2(LdpV2::PoolPeg) => "ldpv2",
        // It applies a GELU behind a single layer, and knows no third.
        Projector::Mlp { depth: 2 } => return Ok("mlp"),
        other => {
            let (kind, variant) = other.names();
            return Err(ConvertError::Unsayable {
                what: "this projector",
                expected: "mlp2x_gelu, ldpnet, or ldpnetv2 as released".to_owned(),
                found: variant.map_or(kind.clone(), |variant| format!("{kind}, {variant}")),
            });
        }
    };
    let grid = config.vision.grid();
    if grid != GRID {
        return Err(ConvertError::Unsayable {
            what: "this tower",
            expected: format!("{GRID} × {GRID} patches before {kind}"),
            found: format!("{grid} × {grid}"),
        });
    }
    Ok(kind)
}

fn language_head(
    conversion: &Conversion<'_>,
    tensors: &[Stored<'_>],
) -> Result<Head, ConvertError> {
    let llama = &conversion.checkpoint.config.language;
    let mut head = Head::default();
    head.set(keys::ARCHITECTURE, "llama");
    head.set(keys::NAME, conversion.name);
    head.set("llama.vocab_size", size(llama.vocab));
    head.set("llama.context_length", size(llama.context));
    head.set("llama.embedding_length", size(llama.hidden));
    head.set("llama.block_count", size(llama.layers));
    head.set("llama.feed_forward_length", size(llama.ffn));
    head.set("llama.rope.dimension_count", size(llama.head_dim));
    head.set("llama.attention.head_count", size(llama.heads));
    head.set("llama.attention.head_count_kv", size(llama.kv_heads));
    head.set(
        "llama.attention.layer_norm_rms_epsilon",
        Setting::F32(llama.rms_eps),
    );
    if llama.rope_theta != 10000.0 {
        head.set("llama.rope.freq_base", Setting::F32(llama.rope_theta));
    }
    if llama.head_dim * llama.heads != llama.hidden {
        head.set("llama.attention.key_length", size(llama.head_dim));
        head.set("llama.attention.value_length", size(llama.head_dim));
    }
    set_vocabulary(&mut head, conversion.vocabulary, llama.vocab)?;
    let asked = conversion.formats.language.map(Mix::file_type);
    set_file_type(&mut head, asked, tensors);
    Ok(head)
}

fn vision_head(conversion: &Conversion<'_>, kind: &str, tensors: &[Stored<'_>]) -> Head {
    let config = &conversion.checkpoint.config;
    let tower = &config.vision;
    let blocks = u32::try_from(tower.blocks_to_run).unwrap_or(u32::MAX);
    let mut head = Head::default();
    head.set(keys::ARCHITECTURE, "clip");
    head.set("clip.has_text_encoder", Setting::Bool(false));
    head.set("clip.has_vision_encoder", Setting::Bool(true));
    head.set("clip.has_llava_projector", Setting::Bool(true));
    head.set(keys::NAME, conversion.name);
    head.set("clip.projector_type", kind);
    head.set("clip.vision.image_size", size(tower.image_size));
    head.set("clip.vision.patch_size", size(tower.patch_size));
    head.set("clip.vision.embedding_length", size(tower.hidden));
    head.set("clip.vision.feed_forward_length", size(tower.ffn));
    // CLIP's own, which nobody reads and llama.cpp insists on.
    head.set("clip.vision.projection_dim", size(config.language.hidden));
    head.set("clip.vision.attention.head_count", size(tower.heads));
    head.set(
        "clip.vision.attention.layer_norm_epsilon",
        Setting::F32(tower.eps),
    );
    head.set("clip.vision.block_count", Setting::U32(blocks));
    // Without it llama.cpp runs one block less than `block_count`.
    head.set(
        "clip.vision.feature_layer",
        Setting::I32s(vec![i32::try_from(blocks).unwrap_or(i32::MAX)]),
    );
    let pictures = &config.preprocess;
    head.set(
        "clip.vision.image_mean",
        Setting::F32s(pictures.mean.to_vec()),
    );
    head.set(
        "clip.vision.image_std",
        Setting::F32s(pictures.std.to_vec()),
    );
    let is_gelu = tower.activation == Activation::Gelu;
    head.set("clip.use_gelu", Setting::Bool(is_gelu));
    if pictures.aspect != Aspect::Pad {
        head.set(preprocess::ASPECT, pictures.aspect.name());
    }
    set_file_type(&mut head, None, tensors);
    head
}

/// Adds the number of the mix that was asked for, else of the format of most matrices.
fn set_file_type(head: &mut Head, asked: Option<u32>, tensors: &[Stored<'_>]) {
    let matrices = || tensors.iter().filter(|tensor| tensor.shape.len() == 2);
    let count = |dtype: Dtype| matrices().filter(|tensor| tensor.dtype == dtype).count();
    let most = matrices()
        .map(|tensor| tensor.dtype)
        .max_by_key(|&dtype| count(dtype));
    // `llama-quantize` writes it for every mix, converters for none.
    if asked.is_some() || tensors.iter().any(|tensor| tensor.dtype.block() > 1) {
        head.set(keys::QUANTIZATION_VERSION, Setting::U32(2));
    }
    let number = match most {
        Some(Dtype::Blocks(format)) => Mix::file_type_of(format),
        Some(Dtype::F16) => Mix::F16.file_type(),
        Some(Dtype::BF16) => Mix::BF16.file_type(),
        _ => Mix::F32.file_type(),
    };
    head.set(keys::FILE_TYPE, Setting::U32(asked.unwrap_or(number)));
}

/// What a tensor is called in a language model's file; `name` comes after `language.`.
fn language_name(name: &str) -> String {
    let Some((block, name)) = name
        .strip_prefix("layers.")
        .and_then(|rest| rest.split_once('.'))
    else {
        return match name {
            "embed_tokens.weight" => "token_embd.weight",
            "norm.weight" => "output_norm.weight",
            "lm_head.weight" => "output.weight",
            other => other,
        }
        .to_owned();
    };
    let name = match name {
        "input_layernorm.weight" => "attn_norm.weight",
        "self_attn.q_proj.weight" => "attn_q.weight",
        "self_attn.k_proj.weight" => "attn_k.weight",
        "self_attn.v_proj.weight" => "attn_v.weight",
        "self_attn.o_proj.weight" => "attn_output.weight",
        "post_attention_layernorm.weight" => "ffn_norm.weight",
        "mlp.gate_proj.weight" => "ffn_gate.weight",
        "mlp.up_proj.weight" => "ffn_up.weight",
        "mlp.down_proj.weight" => "ffn_down.weight",
        other => other,
    };
    format!("blk.{block}.{name}")
}

/// What a tensor of the tower or the projector is called in a projector file.
fn vision_name(name: &str, config: &Config) -> String {
    if let Some(rest) = name.strip_prefix("projector.") {
        let own = match config.projector {
            Projector::Mlp { .. } => return format!("mm.{rest}"),
            // Upstream's modules repeat their name: `mlp.mlp.0`, `peg.peg.0`.
            Projector::LdpNetV2(_) => rest.split_once('.').map_or(rest, |(_, own)| own),
            _ => rest.strip_prefix("model.").unwrap_or(rest),
        };
        return format!("mm.model.{own}");
    }
    let name = name.strip_prefix("vision.").unwrap_or(name);
    let block = name.strip_prefix("encoder.layers.");
    let Some((block, name)) = block.and_then(|rest| rest.split_once('.')) else {
        return match name {
            "embeddings.class_embedding" => "v.class_embd",
            "embeddings.patch_embedding.weight" => "v.patch_embd.weight",
            "embeddings.position_embedding.weight" => "v.position_embd.weight",
            "pre_layrnorm.weight" => "v.pre_ln.weight",
            "pre_layrnorm.bias" => "v.pre_ln.bias",
            other => other,
        }
        .to_owned();
    };
    // The converters in use name the two layers of the feed-forward part the wrong way round.
    // llama.cpp tells by the columns of `ffn_down`; where both layers have as many, it takes them
    // to be so named.
    let (part, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let part = match part {
        "layer_norm1" => "ln1",
        "layer_norm2" => "ln2",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.out_proj" => "attn_out",
        "mlp.fc1" => "ffn_down",
        "mlp.fc2" => "ffn_up",
        other => other,
    };
    format!("v.blk.{block}.{part}.{end}")
}
