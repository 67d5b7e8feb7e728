//! The arguments of `data`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
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
    /// Say what is wrong with a data set before anything is trained on it.
    Check(DataCheckArgs),
    /// Make one data set of several, and a manifest of what is in it.
    Mix(DataMixArgs),
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

/// How a sample becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TemplateName {
    /// Stage 1: a picture and its caption.
    Plain,
    /// Stage 2: conversations.
    V1,
}

/// `data check`
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 1 if training would leave out a row. Ctrl-C keeps what is done; the same command goes on
from there. What is found, and what training does about it: docs/data.md.

Examples:
  mobilevlm data check train.json --images ./pictures
  mobilevlm data check train.json --images coco --images sam-00000.tar \\
    --tokenizer mtgv/MobileVLM_V2-1.7B --json > report.json")]
pub(crate) struct DataCheckArgs {
    /// A LLaVA file: a JSON array or JSON lines of samples.
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,

    /// Folder or tar shard of the pictures; may be given several times. Without it pictures are not
    /// looked for.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) images: Vec<PathBuf>,

    /// The model whose tokenizer is used: a folder, a file, or a hub id. Without it nothing is said
    /// about lengths and supervision.
    #[arg(long, value_name = "MODEL", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) tokenizer: Option<String>,

    /// How a sample becomes text.
    #[arg(long, value_name = "NAME", default_value = "v1")]
    pub(crate) template: TemplateName,

    /// The longest row, in tokens; a picture counts as one.
    #[arg(long, value_name = "N", default_value = "2048")]
    pub(crate) max_length: NonZeroUsize,

    /// Only look whether pictures are there; do not decode them.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Threads; as many as there are cores unless given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Begin anew, also where an earlier run was interrupted.
    #[arg(long)]
    pub(crate) restart: bool,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `data mix`
#[derive(Debug, Args)]
#[command(after_help = "\
A recipe is JSON: {\"name\": …, \"seed\": …, \"sets\": [{\"name\": …, \"file\": …, \"folder\": …,
\"weight\": 0.5 or \"count\": 1000}, …]}; docs/data.md says what each key means. The manifest, with
SHA-256 of every file, is written beside the output as OUTPUT.manifest.json.

Example:
  mobilevlm data mix recipes/mobilevlm-v2-stage2-mix.json --root ./data --output mix.json")]
pub(crate) struct DataMixArgs {
    /// What the mix is made of.
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) recipe: PathBuf,

    /// Folder of the sets' files; that of the recipe unless given.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,

    /// File to write: a JSON array, as upstream reads it.
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Replace the output if it is there.
    #[arg(long)]
    pub(crate) force: bool,
}
