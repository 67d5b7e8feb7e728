//! Adapters beside the weights that they belong to. Source: upstream's `train.py`, which has peft
//! write them, and its `mergelora.py`, which reads them.

use std::path::Path;

use mobilevlm_checkpoint::{Inventory, write_safetensors};
use serde_json::{Map, Value, json};

use super::export::{Export, in_place, write_json};
use super::torch::write_torch;
use crate::error::ModelError;
use crate::model::{LoraConfig, MobileVlm, lora_targets, parameters, values};

/// What peft puts before a name of the model that it wraps.
const WRAPPED: &str = "base_model.model.";

impl Export<'_> {
    /// Writes what a run with adapters has learnt, and no weight that it began with:
    /// `adapter_config.json` and `adapter_model.safetensors` as peft does,
    /// `non_lora_trainables.bin` as upstream does, and all that stands beside the weights in a whole
    /// folder. A folder that is there already is replaced.
    ///
    /// `base`: the folder of the model that the adapters are for.
    ///
    /// # Errors
    /// [`ModelError`] where a file cannot be read or written; what was there is then untouched.
    pub fn write_adapters(
        &self,
        folder: &Path,
        model: &MobileVlm,
        lora: &LoraConfig,
        base: &Path,
    ) -> Result<(), ModelError> {
        // peft leaves out the name of the adapter, of which there may be several.
        let adapters: Inventory = values(model, "", |name| name.contains(".lora_"))
            .iter()
            .map(|(name, tensor)| {
                let name = name.replace(".default.weight", ".weight");
                (format!("{WRAPPED}{name}"), tensor.clone())
            })
            .collect();
        let learns = parameters(model, "").into_iter();
        let learns: Vec<String> = learns
            .filter(|parameter| parameter.trained && !parameter.name.contains(".lora_"))
            .map(|parameter| parameter.name)
            .collect();
        let others: Inventory = values(model, "", |name| learns.iter().any(|own| own == name))
            .iter()
            .map(|(name, tensor)| (format!("{WRAPPED}{name}"), tensor.clone()))
            .collect();
        in_place(folder, |part| {
            self.describe(part)?;
            let config = config(lora, &lora_targets(model), base);
            write_json(&part.join("adapter_config.json"), &config)?;
            write_safetensors(&part.join("adapter_model.safetensors"), &adapters)?;
            write_torch(&part.join("non_lora_trainables.bin"), &others)
        })
    }
}

/// `adapter_config.json`.
fn config(lora: &LoraConfig, targets: &[String], base: &Path) -> Map<String, Value> {
    // peft knows whole numbers here.
    let alpha = match lora.alpha.fract() == 0.0 && lora.alpha < 1e9 {
        true => json!(lora.alpha as u64),
        false => json!(lora.alpha),
    };
    let keys = json!({
        "base_model_name_or_path": base.display().to_string(),
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": alpha,
        "lora_dropout": lora.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": lora.r,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
    });
    match keys {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}
