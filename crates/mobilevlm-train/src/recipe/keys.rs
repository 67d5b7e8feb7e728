//! Every key that a recipe can have: what it takes, what it is where it is absent, what it means.
//!
//! The one list of keys. Values are checked against it, defaults come from it, and the table of
//! `docs/recipes.md` is made of it ([`key_table`]).

use std::fmt;
use std::ops::{Bound, RangeBounds};

use toml::de::DeValue;

use super::Task;

/// One key.
pub(super) struct Key {
    /// Its path: `train.learning_rate`.
    pub name: &'static str,
    /// The tasks that have it.
    pub tasks: &'static [Task],
    /// What its value may be.
    pub takes: Takes,
    /// What holds where it is absent.
    pub absent: Absent,
    /// What it means, as the documentation says it.
    pub meaning: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// A whole number between these, both allowed.
    Whole(u64, u64),
    /// A negative or positive whole number between these, both allowed.
    Signed(i64, i64),
    /// A number.
    Number(Bound<f64>, Bound<f64>),
    /// `true` or `false`.
    Flag,
    /// `true`, `false` or `"lora"`.
    FlagOrLora,
    /// A path or another text that is not empty.
    Text,
    /// One or several of them.
    Texts,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Kinds of the synthetic world: a list of names, or a table of names and weights.
    Kinds,
}

/// What holds where a key is absent.
#[derive(Clone, Copy)]
pub(super) enum Absent {
    /// This value, in TOML.
    Is(&'static str),
    /// A value for each of these tasks; the others must have the key.
    ByTask(&'static [(Task, &'static str)]),
    /// The recipe is incomplete.
    Incomplete,
    /// What the documentation says.
    Means(&'static str),
}

impl Key {
    /// The key of this path.
    pub(super) fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The path that is most like `name`. A key that was written into another section, or into
    /// none, is found by its last part.
    pub(super) fn nearest(name: &str) -> &'static str {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let mut best = (usize::MAX, KEYS[0].name);
        for key in KEYS {
            let far = distance(name, key.name)
                .min(distance(&last(name), &last(key.name)).saturating_add(1));
            best = best.min((far, key.name));
        }
        best.1
    }

    /// What the value is for `task` where the key is absent, in TOML.
    pub(super) fn default(&self, task: Task) -> Option<&'static str> {
        match self.absent {
            Absent::Is(value) => Some(value),
            Absent::ByTask(values) => {
                let found = values.iter().find(|(of, _)| *of == task);
                found.map(|(_, value)| *value)
            }
            Absent::Incomplete | Absent::Means(_) => None,
        }
    }
}

impl Takes {
    /// Whether the value is of the right type and in range.
    pub(super) fn accepts(self, value: &DeValue<'_>) -> bool {
        match self {
            Takes::Whole(least, most) => {
                whole(value).is_some_and(|n| (i128::from(least)..=i128::from(most)).contains(&n))
            }
            Takes::Signed(least, most) => {
                whole(value).is_some_and(|n| (i128::from(least)..=i128::from(most)).contains(&n))
            }
            Takes::Number(least, most) => {
                number(value).is_some_and(|x| x.is_finite() && (least, most).contains(&x))
            }
            Takes::Flag => value.is_bool(),
            Takes::FlagOrLora => value.is_bool() || value.as_str() == Some("lora"),
            Takes::Text => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Takes::Texts => match value.as_array() {
                Some(list) => {
                    !list.is_empty() && list.iter().all(|one| Takes::Text.accepts(one.get_ref()))
                }
                None => Takes::Text.accepts(value),
            },
            Takes::OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Takes::Kinds => super::read::kinds(value).is_some(),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Whole(least, most) if *most == HUGE => {
                write!(f, "a whole number from {least}")
            }
            Takes::Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Takes::Signed(least, most) => write!(f, "a whole number from {least} to {most}"),
            Takes::Number(least, most) => {
                f.write_str("a number")?;
                match least {
                    Bound::Included(least) => write!(f, " from {least}")?,
                    Bound::Excluded(least) => write!(f, " above {least}")?,
                    Bound::Unbounded => {}
                }
                match most {
                    Bound::Included(most) => write!(f, ", at most {most}"),
                    Bound::Excluded(most) => write!(f, ", below {most}"),
                    Bound::Unbounded => Ok(()),
                }
            }
            Takes::Flag => f.write_str("true or false"),
            Takes::FlagOrLora => f.write_str("true, false or \"lora\""),
            Takes::Text => f.write_str("a text"),
            Takes::Texts => f.write_str("a text or a list of texts"),
            Takes::OneOf(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                write!(f, "one of {}", quoted.join(", "))
            }
            Takes::Kinds => f.write_str(
                "kinds of the world, such as [\"caption\", \"counting\"] or \
                 { caption = 3, counting = 1 }",
            ),
        }
    }
}

/// A TOML integer.
pub(super) fn whole(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A TOML float or integer.
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    match value.as_float() {
        Some(float) => float.as_str().parse().ok(),
        None => whole(value).map(|n| n as f64),
    }
}

/// The keys as the table of `docs/recipes.md`, one row for each.
pub fn key_table() -> String {
    let mut table =
        "| key | tasks | takes | where absent | meaning |\n|---|---|---|---|---|\n".to_owned();
    for key in KEYS {
        let tasks = match key.tasks.len() == Task::ALL.len() {
            true => "all".to_owned(),
            false => {
                let names: Vec<_> = key.tasks.iter().map(|task| task.name()).collect();
                names.join(", ")
            }
        };
        let absent = match key.absent {
            Absent::Is(value) => format!("`{value}`"),
            Absent::ByTask(values) => {
                let mut parts: Vec<_> = values
                    .iter()
                    .map(|(task, value)| format!("{}: `{value}`", task.name()))
                    .collect();
                if values.len() < key.tasks.len() {
                    parts.push("else required".to_owned());
                }
                parts.join("; ")
            }
            Absent::Incomplete => "required".to_owned(),
            Absent::Means(what) => what.to_owned(),
        };
        let row = format!(
            "| `{}` | {tasks} | {} | {absent} | {} |\n",
            key.name, key.takes, key.meaning
        );
        table.push_str(&row);
    }
    table
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// No limit worth a message.
const HUGE: u64 = i64::MAX as u64;
const POSITIVE: Takes = Takes::Number(Bound::Excluded(0.0), Bound::Unbounded);
const RATE: Takes = Takes::Number(Bound::Excluded(0.0), Bound::Included(1.0));
const SHARE: Takes = Takes::Number(Bound::Included(0.0), Bound::Excluded(1.0));
const SIZE: Takes = Takes::Whole(1, 1 << 17);
const LAYERS: Takes = Takes::Whole(1, 512);

const ALL: &[Task] = &Task::ALL;
const TRAINED: &[Task] = &[Task::Stage1, Task::Stage2, Task::Vlm, Task::Clip, Task::Lm];
const VLM: &[Task] = &[Task::Stage1, Task::Stage2, Task::Vlm];
const PICTURES: &[Task] = &[Task::Stage1, Task::Stage2, Task::Vlm, Task::Clip];
const LANGUAGE: &[Task] = &[Task::Stage1, Task::Stage2, Task::Vlm, Task::Lm];
const TEMPLATED: &[Task] = &[
    Task::Stage1,
    Task::Stage2,
    Task::Vlm,
    Task::Lm,
    Task::Tokenizer,
];
const TEXTS: &[Task] = &[Task::Lm, Task::Tokenizer];
const CLIP: &[Task] = &[Task::Clip];
const TOKENIZER: &[Task] = &[Task::Tokenizer];

const fn key(
    name: &'static str,
    tasks: &'static [Task],
    takes: Takes,
    absent: Absent,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        tasks,
        takes,
        absent,
        meaning,
    }
}

use Absent::{ByTask, Incomplete, Is, Means};
use Takes::{Flag, FlagOrLora, Kinds, Number, OneOf, Signed, Text, Texts, Whole};

/// The keys, in the order of the documentation.
#[rustfmt::skip] // A row is one key.
pub(super) const KEYS: &[Key] = &[
    key("task", ALL, OneOf(&["stage1", "stage2", "vlm", "clip", "lm", "tokenizer"]), Incomplete, "what is trained: `stage1` and `stage2` are `vlm` with the defaults of MobileVLM V2's stages; `clip` pre-trains a vision tower against captions, `lm` a language model, `tokenizer` a tokenizer"),
    key("output_dir", ALL, Text, Incomplete, "folder of the result, of checkpoints and of what the run writes down"),
    key("seed", ALL, Whole(0, HUGE), Is("42"), "decides the order of samples, what starts from nothing, and dropout"),

    key("model.from", TRAINED, Text, Means("none"), "folder of a model; parts whose section says nothing else start from it (upstream: `model_name_or_path`)"),
    key("model.init", TRAINED, OneOf(&["released", "scaled"]), Is("\"released\""), "deviations that parts from nothing begin with: those of CLIP's and LLaMA's code, or such that every layer keeps the size of its input and places of patches are told apart from the first step; for small models"),
    key("vision.from", PICTURES, Text, Means("`model.from`, or sizes"), "folder of a CLIP tower (upstream: `vision_tower`)"),
    key("vision.image_size", PICTURES, Whole(8, 4096), Means("from a folder"), "side of the picture in pixels; this and the following make a tower from nothing"),
    key("vision.patch_size", PICTURES, Whole(1, 512), Means("from a folder"), "side of a patch in pixels; divides `image_size`"),
    key("vision.hidden_size", PICTURES, SIZE, Means("from a folder"), "width"),
    key("vision.num_hidden_layers", PICTURES, LAYERS, Means("from a folder"), "blocks"),
    key("vision.num_attention_heads", PICTURES, SIZE, Means("from a folder"), "heads; divide `hidden_size`"),
    key("vision.intermediate_size", PICTURES, SIZE, Means("from a folder"), "width inside the feed-forward part"),
    key("vision.hidden_act", PICTURES, OneOf(&["quick_gelu", "gelu"]), Means("`\"quick_gelu\"`"), "activation of a tower from nothing"),
    key("vision.select_layer", VLM, Signed(-512, 512), Is("-2"), "which hidden state the projector gets; negative counts from the end (upstream: `mm_vision_select_layer`)"),
    key("text.hidden_size", CLIP, SIZE, Incomplete, "width of the text tower that captions go through; it is thrown away afterwards"),
    key("text.num_hidden_layers", CLIP, LAYERS, Incomplete, "its blocks"),
    key("text.num_attention_heads", CLIP, SIZE, Incomplete, "its heads; divide `hidden_size`"),
    key("text.intermediate_size", CLIP, SIZE, Incomplete, "width inside its feed-forward part"),
    key("text.projection_dim", CLIP, SIZE, Incomplete, "width in which pictures and captions are compared"),
    key("projector.from", VLM, Text, Means("`model.from`, or a type"), "folder whose projector is taken (upstream: `pretrain_mm_mlp_adapter`)"),
    key("projector.type", VLM, Text, Means("from a folder"), "`linear`, `mlp2x_gelu`, `ldpnet` or `ldpnetv2`, from nothing (upstream: `mm_projector_type`)"),
    key("projector.variant", VLM, Text, Means("`\"pool+peg\"`"), "of `ldpnetv2`: `pool+peg`, `no-pool`, `pool`, `pool+positions` of the paper's Table 7, or `pool6+peg` for a grid of 6×6 instead of 12×12; all but `pool+peg` are ours to read, not upstream's"),
    key("language.from", LANGUAGE, Text, Means("`model.from`, or sizes"), "folder of a language model, or of a whole model whose language model is taken"),
    key("language.hidden_size", LANGUAGE, SIZE, Means("from a folder"), "width; this and the following make a language model from nothing, with the tokenizer's vocabulary"),
    key("language.num_hidden_layers", LANGUAGE, LAYERS, Means("from a folder"), "blocks"),
    key("language.num_attention_heads", LANGUAGE, SIZE, Means("from a folder"), "query heads; divide `hidden_size`, into an even width"),
    key("language.num_key_value_heads", LANGUAGE, SIZE, Means("as many as query heads"), "key and value heads; divide `num_attention_heads`"),
    key("language.intermediate_size", LANGUAGE, SIZE, Means("from a folder"), "width inside the feed-forward part"),
    key("language.rms_norm_eps", LANGUAGE, POSITIVE, Means("`1e-6`"), "added to the mean square, in a model from nothing"),
    key("language.rope_theta", LANGUAGE, POSITIVE, Means("`10000.0`"), "base of the rotary frequencies, in a model from nothing"),
    key("language.max_position_embeddings", LANGUAGE, Whole(1, 1 << 20), Means("`2048`"), "positions that a model from nothing is for"),

    key("tokenizer.from", TRAINED, Text, Means("the folder of the language model"), "`tokenizer.model`, or a folder that has one"),
    key("tokenizer.vocab_size", TOKENIZER, Whole(260, 1 << 20), Incomplete, "pieces, the three special ones and 256 bytes among them"),
    key("tokenizer.character_coverage", TOKENIZER, Number(Bound::Excluded(0.0), Bound::Included(1.0)), Is("0.9995"), "share of all characters that get a piece; the rest is spelled in bytes"),
    key("tokenizer.max_piece_length", TOKENIZER, Whole(1, 512), Is("16"), "the longest piece, in characters"),

    key("data.data_path", ALL, Text, Means("none"), "LLaVA's JSON or JSON lines; one of this, `data.texts` and `[world]` must be there"),
    key("data.image_folder", PICTURES, Texts, Means("the folder of `data_path`"), "folders and tar files that pictures are looked up in, in this order"),
    key("data.texts", TEXTS, Texts, Means("none"), "files of text, every line one text"),
    key("data.eval_data_path", TRAINED, Text, Means("none"), "as `data_path`: what the evaluation looks at"),
    key("data.template", TEMPLATED, OneOf(&["plain", "v1", "text"]), ByTask(&[(Task::Stage1, "\"plain\""), (Task::Stage2, "\"v1\""), (Task::Lm, "\"text\""), (Task::Tokenizer, "\"text\"")]), "how a sample becomes text: `plain` picture and caption, `v1` conversation, `text` (only `lm` and `tokenizer`) all of it, every id supervised (upstream: `version`); a tokenizer for `v1` knows the words of the template"),
    key("data.image_aspect_ratio", PICTURES, OneOf(&["square", "pad"]), ByTask(&[(Task::Stage1, "\"square\""), (Task::Stage2, "\"pad\""), (Task::Vlm, "\"pad\""), (Task::Clip, "\"square\"")]), "`square` cuts the middle out, `pad` adds borders of the mean colour"),
    key("data.model_max_length", TRAINED, Whole(8, 1 << 20), Is("2048"), "ids of a row, a picture counting as one; longer rows are cut"),
    key("data.group_by", TRAINED, OneOf(&["none", "length", "modality"]), ByTask(&[(Task::Stage1, "\"none\""), (Task::Stage2, "\"modality\""), (Task::Vlm, "\"modality\""), (Task::Clip, "\"none\""), (Task::Lm, "\"length\"")]), "what makes a batch: anything, samples of like length, or those of one modality too (upstream: `group_by_modality_length`)"),
    key("data.packing", LANGUAGE, Flag, Is("false"), "the samples of a micro-batch share a row, without padding; they do not see each other, and what they begin with alike is computed once"),

    key("world.count", ALL, Whole(1, HUGE), Means("required in `[world]`"), "samples of the synthetic world in an epoch, drawn while training; nothing is written"),
    key("world.seed", ALL, Whole(0, HUGE), Is("0"), "which world"),
    key("world.most_turns", ALL, Whole(2, 64), Is("5"), "questions of a conversation, at most; more teach more for a picture"),
    key("world.most_questions", ALL, Whole(1, 64), Is("1"), "questions of a sample of one kind, at most; all are about the picture that was made for the first"),
    key("world.turns_apart", VLM, Flag, Is("false"), "each question about a picture is a row of its own behind the picture, so that nothing can be guessed from the others; with `data.packing` what the rows begin with, the picture, is computed once for all of them"),
    key("world.most_objects", ALL, Whole(1, 64), Means("as many as there are"), "only scenes of at most so many shapes anywhere, without grids, signs, charts and clocks: what a tower from nothing learns first"),
    key("world.kinds", ALL, Kinds, Means("the world's own mixture"), "kinds of samples, with weights or each alike; `docs/world.md` lists them"),
    key("world.eval_count", TRAINED, Whole(0, HUGE), Is("0"), "held-out samples that the evaluation looks at"),

    key("train.projector", VLM, Flag, Is("true"), "the projector learns"),
    key("train.language", VLM, FlagOrLora, Is("true"), "the language model learns: all of it, nothing, or adapters beside its linear layers (upstream: `freeze_backbone`, `lora_enable`)"),
    key("train.vision", PICTURES, Flag, ByTask(&[(Task::Stage1, "false"), (Task::Stage2, "false"), (Task::Vlm, "false"), (Task::Clip, "true")]), "the vision tower learns"),
    key("train.lora_r", VLM, Whole(1, 1 << 14), Means("`128`"), "rank of the adapters"),
    key("train.lora_alpha", VLM, POSITIVE, Means("`256`"), "they are scaled by `lora_alpha / lora_r`"),
    key("train.lora_dropout", VLM, SHARE, Means("`0.05`"), "dropout before them"),
    key("train.lora_merge", VLM, Flag, Means("`true`"), "the result has them added to the weights; else they are kept beside them"),
    key("train.learning_rate", TRAINED, RATE, ByTask(&[(Task::Stage1, "2e-5"), (Task::Stage2, "4e-5")]), "peak, of all but the projector"),
    key("train.mm_projector_lr", VLM, RATE, Means("stage1 where the language model learns: `1e-3`; else `train.learning_rate`, in the same groups"), "peak, of the projector"),
    key("train.muon_lr", TRAINED, RATE, Means("AdamW for everything"), "peak, of the matrices inside blocks and projectors, which then step as Muon says (Jordan et al. 2024; torch's `Muon`)"),
    key("train.lr_scheduler_type", TRAINED, OneOf(&["cosine", "constant"]), Is("\"cosine\""), "after the warm-up; `cosine` ends at 0"),
    key("train.warmup_ratio", TRAINED, SHARE, Is("0.03"), "share of the steps in which rates rise from 0"),
    key("train.weight_decay", TRAINED, Number(Bound::Included(0.0), Bound::Included(1.0)), Is("0.0"), "AdamW's; biases and layer norms are left out, RMSNorm is not, as upstream"),
    key("train.adam_beta1", TRAINED, SHARE, Is("0.9"), "AdamW's"),
    key("train.adam_beta2", TRAINED, SHARE, Is("0.999"), "AdamW's"),
    key("train.adam_epsilon", TRAINED, POSITIVE, Is("1e-8"), "AdamW's"),
    key("train.max_grad_norm", TRAINED, Number(Bound::Included(0.0), Bound::Unbounded), Is("1.0"), "the gradient of everything together is scaled down to this norm; 0 leaves it"),
    key("train.per_device_train_batch_size", TRAINED, Whole(1, 1 << 20), ByTask(&[(Task::Stage1, "32"), (Task::Stage2, "16")]), "samples of a replica in a micro-batch"),
    key("train.gradient_accumulation_steps", TRAINED, Whole(1, 1 << 20), Is("1"), "micro-batches of a step"),
    key("train.num_train_epochs", TRAINED, POSITIVE, Means("`1`, unless `max_steps` is there"), "how often each sample is seen"),
    key("train.max_steps", TRAINED, Whole(1, HUGE), Means("from `num_train_epochs`"), "steps instead of epochs"),
    key("train.clip_loss", CLIP, OneOf(&["siglip", "softmax"]), Is("\"siglip\""), "each pair judged alone, or each picture among all captions and the reverse"),

    key("run.device", TRAINED, OneOf(&["cpu", "cuda", "vulkan", "metal"]), Is("\"cpu\""), "where it runs; all but `cpu` need a build with that feature"),
    key("run.replicas", TRAINED, Whole(1, 1024), Is("1"), "GPUs, or copies on the CPU, that share a batch"),
    key("run.threads", TRAINED, Whole(1, 1024), Means("as many as cores"), "threads of the CPU, all replicas together; resuming is exact on the same number"),
    key("run.precision", TRAINED, OneOf(&["f32", "bf16"]), Is("\"f32\""), "of the arithmetic; `bf16` keeps weights, norms, softmax and loss in f32"),
    key("run.products", TRAINED, OneOf(&["f32", "bf16"]), Is("\"f32\""), "of linear layers and attention on the CPU; `bf16` rounds both factors to bfloat16 and sums in f32, in tile registers where the machine has them (AMX); each replica should have one thread"),
    key("run.gradient_checkpointing", TRAINED, Flag, Is("false"), "in the stages, decoder layers are computed again in the backward pass, and their insides not kept; in `clip` and `lm`, elementwise operations"),
    key("run.feature_cache", VLM, Text, Means("none"), "folder that the frozen tower's features are kept in, so that each picture is seen once"),
    key("run.device_memory", TRAINED, POSITIVE, Means("what the device has, where it says"), "gigabytes of one device; a recipe that needs more is refused before anything is loaded"),
    key("run.save_steps", TRAINED, Whole(1, HUGE), Is("500"), "steps between checkpoints"),
    key("run.save_total_limit", TRAINED, Whole(1, 1 << 20), Is("2"), "checkpoints that are kept"),
    key("run.eval_steps", TRAINED, Whole(0, HUGE), Is("0"), "steps between evaluations; 0: none"),
    key("run.logging_steps", TRAINED, Whole(1, HUGE), Is("1"), "steps between lines of `metrics.jsonl`"),
    key("run.tensorboard", TRAINED, Flag, Is("true"), "event files for TensorBoard"),

    key("upstream.mean_of_means", TRAINED, Flag, Is("false"), "trap of upstream: accumulated micro-batches and replicas weigh alike, however few supervised ids they have; here: every id weighs alike"),
    key("upstream.step_on_nan_loss", LANGUAGE, Flag, Is("false"), "trap of upstream: a batch without a supervised id has the loss NaN and gradients of 0, and old momentum moves the weights; here: no step"),
    key("upstream.keep_masked_samples", LANGUAGE, Flag, Is("false"), "trap of upstream: a sample that is masked whole stays in its batch; here: left out, and counted"),
    key("upstream.attention_mask_not_pad", LANGUAGE, Flag, Is("false"), "trap of upstream: an `<unk>` in a text has the id of padding and is not seen; here: only padding is not"),
    key("upstream.sampler", TRAINED, Flag, Is("false"), "trap of upstream: the order of samples comes from torch's generator (repeated here), and stops where all samples are of one modality; here: a function of seed, epoch and step"),
    key("upstream.drop_accumulation_rest", TRAINED, Flag, Is("false"), "trap of upstream: fewer micro-batches than a step has, at the end of an epoch, are thrown away; here: a smaller step"),
];
