//! Models that keep their vision tower in a repository of its own, as MobileVLM V1 does.

use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{Checkpoint, CheckpointError, OpenOptions};

use super::{Hub, ModelId};

impl Hub {
    /// The folder in the cache with the CLIP tower that `model` lacks and its configuration names;
    /// `None` if it lacks none, or the cache has none.
    pub fn cached_tower(&self, model: &Path) -> Option<PathBuf> {
        self.cache.find_tower(&missing_tower(model)?)
    }
}

/// The CLIP tower that the configuration of `model` names, if neither its weights have one nor the
/// folders beside it, and the name is a hub id.
pub(super) fn missing_tower(model: &Path) -> Option<ModelId> {
    match Checkpoint::open(model, &OpenOptions::default()) {
        Err(CheckpointError::Tower { name, .. }) => name?.parse().ok(),
        _ => None,
    }
}
