//! Reads recorded sets.

use std::path::{Path, PathBuf};

use mobilevlm_processor::{Exif, Limits, RgbImage, decode};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

use crate::error::CliError;

/// Parses a JSON file.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let text = std::fs::read(path).map_err(CliError::read(path))?;
    serde_json::from_slice(&text).map_err(|error| content(path, error.to_string()))
}

/// An error about what is in a file.
pub(super) fn content(path: &Path, wrong: impl Into<String>) -> CliError {
    CliError::Content {
        path: path.display().to_string(),
        wrong: wrong.into(),
    }
}

/// Decodes a picture as it is stored, without turning it.
pub(super) fn picture(path: &Path) -> Result<RgbImage, CliError> {
    let file = std::fs::read(path).map_err(CliError::read(path))?;
    decode(&file, &Limits::default(), Exif::Ignore).map_err(|source| CliError::Picture {
        path: path.display().to_string(),
        source: Box::new(source.into()),
    })
}

/// The first of `places` that is a folder.
pub(super) fn first_folder(places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().find(|place| place.is_dir()).cloned()
}

/// A folder that must be there because it was named.
pub(super) fn named_folder(path: &Path) -> Result<PathBuf, CliError> {
    match path.is_dir() {
        true => Ok(path.to_owned()),
        false => Err(content(path, "there is no such folder")),
    }
}

/// A safetensors file of recorded floats, in memory.
pub(super) struct Recorded {
    path: PathBuf,
    file: Vec<u8>,
}

impl Recorded {
    pub(super) fn open(path: PathBuf) -> Result<Recorded, CliError> {
        let file = std::fs::read(&path).map_err(CliError::read(&path))?;
        let recorded = Recorded { path, file };
        recorded.parse()?;
        Ok(recorded)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, CliError> {
        let mut names: Vec<String> = self
            .parse()?
            .names()
            .into_iter()
            .map(|name| name.to_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The values of a tensor, which must have this shape; `None` if there is no such tensor.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, CliError> {
        let tensors = self.parse()?;
        let Ok(tensor) = tensors.tensor(name) else {
            return Ok(None);
        };
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(content(
                &self.path,
                format!("tensor {name:?}: expected F32 {shape:?}, found {found}"),
            ));
        }
        let (numbers, _) = tensor.data().as_chunks::<4>();
        Ok(Some(
            numbers
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
        ))
    }

    fn parse(&self) -> Result<SafeTensors<'_>, CliError> {
        SafeTensors::deserialize(&self.file).map_err(|error| content(&self.path, error.to_string()))
    }
}
