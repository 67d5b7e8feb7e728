//! From a recipe to a model and its optimiser.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use mobilevlm_checkpoint::{Aspect, Config, Layout, Preprocess, VisionConfig};
use mobilevlm_data::{LabelOptions, Labeller};
use mobilevlm_processor::{Preprocessor, Tokenizer};

use super::TrainEvent;
use super::error::TrainError;
use crate::model::{LoraConfig, MobileVlm, RandomSource, VisionTower, parameters, train_only};
use crate::optimizer::{
    AdamW, AdamWConfig, GroupOptions, ParameterGroup, parameter_groups, with_muon,
};
use crate::recipe::{DeviceKind, From, Learns, Memory, Recipe, Schedule, Template};
use crate::schedule::CosineSchedule;
use crate::step::{Accumulation, NonFinite, StepOptions};
use crate::weights::{Part, Start, StartParts, read_language, read_tower};

/// What a run works on.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) start: Start,
    pub(super) labeller: Labeller,
    /// The folder with the tokenizer's files.
    pub(super) tokenizer: PathBuf,
    pub(super) lora: Option<LoraConfig>,
    /// Without autodiff.
    pub(super) device: Device,
    pub(super) model: MobileVlm,
    pub(super) tower: VisionTower,
    pub(super) optimizer: AdamW,
}

impl Setup {
    /// Reads what the recipe starts from.
    pub(super) fn new(
        recipe: &Recipe,
        observe: &mut dyn FnMut(TrainEvent<'_>),
    ) -> Result<Setup, TrainError> {
        check(recipe)?;
        check_stages(recipe)?;
        let (tokenizer, path) = tokenizer(recipe)?;
        let start = start(recipe, &tokenizer)?;
        if let Some(limit) = recipe.run.device_memory {
            // Weights are mapped so far, not read.
            let memory = Memory::needed(recipe, &start.config);
            if let Some(warning) = memory.check(recipe, limit)? {
                observe(TrainEvent::Warning(&warning));
            }
        }
        let (device, trained) = devices(recipe)?;
        let precision = recipe.run.precision;
        let mut model = start
            .model(&trained)?
            .with_precision(precision)
            .with_packing(recipe.data.packing);
        let mut lora = None;
        if let Learns::Adapters(adapters) = recipe.train.language {
            let config = LoraConfig {
                r: adapters.rank,
                alpha: adapters.alpha,
                dropout: adapters.dropout,
            };
            let source = RandomSource::new(recipe.seed);
            model = model
                .with_lora(&config, &source, &trained)
                .map_err(crate::error::ModelError::from)?;
            lora = Some(config);
        }
        if recipe.train.vision {
            let tower = start.tower(&trained)?.with_precision(precision);
            model = model.with_tower(tower);
        }
        let learns = |name: &str| {
            if name.contains("mm_projector") {
                return recipe.train.projector;
            }
            if name.contains("vision_tower") {
                return recipe.train.vision;
            }
            match recipe.train.language {
                Learns::Nothing => false,
                Learns::All => true,
                Learns::Adapters(_) => name.contains(".lora_"),
            }
        };
        let model = train_only(model, "", learns);
        let optimizer = optimizer(recipe, &model);
        let tower = start.tower(&device)?.with_precision(precision);
        let template = match recipe.data.template {
            Template::Labels(template) => template,
            Template::Text => {
                let wrong = "expected \"plain\" or \"v1\", found \"text\"";
                return Err(TrainError::key("data.template", wrong));
            }
        };
        let options = LabelOptions {
            model_max_length: recipe.data.model_max_length,
            ..LabelOptions::new(template)
        };
        Ok(Setup {
            start,
            labeller: Labeller::new(tokenizer, options),
            tokenizer: path,
            lora,
            device,
            model,
            tower,
            optimizer,
        })
    }

    /// How a picture is prepared for the tower.
    pub(super) fn preprocessor(&self) -> Preprocessor {
        preprocessor(&self.start.config.preprocess)
    }
}

/// How a picture is prepared for a tower.
pub(super) fn preprocessor(preprocess: &Preprocess) -> Preprocessor {
    Preprocessor {
        aspect: match preprocess.aspect {
            Aspect::Pad => mobilevlm_processor::Aspect::Pad,
            Aspect::Square => mobilevlm_processor::Aspect::Square,
        },
        size: preprocess.image_size,
        mean: preprocess.mean,
        std: preprocess.std,
    }
}

/// The device of the recipe: plain, and with autodiff.
pub(super) fn devices(recipe: &Recipe) -> Result<(Device, Device), TrainError> {
    let plain = device(recipe.run.device)?;
    if !plain.supports_dtype(recipe.run.precision.dtype()) {
        let wrong = format!("expected \"f32\"; {:?} has no bfloat16", recipe.run.device);
        return Err(TrainError::key("run.precision", wrong));
    }
    let tracked = tracked(recipe, &plain);
    Ok((plain, tracked))
}

/// A device with autodiff.
pub(super) fn tracked(recipe: &Recipe, plain: &Device) -> Device {
    // The stages do it by layers, and better.
    match recipe.run.gradient_checkpointing && !recipe.task.is_vlm() {
        true => plain.clone().autodiff().gradient_checkpointing(),
        false => plain.clone().autodiff(),
    }
}

/// AdamW as the recipe says, with Muon for the matrices of blocks where it has a rate.
pub(super) fn adamw(recipe: &Recipe, groups: Vec<ParameterGroup>) -> AdamW {
    let groups = match recipe.train.muon_rate {
        Some(rate) => with_muon(groups, rate, recipe.train.weight_decay),
        None => groups,
    };
    let (beta1, beta2) = recipe.train.betas;
    let config = AdamWConfig {
        beta1,
        beta2,
        eps: recipe.train.epsilon,
    };
    AdamW::new(config, groups)
}

/// Threads of the CPU.
pub(super) fn threads(recipe: &Recipe) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    recipe.run.threads.unwrap_or_else(cores)
}

/// What decides about a step.
pub(super) fn step_options(recipe: &Recipe) -> StepOptions {
    StepOptions {
        max_grad_norm: recipe.train.max_grad_norm,
        accumulation: match recipe.upstream.mean_of_means {
            true => Accumulation::MicroBatches,
            false => Accumulation::Tokens,
        },
        non_finite: match recipe.upstream.step_on_nan_loss {
            true => NonFinite::UpstreamStep,
            false => NonFinite::Skip,
        },
    }
}

/// The rate of step `step`, which counts from 0, for a peak.
pub(super) fn rate(recipe: &Recipe, steps: u64, step: u64, peak: f64) -> f64 {
    let cosine = CosineSchedule::with_ratio(steps, recipe.train.warmup_ratio);
    match recipe.train.schedule {
        Schedule::Constant if step >= cosine.warmup => peak,
        Schedule::Constant | Schedule::Cosine => cosine.rate(step, peak),
    }
}

/// What recipes may say and this trainer does not do.
pub(super) fn check(recipe: &Recipe) -> Result<(), TrainError> {
    let not = |key, wrong: &str| Err(TrainError::key(key, wrong));
    if recipe.run.replicas != 1 && recipe.run.device != DeviceKind::Cpu {
        return not("run.replicas", "expected 1; replicas are for the CPU yet");
    }
    Ok(())
}

/// The same for the stages of a vision-language model.
fn check_stages(recipe: &Recipe) -> Result<(), TrainError> {
    let not = |key, wrong: &str| Err(TrainError::key(key, wrong));
    if let Learns::Adapters(adapters) = recipe.train.language
        && !adapters.merge
        && !matches!(recipe.start.language, Some(From::Folder(_)))
    {
        return not(
            "train.lora_merge",
            "expected true, or a folder in language.from: adapters without the weights that they \
             belong to are of no use",
        );
    }
    Ok(())
}

fn device(kind: DeviceKind) -> Result<Device, TrainError> {
    let missing = |feature: &str| {
        let wrong = format!("this build has no {feature}; build it with --features {feature}");
        Err(TrainError::key("run.device", wrong))
    };
    match kind {
        DeviceKind::Cpu => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Ok(Device::cuda(0)),
        #[cfg(not(feature = "cuda"))]
        DeviceKind::Cuda => missing("cuda"),
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "vulkan"))]
        DeviceKind::Vulkan => missing("vulkan"),
        #[cfg(feature = "metal")]
        DeviceKind::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "metal"))]
        DeviceKind::Metal => missing("metal"),
    }
}

/// The tokenizer and the folder of its files.
pub(super) fn tokenizer(recipe: &Recipe) -> Result<(Tokenizer, PathBuf), TrainError> {
    let Some(given) = &recipe.start.tokenizer else {
        return Err(TrainError::key(
            "tokenizer.from",
            "expected a path, found none",
        ));
    };
    let (folder, file) = match given.is_dir() {
        true => (given.clone(), given.join("tokenizer.model")),
        false => {
            let folder = given.parent().unwrap_or(Path::new("")).to_owned();
            if given.file_name() != Some("tokenizer.model".as_ref()) {
                let wrong = format!(
                    "expected a folder with tokenizer.model, or that file, found {}",
                    given.display()
                );
                return Err(TrainError::key("tokenizer.from", wrong));
            }
            (folder, given.clone())
        }
    };
    let wrong = |wrong: String| TrainError::Tokenizer {
        path: file.clone(),
        wrong,
    };
    let bytes = fs::read(&file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let tokenizer = Tokenizer::from_sentencepiece(&bytes);
    Ok((tokenizer.map_err(|error| wrong(error.to_string()))?, folder))
}

/// Sizes and values of everything.
fn start(recipe: &Recipe, tokenizer: &Tokenizer) -> Result<Start, TrainError> {
    let parts = (
        &recipe.start.vision,
        &recipe.start.projector,
        &recipe.start.language,
    );
    let (Some(vision), Some(projector), Some(language)) = parts else {
        let wrong = "expected a tower, a projector and a language model";
        return Err(TrainError::key("model.from", wrong));
    };
    let mut start = match (vision, projector, language) {
        (From::Nothing(vision), From::Nothing(projector), From::Nothing(language)) => {
            let config = Config {
                layout: Layout::Authors,
                vision: vision.clone(),
                projector: *projector,
                language: language.config(tokenizer.vocab_size(), tokenizer.bos(), tokenizer.eos()),
                preprocess: Preprocess::clip(recipe.data.aspect, vision.image_size),
                tower_name: None,
            };
            Start::random(config, Some(tokenizer.unk()), recipe.seed)
        }
        (From::Folder(vision), From::Nothing(projector), From::Nothing(language)) => {
            let (vision, preprocess, tensors) = read_tower(vision)?;
            let config = Config {
                layout: Layout::Authors,
                vision,
                projector: *projector,
                language: language.config(tokenizer.vocab_size(), tokenizer.bos(), tokenizer.eos()),
                preprocess,
                tower_name: None,
            };
            let pad = Some(tokenizer.unk());
            Start::from_part(config, pad, tensors, Part::Vision, recipe.seed)
        }
        (From::Nothing(vision), From::Nothing(projector), From::Folder(language)) => {
            let (language, pad, tensors) = read_language(language)?;
            let config = Config {
                layout: Layout::Authors,
                vision: vision.clone(),
                projector: *projector,
                language,
                preprocess: Preprocess::clip(recipe.data.aspect, vision.image_size),
                tower_name: None,
            };
            Start::from_part(config, pad, tensors, Part::Language, recipe.seed)
        }
        (From::Folder(vision), projector, From::Folder(language)) => {
            let kind = match projector {
                From::Nothing(kind) => Some(*kind),
                From::Folder(folder) if folder == language => None,
                From::Folder(_) => {
                    let wrong = "expected the folder of the language model, or a type";
                    return Err(TrainError::key("projector.from", wrong));
                }
            };
            Start::read(&StartParts {
                model: language.clone(),
                vision_tower: (vision != language).then(|| vision.clone()),
                projector: kind,
                seed: recipe.seed,
            })?
        }
        _ => {
            let wrong = "expected a type, as tower and language model are not both from folders";
            return Err(TrainError::key("projector.from", wrong));
        }
    };
    start.config.preprocess.aspect = recipe.data.aspect;
    start.config.vision.blocks_to_run =
        blocks_to_run(&start.config.vision, recipe.start.select_layer)?;
    Ok(start.beginning(recipe.start.beginning))
}

/// The blocks up to the hidden state that is selected.
fn blocks_to_run(vision: &VisionConfig, select_layer: i32) -> Result<usize, TrainError> {
    let states = vision.layers as i64 + 1;
    let selected = i64::from(select_layer);
    let state = match selected < 0 {
        true => states + selected,
        false => selected,
    };
    match usize::try_from(state) {
        Ok(blocks) if blocks <= vision.layers => Ok(blocks),
        _ => {
            let wrong = format!(
                "expected 0 to {}, or -{states} to -1, as the tower has {} blocks; found {selected}",
                vision.layers, vision.layers
            );
            Err(TrainError::key("vision.select_layer", wrong))
        }
    }
}

fn optimizer(recipe: &Recipe, model: &MobileVlm) -> AdamW {
    let trained: Vec<String> = parameters(model, "")
        .into_iter()
        .filter(|parameter| parameter.trained)
        .map(|parameter| parameter.name)
        .collect();
    let groups = parameter_groups(
        trained.iter().map(String::as_str),
        &GroupOptions {
            learning_rate: recipe.train.learning_rate,
            mm_projector_lr: recipe.train.projector_rate,
            weight_decay: recipe.train.weight_decay,
            upstream_loses_tower: false,
        },
    );
    adamw(recipe, groups)
}
