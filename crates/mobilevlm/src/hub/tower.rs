//! Models that keep their vision tower in a repository of its own.

use std::path::Path;

use super::ModelId;

/// The CLIP tower that the configuration in `model` names, if the model's weights have none and
/// the name is a hub id.
pub(super) fn missing_tower(model: &Path) -> Option<ModelId> {
    #[derive(serde::Deserialize)]
    struct Config {
        mm_vision_tower: Option<String>,
    }
    let text = std::fs::read(model.join("config.json")).ok()?;
    let name = serde_json::from_slice::<Config>(&text)
        .ok()?
        .mm_vision_tower?;
    name.parse().ok()
}
