use std::path::{Path, PathBuf};

use burn::tensor::Device;
use mobilevlm_checkpoint::{
    Access, Config, Inventory, Projector, canonical_name, expected_tensors, stored_tensors,
};
use serde_json::{Map, Value};

use super::json;
use crate::error::ModelError;
use crate::model::{Beginning, Either, MobileVlm, RandomSource, Source, VisionTower};

/// What a run begins with: sizes, and the values of all parameters.
#[derive(Debug)]
pub struct Start {
    /// Sizes and constants.
    pub config: Config,
    /// The id whose embedding gets no gradient: `pad_token_id`, where the configuration has one.
    pub pad: Option<u32>,
    /// The keys of `config.json`, which an export keeps.
    pub(super) keys: Map<String, Value>,
    /// Under the names of an [`Inventory`].
    tensors: Inventory,
    random: RandomSource,
    /// Beginnings of the names whose values are random.
    is_new: Vec<&'static str>,
}

/// Where the parts of a [`Start`] are.
#[derive(Clone, Debug, Default)]
pub struct StartParts {
    /// A folder with a whole model, or with a language model alone.
    pub model: PathBuf,
    /// The folder of the tower; else the tower inside the model's folder, else `mm_vision_tower` of
    /// its configuration, as a path from that folder.
    pub vision_tower: Option<PathBuf>,
    /// The kind of projector; where the model has none of that kind, it begins with random values.
    /// `None` takes what the model has.
    pub projector: Option<Projector>,
    /// Of the random values.
    pub seed: u64,
}

const PREFIXES: [&str; 3] = ["vision.", "projector.", "language."];

/// A part that is read where all others begin with random values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Vision,
    Language,
}

impl Start {
    /// Random values for everything; `seed` decides about them.
    pub fn random(config: Config, pad: Option<u32>, seed: u64) -> Start {
        Start {
            config,
            pad,
            keys: Map::new(),
            tensors: Inventory::default(),
            random: RandomSource::new(seed),
            is_new: PREFIXES.to_vec(),
        }
    }

    /// One part from tensors that were read, under the names of an [`Inventory`], and random values
    /// for everything else; `seed` decides about them.
    pub(crate) fn from_part(
        config: Config,
        pad: Option<u32>,
        tensors: Inventory,
        part: Part,
        seed: u64,
    ) -> Start {
        let own = match part {
            Part::Vision => "vision.",
            Part::Language => "language.",
        };
        let read = tensors.iter().filter(|(name, _)| name.starts_with(own));
        Start {
            tensors: read
                .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
                .collect(),
            is_new: PREFIXES.into_iter().filter(|part| *part != own).collect(),
            ..Start::random(config, pad, seed)
        }
    }

    /// Reads the parts of a model.
    ///
    /// # Errors
    /// [`ModelError`] where a file cannot be read, or the configuration is none of this family.
    pub fn read(parts: &StartParts) -> Result<Start, ModelError> {
        let folder = &parts.model;
        let mut keys = json::read(&folder.join("config.json"))?;
        let mut tensors = named(folder, Names::Model)?;
        let holds_tower = tensors.iter().any(|(name, _)| name.starts_with("vision."));
        let own = match &parts.vision_tower {
            Some(tower) => Some(tower.clone()),
            None if holds_tower => None,
            // `join` gives an absolute name as it is.
            None => keys
                .get("mm_vision_tower")
                .and_then(Value::as_str)
                .map(|name| folder.join(name)),
        };
        if let Some(tower) = &own {
            let rest = tensors
                .iter()
                .filter(|(name, _)| !name.starts_with("vision."));
            let rest = rest.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
            tensors = rest
                .chain(
                    named(tower, Names::Clip)?
                        .iter()
                        .map(|(name, tensor)| (name.to_owned(), tensor.clone())),
                )
                .collect();
        }
        let described = |name: &str, spare: &str| {
            let places = own.iter().map(|tower| tower.join(name));
            let mut places = places.chain([folder.join(spare)]);
            places.find(|path| path.is_file())
        };
        let vision = described("config.json", "vision_config.json")
            .map(|path| json::read_bytes(&path))
            .transpose()?;
        let preprocessor = described("preprocessor_config.json", "preprocessor_config.json")
            .map(|path| json::read_bytes(&path))
            .transpose()?;
        if let Some(projector) = parts.projector {
            let (kind, variant) = projector.names();
            keys.insert("mm_projector_type".to_owned(), kind.into());
            match variant {
                Some(variant) => keys.insert("mm_projector_variant".to_owned(), variant.into()),
                None => keys.remove("mm_projector_variant"),
            };
        }
        // A language model alone has no keys of a tower, and is of another family by name.
        keys.insert("model_type".to_owned(), "mobilevlm".into());
        keys.entry("mm_vision_tower").or_insert_with(|| match &own {
            Some(tower) => tower.display().to_string().into(),
            None => Value::Null,
        });
        let config = json::parse(
            &folder.join("config.json"),
            &keys,
            vision.as_deref(),
            preprocessor.as_deref(),
        )?;
        let mut is_new = Vec::new();
        if parts.projector.is_some() && !holds_projector(&tensors, &config) {
            is_new.push("projector.");
        }
        Ok(Start {
            pad: json::pad(&keys, config.language.vocab),
            config,
            keys,
            tensors,
            random: RandomSource::new(parts.seed),
            is_new,
        })
    }

    /// A start from values that are at hand; `tensors` has the names of an [`Inventory`].
    pub(crate) fn from_tensors(
        keys: Map<String, Value>,
        vision: Option<&[u8]>,
        preprocessor: Option<&[u8]>,
        tensors: Inventory,
        path: &Path,
    ) -> Result<Start, ModelError> {
        let config = json::parse(path, &keys, vision, preprocessor)?;
        Ok(Start {
            pad: json::pad(&keys, config.language.vocab),
            config,
            keys,
            tensors,
            random: RandomSource::new(0),
            is_new: Vec::new(),
        })
    }

    /// The same with other deviations of what begins with random values.
    #[must_use]
    pub fn beginning(self, beginning: Beginning) -> Start {
        Start {
            random: self.random.beginning(beginning),
            ..self
        }
    }

    /// Makes projector and language model on a device.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a tensor is missing or misshaped.
    pub fn model(&self, device: &Device) -> Result<MobileVlm, ModelError> {
        let model =
            self.with_source(|source| MobileVlm::new(&self.config, self.pad, source, device));
        Ok(model?)
    }

    /// Makes the tower on a device, which is without autodiff where the tower is frozen.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a tensor is missing or misshaped.
    pub fn tower(&self, device: &Device) -> Result<VisionTower, ModelError> {
        let tower =
            self.with_source(|source| VisionTower::new(&self.config.vision, source, device));
        Ok(tower?)
    }

    /// Names and tensors that were read, those that begin with random values left out.
    pub(crate) fn tensors(&self) -> &Inventory {
        &self.tensors
    }

    fn with_source<T>(&self, make: impl FnOnce(&dyn Source) -> T) -> T {
        let is_read = |name: &str| !self.is_new.iter().any(|prefix| name.starts_with(prefix));
        make(&Either(&self.tensors, &self.random, &is_read))
    }
}

/// Whether the projector that the configuration asks for is there, and not another kind.
fn holds_projector(tensors: &Inventory, config: &Config) -> bool {
    let expected = expected_tensors(config);
    let mut projector = expected
        .iter()
        .filter(|(name, _)| name.starts_with("projector."));
    projector.all(|(name, shape)| {
        tensors
            .get(name)
            .is_some_and(|tensor| tensor.shape() == shape)
    })
}

/// How the tensors of a folder are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Model,
    Clip,
}

/// The tensors of a folder under the names of an [`Inventory`]; what means nothing is left out.
pub(super) fn named(path: &Path, names: Names) -> Result<Inventory, ModelError> {
    let stored = stored_tensors(path, Access::default())?.into_iter();
    let canonical = |name: &str| match (names, name.strip_prefix("vision_model.")) {
        (Names::Clip, Some(rest)) => Some(format!("vision.{rest}")),
        _ => canonical_name(name),
    };
    Ok(stored
        .filter_map(|(name, tensor)| Some((canonical(&name)?, tensor)))
        .collect())
}
