//! What the keys of GGUF files say: of llama.cpp's pairs, and of a whole model in one file.
//!
//! Absent keys mean what they mean to llama.cpp.

use super::keys::Keys;
use super::language::LanguageConfig;
use super::projector::Projector;
use super::vision::{Activation, HIDDEN_LIMIT, VisionConfig};
use super::{Aspect, Config, ConfigError, LdpV2, Preprocess};
use crate::Layout;
use crate::gguf::keys;

/// Width and blocks of CLIP ViT-L/14, the tower of every released model of the family.
const VIT_L: (usize, usize, usize) = (1024, 24, 14);

impl Config {
    /// The configuration of a pair: a language model's file and a projector's.
    pub(crate) fn from_pair(language: &Keys<'_>, tower: &Keys<'_>) -> Result<Self, ConfigError> {
        refuse_scaled_positions(language)?;
        let vision = pair_vision(tower)?;
        Ok(Self {
            layout: Layout::LlamaCpp,
            projector: pair_projector(tower)?,
            language: language_config(language, !language.has_tensor("output.weight"))?,
            preprocess: preprocess(tower, vision.image_size)?,
            vision,
            tower_name: None,
        })
    }

    /// The configuration of a whole model in one file.
    pub(crate) fn from_one_file(keys: &Keys<'_>) -> Result<Self, ConfigError> {
        keys.whole(keys::VERSION, 1..=1)?;
        if let Some(name) = keys.text(keys::TEMPLATE)?
            && name != "v1"
        {
            return Err(keys.wrong(keys::TEMPLATE, "\"v1\"", format!("{name:?}")));
        }
        let vision = one_file_vision(keys)?;
        let tied = keys.flag(keys::language::TIED)?.unwrap_or(false);
        Ok(Self {
            layout: Layout::OneFile,
            projector: one_file_projector(keys)?,
            language: language_config(keys, tied)?,
            preprocess: preprocess(keys, vision.image_size)?,
            vision,
            tower_name: None,
        })
    }
}

fn language_config(keys: &Keys<'_>, tied: bool) -> Result<LanguageConfig, ConfigError> {
    use keys::llama::ROPE_DIMENSIONS;
    use keys::{language as key, tokenizer};
    let spare = LanguageConfig::default();
    let hidden = keys.size(key::HIDDEN, 1..=1 << 16)?;
    let heads = keys.size(key::HEADS, 1..=1 << 10)?;
    let kv_heads = keys.whole(key::KV_HEADS, 1..=1 << 10)?.unwrap_or(heads);
    if heads % kv_heads != 0 {
        let expected = format!("a divisor of the {heads} heads");
        return Err(keys.wrong(key::KV_HEADS, expected, kv_heads));
    }
    let head_dim = match keys.whole(key::HEAD_DIM, 2..=1 << 12)? {
        Some(size) => size,
        None if hidden % heads == 0 => hidden / heads,
        None => {
            let expected = format!("a divisor of the width {hidden}");
            return Err(keys.wrong(key::HEADS, expected, heads));
        }
    };
    if head_dim % 2 != 0 {
        let expected = "heads of an even width, for rotary pairs";
        return Err(keys.wrong(key::HEAD_DIM, expected, head_dim));
    }
    if let Some(width) = keys.whole(ROPE_DIMENSIONS, 0..=1 << 12)?
        && width != head_dim
    {
        let expected = format!(
            "{head_dim}, the width of a head: partial rotary positions are not implemented"
        );
        return Err(keys.wrong(ROPE_DIMENSIONS, expected, width));
    }
    let vocab = match keys.whole(key::VOCAB, 3..=1 << 20)? {
        Some(vocab) => vocab,
        None => keys.size_of_list(tokenizer::TOKENS, 3..=1 << 20)?,
    };
    let rms_eps = keys.real(key::RMS_EPS, 0.0..=1.0)?;
    let token = |name| keys.whole(name, 0..=vocab - 1);
    Ok(LanguageConfig {
        hidden,
        heads,
        kv_heads,
        head_dim,
        ffn: keys.size(key::FFN, 1..=1 << 18)?,
        layers: keys.size(key::BLOCKS, 1..=keys.most_blocks())?,
        vocab,
        rms_eps: keys.needed(key::RMS_EPS, rms_eps, "a number")?,
        rope_theta: keys
            .real(key::ROPE_THETA, 1.0..=1e12)?
            .unwrap_or(spare.rope_theta),
        context: keys.size(key::CONTEXT, 1..=1 << 24)?,
        tied,
        bos: token(tokenizer::BOS)?.map_or(spare.bos, |id| id as u32),
        eos: token(tokenizer::EOS)?.map_or(spare.eos, |id| id as u32),
    })
}

/// Refuses what would be computed wrongly without a word.
fn refuse_scaled_positions(keys: &Keys<'_>) -> Result<(), ConfigError> {
    use keys::llama::{ROPE_SCALE_LINEAR, ROPE_SCALING, ROPE_SCALING_FACTOR};
    let plain = "scaled rotary positions are not implemented";
    let kind = keys.text(ROPE_SCALING)?;
    if let Some(kind) = kind.filter(|kind| !matches!(kind.as_str(), "none" | "linear")) {
        let expected = format!("\"none\": {plain}");
        return Err(keys.wrong(ROPE_SCALING, expected, format!("{kind:?}")));
    }
    for key in [ROPE_SCALING_FACTOR, ROPE_SCALE_LINEAR] {
        // To llama.cpp 0 means 1, which changes nothing.
        let factor = keys.real(key, 0.0..=1e6)?.unwrap_or(1.0);
        if factor != 0.0 && factor != 1.0 {
            return Err(keys.wrong(key, format!("1: {plain}"), factor));
        }
    }
    Ok(())
}

fn sizes_of_tower(keys: &Keys<'_>) -> Result<VisionConfig, ConfigError> {
    use keys::vision as key;
    let hidden = keys.size(key::HIDDEN, 1..=HIDDEN_LIMIT)?;
    let heads = keys.size(key::HEADS, 1..=1 << 10)?;
    if hidden % heads != 0 {
        let expected = format!("a divisor of the width {hidden}");
        return Err(keys.wrong(key::HEADS, expected, heads));
    }
    let image_size = keys.size(key::IMAGE_SIZE, 1..=1 << 12)?;
    let patch_size = keys.size(key::PATCH_SIZE, 1..=1 << 10)?;
    if image_size % patch_size != 0 {
        let expected = format!("a divisor of the picture's side {image_size}");
        return Err(keys.wrong(key::PATCH_SIZE, expected, patch_size));
    }
    let layers = keys.size(key::BLOCKS, 1..=keys.most_blocks())?;
    let eps = keys.real(key::EPS, 0.0..=1.0)?;
    Ok(VisionConfig {
        hidden,
        heads,
        ffn: keys.size(key::FFN, 1..=1 << 18)?,
        layers,
        blocks_to_run: layers,
        image_size,
        patch_size,
        eps: keys.needed(key::EPS, eps, "a number")?,
        activation: Activation::QuickGelu,
    })
}

fn pair_vision(keys: &Keys<'_>) -> Result<VisionConfig, ConfigError> {
    use keys::clip;
    if keys.flag(clip::HAS_VISION)? == Some(false) {
        return Err(keys.wrong(clip::HAS_VISION, "true", "false"));
    }
    if keys.flag(clip::USE_SILU)? == Some(true) {
        let expected = "false: a tower with SiLU is not implemented";
        return Err(keys.wrong(clip::USE_SILU, expected, "true"));
    }
    let sizes = sizes_of_tower(keys)?;
    Ok(VisionConfig {
        activation: match keys.flag(clip::USE_GELU)? {
            Some(true) => Activation::Gelu,
            _ => Activation::QuickGelu,
        },
        blocks_to_run: blocks_to_run(keys, &sizes)?,
        ..sizes
    })
}

/// How many blocks run: as many as `feature_layer` says where there is such a key, else all that
/// the file has.
///
/// Converters for this family drop the block that nobody reads, so that all blocks of a file are
/// to be run. A file that holds all 24 of CLIP's is one whose converter did not, and upstream
/// takes the output of the last but one in all its models.
fn blocks_to_run(keys: &Keys<'_>, sizes: &VisionConfig) -> Result<usize, ConfigError> {
    let key = keys::clip::FEATURE_LAYER;
    let Some(layers) = keys.whole_list(key)? else {
        let all_of_clip = (sizes.hidden, sizes.layers, sizes.patch_size) == VIT_L;
        return Ok(sizes.layers - usize::from(all_of_clip));
    };
    let last = layers.iter().max().copied();
    last.and_then(|last| usize::try_from(last).ok())
        .filter(|&last| last <= sizes.layers)
        .ok_or_else(|| {
            let expected = format!("numbers of blocks, the largest from 0 to {}", sizes.layers);
            keys.wrong(key, expected, format!("{layers:?}"))
        })
}

fn pair_projector(keys: &Keys<'_>) -> Result<Projector, ConfigError> {
    use keys::clip;
    let mut key = clip::PROJECTOR;
    let mut kind = keys.text(key)?;
    if kind.is_none() {
        // Files with several encoders name the projector of each.
        key = clip::VISION_PROJECTOR;
        kind = keys.text(key)?;
    }
    match kind.as_deref() {
        Some("ldp") => Ok(Projector::LdpNet),
        Some("ldpv2") => Ok(Projector::LdpNetV2(LdpV2::PoolPeg)),
        Some("mlp") => Ok(Projector::Mlp {
            depth: if keys.has_tensor("mm.2.weight") { 2 } else { 1 },
        }),
        other => {
            let expected = "\"ldp\", \"ldpv2\" or \"mlp\": other projectors are not implemented";
            let found = other.map_or("no such key".to_owned(), |kind| format!("{kind:?}"));
            Err(keys.wrong(clip::PROJECTOR, expected, found))
        }
    }
}

fn one_file_vision(keys: &Keys<'_>) -> Result<VisionConfig, ConfigError> {
    let key = keys::vision::ACTIVATION;
    let activation = match keys.text(key)?.as_deref() {
        None | Some("quick_gelu") => Activation::QuickGelu,
        Some("gelu") => Activation::Gelu,
        Some(other) => {
            let expected = "\"quick_gelu\" or \"gelu\"";
            return Err(keys.wrong(key, expected, format!("{other:?}")));
        }
    };
    Ok(VisionConfig {
        activation,
        ..sizes_of_tower(keys)?
    })
}

fn one_file_projector(keys: &Keys<'_>) -> Result<Projector, ConfigError> {
    use keys::projector as key;
    let kind = keys.text(key::KIND)?;
    let kind = keys.needed(key::KIND, kind, "a text")?;
    let variant = keys.text(key::VARIANT)?;
    Projector::named(&kind, variant.as_deref()).map_err(|(of_variant, expected)| {
        let (key, found) = match of_variant {
            true => (key::VARIANT, variant.as_deref().unwrap_or_default()),
            false => (key::KIND, kind.as_str()),
        };
        keys.wrong(key, expected, format!("{found:?}"))
    })
}

fn preprocess(keys: &Keys<'_>, image_size: usize) -> Result<Preprocess, ConfigError> {
    use keys::preprocess as key;
    let channels = |name, least| {
        let values = keys.channels(name, least)?;
        keys.needed(name, values, "three numbers")
    };
    Ok(Preprocess {
        aspect: match keys.text(key::ASPECT)?.as_deref() {
            None | Some("pad") => Aspect::Pad,
            Some("square") => Aspect::Square,
            Some(other) => {
                let expected = "\"pad\" or \"square\"";
                return Err(keys.wrong(key::ASPECT, expected, format!("{other:?}")));
            }
        },
        image_size,
        mean: channels(key::MEAN, -10.0)?,
        std: channels(key::STD, 1e-6)?,
    })
}
