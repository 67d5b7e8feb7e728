//! The arguments of `data`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use mobilevlm_data::world::{Kind, Split};

/// `data`
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: DataVerb,
}

/// The verbs of `data`.
#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// Draw pictures of a synthetic world, with questions and certain answers.
    World(WorldArgs),
}

/// `data world`
#[derive(Debug, Args)]
#[command(after_help = "\
Writes DIR/samples.json in LLaVA's form, DIR/images, and DIR/world.json, which says what they are.
The same seed gives the same samples everywhere. What training and held-out part do not share, and
what each kind asks: docs/world.md.

Examples:
  mobilevlm data world --preview             # draws world.png and prints its questions
  mobilevlm data world --out world --count 10000 --size 168
  mobilevlm data world --out exam --count 500 --split held-out --kind counting")]
pub(crate) struct WorldArgs {
    /// The folder to make.
    #[arg(
        long,
        value_name = "DIR",
        value_hint = clap::ValueHint::DirPath,
        requires = "count",
        required_unless_present = "preview"
    )]
    pub(crate) out: Option<PathBuf>,

    /// How many samples to write.
    #[arg(long, value_name = "N", requires = "out")]
    pub(crate) count: Option<u64>,

    /// Draw one picture instead, and print its questions and answers.
    #[arg(
        long,
        value_name = "FILE.png",
        value_hint = clap::ValueHint::FilePath,
        num_args = 0..=1,
        default_missing_value = "world.png",
        conflicts_with = "out"
    )]
    pub(crate) preview: Option<PathBuf>,

    /// The number of the first sample.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first: u64,

    /// The part: what models are trained on, or what they are asked about afterwards.
    #[arg(long, default_value = "train", value_parser = splits())]
    pub(crate) split: Split,

    /// Only samples of this kind.
    #[arg(long, value_parser = kinds())]
    pub(crate) kind: Option<Kind>,

    /// Other seeds give other samples, of the same parts.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Pixels in a side of a picture.
    #[arg(long, value_name = "PX", default_value_t = 336)]
    pub(crate) size: usize,

    /// Replace the preview that is there.
    #[arg(long, requires = "preview")]
    pub(crate) force: bool,
}

fn splits() -> impl TypedValueParser<Value = Split> {
    PossibleValuesParser::new(Split::ALL.map(Split::name)).map(|name| {
        let mut all = Split::ALL.into_iter();
        all.find(|split| split.name() == name)
            .unwrap_or(Split::Train)
    })
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name)).map(|name| {
        // What is no name has been refused.
        name.parse().unwrap_or(Kind::Caption)
    })
}
