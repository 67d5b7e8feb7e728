use std::path::Path;

use mobilevlm_checkpoint::{LanguageConfig, Preprocess, VisionConfig};

use super::ExportDtype;
use super::export::{copy_tokenizer, in_place, write_json, write_weights};
use super::json;
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
