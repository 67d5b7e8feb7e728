//! Which files of a folder hold the weights, and reading them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::CheckpointError;
use crate::map::{self, Access};
use crate::tensor::{Entry, Tensor};
use crate::{safetensors, torch};

/// The longest index that is read, in bytes.
const INDEX_LIMIT: usize = 4 << 20;

/// The most files that one model may be spread over.
const FILE_LIMIT: usize = 1 << 12;

/// The files of `folder` that hold weights, or `None` if there are none.
///
/// As transformers prefers them: safetensors before torch, one file before several.
pub(crate) fn weight_files(folder: &Path) -> Result<Option<Vec<PathBuf>>, CheckpointError> {
    for (single, index) in [
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ] {
        let single = folder.join(single);
        if single.is_file() {
            return Ok(Some(vec![single]));
        }
        let index = folder.join(index);
        if index.is_file() {
            let text = read_small(&index, INDEX_LIMIT)?;
            let index_error = |source| CheckpointError::Index {
                path: index.clone(),
                source,
            };
            let files = parse_index(&text).map_err(index_error)?;
            return Ok(Some(
                files.into_iter().map(|file| folder.join(file)).collect(),
            ));
        }
    }
    Ok(None)
}

/// All tensors in the weights of a folder, or of one file of weights, under the names that they are
/// stored by. Nothing says yet that they belong together: [`Checkpoint::open`](crate::Checkpoint::open)
/// checks a whole model.
///
/// # Errors
/// [`CheckpointError`] where there are no weights, or a file of them cannot be read.
pub fn stored_tensors(
    path: &Path,
    access: Access,
) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let files = match path.is_file() {
        true => Some(vec![path.to_owned()]),
        false => weight_files(path)?,
    };
    let files = files.ok_or_else(|| CheckpointError::NoWeights {
        path: path.to_owned(),
    })?;
    let mut tensors = Vec::new();
    for file in files {
        let weights = open_weights(&file, access)?;
        for entry in &weights.entries {
            tensors.push((entry.name.clone(), weights.tensor(entry)?));
        }
    }
    Ok(tensors)
}

/// A text file of at most `limit` bytes, copied.
pub(crate) fn read_small(path: &Path, limit: usize) -> Result<Bytes, CheckpointError> {
    let read = |source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    };
    let found = std::fs::metadata(path).map_err(read)?.len();
    if found > limit as u64 {
        return Err(CheckpointError::TooLong {
            path: path.to_owned(),
            limit,
            found,
        });
    }
    map::open(path, Access::Read).map_err(read)
}

/// The same, or `None` if there is no such file.
pub(crate) fn read_optional(path: &Path, limit: usize) -> Result<Option<Bytes>, CheckpointError> {
    if path.is_file() {
        read_small(path, limit).map(Some)
    } else {
        Ok(None)
    }
}

/// The names of the files that an index spreads a model over.
///
/// A name that leaves the folder is refused: an index is no reason to read any other file.
///
/// # Errors
/// What the JSON parser says.
pub fn parse_index(text: &[u8]) -> Result<BTreeSet<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Index {
        #[serde(deserialize_with = "file_names")]
        weight_map: BTreeSet<String>,
    }
    Ok(serde_json::from_slice::<Index>(text)?.weight_map)
}

/// The distinct values of `weight_map`. Which tensor lies where is seen from the files
/// themselves, so the keys are not kept.
fn file_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    struct FileNames;
    impl<'de> Visitor<'de> for FileNames {
        type Value = BTreeSet<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of file names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BTreeSet<String>, A::Error> {
            let mut files = BTreeSet::new();
            while let Some((IgnoredAny, file)) = map.next_entry::<IgnoredAny, String>()? {
                if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', ':', '\0'])
                {
                    return Err(de::Error::custom(format_args!(
                        "{file:?} is no file of this folder"
                    )));
                }
                files.insert(file);
                if files.len() > FILE_LIMIT {
                    return Err(de::Error::custom(format_args!(
                        "more than {FILE_LIMIT} files"
                    )));
                }
            }
            Ok(files)
        }
    }
    deserializer.deserialize_map(FileNames)
}

/// Opens one file of weights: safetensors by its ending, else torch.
pub(crate) fn open_weights(path: &Path, access: Access) -> Result<Weights, CheckpointError> {
    let path: Arc<Path> = path.into();
    let bytes = map::open(&path, access).map_err(|source| CheckpointError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let owned = || path.to_path_buf();
    let entries = if path
        .extension()
        .is_some_and(|ending| ending == "safetensors")
    {
        safetensors::parse(&bytes).map_err(|source| CheckpointError::Safetensors {
            path: owned(),
            source,
        })?
    } else if bytes.starts_with(b"GGUF") {
        return Err(CheckpointError::GgufWeights { path: owned() });
    } else {
        torch::parse(&bytes).map_err(|source| CheckpointError::Torch {
            path: owned(),
            source,
        })?
    };
    Ok(Weights {
        path,
        bytes,
        entries,
    })
}

/// One file of weights and what its header lists.
pub(crate) struct Weights {
    pub(crate) path: Arc<Path>,
    bytes: Bytes,
    pub(crate) entries: Vec<Entry>,
}

impl Weights {
    /// The tensor of an entry: a part of the file's bytes, or a copy where those are not in
    /// row-major order.
    pub(crate) fn tensor(&self, entry: &Entry) -> Result<Tensor, CheckpointError> {
        let data = self.bytes.slice(entry.range.clone());
        let data = match &entry.strides {
            None => data,
            Some(strides) => {
                torch::row_major(&data, &entry.shape, strides, entry.dtype.size()).into()
            }
        };
        Tensor::new(entry.dtype, entry.shape.clone(), data)
            .map(|tensor| tensor.of_file(&self.path))
            .map_err(|source| CheckpointError::Tensor {
                path: self.path.to_path_buf(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_gives_each_file_once() {
        let text =
            br#"{"metadata":{"total_size":1},"weight_map":{"a":"x.bin","b":"y.bin","c":"x.bin"}}"#;
        let files: Vec<_> = parse_index(text).unwrap().into_iter().collect();
        assert_eq!(files, ["x.bin", "y.bin"]);
    }

    #[test]
    fn an_index_cannot_leave_its_folder() {
        for name in [
            "../x.bin",
            "/etc/passwd",
            "a/b.bin",
            "..",
            "",
            "c:x",
            "a\\\\b",
        ] {
            let text = format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#);
            let error = parse_index(text.as_bytes()).expect_err(name);
            assert!(
                error.to_string().contains("no file of this folder"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_index_of_more_files_than_the_limit_is_refused() {
        let entries: Vec<_> = (0..=FILE_LIMIT)
            .map(|i| format!(r#""{i}":"{i}""#))
            .collect();
        let text = format!(r#"{{"weight_map":{{{}}}}}"#, entries.join(","));
        assert!(
            parse_index(text.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("more than 4096")
        );
    }
}
