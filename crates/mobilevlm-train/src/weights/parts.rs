use std::path::Path;

use mobilevlm_checkpoint::{Config, Inventory, LanguageConfig, Preprocess, VisionConfig};
use serde_json::Value;

use super::ExportDtype;
use super::export::{copy_tokenizer, in_place, write_json, write_weights};
use super::json;
use super::start::{Names, named};
use crate::clip::ClipModel;
use crate::error::ModelError;
use crate::model::{Language, values};

/// Writes the vision tower of a [`ClipModel`] as a folder of its own: `config.json`,
/// `preprocessor_config.json`, and weights by the names of HF's `CLIPVisionModel`, float32. A
/// folder that is there already is replaced.
///
/// # Errors
/// [`ModelError`] where a file cannot be written; what was there is then untouched.
pub fn export_tower(
    folder: &Path,
    model: &ClipModel,
    vision: &VisionConfig,
    preprocess: &Preprocess,
) -> Result<(), ModelError> {
    let all = [
        values(model.tower(), "vision", |_| true),
        values(model.post_layernorm(), "vision.post_layernorm", |_| true),
    ];
    let upstream = mobilevlm_checkpoint::upstream_name("vision.");
    let named = all.iter().flat_map(|tensors| tensors.iter());
    let named = named.map(|(name, tensor)| {
        let name = name.strip_prefix(&upstream).unwrap_or(name);
        (format!("vision_model.{name}"), tensor.clone())
    });
    let tensors = named.collect();
    in_place(folder, |part| {
        write_json(&part.join("config.json"), &json::tower(vision))?;
        let preprocessor = json::preprocessor(preprocess);
        write_json(&part.join("preprocessor_config.json"), &preprocessor)?;
        write_weights(part, &tensors)
    })
}

/// Writes a language model as a folder of its own: `config.json`, weights by the names of HF's
/// `LlamaForCausalLM`, float32, and the files of its tokenizer, which is a folder. A folder that is
/// there already is replaced.
///
/// # Errors
/// [`ModelError`] where a file cannot be read or written; what was there is then untouched.
pub fn export_language(
    folder: &Path,
    language: &Language,
    config: &LanguageConfig,
    pad: Option<u32>,
    tokenizer: &Path,
) -> Result<(), ModelError> {
    let tensors = values(language, "language", |_| true);
    in_place(folder, |part| {
        copy_tokenizer(tokenizer, part)?;
        let keys = json::language(config, pad, ExportDtype::F32);
        write_json(&part.join("config.json"), &keys)?;
        write_weights(part, &tensors)
    })
}

/// Sizes, preparation and values of a tower in a folder of its own.
pub(crate) fn read_tower(
    folder: &Path,
) -> Result<(VisionConfig, Preprocess, Inventory), ModelError> {
    let path = folder.join("config.json");
    let vision = json::read_bytes(&path)?;
    let preprocessor = folder.join("preprocessor_config.json");
    let preprocessor = match preprocessor.is_file() {
        true => Some(json::read_bytes(&preprocessor)?),
        false => None,
    };
    // A configuration is that of a whole model; of this language model nobody hears.
    let mut keys = json::language(&LanguageConfig::default(), None, ExportDtype::F32);
    complete(&mut keys);
    let config = json::parse(&path, &keys, Some(&vision), preprocessor.as_deref())?;
    let Config {
        vision, preprocess, ..
    } = config;
    Ok((vision, preprocess, named(folder, Names::Clip)?))
}

/// Sizes, padding and values of a language model in a folder, of its own or of a whole model.
pub(crate) fn read_language(
    folder: &Path,
) -> Result<(LanguageConfig, Option<u32>, Inventory), ModelError> {
    let path = folder.join("config.json");
    let mut keys = json::read(&path)?;
    complete(&mut keys);
    let language = json::parse(&path, &keys, None, None)?.language;
    let pad = json::pad(&keys, language.vocab);
    Ok((language, pad, named(folder, Names::Model)?))
}

/// Adds what a whole model's configuration has and its parts' lack; what a whole one says of its
/// tower, of which nobody hears here, must not contradict it.
fn complete(keys: &mut serde_json::Map<String, Value>) {
    keys.retain(|key, _| !key.starts_with("mm_"));
    keys.insert("model_type".to_owned(), "mobilevlm".into());
    for (key, value) in [
        ("mm_projector_type", "linear"),
        ("mm_vision_tower", "openai/clip-vit-large-patch14-336"),
    ] {
        keys.insert(key.to_owned(), value.into());
    }
}
