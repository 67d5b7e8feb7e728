//! From checked values to a [`Recipe`], and what contradicts what.

use std::path::{Path, PathBuf};

use mobilevlm_data::world::Kind;
use toml::de::DeValue;

use super::keys::number;
use super::source::{FromValue, Source};
use super::*;

/// The longest recipe that is read, in bytes. Ours have under 4 kB.
const LONGEST: u64 = 1 << 20;

impl Recipe {
    /// Reads a recipe; `set` are overrides as typed, `train.learning_rate=1e-4`. A value that is
    /// not TOML is a text, so paths need no quotes; `key=` and `section=` take away what the file
    /// says.
    ///
    /// # Errors
    /// [`RecipeError`] with file and line of the first mistake, and what would be right.
    pub fn read(file: &Path, set: &[String]) -> Result<Recipe, RecipeError> {
        let failed = |source| RecipeError::Read {
            file: file.to_owned(),
            source,
        };
        let length = std::fs::metadata(file).map_err(failed)?.len();
        if length > LONGEST {
            let message = format!("{length} bytes; a recipe has at most {LONGEST}");
            return Err(failed(std::io::Error::other(message)));
        }
        let text = std::fs::read_to_string(file).map_err(failed)?;
        Recipe::parse(file, &text, set)
    }

    /// As [`Recipe::read`], of the text of `file`.
    ///
    /// # Errors
    /// The same.
    pub fn parse(file: &Path, text: &str, set: &[String]) -> Result<Recipe, RecipeError> {
        build(&Source::parse(file, text, set)?)
    }
}

fn build(source: &Source<'_>) -> Result<Recipe, RecipeError> {
    let train = train(source)?;
    let run = run(source)?;
    if run.feature_cache.is_some() && train.vision {
        return Err(source.contradiction(
            "run.feature_cache",
            "features of a tower that learns change at every step; expected train.vision = false",
        ));
    }
    Ok(Recipe {
        file: source.file().to_owned(),
        resolved: source.resolved(),
        task: source.task(),
        output_dir: source.get("output_dir")?,
        seed: source.get("seed")?,
        start: start(source)?,
        data: data(source)?,
        train,
        run,
        upstream: Upstream {
            mean_of_means: flag(source, "upstream.mean_of_means")?,
            step_on_nan_loss: flag(source, "upstream.step_on_nan_loss")?,
            keep_masked_samples: flag(source, "upstream.keep_masked_samples")?,
            attention_mask_not_pad: flag(source, "upstream.attention_mask_not_pad")?,
            sampler: flag(source, "upstream.sampler")?,
            drop_accumulation_rest: flag(source, "upstream.drop_accumulation_rest")?,
        },
    })
}

fn flag(source: &Source<'_>, key: &'static str) -> Result<bool, RecipeError> {
    source.get(key)
}

fn start(source: &Source<'_>) -> Result<Start, RecipeError> {
    let task = source.task();
    let vision = match task.is_vlm() || task == Task::Clip {
        true => Some(vision(source)?),
        false => None,
    };
    let projector = match task.is_vlm() {
        true => Some(projector(source)?),
        false => None,
    };
    let language = match task.is_vlm() || task == Task::Lm {
        true => Some(language(source)?),
        false => None,
    };
    let tokenizer = match (task, source.maybe("tokenizer.from")?) {
        (Task::Tokenizer, _) => None,
        (_, Some(path)) => Some(path),
        (_, None) => match &language {
            Some(From::Folder(folder)) => Some(folder.clone()),
            _ => return Err(source.missing("tokenizer.from")),
        },
    };
    let select_layer = source.get("vision.select_layer")?;
    if let Some(From::Nothing(sizes)) = &vision {
        // Hidden states: the embeddings, then one after each block.
        let states = sizes.layers as i32 + 1;
        if !(-states..states).contains(&select_layer) {
            return Err(source.contradiction(
                "vision.select_layer",
                format!(
                    "a tower of {} blocks has the hidden states 0 to {}, or -{states} to -1",
                    sizes.layers, sizes.layers
                ),
            ));
        }
    }
    Ok(Start {
        vision,
        text: match task {
            Task::Clip => Some(text(source)?),
            _ => None,
        },
        projector,
        language,
        tokenizer,
        new_tokenizer: match task {
            Task::Tokenizer => Some(TokenizerSizes {
                vocabulary: source.get("tokenizer.vocab_size")?,
                character_coverage: source.get("tokenizer.character_coverage")?,
                longest_piece: source.get("tokenizer.max_piece_length")?,
            }),
            _ => None,
        },
        select_layer,
        beginning: match task {
            Task::Tokenizer => Beginning::Released,
            _ => match source.get::<String>("model.init")?.as_str() {
                "scaled" => Beginning::Scaled,
                _ => Beginning::Released,
            },
        },
    })
}

/// The folder of a part, if it starts from one. `own` is the part's key, `sizes` those that make
/// it from nothing: given together with a folder they contradict it.
fn folder(
    source: &Source<'_>,
    own: &'static str,
    sizes: &[&'static str],
) -> Result<Option<PathBuf>, RecipeError> {
    let given = sizes.iter().find(|key| source.has(key));
    match (source.maybe(own)?, given) {
        (Some(_), Some(size)) => Err(source.contradiction(
            size,
            format!("{own} says where the part comes from; expected one of the two"),
        )),
        (Some(folder), None) => Ok(Some(folder)),
        (None, Some(_)) => Ok(None),
        (None, None) => match source.maybe("model.from")? {
            Some(folder) => Ok(Some(folder)),
            None => Err(source.missing_part(own, sizes)),
        },
    }
}

fn vision(source: &Source<'_>) -> Result<From<VisionConfig>, RecipeError> {
    const SIZES: [&str; 7] = [
        "vision.image_size",
        "vision.patch_size",
        "vision.hidden_size",
        "vision.num_hidden_layers",
        "vision.num_attention_heads",
        "vision.intermediate_size",
        "vision.hidden_act",
    ];
    if let Some(folder) = folder(source, "vision.from", &SIZES)? {
        return Ok(From::Folder(folder));
    }
    let hidden = source.get("vision.hidden_size")?;
    let heads = source.get("vision.num_attention_heads")?;
    let layers = source.get("vision.num_hidden_layers")?;
    let image_size = source.get("vision.image_size")?;
    let patch_size = source.get("vision.patch_size")?;
    divides(
        source,
        "vision.num_attention_heads",
        heads,
        "vision.hidden_size",
        hidden,
    )?;
    divides(
        source,
        "vision.patch_size",
        patch_size,
        "vision.image_size",
        image_size,
    )?;
    Ok(From::Nothing(VisionConfig {
        hidden,
        heads,
        ffn: source.get("vision.intermediate_size")?,
        layers,
        blocks_to_run: layers,
        image_size,
        patch_size,
        eps: 1e-5,
        activation: match source.maybe::<String>("vision.hidden_act")?.as_deref() {
            Some("gelu") => Activation::Gelu,
            _ => Activation::QuickGelu,
        },
    }))
}

fn text(source: &Source<'_>) -> Result<TextSizes, RecipeError> {
    let hidden = source.get("text.hidden_size")?;
    let heads = source.get("text.num_attention_heads")?;
    divides(
        source,
        "text.num_attention_heads",
        heads,
        "text.hidden_size",
        hidden,
    )?;
    Ok(TextSizes {
        hidden,
        layers: source.get("text.num_hidden_layers")?,
        heads,
        ffn: source.get("text.intermediate_size")?,
        projection: source.get("text.projection_dim")?,
    })
}

fn projector(source: &Source<'_>) -> Result<From<Projector>, RecipeError> {
    let sizes = ["projector.type", "projector.variant"];
    if let Some(folder) = folder(source, "projector.from", &sizes)? {
        return Ok(From::Folder(folder));
    }
    let kind: String = source.get("projector.type")?;
    let variant: Option<String> = source.maybe("projector.variant")?;
    Projector::named(&kind, variant.as_deref())
        .map(From::Nothing)
        .map_err(|(of_variant, expected)| {
            let key = match of_variant {
                true => "projector.variant",
                false => "projector.type",
            };
            source.contradiction(key, format!("expected {expected}"))
        })
}

fn language(source: &Source<'_>) -> Result<From<LanguageSizes>, RecipeError> {
    const SIZES: [&str; 8] = [
        "language.hidden_size",
        "language.num_hidden_layers",
        "language.num_attention_heads",
        "language.num_key_value_heads",
        "language.intermediate_size",
        "language.rms_norm_eps",
        "language.rope_theta",
        "language.max_position_embeddings",
    ];
    if let Some(folder) = folder(source, "language.from", &SIZES)? {
        return Ok(From::Folder(folder));
    }
    let hidden = source.get("language.hidden_size")?;
    let heads = source.get("language.num_attention_heads")?;
    let kv_heads = source
        .maybe("language.num_key_value_heads")?
        .unwrap_or(heads);
    divides(
        source,
        "language.num_attention_heads",
        heads,
        "language.hidden_size",
        hidden,
    )?;
    divides(
        source,
        "language.num_key_value_heads",
        kv_heads,
        "language.num_attention_heads",
        heads,
    )?;
    if !(hidden / heads).is_multiple_of(2) {
        return Err(source.contradiction(
            "language.num_attention_heads",
            format!(
                "heads of width {} cannot be rotated in pairs; expected an even width",
                hidden / heads
            ),
        ));
    }
    Ok(From::Nothing(LanguageSizes {
        hidden,
        layers: source.get("language.num_hidden_layers")?,
        heads,
        kv_heads,
        ffn: source.get("language.intermediate_size")?,
        rms_eps: source.maybe("language.rms_norm_eps")?.unwrap_or(1e-6),
        rope_theta: source.maybe("language.rope_theta")?.unwrap_or(10000.0),
        context: source
            .maybe("language.max_position_embeddings")?
            .unwrap_or(2048),
    }))
}

fn divides(
    source: &Source<'_>,
    key: &str,
    value: usize,
    whole_key: &str,
    whole: usize,
) -> Result<(), RecipeError> {
    match whole.is_multiple_of(value) {
        true => Ok(()),
        false => Err(source.contradiction(
            key,
            format!("{value} does not divide {whole_key} = {whole}; expected a divisor"),
        )),
    }
}

fn data(source: &Source<'_>) -> Result<Data, RecipeError> {
    let template = match source.maybe::<String>("data.template")?.as_deref() {
        Some("plain") => Template::Labels(TrainTemplate::Plain),
        Some("v1") => Template::Labels(TrainTemplate::V1),
        Some(_) => Template::Text,
        None if source.task().is_vlm() => return Err(source.missing("data.template")),
        // Captions of `clip`, texts of `tokenizer`.
        None => Template::Text,
    };
    match (source.task(), template) {
        (Task::Lm | Task::Tokenizer, Template::Labels(TrainTemplate::Plain)) => {
            return Err(source.contradiction(
                "data.template",
                "\"plain\" is a picture and its caption, and there are no pictures here: expected \"text\" or \"v1\"",
            ));
        }
        (task, Template::Text) if task.is_vlm() => {
            return Err(source.contradiction(
                "data.template",
                "\"text\" has no place for a picture: expected \"plain\" or \"v1\"",
            ));
        }
        _ => {}
    }
    let from = data_source(source)?;
    if matches!(from, DataSource::Texts(_)) && template != Template::Text {
        return Err(source.contradiction(
            "data.texts",
            "lines of text are no conversations: expected data.template = \"text\", or data.data_path",
        ));
    }
    if source.has("data.eval_data_path") && source.has("world.eval_count") {
        return Err(source.contradiction(
            "data.eval_data_path",
            "world.eval_count says what the evaluation looks at; expected one of the two",
        ));
    }
    Ok(Data {
        source: from,
        eval_path: source.maybe("data.eval_data_path")?,
        template,
        aspect: match source
            .maybe::<String>("data.image_aspect_ratio")?
            .as_deref()
        {
            Some("pad") => Aspect::Pad,
            _ => Aspect::Square,
        },
        model_max_length: source.get("data.model_max_length")?,
        grouping: match source.maybe::<String>("data.group_by")?.as_deref() {
            Some("modality") => Grouping::Modality,
            Some("length") => Grouping::Length,
            _ => Grouping::None,
        },
        packing: flag(source, "data.packing")?,
    })
}

fn data_source(source: &Source<'_>) -> Result<DataSource, RecipeError> {
    let world = source.has_section("world");
    let data_path: Option<PathBuf> = source.maybe("data.data_path")?;
    let texts: Option<Vec<PathBuf>> = source.maybe("data.texts")?;
    let only_one = |key| {
        source.contradiction(
            key,
            "data comes from one of data.data_path, data.texts and [world]; expected the others \
             to be absent (--set world= takes the section away)",
        )
    };
    match (data_path, texts, world) {
        (Some(_), Some(_), _) => Err(only_one("data.texts")),
        (Some(_), None, true) => Err(only_one("data.data_path")),
        (None, Some(_), true) => Err(only_one("data.texts")),
        (None, None, false) => Err(source.missing("data.data_path")),
        (Some(data_path), None, false) => {
            let beside = data_path.parent().map(Path::to_owned).unwrap_or_default();
            Ok(DataSource::Llava {
                image_folders: source
                    .maybe("data.image_folder")?
                    .unwrap_or_else(|| vec![beside]),
                data_path,
            })
        }
        (None, Some(texts), false) => Ok(DataSource::Texts(texts)),
        (None, None, true) => {
            if source.has("data.image_folder") {
                return Err(source.contradiction(
                    "data.image_folder",
                    "the synthetic world draws its pictures; expected no folder",
                ));
            }
            Ok(DataSource::World(WorldData {
                seed: source.get("world.seed")?,
                count: source.get("world.count")?,
                kinds: source
                    .maybe::<WeightedKinds>("world.kinds")?
                    .map_or(Vec::new(), |k| k.0),
                most_turns: source.get("world.most_turns")?,
                most_questions: source.get("world.most_questions")?,
                turns_apart: flag(source, "world.turns_apart")?,
                most_objects: source.maybe("world.most_objects")?,
                eval_count: source.get("world.eval_count")?,
            }))
        }
    }
}

fn train(source: &Source<'_>) -> Result<Train, RecipeError> {
    if source.task() == Task::Tokenizer {
        return Ok(Train::of_nothing());
    }
    let language = learns(source)?;
    let projector = source.maybe("train.projector")?.unwrap_or(false);
    let vision = source.maybe("train.vision")?.unwrap_or(false);
    if source.task().is_vlm() && !projector && !vision && language == Learns::Nothing {
        return Err(source.contradiction(
            "train.projector",
            "nothing learns; expected one of train.projector, train.language, train.vision",
        ));
    }
    if source.task() == Task::Clip && !vision {
        return Err(source.contradiction("train.vision", "clip trains the tower; expected true"));
    }
    let projector_rate = source.maybe("train.mm_projector_lr")?;
    if projector_rate.is_some() && !projector {
        return Err(source.contradiction(
            "train.mm_projector_lr",
            "the projector does not learn; expected train.projector = true, or no such key",
        ));
    }
    let length = match (
        source.maybe("train.num_train_epochs")?,
        source.maybe("train.max_steps")?,
    ) {
        (Some(_), Some::<u64>(_)) => {
            return Err(source.contradiction(
                "train.max_steps",
                "train.num_train_epochs says when the run ends; expected one of the two",
            ));
        }
        (_, Some(steps)) => Length::Steps(steps),
        (epochs, None) => Length::Epochs(epochs.unwrap_or(1.0)),
    };
    let clip: f64 = source.get("train.max_grad_norm")?;
    Ok(Train {
        projector,
        language,
        vision,
        learning_rate: source.get("train.learning_rate")?,
        // Stage 1 of V2 has a rate of its own for the projector; that of V1 trains nothing else.
        projector_rate: match source.task() {
            Task::Stage1 if projector && language != Learns::Nothing => {
                projector_rate.or(Some(1e-3))
            }
            _ => projector_rate,
        },
        muon_rate: source.maybe("train.muon_lr")?,
        schedule: match source.get::<String>("train.lr_scheduler_type")?.as_str() {
            "constant" => Schedule::Constant,
            _ => Schedule::Cosine,
        },
        warmup_ratio: source.get("train.warmup_ratio")?,
        weight_decay: source.get("train.weight_decay")?,
        betas: (
            source.get("train.adam_beta1")?,
            source.get("train.adam_beta2")?,
        ),
        epsilon: source.get("train.adam_epsilon")?,
        max_grad_norm: (clip > 0.0).then_some(clip),
        batch_size: source.get("train.per_device_train_batch_size")?,
        accumulation: source.get("train.gradient_accumulation_steps")?,
        length,
        clip_loss: match source.maybe::<String>("train.clip_loss")?.as_deref() {
            Some("softmax") => ClipLoss::Softmax,
            _ => ClipLoss::Siglip,
        },
    })
}

fn learns(source: &Source<'_>) -> Result<Learns, RecipeError> {
    match source.task() {
        Task::Lm => return Ok(Learns::All),
        Task::Clip => return Ok(Learns::Nothing),
        _ => {}
    }
    // `true`, `false`, or the word "lora": checked when it was read.
    let adapters = source.maybe::<FlagOrLora>("train.language")?;
    let keys = [
        "train.lora_r",
        "train.lora_alpha",
        "train.lora_dropout",
        "train.lora_merge",
    ];
    match adapters {
        Some(FlagOrLora(None)) => Ok(Learns::Adapters(Lora {
            rank: source.maybe("train.lora_r")?.unwrap_or(128),
            alpha: source.maybe("train.lora_alpha")?.unwrap_or(256.0),
            dropout: source.maybe("train.lora_dropout")?.unwrap_or(0.05),
            merge: source.maybe("train.lora_merge")?.unwrap_or(true),
        })),
        other => match keys.into_iter().find(|key| source.has(key)) {
            Some(key) => Err(source.contradiction(
                key,
                "there are no adapters; expected train.language = \"lora\", or no such key",
            )),
            None if matches!(other, Some(FlagOrLora(Some(true)))) => Ok(Learns::All),
            None => Ok(Learns::Nothing),
        },
    }
}

fn run(source: &Source<'_>) -> Result<Run, RecipeError> {
    let device = match source.get::<String>("run.device")?.as_str() {
        "cuda" => DeviceKind::Cuda,
        "vulkan" => DeviceKind::Vulkan,
        "metal" => DeviceKind::Metal,
        _ => DeviceKind::Cpu,
    };
    let eval_steps: u64 = source.get("run.eval_steps")?;
    if eval_steps > 0
        && !source.has("data.eval_data_path")
        && source.get::<u64>("world.eval_count")? == 0
    {
        return Err(source.contradiction(
            "run.eval_steps",
            "nothing is there to evaluate on; expected data.eval_data_path or world.eval_count",
        ));
    }
    let products = match source.get::<String>("run.products")?.as_str() {
        "bf16" => Products::Bf16,
        _ => Products::F32,
    };
    if products != Products::F32 && device != DeviceKind::Cpu {
        return Err(source.contradiction(
            "run.products",
            "\"bf16\" is for the CPU; elsewhere expected run.precision = \"bf16\"",
        ));
    }
    Ok(Run {
        device,
        replicas: source.get("run.replicas")?,
        threads: source.maybe("run.threads")?,
        precision: match source.get::<String>("run.precision")?.as_str() {
            "bf16" => Precision::Bf16,
            _ => Precision::F32,
        },
        products,
        gradient_checkpointing: flag(source, "run.gradient_checkpointing")?,
        feature_cache: source.maybe("run.feature_cache")?,
        device_memory: source
            .maybe::<f64>("run.device_memory")?
            .map(|gigabytes| (gigabytes * 1e9) as u64),
        save_steps: source.get("run.save_steps")?,
        save_total_limit: source.get("run.save_total_limit")?,
        eval_steps: (eval_steps > 0).then_some(eval_steps),
        logging_steps: source.get("run.logging_steps")?,
        tensorboard: flag(source, "run.tensorboard")?,
    })
}

impl Train {
    /// A tokenizer has no steps.
    fn of_nothing() -> Train {
        Train {
            projector: false,
            language: Learns::Nothing,
            vision: false,
            learning_rate: 0.0,
            projector_rate: None,
            muon_rate: None,
            schedule: Schedule::Constant,
            warmup_ratio: 0.0,
            weight_decay: 0.0,
            betas: (0.0, 0.0),
            epsilon: 0.0,
            max_grad_norm: None,
            batch_size: 1,
            accumulation: 1,
            length: Length::Steps(0),
            clip_loss: ClipLoss::Siglip,
        }
    }
}

/// A flag, or nothing for the word `"lora"`.
struct FlagOrLora(Option<bool>);

impl FromValue for FlagOrLora {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        match value.as_str() {
            Some("lora") => Some(FlagOrLora(None)),
            Some(_) => None,
            None => value.as_bool().map(|flag| FlagOrLora(Some(flag))),
        }
    }
}

struct WeightedKinds(Vec<(Kind, f64)>);

impl FromValue for WeightedKinds {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        kinds(value).map(WeightedKinds)
    }
}

/// Kinds of the world with weights; nothing if one is unknown or twice there, or no weight is
/// positive.
pub(super) fn kinds(value: &DeValue<'_>) -> Option<Vec<(Kind, f64)>> {
    let pairs: Vec<(Kind, f64)> = match (value.as_array(), value.as_table()) {
        (Some(list), _) => list
            .iter()
            .map(|name| Some((name.get_ref().as_str()?.parse().ok()?, 1.0)))
            .collect::<Option<_>>()?,
        (None, Some(table)) => table
            .iter()
            .map(|(name, weight)| Some((name.get_ref().parse().ok()?, number(weight.get_ref())?)))
            .collect::<Option<_>>()?,
        (None, None) => return None,
    };
    let distinct = (1..pairs.len()).all(|i| pairs[..i].iter().all(|(kind, _)| *kind != pairs[i].0));
    let positive = pairs
        .iter()
        .all(|(_, weight)| *weight > 0.0 && weight.is_finite());
    (distinct && positive && !pairs.is_empty()).then_some(pairs)
}
