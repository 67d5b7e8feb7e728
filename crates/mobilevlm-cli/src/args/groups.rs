//! Groups of arguments that several verbs share.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mobilevlm::Arithmetic;
use mobilevlm_checkpoint::Mix;
use mobilevlm_tensor::Format;

/// Which model, and how its files are read.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// A folder, a file, or a hub id, which is downloaded on first use.
    ///
    /// Without it: the model set by `mobilevlm use`, else the only one in the cache, else `demo`, a
    /// small one inside this program that knows drawn pictures only.
    #[arg(short, long, value_hint = clap::ValueHint::AnyPath)]
    pub(crate) model: Option<String>,

    /// Folder of the CLIP vision tower, for models that keep it apart.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) vision_tower: Option<PathBuf>,

    /// The projector's file of a model in a pair of GGUF files; else the only `mmproj*.gguf` beside
    /// the language model's.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) mmproj: Option<PathBuf>,

    /// Read the weights into memory instead of mapping the files.
    #[arg(long)]
    pub(crate) no_mmap: bool,

    /// Neither use nor keep the state of the system prompt in the cache folder.
    #[arg(long)]
    pub(crate) no_state_cache: bool,
}

/// What computes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct ComputeArgs {
    /// Threads; as many as there are cores unless given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Kernel table; `mobilevlm doctor` lists them.
    #[arg(
        long,
        value_name = "NAME",
        env = "MOBILEVLM_KERNELS",
        hide_env_values = true
    )]
    pub(crate) kernels: Option<String>,

    /// How weights in block formats are multiplied; other formats have one way only.
    ///
    /// Without it `fast`, except for `verify`, where it is `f32`.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) arithmetic: Option<ArithmeticName>,
}

impl ComputeArgs {
    /// The arithmetic that was asked for, else `spare`.
    pub(crate) fn arithmetic_or(&self, spare: Arithmetic) -> Arithmetic {
        match self.arithmetic {
            Some(ArithmeticName::Fast) => Arithmetic::Fast,
            Some(ArithmeticName::F32) => Arithmetic::F32,
            None => spare,
        }
    }
}

/// The names of [`Arithmetic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArithmeticName {
    /// In whole numbers: activations are rounded to 8 bits
    Fast,
    /// In float32, as the stored weights say
    F32,
}

/// How pictures are read and answers made.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Answer")]
pub(crate) struct GenerateArgs {
    /// Stop after this many tokens.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(crate) max_new_tokens: usize,

    /// 0 always takes the likeliest token; higher values take others more often.
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    pub(crate) temperature: f32,

    /// Choose among this many likeliest tokens; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) top_k: usize,

    /// Choose among the likeliest tokens that have this share of the probability together.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) top_p: f32,

    /// Choose among tokens that are at least this share as likely as the likeliest.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub(crate) min_p: f32,

    /// Above 1: make tokens less likely that are there already.
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub(crate) repetition_penalty: f32,

    /// Makes chosen tokens repeatable.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// End the answer before this text; can be given several times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,

    /// Do not guess how repeated text goes on; the answer is the same, and may take longer.
    #[arg(long)]
    pub(crate) no_prompt_lookup: bool,

    /// Whether a photo is turned as its camera says.
    #[arg(long, value_enum, default_value_t = ExifMode::On, value_name = "MODE")]
    pub(crate) exif: ExifMode,
}

/// Whether EXIF orientation is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExifMode {
    /// Turn the photo as its camera says.
    On,
    /// Take the pixels as they lie, as the original code does.
    Off,
}

/// The shape of a released model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RandomShape {
    /// MobileVLM V2-1.7B
    #[value(name = "1.7b")]
    B1_7,
    /// MobileVLM V2-3B
    #[value(name = "3b")]
    B3,
    /// MobileVLM V2-7B
    #[value(name = "7b")]
    B7,
}

/// The mix of a name.
pub(super) fn mix(name: &str) -> Result<Mix, String> {
    Mix::from_name(name).ok_or_else(|| one_of(Mix::all().map(Mix::name)))
}

/// The storage format of a name.
pub(super) fn format(name: &str) -> Result<Format, String> {
    let mut all = Format::ALL.into_iter();
    let found = all.find(|format| format.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| one_of(Format::ALL.into_iter().map(Format::name)))
}

fn one_of(names: impl Iterator<Item = &'static str>) -> String {
    format!("expected one of {}", names.collect::<Vec<_>>().join(", "))
}
