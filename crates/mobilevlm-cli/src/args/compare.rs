//! The arguments of `compare`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{ComputeArgs, ModelArgs};

/// `compare`
#[derive(Debug, Args)]
#[command(after_help = "\
A answers questions about pictures; both models then say how likely they find each token of these
answers. How to read the numbers, and which format to take: docs/quantization.md.

Examples:
  mobilevlm compare mtgv/MobileVLM_V2-1.7B mobilevlm_v2-1.7b-q4_k_m.gguf
  mobilevlm compare original.gguf small.gguf --images ./photos --limit 100 --json")]
pub(crate) struct CompareArgs {
    /// The model to compare with: a folder, a file, or a hub id.
    #[arg(value_name = "A", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) a: String,

    /// The model that is compared with it, such as a quantised file made of it.
    #[arg(value_name = "B", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) b: String,

    /// Folder of the pictures to ask about; a few simple drawings unless given.
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub(crate) images: Option<PathBuf>,

    /// Text file of the questions, one a line; ten general ones unless given.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) prompts: Option<PathBuf>,

    /// Compare so many answers at most.
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) limit: NonZeroUsize,

    /// End each answer after this many tokens.
    #[arg(long, value_name = "N", default_value = "32")]
    pub(crate) max_new_tokens: NonZeroUsize,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,

    /// Folder of the CLIP vision tower, for models that keep it apart.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) vision_tower: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

impl CompareArgs {
    /// One of the models as an argument of its own.
    pub(crate) fn model(&self, name: &str) -> ModelArgs {
        ModelArgs {
            model: Some(name.to_owned()),
            vision_tower: self.vision_tower.clone(),
            ..ModelArgs::default()
        }
    }
}
