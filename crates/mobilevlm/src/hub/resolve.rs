//! From what a person types for a model to the files that are meant.

use std::path::{Path, PathBuf};

use super::pull::OnEvent;
use super::{Hub, HubError, ModelId};

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The folder or file.
    pub path: PathBuf,
    /// How it was found.
    pub origin: Origin,
}

/// How a model was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The text was a path.
    Path,
    /// The text was a hub id, and the model was in the cache.
    Cache(ModelId),
    /// The text was a hub id, and the model was fetched.
    Downloaded(ModelId),
}

impl Hub {
    /// Finds the model that `model` names: a folder or file, else a hub id in the cache, else a
    /// hub id that is fetched now.
    ///
    /// A model that is complete in the cache is used as it is, without asking the server whether
    /// there is a newer one; [`Hub::pull`] asks.
    ///
    /// # Errors
    /// [`HubError::NoSuchPath`] if `model` is none of these; else what [`Hub::pull`] reports.
    pub fn resolve(&self, model: &str, on_event: &mut OnEvent<'_>) -> Result<Resolved, HubError> {
        let path = Path::new(model);
        if path.exists() {
            return Ok(Resolved {
                path: path.to_owned(),
                origin: Origin::Path,
            });
        }
        let Ok(id) = model.parse::<ModelId>() else {
            return Err(HubError::NoSuchPath {
                path: model.to_owned(),
            });
        };
        if let Some(path) = self.cache.find(&id) {
            // An earlier run may have stopped between the model and its tower.
            if let Some(tower) = super::tower::missing_tower(&path)
                && self.cache.find_tower(&tower).is_none()
            {
                self.pull_repository(&tower, false, on_event)?;
            }
            return Ok(Resolved {
                path,
                origin: Origin::Cache(id),
            });
        }
        let path = self.pull(&id, on_event)?;
        Ok(Resolved {
            path,
            origin: Origin::Downloaded(id),
        })
    }
}
