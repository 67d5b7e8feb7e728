//! Opens a checkpoint: finds its files, reads their headers, and checks that all fits.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::config::{CONFIG_LIMIT, Config, ConfigFiles, Outline};
use crate::error::CheckpointError;
use crate::folder::{self, open_weights, read_optional, read_small};
use crate::gguf;
use crate::inventory::Inventory;
use crate::map::Access;
use crate::names::{CLIP, Canonical, Names, Report};
use crate::tokenizer::TokenizerSource;
use crate::tower;

/// How a checkpoint is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Folder of the vision tower; goes before a tower inside the checkpoint.
    pub vision_tower: Option<PathBuf>,
    /// Folders that may hold the tower that the configuration names, tried last: the cache of
    /// downloads, for instance.
    pub tower_cache: Vec<PathBuf>,
    /// The projector's file that belongs to a language model in a GGUF file; where absent, the
    /// only `mmproj*.gguf` beside it.
    pub mmproj: Option<PathBuf>,
    /// Whether files are mapped or read.
    pub access: Access,
}

/// A checkpoint whose every tensor is there and has the size that the configuration asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checkpoint {
    /// What the model calls itself; only GGUF files have names inside.
    pub name: Option<String>,
    /// Sizes and constants.
    pub config: Config,
    /// The weights that are read, and no others.
    pub tensors: Inventory,
    /// The vocabulary, if the folder has one.
    pub tokenizer: Option<TokenizerSource>,
    /// The files that the weights are in.
    pub files: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens the checkpoint at `path`: a folder; one file of weights with its configuration beside
    /// it; a GGUF file that holds a whole model, or the language model of a pair.
    ///
    /// Costs a few milliseconds: headers are read, weights are mapped.
    ///
    /// # Errors
    /// [`CheckpointError`] with the file and what is wrong in it;
    /// [`CheckpointError::Tensors`] lists every missing, unexpected or misshaped tensor.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, CheckpointError> {
        Gathered::read(path, options).complete(path)
    }

    /// Opens GGUF files that are in memory: a whole model, or a language model and its projector's
    /// file.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_gguf(model: Bytes, projector: Option<Bytes>) -> Result<Self, CheckpointError> {
        let mut gathered = Gathered::default();
        if let Err(problem) = gathered.fill_from_gguf_bytes(model, projector) {
            gathered.problems.push(problem);
        }
        gathered.complete(Path::new("model in memory"))
    }
}

/// What was found at a path, and everything that is wrong with it.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) name: Option<String>,
    pub(crate) config: Option<Config>,
    pub(crate) tensors: Inventory,
    pub(crate) tokenizer: Option<TokenizerSource>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) problems: Vec<CheckpointError>,
}

impl Gathered {
    /// The checkpoint, if nothing is wrong with it.
    fn complete(mut self, path: &Path) -> Result<Checkpoint, CheckpointError> {
        if !self.problems.is_empty() {
            return Err(self.problems.swap_remove(0));
        }
        let (Some(config), tokenizer) = (self.config, self.tokenizer) else {
            return Err(CheckpointError::NoWeights {
                path: path.to_owned(),
            });
        };
        Ok(Checkpoint {
            name: self.name,
            config,
            tensors: self.tensors,
            tokenizer,
            files: self.files,
        })
    }

    /// Reads all that can be read at `path`. Later problems may follow from earlier ones.
    pub(crate) fn read(path: &Path, options: &OpenOptions) -> Self {
        let mut gathered = Self::default();
        if let Err(problem) = gathered.fill(path, options) {
            gathered.problems.push(problem);
        }
        gathered
    }

    /// Stops at what makes everything after it meaningless, and collects the rest.
    fn fill(&mut self, path: &Path, options: &OpenOptions) -> Result<(), CheckpointError> {
        if gguf::open::is_gguf(path)? {
            return self.fill_from_gguf(path, options);
        }
        if options.mmproj.is_some() {
            return Err(CheckpointError::Meaningless {
                path: path.to_owned(),
                option: "--mmproj",
                only: "a language model in a GGUF file",
            });
        }
        let (folder, files) = locate(path)?;
        match TokenizerSource::in_folder(&folder) {
            Ok(tokenizer) => self.tokenizer = tokenizer,
            Err(problem) => self.problems.push(problem),
        }
        let main = read_small(&folder.join("config.json"), CONFIG_LIMIT)?;
        let config_error = |source| CheckpointError::Config {
            path: path.to_owned(),
            source,
        };
        let outline = Outline::from_json(&main).map_err(config_error)?;

        let mut strays = Vec::new();
        let names = Names::of(outline.layout);
        for file in &files {
            self.add(file, names, options.access, &mut strays);
        }
        if self.problems.is_empty() && self.holds("projector.") && !self.holds("language.") {
            return Err(CheckpointError::ProjectorOnly {
                path: path.to_owned(),
            });
        }

        let inside = options.vision_tower.is_none() && self.holds("vision.");
        let tower = if inside {
            None
        } else {
            self.add_tower(&folder, outline.tower_name.as_deref(), options, &mut strays)
        };
        // What describes a tower lies beside its weights, else beside the model's.
        let described = |name: &str, spare: &str| {
            let own = tower
                .as_ref()
                .map(|tower| read_optional(&tower.join(name), CONFIG_LIMIT));
            match own.transpose()?.flatten() {
                Some(text) => Ok(Some(text)),
                None => read_optional(&folder.join(spare), CONFIG_LIMIT),
            }
        };
        let vision = described("config.json", "vision_config.json")?;
        let preprocessor = described("preprocessor_config.json", "preprocessor_config.json")?;
        let config = Config::from_json(&ConfigFiles {
            config: &main,
            vision: vision.as_deref(),
            preprocessor: preprocessor.as_deref(),
        })
        .map_err(config_error)?;

        let tower_names = if tower.is_some() { &CLIP } else { names };
        self.finish(path, config, strays, |name| {
            match name.starts_with("vision.") {
                true => tower_names.stored(name),
                false => names.stored(name),
            }
        });
        Ok(())
    }

    /// Compares the tensors with what the configuration asks for.
    pub(crate) fn finish(
        &mut self,
        path: &Path,
        config: Config,
        strays: Vec<(String, PathBuf)>,
        stored: impl Fn(&str) -> String,
    ) {
        // A tied head is the embedding, whatever a file holds under its name.
        if config.language.tied
            && let Some(embedding) = self.tensors.get("language.embed_tokens.weight").cloned()
        {
            self.tensors
                .insert("language.lm_head.weight".to_owned(), embedding);
        }
        let report = Report::compare(&config, &mut self.tensors, strays, stored);
        if !report.is_empty() {
            self.problems.push(CheckpointError::Tensors {
                path: path.to_owned(),
                report,
            });
        }
        self.config = Some(config);
    }

    /// Whether there is a tensor whose name begins so.
    fn holds(&self, part: &str) -> bool {
        self.tensors.iter().any(|(name, _)| name.starts_with(part))
    }

    /// Adds the tensors of a tower in a folder of its own, instead of those of a tower inside,
    /// and returns that folder.
    fn add_tower(
        &mut self,
        folder: &Path,
        name: Option<&str>,
        options: &OpenOptions,
        strays: &mut Vec<(String, PathBuf)>,
    ) -> Option<PathBuf> {
        self.tensors.retain(|name| !name.starts_with("vision."));
        match tower::find(folder, name, options) {
            Ok((tower, files)) => {
                for file in &files {
                    self.add(file, &CLIP, options.access, strays);
                }
                Some(tower)
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Adds the tensors of one file; names that mean nothing, and second tensors of one name,
    /// become strays.
    fn add(
        &mut self,
        file: &Path,
        names: &Names,
        access: Access,
        strays: &mut Vec<(String, PathBuf)>,
    ) {
        self.files.push(file.to_owned());
        let weights = match open_weights(file, access) {
            Ok(weights) => weights,
            Err(problem) => return self.problems.push(problem),
        };
        for entry in &weights.entries {
            match names.canonical(&entry.name) {
                Canonical::Ignored => {}
                Canonical::Name(name) if self.tensors.get(&name).is_none() => {
                    match weights.tensor(entry) {
                        Ok(tensor) => drop(self.tensors.insert(name, tensor)),
                        Err(problem) => self.problems.push(problem),
                    }
                }
                _ => strays.push((entry.name.clone(), file.to_owned())),
            }
        }
    }
}

/// The folder of the configuration, and the files of weights.
fn locate(path: &Path) -> Result<(PathBuf, Vec<PathBuf>), CheckpointError> {
    let found = std::fs::metadata(path).map_err(|source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    })?;
    if found.is_file() {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok((folder, vec![path.to_owned()]));
    }
    if let Some(files) = folder::weight_files(path)? {
        return Ok((path.to_owned(), files));
    }
    let has = |name: &str| path.join(name).exists();
    let path = path.to_owned();
    if has("adapter_config.json") || has("non_lora_trainables.bin") {
        return Err(CheckpointError::Adapter { path });
    }
    if has("mm_projector.bin") {
        return Err(CheckpointError::ProjectorOnly { path });
    }
    Err(CheckpointError::NoWeights { path })
}
