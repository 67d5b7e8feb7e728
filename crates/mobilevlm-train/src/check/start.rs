use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use mobilevlm_checkpoint::{Inventory, canonical_name, upstream_name};
use mobilevlm_processor::{Exif, Limits, decode, normalise};
use serde_json::{Map, Value};

use super::files::{Folder, Trajectory, Wrong};
use crate::model::{LoraConfig, MobileVlm, VisionTower};
use crate::weights::Start;

/// Where every run begins, but for what its arguments say.
const INITIAL: &str = "initial";

/// The trained parameters at the end of runs that were repeated here, for runs that begin there.
#[derive(Default)]
pub(super) struct Ends(BTreeMap<String, Inventory>);

impl Ends {
    pub(super) fn insert(&mut self, run: &str, end: Inventory) {
        self.0.insert(run.to_owned(), end);
    }
}

/// A model at the beginning of a run.
pub(super) struct Begin {
    pub(super) start: Start,
    pub(super) model: MobileVlm,
    pub(super) tower: VisionTower,
    pub(super) lora: Option<LoraConfig>,
    /// All names that the model's folder stores, the projector's as it is.
    pub(super) stored: Vec<String>,
}

/// The files that describe the initial model.
struct Described {
    keys: Map<String, Value>,
    vision: Map<String, Value>,
    preprocessor: Vec<u8>,
    tensors: Inventory,
}

impl Described {
    fn read(folder: &Folder) -> Result<Described, Wrong> {
        let weights = format!("{INITIAL}/model.safetensors");
        let tensors = folder.tensors(&weights)?;
        let tensors = tensors.ok_or_else(|| folder.wrong(&weights, "no such file"))?;
        Ok(Described {
            keys: folder.json(&format!("{INITIAL}/config.json"))?,
            vision: folder.json(&format!("{INITIAL}/vision_tower/config.json"))?,
            preprocessor: folder
                .read(&format!("{INITIAL}/vision_tower/preprocessor_config.json"))?,
            tensors,
        })
    }

    /// Puts tensors over those of the same name.
    fn overlay(&mut self, tensors: Inventory) {
        for (name, tensor) in tensors.iter() {
            self.tensors.insert(name.to_owned(), tensor.clone());
        }
    }

    fn begin(self, folder: &Folder, device: &Device) -> Result<Begin, Wrong> {
        let path = folder.join(&format!("{INITIAL}/config.json"));
        let vision = serde_json::to_vec(&self.vision)?;
        let stored: Vec<String> = self
            .tensors
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        let tensors = self.tensors.iter();
        let canonical: Inventory = tensors
            .filter_map(|(name, tensor)| Some((canonical_name(name)?, tensor.clone())))
            .collect();
        let preprocessor = Some(self.preprocessor.as_slice());
        let start = Start::from_tensors(self.keys, Some(&vision), preprocessor, canonical, &path)?;
        Ok(Begin {
            model: start.model(device)?,
            tower: start.tower(&device.clone().inner())?,
            start,
            lora: None,
            stored,
        })
    }
}

/// The model in `initial/`.
pub(super) fn initial(folder: &Folder, device: &Device) -> Result<Begin, Wrong> {
    Described::read(folder)?.begin(folder, device)
}

/// The model that a run begins with. What its arguments name is not in the folder by that name:
/// `out-X` is `initial/` with the end of run X; a projector from a file and what a run replaces have
/// names of their own.
pub(super) fn of_run(
    folder: &Folder,
    run: &Trajectory,
    device: &Device,
    ends: &Ends,
) -> Result<Begin, Wrong> {
    let mut described = Described::read(folder)?;
    if let Some(before) = run
        .argument("model_name_or_path")
        .and_then(|name| name.strip_prefix("out-"))
    {
        let name = format!("{before}_final.safetensors");
        let end = match folder.tensors(&name)? {
            Some(end) => end,
            None => ends.0.get(before).cloned().ok_or_else(|| {
                folder.wrong(
                    &name,
                    format!("no such file, and no run {before} to repeat"),
                )
            })?,
        };
        described.overlay(end);
    }
    if let Some(replaces) = folder.tensors(&format!("{}_replaces.safetensors", run.name))? {
        described.overlay(replaces);
    }
    if let Some(kind) = run.argument("mm_projector_type") {
        described
            .keys
            .insert("mm_projector_type".to_owned(), kind.into());
    }
    if let Some(adapter) = run.argument("pretrain_mm_mlp_adapter") {
        let name = PathBuf::from(adapter)
            .with_extension("")
            .display()
            .to_string();
        let name = format!("{name}_initial.safetensors");
        let projector = folder.tensors(&name)?;
        let projector = projector.ok_or_else(|| folder.wrong(&name, "no such file"))?;
        let rest = described.tensors.iter();
        let rest = rest.filter(|(name, _)| !name.contains("mm_projector"));
        described.tensors = rest
            .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
            .collect();
        described.overlay(projector);
    }
    // A tower with other patches has weights that say so, and no configuration here.
    let patches = upstream_name("vision.embeddings.patch_embedding.weight");
    if let Some(&[_, _, side, _]) = described.tensors.get(&patches).map(|tensor| tensor.shape()) {
        described
            .vision
            .insert("patch_size".to_owned(), side.into());
    }
    let lora = match run.flag("lora_enable") {
        false => None,
        true => Some(LoraConfig {
            // Upstream's defaults.
            r: run.number("lora_r")?.unwrap_or(64.0) as usize,
            alpha: run.number("lora_alpha")?.unwrap_or(16.0),
            dropout: run.number("lora_dropout")?.unwrap_or(0.05),
        }),
    };
    let mut begin = described.begin(folder, device)?;
    if let Some(lora) = lora {
        let name = format!("{}_initial.safetensors", run.name);
        let adapters = folder.tensors(&name)?;
        let adapters = adapters.ok_or_else(|| folder.wrong(&name, "no such file"))?;
        let adapters: Inventory = adapters
            .iter()
            .filter_map(|(name, tensor)| Some((canonical_name(plain(name))?, tensor.clone())))
            .collect();
        begin.model = begin.model.with_lora(&lora, &adapters, device)?;
        begin.lora = Some(lora);
    }
    Ok(begin)
}

/// A name without what peft puts before all of them.
pub(super) fn plain(name: &str) -> &str {
    name.strip_prefix("base_model.model.").unwrap_or(name)
}

impl Begin {
    /// The pixels of a picture of the folder, `[1, 3, S, S]` on the tower's device.
    pub(super) fn pixels(&self, folder: &Folder, name: &str) -> Result<Tensor<4>, Wrong> {
        let preprocess = &self.start.config.preprocess;
        let file = folder.read(name)?;
        let picture = decode(&file, &Limits::default(), Exif::Ignore)?;
        let side = self.tower.image_size();
        if (picture.width, picture.height) != (side, side) {
            let found = format!("{} x {}", picture.width, picture.height);
            return Err(folder.wrong(
                name,
                format!("expected {side} x {side} pixels, found {found}"),
            ));
        }
        let pixels = normalise(&picture, preprocess.mean, preprocess.std);
        let pixels = TensorData::new(pixels, [1, 3, side, side]);
        Ok(Tensor::from_data(pixels, &self.tower.device()))
    }

    /// The features of a picture that is 0 after normalisation, `[1, P, V]`.
    pub(super) fn zero_features(&self) -> Tensor<3> {
        let side = self.tower.image_size();
        let pixels = Tensor::zeros([1, 3, side, side], &self.tower.device());
        self.tower.forward(pixels)
    }
}
