//! The two files that llama.cpp loads: a LLaMA language model, and a CLIP tower with projector.
//!
//! Names and keys are those of the converters in use, which `docs/layouts.md` lists.

use super::stored::Stored;
use super::{Conversion, ConvertError, File, Mix, set_vocabulary, size};
use crate::config::{Activation, Aspect, Config, LdpV2, Projector};
use crate::gguf::keys::{self, preprocess};
use crate::gguf::write::{Head, Setting};
use crate::names::llama_cpp;
use crate::tensor::Dtype;

/// The side of the grid of patches that llama.cpp's LDP projectors are made for.
const GRID: usize = 24;

pub(super) fn plan<'a>(conversion: &'a Conversion<'a>) -> Result<[File<'a>; 2], ConvertError> {
    let config = &conversion.checkpoint.config;
    let kind = projector_kind(config)?;
    let (mut language, mut vision) = (Vec::new(), Vec::new());
    for chosen in conversion.tensors() {
        let is_paired = llama_cpp::is_paired(&chosen.name);
        let stored = Stored {
            name: llama_cpp::stored(&chosen.name).unwrap_or_else(|| chosen.name.clone()),
            shape: chosen.shape.clone(),
            dtype: chosen.dtype,
            paired: is_paired.then_some(config.language.head_dim),
            tensor: chosen.tensor,
        };
        match chosen.name.starts_with("language.") {
            true => language.push(stored),
            false => vision.push(stored),
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
