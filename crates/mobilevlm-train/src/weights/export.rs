use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{Bytes, Dtype, Inventory, Tensor, replace_file, write_safetensors};
use serde_json::{Map, Value, json};

use super::json;
use super::start::Start;
use crate::error::ModelError;
use crate::model::{LoraConfig, MobileVlm, VisionTower, merge, values};

/// Bytes of weights in one file, at most, unless a single tensor has more. HF's default.
const SHARD: usize = 10_000_000_000;

/// The files beside the weights that are copied from the tokenizer's folder, where they are.
const TOKENIZER: [&str; 6] = [
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "generation_config.json",
];

/// The numbers of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportDtype {
    /// As they are trained.
    #[default]
    F32,
    /// Rounded to the nearest, ties to even. As upstream's recipes save.
    BF16,
}

impl ExportDtype {
    /// As `torch_dtype` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::BF16 => "bfloat16",
        }
    }
}

/// How a trained model becomes a folder.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// What the run began with: configuration and its keys.
    pub start: &'a Start,
    /// The folder with `tokenizer.model` and what belongs to it.
    pub tokenizer: &'a Path,
    /// The adapters of the model, which are added to its weights.
    pub lora: Option<LoraConfig>,
    /// The numbers of the weights.
    pub dtype: ExportDtype,
}

impl Export<'_> {
    /// Writes a Hugging Face folder with upstream's names and keys, which this project's engine and
    /// upstream's code open. It is complete or not there: all is written beside its place, and
    /// then renamed. A folder that is there already is replaced. `frozen` is the tower of a model
    /// whose own does not learn.
    ///
    /// # Errors
    /// [`ModelError`] where a file cannot be read or written; what was there is then untouched.
    pub fn write(
        &self,
        folder: &Path,
        model: &MobileVlm,
        frozen: &VisionTower,
    ) -> Result<(), ModelError> {
        let tensors = self.tensors(model, frozen);
        in_place(folder, |part| self.fill(part, &tensors))
    }

    /// All weights by upstream's names, adapters merged.
    fn tensors(&self, model: &MobileVlm, frozen: &VisionTower) -> Inventory {
        let merged = merged(values(model, "", |_| true), self.lora.as_ref());
        let tower = values(frozen, "vision", |_| model.tower().is_none());
        // What the run did not read of the tower goes along: another reader may want it.
        let unread = self.start.tensors().iter().filter_map(|(name, tensor)| {
            let is_tower = name.starts_with("vision.");
            is_tower.then(|| (mobilevlm_checkpoint::upstream_name(name), tensor.clone()))
        });
        let all = unread.chain(owned(&tower)).chain(owned(&merged));
        let rounded = |tensor: Tensor| match self.dtype {
            ExportDtype::F32 => tensor,
            ExportDtype::BF16 => to_bf16(&tensor),
        };
        all.map(|(name, tensor)| (name, rounded(tensor))).collect()
    }

    fn fill(&self, folder: &Path, tensors: &Inventory) -> Result<(), ModelError> {
        self.describe(folder)?;
        write_weights(folder, tensors)
    }

    /// Writes all that stands beside the weights.
    pub(super) fn describe(&self, folder: &Path) -> Result<(), ModelError> {
        copy_tokenizer(self.tokenizer, folder)?;
        let config = &self.start.config;
        let keys = json::config(&self.start.keys, config, self.start.pad, self.dtype);
        write_json(&folder.join("config.json"), &keys)?;
        if let Some(vision) = json::vision(config) {
            write_json(&folder.join("vision_config.json"), &vision)?;
        }
        let preprocessor = json::preprocessor(&config.preprocess);
        write_json(&folder.join("preprocessor_config.json"), &preprocessor)
    }
}

/// Makes a folder that is complete or not there: `fill` writes into one beside its place.
pub(super) fn in_place(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let file = |doing| {
        let path = folder.to_owned();
        move |source| ModelError::File {
            path,
            doing,
            source,
        }
    };
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(file("written"))?;
    let name = folder
        .file_name()
        .map_or("model".into(), |name| name.to_string_lossy());
    let part = tempfile::Builder::new()
        .prefix(&format!("{name}."))
        .suffix(".part")
        .tempdir_in(parent)
        .map_err(file("written"))?;
    fill(part.path())?;
    put(part.keep(), folder).map_err(file("written"))
}

/// Copies the files of a tokenizer.
pub(super) fn copy_tokenizer(from: &Path, to: &Path) -> Result<(), ModelError> {
    let mut copied = false;
    for name in TOKENIZER {
        let from = from.join(name);
        if !from.is_file() {
            continue;
        }
        let content = fs::read(&from).map_err(|source| ModelError::File {
            path: from.clone(),
            doing: "read",
            source,
        })?;
        replace_file(&to.join(name), |out| out.write_all(&content))?;
        copied = true;
    }
    match copied {
        true => Ok(()),
        false => Err(ModelError::Content {
            path: from.to_owned(),
            wrong: "expected a folder with tokenizer.model, found none".to_owned(),
        }),
    }
}

fn owned(inventory: &Inventory) -> impl Iterator<Item = (String, Tensor)> {
    let entries = inventory.iter();
    entries.map(|(name, tensor)| (name.to_owned(), tensor.clone()))
}

/// Weights with the adapters added to them and taken out.
pub(crate) fn merged(tensors: Inventory, lora: Option<&LoraConfig>) -> Inventory {
    let Some(lora) = lora else {
        return tensors;
    };
    let adapter = |name: &str, half: &str| {
        let base = name.strip_suffix(".weight")?;
        tensors
            .get(&format!("{base}.lora_{half}.default.weight"))?
            .to_f32()
    };
    let plain = tensors.iter().filter(|(name, _)| !name.contains(".lora_"));
    plain
        .map(|(name, tensor)| {
            let (Some(a), Some(b), Some(mut weight)) =
                (adapter(name, "A"), adapter(name, "B"), tensor.to_f32())
            else {
                return (name.to_owned(), tensor.clone());
            };
            merge(&mut weight, &a, &b, lora.r, lora.alpha / lora.r as f64);
            (
                name.to_owned(),
                stored(
                    Dtype::F32,
                    tensor.shape(),
                    weight.into_iter().flat_map(f32::to_le_bytes).collect(),
                ),
            )
        })
        .collect()
}

fn stored(dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    Tensor::new(dtype, shape.to_vec(), Bytes::from(bytes)).expect("as many bytes as the sizes say")
}

/// Rounded to the nearest bfloat16, ties to even; types that are no weights stay.
fn to_bf16(tensor: &Tensor) -> Tensor {
    let Some(values) = tensor.to_f32() else {
        return tensor.clone();
    };
    let round = |value: f32| {
        let bits = value.to_bits();
        let high = match value.is_nan() {
            true => (bits >> 16) as u16 | 0x40,
            false => (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16,
        };
        high.to_le_bytes()
    };
    stored(
        Dtype::BF16,
        tensor.shape(),
        values.into_iter().flat_map(round).collect(),
    )
}

pub(super) fn write_json(path: &Path, keys: &Map<String, Value>) -> Result<(), ModelError> {
    Ok(replace_file(path, |out| {
        serde_json::to_writer_pretty(&mut *out, keys)?;
        out.write_all(b"\n")
    })?)
}

/// `model.safetensors`, or numbered files of at most `shard` bytes with an index.
pub(super) fn write_weights(folder: &Path, tensors: &Inventory) -> Result<(), ModelError> {
    let mut shards: Vec<Vec<(String, Tensor)>> = vec![Vec::new()];
    let mut bytes = 0;
    for (name, tensor) in owned(tensors) {
        if bytes > 0 && bytes + tensor.byte_len() > SHARD {
            shards.push(Vec::new());
            bytes = 0;
        }
        bytes += tensor.byte_len();
        if let Some(last) = shards.last_mut() {
            last.push((name, tensor));
        }
    }
    if shards.len() == 1 {
        return Ok(write_safetensors(
            &folder.join("model.safetensors"),
            tensors,
        )?);
    }
    let count = shards.len();
    let mut map = Map::new();
    for (index, shard) in shards.into_iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", index + 1);
        map.extend(
            shard
                .iter()
                .map(|(name, _)| (name.clone(), file.clone().into())),
        );
        write_safetensors(&folder.join(file), &shard.into_iter().collect())?;
    }
    let total: usize = tensors.iter().map(|(_, tensor)| tensor.byte_len()).sum();
    let index = json!({"metadata": {"total_size": total}, "weight_map": map});
    let Value::Object(index) = index else {
        return Ok(());
    };
    write_json(&folder.join("model.safetensors.index.json"), &index)
}

/// Gives a complete folder its place. What is there goes aside first and is removed last, so that
/// one of the two is whole at any time.
fn put(part: PathBuf, folder: &Path) -> io::Result<()> {
    let done = || {
        if !folder.exists() {
            return fs::rename(&part, folder);
        }
        let old = part.with_extension("old");
        fs::rename(folder, &old)?;
        fs::rename(&part, folder)?;
        fs::remove_dir_all(old)
    };
    let result = done();
    if result.is_err() {
        // The first error is what the caller hears of.
        let _ = fs::remove_dir_all(&part);
    }
    result
}
