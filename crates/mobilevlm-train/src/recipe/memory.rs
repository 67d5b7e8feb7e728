//! The memory that a recipe needs on one device, counted before any weight is read.

use std::fmt;

use mobilevlm_checkpoint::{Config, Projector, expected_tensors};

use super::{DeviceKind, Learns, Lora, Precision, Recipe};

/// Bytes on one device, by what they are for. On the CPU, where replicas share a memory, the sum
/// over all replicas.
///
/// Counted are the arrays that live at the same time; what an allocator wastes is not, nor what a
/// driver takes (about 1 GB on a GPU).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All parameters in float32, frozen ones and the tower too.
    pub weights: u64,
    /// Their copies in bfloat16, which products are made of and the backward pass needs.
    pub working_copies: u64,
    /// Gradients of what learns, float32.
    pub gradients: u64,
    /// AdamW's two moments of what learns, float32.
    pub moments: u64,
    /// What the backward pass needs of the forward pass, if every row is as long as
    /// `data.model_max_length` allows and has a picture.
    pub activations: u64,
    /// The logits of such rows and their gradient, float32, if every id is supervised.
    pub logits: u64,
}

/// A recipe that cannot run on its devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "run.device_memory: weights, gradients and moments alone need {}, and a device has {}: \
     {memory}. {advice}",
    gigabytes(memory.fixed()),
    gigabytes(*limit)
)]
pub struct TooLarge {
    /// What it needs.
    pub memory: Memory,
    /// Bytes of one device.
    pub limit: u64,
    /// What would fit.
    pub advice: String,
}

impl Memory {
    /// What `recipe` needs with a model of these sizes. A task without a tower (`lm`) passes a
    /// configuration whose tower and projector are not counted.
    pub fn needed(recipe: &Recipe, config: &Config) -> Memory {
        let part = |prefix: &str| -> u64 {
            let sizes = expected_tensors(config);
            let of_part = sizes.iter().filter(|(name, _)| name.starts_with(prefix));
            of_part
                .map(|(_, shape)| shape.iter().map(|n| *n as u64).product::<u64>())
                .sum()
        };
        let (vision, projector) = match recipe.task.is_vlm() {
            true => (part("vision."), part("projector.")),
            false => (0, 0),
        };
        let language = part("language.");
        let adapters = match recipe.train.language {
            Learns::Adapters(lora) => adapters(config, lora),
            Learns::All | Learns::Nothing => 0,
        };
        let learns = |yes: bool, parameters: u64| if yes { parameters } else { 0 };
        let trained = learns(recipe.train.vision, vision)
            + learns(recipe.train.projector, projector)
            + learns(recipe.train.language == Learns::All, language)
            + adapters;
        let rows = Rows::longest(recipe, config);
        // GPUs have a copy of everything; on the CPU, weights and moments are shared.
        let sharers = match recipe.run.device {
            DeviceKind::Cpu => recipe.run.replicas as u64,
            _ => 1,
        };
        let width = match recipe.run.precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        };
        Memory {
            weights: 4 * (vision + projector + language + adapters),
            working_copies: match recipe.run.precision {
                Precision::F32 => 0,
                Precision::Bf16 => 2 * (projector + language + adapters),
            },
            gradients: 4 * trained * sharers,
            moments: 8 * trained,
            activations: rows.activations(recipe, config, width) * sharers,
            logits: 2 * 4 * rows.count * rows.length * config.language.vocab as u64 * sharers,
        }
    }

    /// Needed whatever the samples are: all but activations and logits.
    pub fn fixed(&self) -> u64 {
        self.weights + self.working_copies + self.gradients + self.moments
    }

    /// Needed if a batch of the longest possible rows comes.
    pub fn longest(&self) -> u64 {
        self.fixed() + self.activations + self.logits
    }

    /// Refuses what cannot fit into `limit` bytes. Where it depends on how long the rows are, the
    /// answer is a warning to be shown.
    ///
    /// # Errors
    /// [`TooLarge`] with the figures and what would fit.
    pub fn check(&self, recipe: &Recipe, limit: u64) -> Result<Option<String>, TooLarge> {
        if self.fixed() > limit {
            let advice = match recipe.train.language {
                Learns::All if recipe.task.is_vlm() => {
                    "Adapters fit more often: --set train.language=lora"
                }
                Learns::All => "Expected a smaller model, or devices with more memory",
                Learns::Adapters(_) => {
                    "Expected a smaller train.lora_r, or devices with more memory"
                }
                Learns::Nothing => "Expected devices with more memory",
            };
            return Err(TooLarge {
                memory: *self,
                limit,
                advice: advice.to_owned(),
            });
        }
        if self.longest() <= limit {
            return Ok(None);
        }
        let checkpointing = match recipe.run.gradient_checkpointing {
            true => "",
            false => "run.gradient_checkpointing = true, or ",
        };
        Ok(Some(format!(
            "a batch of the longest rows would need {} of {} ({self}). If samples are that long, \
             set {checkpointing}a smaller train.per_device_train_batch_size with more \
             train.gradient_accumulation_steps",
            gigabytes(self.longest()),
            gigabytes(limit)
        )))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weights {}", gigabytes(self.weights))?;
        if self.working_copies > 0 {
            write!(f, ", copies in bfloat16 {}", gigabytes(self.working_copies))?;
        }
        write!(
            f,
            ", gradients {}, moments {}, activations up to {}, logits up to {}",
            gigabytes(self.gradients),
            gigabytes(self.moments),
            gigabytes(self.activations),
            gigabytes(self.logits)
        )
    }
}

/// Gigabytes of 10⁹ bytes, as `run.device_memory` counts them.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Parameters of the adapters: A `[r, in]` and B `[out, r]` of the seven linear layers of each
/// block (upstream: `find_all_linear_names`).
fn adapters(config: &Config, lora: Lora) -> u64 {
    let language = &config.language;
    let (hidden, ffn) = (language.hidden, language.ffn);
    let query = language.heads * language.head_dim;
    let kv = language.kv_heads * language.head_dim;
    let sides = 2 * (hidden + query) + 2 * (hidden + kv) + 3 * (hidden + ffn);
    lora.rank as u64 * sides as u64 * language.layers as u64
}

/// Rows of a micro-batch.
struct Rows {
    count: u64,
    /// Places of a row.
    length: u64,
    /// Places of a picture, before the projector.
    patches: u64,
}

impl Rows {
    fn longest(recipe: &Recipe, config: &Config) -> Rows {
        // Upstream's limit counts a picture as one id.
        let picture = match recipe.task.is_vlm() {
            true => picture_tokens(config) - 1,
            false => 0,
        };
        Rows {
            count: recipe.train.batch_size as u64,
            length: recipe.data.model_max_length as u64 + picture,
            patches: config.vision.patches() as u64,
        }
    }

    /// Bytes; `width` is that of a number in the blocks.
    fn activations(&self, recipe: &Recipe, config: &Config, width: u64) -> u64 {
        let language = &config.language;
        let places = self.count * self.length;
        let hidden = language.hidden as u64;
        let query = (language.heads * language.head_dim) as u64;
        let kv = (language.kv_heads * language.head_dim) as u64;
        // Input, normed, after attention, normed again; q and rotated q, attention's output; k,
        // rotated k, v; gate, up, their product.
        let block_place = 4 * hidden + 3 * query + 3 * kv + 3 * language.ffn as u64;
        // Scores and probabilities stay float32.
        let probabilities = 2 * 4 * self.count * language.heads as u64 * self.length.pow(2);
        let block = width * places * block_place + probabilities;
        let layers = language.layers as u64;
        let of_language = match recipe.run.gradient_checkpointing {
            // The input of each block, and one block at a time.
            true => width * places * hidden * layers + block,
            false => block * layers,
        };
        let of_tower = match recipe.task.is_vlm() && recipe.train.vision {
            true => {
                let vision = &config.vision;
                let places = self.count * (self.patches + 1);
                let block = width * places * (8 * vision.hidden + 2 * vision.ffn) as u64
                    + 2 * 4 * self.count * vision.heads as u64 * (self.patches + 1).pow(2);
                // Only decoder layers are computed again.
                block * vision.blocks_to_run as u64
            }
            false => 0,
        };
        of_language + of_tower
    }
}

/// Places that a picture takes in a row.
fn picture_tokens(config: &Config) -> u64 {
    let patches = config.vision.patches();
    let tokens = match config.projector {
        Projector::Linear | Projector::Mlp { .. } => patches,
        Projector::LdpNet => config.vision.grid().div_ceil(2).pow(2),
        Projector::LdpNetV2(variant) => variant.grid().map_or(patches, |side| side * side),
    };
    tokens as u64
}
