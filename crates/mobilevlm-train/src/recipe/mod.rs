//! A recipe: everything that decides about a run, read from TOML and checked completely.
//!
//! [`Recipe::read`] opens no other file than the recipe. What it returns is free of
//! contradictions; whether folders exist and sizes fit to them is seen by those who open them.
//! `docs/recipes.md` lists the keys; names are those of upstream's arguments where there are such.
//! Paths are taken as the shell would: relative to the working directory.

mod error;
mod keys;
mod memory;
mod read;
mod source;
mod world;

use std::path::PathBuf;

use mobilevlm_checkpoint::{Activation, Aspect, LanguageConfig, Projector, VisionConfig};
use mobilevlm_data::world::Kind;
use mobilevlm_data::{Grouping, TrainTemplate};

use crate::model::Beginning;
use crate::ops::Products;

pub use error::{At, RecipeError};
pub use keys::key_table;
pub use memory::{Memory, TooLarge};

/// What is trained, from what, on what, how, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The file it was read from.
    pub file: PathBuf,
    /// The whole recipe as TOML, `--set` and defaults written out. Reading it again gives the
    /// same recipe; a run that is resumed compares it.
    pub resolved: String,
    /// What is trained.
    pub task: Task,
    /// Folder of the result, of checkpoints, and of what the run writes down.
    pub output_dir: PathBuf,
    /// Decides the order of samples, what starts from nothing, and dropout.
    pub seed: u64,
    /// What the model starts from.
    pub start: Start,
    /// What it learns from.
    pub data: Data,
    /// What learns, and how fast.
    pub train: Train,
    /// Where, and what is written down.
    pub run: Run,
    /// Upstream's traps.
    pub upstream: Upstream,
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// Alignment of the projector, with the defaults of MobileVLM V2's first stage.
    Stage1,
    /// Instruction tuning, with the defaults of its second stage.
    Stage2,
    /// The same loop without these defaults.
    Vlm,
    /// A vision tower against captions.
    Clip,
    /// A language model.
    Lm,
    /// A tokenizer.
    Tokenizer,
}

/// A part that starts from a folder, or from nothing with these sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum From<T> {
    /// A Hugging Face folder that has the part.
    Folder(PathBuf),
    /// Random weights.
    Nothing(T),
}

/// What the model starts from. A task has the parts that it needs, and `None` for the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// `vlm` tasks and `clip`.
    pub vision: Option<From<VisionConfig>>,
    /// `clip`: the tower that captions go through.
    pub text: Option<TextSizes>,
    /// `vlm` tasks.
    pub projector: Option<From<Projector>>,
    /// `vlm` tasks and `lm`.
    pub language: Option<From<LanguageSizes>>,
    /// `tokenizer.model` or a folder that has one; all tasks but `tokenizer`.
    pub tokenizer: Option<PathBuf>,
    /// The tokenizer to be made; task `tokenizer`.
    pub new_tokenizer: Option<TokenizerSizes>,
    /// Which hidden state of the tower the projector gets; negative counts from the end
    /// (upstream: `mm_vision_select_layer`).
    pub select_layer: i32,
    /// How parts from nothing begin.
    pub beginning: Beginning,
}

/// Sizes of a language model from nothing; its vocabulary is the tokenizer's.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageSizes {
    /// Width.
    pub hidden: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads; divide `hidden` into an even width.
    pub heads: usize,
    /// Key and value heads; divide `heads`.
    pub kv_heads: usize,
    /// Width inside the feed-forward part.
    pub ffn: usize,
    /// Added to the mean square.
    pub rms_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Positions that the model is for.
    pub context: usize,
}

impl LanguageSizes {
    /// The configuration with the tokenizer's vocabulary and ids.
    pub fn config(&self, vocabulary: usize, bos: u32, eos: u32) -> LanguageConfig {
        LanguageConfig {
            hidden: self.hidden,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.hidden / self.heads,
            ffn: self.ffn,
            layers: self.layers,
            vocab: vocabulary,
            rms_eps: self.rms_eps as f32,
            rope_theta: self.rope_theta as f32,
            context: self.context,
            tied: false,
            bos,
            eos,
        }
    }
}

/// Sizes of the tower that captions go through in contrastive training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSizes {
    /// Width.
    pub hidden: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads; divide `hidden`.
    pub heads: usize,
    /// Width inside the feed-forward part.
    pub ffn: usize,
    /// Width in which pictures and captions are compared.
    pub projection: usize,
}

/// What a tokenizer is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizerSizes {
    /// Pieces, special ones and bytes among them.
    pub vocabulary: usize,
    /// Share of all characters that get a piece.
    pub character_coverage: f64,
    /// The longest piece, in characters.
    pub longest_piece: usize,
}

/// What the model learns from.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// Where samples come from.
    pub source: DataSource,
    /// What the evaluation looks at, LLaVA's JSON, if there is such a file.
    pub eval_path: Option<PathBuf>,
    /// How a sample becomes text.
    pub template: Template,
    /// What happens to a picture that is not square.
    pub aspect: Aspect,
    /// Ids of a row; a picture counts as one.
    pub model_max_length: usize,
    /// What makes a batch.
    pub grouping: Grouping,
    /// Several short samples share a row.
    pub packing: bool,
}

/// Where samples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum DataSource {
    /// LLaVA's JSON and its pictures.
    Llava {
        /// The JSON, or JSON lines.
        data_path: PathBuf,
        /// Folders and tar files.
        image_folders: Vec<PathBuf>,
    },
    /// Files whose every line is one text.
    Texts(Vec<PathBuf>),
    /// The synthetic world, drawn while training.
    World(WorldData),
}

/// Samples of the synthetic world. Pictures are drawn at the tower's size.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldData {
    /// Which world.
    pub seed: u64,
    /// Samples in an epoch.
    pub count: u64,
    /// Kinds and their weights; empty: the world's own mixture.
    pub kinds: Vec<(Kind, f64)>,
    /// Questions of a conversation, at most.
    pub most_turns: usize,
    /// Questions of a sample of one kind, at most.
    pub most_questions: usize,
    /// Whether each question about a picture is a row of its own.
    pub turns_apart: bool,
    /// Shapes in a scene, at most, and nothing but shapes; `None`: every scene.
    pub most_objects: Option<usize>,
    /// Held-out samples that the evaluation looks at.
    pub eval_count: u64,
}

/// How a sample becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Picture and caption, or a conversation, with the labels of upstream.
    Labels(TrainTemplate),
    /// All of a text, every id supervised: next-token training.
    Text,
}

/// What learns, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// The projector learns.
    pub projector: bool,
    /// Whether and how the language model learns.
    pub language: Learns,
    /// The vision tower learns.
    pub vision: bool,
    /// Peak rate of all but the projector.
    pub learning_rate: f64,
    /// Peak rate of the projector; `None`: it is in the same groups as the rest.
    pub projector_rate: Option<f64>,
    /// Peak rate of the matrices of blocks and projectors, which then step as Muon says; `None`:
    /// everything steps as AdamW says.
    pub muon_rate: Option<f64>,
    /// How rates go after the warm-up.
    pub schedule: Schedule,
    /// Share of the steps in which rates rise from 0.
    pub warmup_ratio: f64,
    /// AdamW's decay; biases and layer norms are left out.
    pub weight_decay: f64,
    /// AdamW's β₁ and β₂.
    pub betas: (f64, f64),
    /// AdamW's ε.
    pub epsilon: f64,
    /// The gradient of everything together is scaled down to this norm; `None` leaves it.
    pub max_grad_norm: Option<f64>,
    /// Samples of a replica in a micro-batch.
    pub batch_size: usize,
    /// Micro-batches of a step.
    pub accumulation: usize,
    /// When the run ends.
    pub length: Length,
    /// Contrastive loss of the task `clip`.
    pub clip_loss: ClipLoss,
}

/// Whether and how the language model learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Learns {
    /// Nothing of it.
    Nothing,
    /// All of it.
    All,
    /// Adapters beside its linear layers.
    Adapters(Lora),
}

/// Adapters (upstream: `lora_r`, `lora_alpha`, `lora_dropout`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    /// Rank.
    pub rank: usize,
    /// They are scaled by `alpha / rank`.
    pub alpha: f64,
    /// Dropout before them.
    pub dropout: f64,
    /// The result has them added to the weights.
    pub merge: bool,
}

/// How rates go after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Half a cosine down to 0.
    Cosine,
    /// At the peak.
    Constant,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// When each sample was seen so often.
    Epochs(f64),
    /// After so many steps.
    Steps(u64),
}

/// Contrastive losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipLoss {
    /// Each pair is judged alone (SigLIP).
    Siglip,
    /// Each picture among all captions, and the reverse (CLIP).
    Softmax,
}

/// Where a recipe runs, and what is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Where it runs.
    pub device: DeviceKind,
    /// GPUs, or copies on the CPU, that share a batch.
    pub replicas: usize,
    /// Threads of the CPU, all replicas together; `None`: as many as cores.
    pub threads: Option<usize>,
    /// Of the arithmetic.
    pub precision: Precision,
    /// How linear layers multiply on the CPU.
    pub products: Products,
    /// Blocks are computed again in the backward pass.
    pub gradient_checkpointing: bool,
    /// Folder that the frozen tower's features are kept in.
    pub feature_cache: Option<PathBuf>,
    /// Bytes of one device, if the recipe says so.
    pub device_memory: Option<u64>,
    /// Steps between checkpoints.
    pub save_steps: u64,
    /// Checkpoints that are kept.
    pub save_total_limit: usize,
    /// Steps between evaluations, if any.
    pub eval_steps: Option<u64>,
    /// Steps between lines of `metrics.jsonl`.
    pub logging_steps: u64,
    /// Event files for TensorBoard.
    pub tensorboard: bool,
}

/// Where a recipe runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU; in every build.
    Cpu,
    /// NVIDIA GPUs; a build with the feature `cuda`.
    Cuda,
    /// GPUs through Vulkan; a build with the feature `vulkan`.
    Vulkan,
    /// Apple's GPUs; a build with the feature `metal`.
    Metal,
}

/// Of the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32 throughout.
    F32,
    /// bfloat16 products, float32 weights, norms, softmax and loss.
    Bf16,
}

/// Upstream's traps. All are off unless the recipe turns them on; `docs/recipes.md` says what
/// each does and what happens instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Micro-batches and replicas weigh alike, however few supervised ids they have.
    pub mean_of_means: bool,
    /// A batch without a supervised id takes a step with gradients of 0.
    pub step_on_nan_loss: bool,
    /// A sample that is masked whole stays in its batch.
    pub keep_masked_samples: bool,
    /// An `<unk>` in a text is not seen, as if it were padding.
    pub attention_mask_not_pad: bool,
    /// The order of samples comes from torch's generator.
    pub sampler: bool,
    /// Micro-batches that make no whole step at the end of an epoch are thrown away.
    pub drop_accumulation_rest: bool,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 6] = [
        Task::Stage1,
        Task::Stage2,
        Task::Vlm,
        Task::Clip,
        Task::Lm,
        Task::Tokenizer,
    ];

    /// Its name in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Task::Stage1 => "stage1",
            Task::Stage2 => "stage2",
            Task::Vlm => "vlm",
            Task::Clip => "clip",
            Task::Lm => "lm",
            Task::Tokenizer => "tokenizer",
        }
    }

    /// The task of this name.
    pub fn named(name: &str) -> Option<Task> {
        Task::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Whether a whole vision-language model is trained.
    pub fn is_vlm(self) -> bool {
        matches!(self, Task::Stage1 | Task::Stage2 | Task::Vlm)
    }
}

#[cfg(test)]
mod tests;
