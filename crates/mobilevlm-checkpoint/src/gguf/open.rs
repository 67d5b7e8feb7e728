//! Opens GGUF files as checkpoints: llama.cpp's pairs, and whole models in one file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Gguf, GgufError, Value, keys};
use crate::checkpoint::{Gathered, OpenOptions};
use crate::config::{Config, ConfigError, Keys, VisionConfig};
use crate::error::CheckpointError;
use crate::map::{self, Access};
use crate::names::{expected_tensors, llama_cpp};
use crate::tensor::{Entry, Tensor};
use crate::tokenizer::TokenizerSource;

/// Whether `path` is a GGUF file, by its ending or its beginning.
///
/// # Errors
/// [`CheckpointError::Read`] if there is nothing at `path`, or a file that cannot be read.
pub(crate) fn is_gguf(path: &Path) -> Result<bool, CheckpointError> {
    let read = |source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(read)?.is_file() {
        return Ok(false);
    }
    if has_ending(path) {
        return Ok(true);
    }
    let mut beginning = Vec::new();
    let file = File::open(path).map_err(read)?;
    file.take(4).read_to_end(&mut beginning).map_err(read)?;
    Ok(beginning == b"GGUF")
}

fn has_ending(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"))
}

impl Gathered {
    /// Reads the GGUF file at `path` and, for a language model, its projector's file.
    pub(crate) fn fill_from_gguf(
        &mut self,
        path: &Path,
        options: &OpenOptions,
    ) -> Result<(), CheckpointError> {
        let meaningless = |option, only| CheckpointError::Meaningless {
            path: path.to_owned(),
            option,
            only,
        };
        if options.vision_tower.is_some() {
            let only = "folders; a GGUF file has its tower in its projector's file";
            return Err(meaningless("--vision-tower", only));
        }
        self.files.push(path.to_owned());
        let model = GgufFile::open(path, options.access)?;
        if model.is_whole()? && options.mmproj.is_some() {
            return Err(meaningless("--mmproj", "a language model's file"));
        }
        self.fill_from_model(&model, || {
            let path = match &options.mmproj {
                Some(path) => path.clone(),
                None => only_projector(path)?,
            };
            GgufFile::open(&path, options.access)
        })
    }

    /// Reads files that are in memory.
    pub(crate) fn fill_from_gguf_bytes(
        &mut self,
        model: Bytes,
        projector: Option<Bytes>,
    ) -> Result<(), CheckpointError> {
        let path = Path::new("model in memory");
        let model = GgufFile::new(path, model)?;
        self.fill_from_model(&model, || match projector {
            Some(bytes) => GgufFile::new(Path::new("projector in memory"), bytes),
            None => Err(CheckpointError::WhichProjector {
                path: path.to_owned(),
                found: Vec::new(),
            }),
        })
    }

    /// Takes what is in `model`; `projector` opens the file that belongs to a language model.
    fn fill_from_model(
        &mut self,
        model: &GgufFile,
        projector: impl FnOnce() -> Result<GgufFile, CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.name = model.name()?;
        if model.is_whole()? {
            return self.fill_from_one_file(model);
        }
        match model.architecture()?.as_deref() {
            Some("llama") => {
                let projector = projector()?;
                self.files.push(projector.path.to_path_buf());
                self.fill_from_pair(model, &projector)
            }
            _ if model.is_projector()? => Err(CheckpointError::ProjectorAsModel {
                path: model.path.to_path_buf(),
            }),
            other => Err(CheckpointError::Architecture {
                path: model.path.to_path_buf(),
                found: show_architecture(other),
            }),
        }
    }

    fn fill_from_pair(
        &mut self,
        model: &GgufFile,
        projector: &GgufFile,
    ) -> Result<(), CheckpointError> {
        if !projector.is_projector()? {
            return Err(CheckpointError::NoProjector {
                path: projector.path.to_path_buf(),
                found: show_architecture(projector.architecture()?.as_deref()),
            });
        }
        self.take_vocabulary(model);
        let language = Keys::of_pair("the language model's keys", &model.bytes, &model.header);
        let tower = Keys::of_pair("the projector's keys", &projector.bytes, &projector.header);
        let config =
            Config::from_pair(&language, &tower).map_err(|source| CheckpointError::Config {
                path: model.path.to_path_buf(),
                source,
            })?;

        let names = PairNames::new(projector, config.vision.hidden);
        let head_dim = config.language.head_dim;
        let mut known = Known::of_pair(&config, &names);
        let mut strays = Vec::new();
        for file in [model, projector] {
            for entry in &file.entries {
                let Some((name, shape)) = known.take(&entry.name) else {
                    strays.push((entry.name.clone(), file.path.to_path_buf()));
                    continue;
                };
                let mut tensor = file.tensor(entry)?;
                // A wrong shape stays as it is, for the report.
                tensor = tensor.clone().with_shape(&shape).unwrap_or(tensor);
                if llama_cpp::is_paired(&name) {
                    tensor = tensor.clone().unpaired(head_dim).unwrap_or(tensor);
                }
                self.tensors.insert(name, tensor);
            }
        }
        self.finish(&model.path, config, strays, |name| names.stored(name));
        Ok(())
    }

    fn fill_from_one_file(&mut self, file: &GgufFile) -> Result<(), CheckpointError> {
        self.take_vocabulary(file);
        let keys = Keys::new(&file.bytes, &file.header);
        let config = Config::from_one_file(&keys).map_err(|source| CheckpointError::Config {
            path: file.path.to_path_buf(),
            source,
        })?;
        let expected: HashMap<_, _> = expected_tensors(&config).into_iter().collect();
        for entry in &file.entries {
            let mut tensor = file.tensor(entry)?;
            if let Some(shape) = expected.get(&entry.name) {
                tensor = tensor.clone().with_shape(shape).unwrap_or(tensor);
            }
            self.tensors.insert(entry.name.clone(), tensor);
        }
        self.finish(&file.path, config, Vec::new(), str::to_owned);
        Ok(())
    }

    fn take_vocabulary(&mut self, file: &GgufFile) {
        match super::vocabulary(&file.bytes, &file.header) {
            Ok(vocabulary) => self.tokenizer = Some(TokenizerSource::Pieces(vocabulary)),
            Err(source) => self.problems.push(file.wrong(source)),
        }
    }
}

fn show_architecture(found: Option<&str>) -> String {
    found.map_or("no such key".to_owned(), |found| format!("{found:?}"))
}

/// The only `mmproj*.gguf` beside a language model's file.
fn only_projector(model: &Path) -> Result<PathBuf, CheckpointError> {
    let folder = match model.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let read = |source| CheckpointError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let named_so = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("mmproj"));
        if named_so && has_ending(&path) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    match &found[..] {
        [only] => Ok(only.clone()),
        _ => Err(CheckpointError::WhichProjector {
            path: model.to_owned(),
            found,
        }),
    }
}

/// A GGUF file whose header and tensor list are checked.
struct GgufFile {
    path: Arc<Path>,
    bytes: Bytes,
    header: Gguf,
    entries: Vec<Entry>,
}

impl GgufFile {
    fn open(path: &Path, access: Access) -> Result<Self, CheckpointError> {
        let bytes = map::open(path, access).map_err(|source| CheckpointError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::new(path, bytes)
    }

    fn new(path: &Path, bytes: Bytes) -> Result<Self, CheckpointError> {
        let wrong = |source| CheckpointError::Gguf {
            path: path.to_owned(),
            source,
        };
        let header = super::parse(&bytes).map_err(wrong)?;
        if let Some(&Value::Whole(parts)) = header.get(keys::llama::SPLIT_COUNT)
            && parts > 1
        {
            return Err(CheckpointError::GgufPart {
                path: path.to_owned(),
                parts: parts.to_string(),
            });
        }
        let entries = header.entries(bytes.len()).map_err(wrong)?;
        Ok(Self {
            path: path.into(),
            bytes,
            header,
            entries,
        })
    }

    fn architecture(&self) -> Result<Option<String>, CheckpointError> {
        self.keys()
            .text(keys::ARCHITECTURE)
            .map_err(|source| self.misconfigured(source))
    }

    /// What the model calls itself.
    fn name(&self) -> Result<Option<String>, CheckpointError> {
        self.keys()
            .text(keys::NAME)
            .map_err(|source| self.misconfigured(source))
    }

    /// Whether the file is a whole model.
    fn is_whole(&self) -> Result<bool, CheckpointError> {
        Ok(self.architecture()?.as_deref() == Some(keys::MOBILEVLM))
    }

    /// Whether the file is the projector's of a pair. llama.cpp does not ask for its architecture.
    fn is_projector(&self) -> Result<bool, CheckpointError> {
        Ok(match self.architecture()?.as_deref() {
            Some(architecture) => architecture == "clip",
            None => [keys::clip::HAS_VISION, keys::clip::PROJECTOR]
                .iter()
                .any(|key| self.header.get(key).is_some()),
        })
    }

    fn keys(&self) -> Keys<'_> {
        Keys::new(&self.bytes, &self.header)
    }

    fn tensor(&self, entry: &Entry) -> Result<Tensor, CheckpointError> {
        let data = self.bytes.slice(entry.range.clone());
        Tensor::new(entry.dtype, entry.shape.clone(), data)
            .map(|tensor| tensor.of_file(&self.path))
            .map_err(|source| CheckpointError::Tensor {
                path: self.path.to_path_buf(),
                source,
            })
    }

    fn wrong(&self, source: GgufError) -> CheckpointError {
        CheckpointError::Gguf {
            path: self.path.to_path_buf(),
            source,
        }
    }

    fn misconfigured(&self, source: ConfigError) -> CheckpointError {
        CheckpointError::Config {
            path: self.path.to_path_buf(),
            source,
        }
    }
}

/// What the files of a pair call their tensors.
struct PairNames {
    /// The tower's blocks, such as `v.blk.3`, whose feed-forward layers have newer names.
    renamed: HashSet<String>,
}

impl PairNames {
    /// Looks how a projector's file names the feed-forward layers of a tower of this width.
    ///
    /// As llama.cpp tells: `ffn_down` is the first layer where it has as many columns as the tower
    /// is wide, also where both layers have.
    fn new(projector: &GgufFile, width: usize) -> Self {
        let renamed = projector.entries.iter().filter_map(|entry| {
            let block = entry.name.strip_suffix(".ffn_down.weight")?;
            (entry.shape.last() != Some(&width)).then(|| block.to_owned())
        });
        Self {
            renamed: renamed.collect(),
        }
    }

    /// The name in its file of a tensor that an inventory has under `name`.
    fn stored(&self, name: &str) -> String {
        let stored = llama_cpp::stored(name).unwrap_or_else(|| name.to_owned());
        match stored.split_once(".ffn_") {
            Some((block, part)) if self.renamed.contains(block) => match part.split_once('.') {
                Some(("down", kind)) => format!("{block}.ffn_up.{kind}"),
                Some(("up", kind)) => format!("{block}.ffn_down.{kind}"),
                _ => stored,
            },
            _ => stored,
        }
    }
}

/// The tensors that a pair may hold, by their names in the files.
struct Known(HashMap<String, (String, Vec<usize>)>);

impl Known {
    /// All that the configuration asks for, and what of the tower nobody reads.
    fn of_pair(config: &Config, names: &PairNames) -> Self {
        let whole_tower = Config {
            vision: VisionConfig {
                blocks_to_run: config.vision.layers,
                ..config.vision.clone()
            },
            ..config.clone()
        };
        let mut all = expected_tensors(&whole_tower);
        for kind in ["weight", "bias"] {
            all.push((
                format!("vision.post_layernorm.{kind}"),
                vec![config.vision.hidden],
            ));
        }
        Self(
            all.into_iter()
                .map(|(name, shape)| (names.stored(&name), (name, shape)))
                .collect(),
        )
    }

    /// The name in an inventory and the shape of a stored tensor, once: a second file with the
    /// same name holds a stray.
    fn take(&mut self, stored: &str) -> Option<(String, Vec<usize>)> {
        self.0.remove(stored)
    }
}

#[cfg(test)]
mod tests;
