//! The vision tower: CLIP's sizes, its presets, and how many of its blocks run.

use super::ConfigError;
use super::fields::Fields;

/// The widest tower.
pub(super) const HIDDEN_LIMIT: usize = 1 << 14;

/// The activation inside the tower's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·sigmoid(1.702·x), as OpenAI's CLIP.
    QuickGelu,
    /// Exact GELU (erf), as LAION's CLIP.
    Gelu,
}

/// Sizes of a CLIP vision tower.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Width of the hidden state.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width inside the feed-forward part.
    pub ffn: usize,
    /// Blocks that the tower was made with.
    pub layers: usize,
    /// Blocks whose output somebody reads: the first so many.
    pub blocks_to_run: usize,
    /// Side of the picture in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Added to the variance in layer norms.
    pub eps: f32,
    /// Inside the blocks.
    pub activation: Activation,
}

impl VisionConfig {
    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// `openai/clip-vit-large-patch14` by that name, else `openai/clip-vit-large-patch14-336`.
    pub(super) fn preset(name: Option<&str>) -> Self {
        let image_size = if name == Some("openai/clip-vit-large-patch14") {
            224
        } else {
            336
        };
        Self {
            hidden: 1024,
            heads: 16,
            ffn: 4096,
            layers: 24,
            blocks_to_run: 24,
            image_size,
            patch_size: 14,
            eps: 1e-5,
            activation: Activation::QuickGelu,
        }
    }

    /// Reads a CLIP vision configuration; absent keys mean what transformers'
    /// `CLIPVisionConfig` says (ViT-B/32), because that is how such files are written.
    pub(super) fn from_fields(vision: &Fields<'_>) -> Result<Self, ConfigError> {
        if let Some(kind) = vision.text("model_type")?
            && !matches!(kind, "clip_vision_model" | "clip")
        {
            return Err(vision.wrong("model_type", "\"clip_vision_model\"", format!("{kind:?}")));
        }
        if let Some(channels) = vision.whole("num_channels", 1..=1 << 10)?
            && channels != 3
        {
            return Err(vision.wrong("num_channels", "3", channels));
        }
        let hidden = vision
            .whole("hidden_size", 1..=HIDDEN_LIMIT)?
            .unwrap_or(768);
        let heads = vision
            .whole("num_attention_heads", 1..=1 << 10)?
            .unwrap_or(12);
        if hidden % heads != 0 {
            let expected = format!("a divisor of hidden_size ({hidden})");
            return Err(vision.wrong("num_attention_heads", expected, heads));
        }
        let image_size = vision.whole("image_size", 1..=1 << 12)?.unwrap_or(224);
        let patch_size = vision.whole("patch_size", 1..=1 << 10)?.unwrap_or(32);
        if image_size % patch_size != 0 {
            let expected = format!("a divisor of image_size ({image_size})");
            return Err(vision.wrong("patch_size", expected, patch_size));
        }
        let activation = match vision.text("hidden_act")?.unwrap_or("quick_gelu") {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => {
                return Err(vision.wrong(
                    "hidden_act",
                    "\"quick_gelu\" or \"gelu\"",
                    format!("{other:?}"),
                ));
            }
        };
        let layers = vision
            .whole("num_hidden_layers", 1..=1 << 10)?
            .unwrap_or(12);
        Ok(Self {
            hidden,
            heads,
            ffn: vision
                .whole("intermediate_size", 1..=1 << 18)?
                .unwrap_or(3072),
            layers,
            blocks_to_run: layers,
            image_size,
            patch_size,
            eps: vision.real("layer_norm_eps", 0.0..=1.0)?.unwrap_or(1e-5),
            activation,
        })
    }

    /// Takes hidden state `select`: 0 is the input of the first block, -1 the output of the last.
    /// An error says what `select` may be.
    pub(super) fn run_up_to(self, select: i64) -> Result<Self, String> {
        let states = self.layers as i64 + 1;
        if !(-states..states).contains(&select) {
            return Err(format!("a whole number from {} to {}", -states, states - 1));
        }
        let blocks_to_run = select.rem_euclid(states) as usize;
        Ok(Self {
            blocks_to_run,
            ..self
        })
    }
}
