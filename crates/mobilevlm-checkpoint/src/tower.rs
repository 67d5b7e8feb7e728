//! Where a vision tower is looked for that is not inside the checkpoint.

use std::path::{Path, PathBuf};

use crate::checkpoint::OpenOptions;
use crate::error::CheckpointError;
use crate::folder::weight_files;

/// The tower's folder and its files of weights.
///
/// In this order: the folder that the options name, and then no other; `mm_vision_tower` as a
/// path, absolute or relative to the checkpoint; `clip` in the checkpoint or beside it; the
/// folders of the options' cache.
pub(crate) fn find(
    checkpoint: &Path,
    name: Option<&str>,
    options: &OpenOptions,
) -> Result<(PathBuf, Vec<PathBuf>), CheckpointError> {
    let places = match &options.vision_tower {
        Some(folder) => vec![folder.clone()],
        None => {
            let mut places = Vec::new();
            // `join` gives an absolute name as it is.
            places.extend(name.map(|name| checkpoint.join(name)));
            places.push(checkpoint.join("clip"));
            places.push(checkpoint.join("../clip"));
            places.extend(options.tower_cache.iter().cloned());
            places
        }
    };
    for place in &places {
        if place.is_dir()
            && let Some(files) = weight_files(place)?
        {
            return Ok((place.clone(), files));
        }
    }
    Err(CheckpointError::Tower {
        name: name.map(str::to_owned),
        searched: places,
    })
}
