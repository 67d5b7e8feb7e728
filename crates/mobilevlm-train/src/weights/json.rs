use std::fs;
use std::path::Path;

use mobilevlm_checkpoint::{
    Activation, Aspect, Config, ConfigFiles, LanguageConfig, Layout, LdpV2, Preprocess, Projector,
    VisionConfig,
};
use serde_json::{Map, Value, json};

use super::ExportDtype;
use crate::error::ModelError;

/// The longest file that is read here, in bytes.
const LIMIT: u64 = 256 << 10;

/// A small file.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, ModelError> {
    let file = |source| ModelError::File {
        path: path.to_owned(),
        doing: "read",
        source,
    };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > LIMIT {
        return Err(ModelError::Content {
            path: path.to_owned(),
            wrong: format!("expected at most {LIMIT} bytes, found {length}"),
        });
    }
    fs::read(path).map_err(file)
}

/// The keys of a JSON object in a file.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, ModelError> {
    serde_json::from_slice(&read_bytes(path)?).map_err(|error| ModelError::Content {
        path: path.to_owned(),
        wrong: format!("expected a JSON object: {error}"),
    })
}

/// The configuration of keys that were read from `path`.
pub(super) fn parse(
    path: &Path,
    keys: &Map<String, Value>,
    vision: Option<&[u8]>,
    preprocessor: Option<&[u8]>,
) -> Result<Config, ModelError> {
    let wrong = |wrong: String| ModelError::Content {
        path: path.to_owned(),
        wrong,
    };
    let text = serde_json::to_vec(keys).map_err(|error| wrong(error.to_string()))?;
    let config = Config::from_json(&ConfigFiles {
        config: &text,
        vision,
        preprocessor,
    });
    let config = config.map_err(|error| wrong(error.to_string()))?;
    match config.layout {
        Layout::Authors => Ok(config),
        other => Err(wrong(format!(
            "expected a model in the layout of its authors, found {other:?}; \
             `mobilevlm convert` does not write that layout: take the original folder"
        ))),
    }
}

/// `pad_token_id`, where it is the id of a token. Some files say -1.
pub(super) fn pad(keys: &Map<String, Value>, vocabulary: usize) -> Option<u32> {
    let pad = u32::try_from(keys.get("pad_token_id")?.as_u64()?).ok()?;
    ((pad as usize) < vocabulary).then_some(pad)
}

/// A number as its shortest decimal, which is what people wrote.
fn number(value: f32) -> Value {
    let text = format!("{value:?}");
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

/// `config.json`: the keys that a run began with, and over them what the model is.
pub(super) fn config(
    before: &Map<String, Value>,
    config: &Config,
    pad: Option<u32>,
    dtype: ExportDtype,
) -> Map<String, Value> {
    let mut keys = before.clone();
    let spare = json!({
        "architectures": ["MobileLlamaForCausalLM"],
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "mm_use_im_patch_token": false,
        "mm_use_im_start_end": false,
        "mm_vision_select_feature": "patch",
        "pretraining_tp": 1,
        "rope_scaling": null,
        "transformers_version": "4.33.1",
        "use_cache": true,
        "use_mm_proj": true,
        "vision_tower_type": "clip",
    });
    let language = &config.language;
    let vision = &config.vision;
    let (projector, variant) = config.projector.names();
    let select = vision.blocks_to_run as i64 - vision.layers as i64 - 1;
    let said = json!({
        "bos_token_id": language.bos,
        "eos_token_id": language.eos,
        "hidden_size": language.hidden,
        "image_aspect_ratio": match config.preprocess.aspect {
            Aspect::Pad => "pad",
            Aspect::Square => "square",
        },
        "intermediate_size": language.ffn,
        "max_position_embeddings": language.context,
        "mm_hidden_size": vision.hidden,
        "mm_projector_type": projector,
        "mm_vision_select_layer": select,
        "mm_vision_tower": config.tower_name.as_deref().unwrap_or("vision_tower"),
        "model_type": "mobilevlm",
        "num_attention_heads": language.heads,
        "num_hidden_layers": language.layers,
        "num_key_value_heads": language.kv_heads,
        "pad_token_id": pad,
        "rms_norm_eps": number(language.rms_eps),
        "rope_theta": number(language.rope_theta),
        "tie_word_embeddings": language.tied,
        "torch_dtype": dtype.name(),
        "vocab_size": language.vocab,
    });
    for (key, value) in object(spare) {
        keys.entry(key).or_insert(value);
    }
    keys.extend(object(said));
    // The architecture of a language model alone is not that of the whole.
    keys.insert(
        "architectures".to_owned(),
        json!(["MobileLlamaForCausalLM"]),
    );
    if language.head_dim * language.heads != language.hidden {
        keys.insert("head_dim".to_owned(), language.head_dim.into());
    }
    match variant {
        // Released files of the usual member lack the key.
        Some(variant) if config.projector != Projector::LdpNetV2(LdpV2::PoolPeg) => {
            keys.insert("mm_projector_variant".to_owned(), variant.into());
        }
        _ => {
            keys.remove("mm_projector_variant");
        }
    }
    keys
}

/// `vision_config.json`, in the form of a CLIP folder's `config.json`; `None` where readers know
/// the tower by name.
pub(super) fn vision(config: &Config) -> Option<Map<String, Value>> {
    let vision = &config.vision;
    let large = VisionConfig {
        hidden: 1024,
        heads: 16,
        ffn: 4096,
        layers: 24,
        blocks_to_run: vision.blocks_to_run,
        image_size: match config.tower_name.as_deref() {
            Some("openai/clip-vit-large-patch14") => 224,
            _ => 336,
        },
        patch_size: 14,
        eps: 1e-5,
        activation: Activation::QuickGelu,
    };
    (*vision != large).then(|| tower(vision))
}

/// `config.json` of a CLIP tower's own folder, as HF's `CLIPVisionConfig` writes it.
pub(super) fn tower(vision: &VisionConfig) -> Map<String, Value> {
    object(json!({
        "architectures": ["CLIPVisionModel"],
        "attention_dropout": 0.0,
        "hidden_act": match vision.activation {
            Activation::QuickGelu => "quick_gelu",
            Activation::Gelu => "gelu",
        },
        "hidden_size": vision.hidden,
        "image_size": vision.image_size,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": vision.ffn,
        "layer_norm_eps": number(vision.eps),
        "model_type": "clip_vision_model",
        "num_attention_heads": vision.heads,
        "num_channels": 3,
        "num_hidden_layers": vision.layers,
        "patch_size": vision.patch_size,
    }))
}

/// `config.json` of a language model's own folder, as HF's `LlamaConfig` writes it.
pub(super) fn language(
    config: &LanguageConfig,
    pad: Option<u32>,
    dtype: ExportDtype,
) -> Map<String, Value> {
    let mut keys = object(json!({
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": config.bos,
        "eos_token_id": config.eos,
        "hidden_act": "silu",
        "hidden_size": config.hidden,
        "initializer_range": 0.02,
        "intermediate_size": config.ffn,
        "max_position_embeddings": config.context,
        "model_type": "llama",
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
        "pad_token_id": pad,
        "pretraining_tp": 1,
        "rms_norm_eps": number(config.rms_eps),
        "rope_scaling": null,
        "rope_theta": number(config.rope_theta),
        "tie_word_embeddings": config.tied,
        "torch_dtype": dtype.name(),
        "transformers_version": "4.33.1",
        "use_cache": true,
        "vocab_size": config.vocab,
    }));
    if config.head_dim * config.heads != config.hidden {
        keys.insert("head_dim".to_owned(), config.head_dim.into());
    }
    keys
}

/// `preprocessor_config.json`, as HF's `CLIPImageProcessor` writes it.
pub(super) fn preprocessor(preprocess: &Preprocess) -> Map<String, Value> {
    let side = preprocess.image_size;
    object(json!({
        "crop_size": {"height": side, "width": side},
        "do_center_crop": true,
        "do_convert_rgb": true,
        "do_normalize": true,
        "do_rescale": true,
        "do_resize": true,
        "image_mean": preprocess.mean.map(number),
        "image_processor_type": "CLIPImageProcessor",
        "image_std": preprocess.std.map(number),
        "resample": 3,
        "rescale_factor": 1.0 / 255.0,
        "size": {"shortest_edge": side},
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
