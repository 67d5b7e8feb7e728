//! What can be typed: the verbs, their arguments, and the help. Nothing here is acted on.

mod compare;
mod convert;
mod data;
mod eval;
mod groups;
mod merge;
mod score;
#[cfg(feature = "train")]
mod train;
mod verify;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use mobilevlm_checkpoint::Mix;
use mobilevlm_tensor::Format;

pub(crate) use compare::CompareArgs;
pub(crate) use convert::{Choice, ConvertArgs};
pub(crate) use data::{DataArgs, DataCheckArgs, DataMixArgs, DataVerb, TemplateName, WorldArgs};
pub(crate) use eval::{EvalArgs, RunArgs, WORLD};
pub(crate) use groups::{
    ArithmeticName, ComputeArgs, ExifMode, GenerateArgs, ModelArgs, RandomShape,
};
use groups::{format, mix};
pub(crate) use merge::{MergeArgs, ReportArgs, ReportFormat};
pub(crate) use score::ScoreArgs;
#[cfg(feature = "train")]
pub(crate) use train::TrainArgs;
pub(crate) use verify::{VerifyArgs, What};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Ask questions about pictures, on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "mobilevlm",
    version,
    styles = STYLES,
    after_help = "\
Examples:
  mobilevlm ask photo.jpg \"What is in this picture?\"
  mobilevlm ask --each *.jpg \"Is there a dog? Answer yes or no.\" > answers.jsonl
  mobilevlm chat photo.jpg
  mobilevlm use mtgv/MobileVLM_V2-1.7B

Exit codes: 0 done, 1 the job failed, 2 wrong usage, 130 interrupted."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print only what was asked for: no progress, no notes.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask one question about one or more pictures.
    Ask(AskArgs),
    /// Talk about pictures, turn by turn.
    Chat(ChatArgs),
    /// Download a model, or bring it up to date.
    Pull(PullArgs),
    /// Set the model that is used when none is named.
    Use(UseArgs),
    /// Write a model as GGUF: quantised, in one file, or as the pair that llama.cpp loads.
    Convert(ConvertArgs),
    /// Say how far a model, such as a quantised file, is from another.
    Compare(CompareArgs),
    /// Show what a model consists of and what is wrong with it.
    Inspect(InspectArgs),
    /// Show the tokens of a text.
    Tokenize(TokenizeArgs),
    /// Make data sets to train on.
    Data(DataArgs),
    /// Say how often a model is right, on questions that it was not trained on.
    Eval(EvalArgs),
    /// Score recorded answers to a benchmark, as its official scripts do.
    Score(ScoreArgs),
    /// Put the parts of an evaluation that machines shared together.
    Merge(MergeArgs),
    /// Show evaluations beside the paper's figures and beside each other.
    Report(ReportArgs),
    /// Train a model, or compare the training with upstream's.
    #[cfg(feature = "train")]
    Train(TrainArgs),
    /// Measure how fast a model runs, as shares of what the machine can do.
    Bench(BenchArgs),
    /// Compare this engine with recorded results of the original code.
    Verify(VerifyArgs),
    /// Say what the machine has, where models are kept, and what is wrong.
    Doctor(DoctorArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man,
}

/// `ask`
#[derive(Debug, Args)]
#[command(
    override_usage = "mobilevlm ask [OPTIONS] IMAGE… \"QUESTION\"",
    after_help = "\
Examples:
  mobilevlm ask photo.jpg \"What is in this picture?\"
  mobilevlm ask before.png after.png \"What has changed?\"
  curl -s https://example.org/cat.jpg | mobilevlm ask - \"What is this?\"
  mobilevlm ask --json photo.jpg \"How many people are there?\" | jq .text
  mobilevlm ask --each *.jpg \"Describe this in one sentence.\" > captions.jsonl"
)]
pub(crate) struct AskArgs {
    /// The pictures (`-` reads one from standard input), then the question.
    #[arg(required = true, value_name = "IMAGE… QUESTION", value_hint = clap::ValueHint::FilePath)]
    pub(crate) words: Vec<OsString>,

    /// Ask the same of every picture by itself; print one JSON line each, in the order given.
    #[arg(long)]
    pub(crate) each: bool,

    /// Print one JSON object: text, ids, token counts, why it ended, and timings.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) generate: GenerateArgs,
}

/// `chat`
#[derive(Debug, Args)]
#[command(after_help = "\
In the conversation:
  /image PATH   add a picture to the next question
  /reset        forget everything
  /help         show these commands
  Ctrl-C        stop the answer; at the prompt, clear the line
  Ctrl-D        leave

Example:
  mobilevlm chat photo.jpg")]
pub(crate) struct ChatArgs {
    /// Pictures for the first question.
    #[arg(value_name = "IMAGE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) images: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) generate: GenerateArgs,
}

/// `pull`
#[derive(Debug, Args)]
#[command(after_help = "\
Downloads continue where they stopped. Variables: HF_HOME or HF_HUB_CACHE (where models are kept),
HF_ENDPOINT (another server), HF_TOKEN (private and gated models), HF_HUB_OFFLINE=1 (no network).

Examples:
  mobilevlm pull mtgv/MobileVLM_V2-1.7B
  mobilevlm pull mtgv/MobileVLM_V2-3B@main")]
pub(crate) struct PullArgs {
    /// The model's name on the hub: `org/name` or `org/name@revision`.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// `use`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mobilevlm use mtgv/MobileVLM_V2-1.7B
  mobilevlm use ./my-finetuned-model
  mobilevlm use                        # show the present one
  mobilevlm use --none                 # forget it")]
pub(crate) struct UseArgs {
    /// A folder, a file, or a hub id; without it, the present default is shown.
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    pub(crate) model: Option<String>,

    /// Forget the default.
    #[arg(long, conflicts_with = "model")]
    pub(crate) none: bool,
}

/// `inspect`
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 1 if the model cannot be used. The SHA-256 of a part says which numbers it has in which
formats, in whatever files: a pair and the file that it was converted to agree.

Examples:
  mobilevlm inspect ./MobileVLM_V2-1.7B
  mobilevlm inspect mtgv/MobileVLM_V2-1.7B --json | jq .parts")]
pub(crate) struct InspectArgs {
    /// A folder, a file, or a hub id; else the default model.
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    pub(crate) model: Option<String>,

    /// Folder of the CLIP vision tower, for models that keep it apart.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) vision_tower: Option<PathBuf>,

    /// Do not read the weights: no SHA-256 of the parts.
    #[arg(long)]
    pub(crate) quick: bool,

    /// The projector's file of a model in a pair of GGUF files; else the only `mmproj*.gguf` beside
    /// the language model's.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) mmproj: Option<PathBuf>,

    /// Print one JSON object, with every tensor.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tokenize`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mobilevlm tokenize -m mtgv/MobileVLM_V2-1.7B --json \"Hello, world\"")]
pub(crate) struct TokenizeArgs {
    /// The text, taken literally.
    pub(crate) text: String,

    /// Read `<s>`, `</s>` and `<unk>` in the text as control tokens, as the original code does.
    #[arg(long)]
    pub(crate) control: bool,

    /// A folder, a file, or a hub id; else the default model.
    #[arg(short, long, value_hint = clap::ValueHint::AnyPath)]
    pub(crate) model: Option<String>,

    /// Print `{"ids": […], "pieces": […]}`.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bench`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Rates are shares of what simple loops reach on this machine in the same run, with the same kernel
table: multiply-adds in 8-bit integers or float32 for the vision tower, the projector and the
reading of a prompt; reading memory for a step of the answer. docs/bench.md says what is counted.

Examples:
  mobilevlm bench --random 1.7b        # before downloading anything
  mobilevlm bench --random 1.7b --language q4_k_m --vision q8_0 --kernels all --json
  mobilevlm bench -m mtgv/MobileVLM_V2-3B --threads 4 --json")]
pub(crate) struct BenchArgs {
    /// A folder, a file, or a hub id; else the default model.
    #[arg(short, long, value_hint = clap::ValueHint::AnyPath, conflicts_with = "random")]
    pub(crate) model: Option<String>,

    /// Folder of the CLIP vision tower, for models that keep it apart.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) vision_tower: Option<PathBuf>,

    /// The projector's file of a model in a pair of GGUF files; else the only `mmproj*.gguf` beside
    /// the language model's.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) mmproj: Option<PathBuf>,

    /// Random weights in the shape of a released model, made in memory.
    #[arg(long, value_name = "SIZE")]
    pub(crate) random: Option<RandomShape>,

    /// Formats of the random language model: `q4_k_m`, `q8_0`, `f16`, …; float16 unless given.
    #[arg(long, value_name = "MIX", requires = "random", value_parser = mix)]
    pub(crate) language: Option<Mix>,

    /// Format of the random vision tower: `q8_0`, `f16`, …; float16 unless given.
    #[arg(long, value_name = "FORMAT", requires = "random", value_parser = format)]
    pub(crate) vision: Option<Format>,

    /// Format of the random projector; that of the vision tower unless given.
    #[arg(long, value_name = "FORMAT", requires = "random", value_parser = format)]
    pub(crate) projector: Option<Format>,

    /// Positions before the first step; as many as the prompt has unless given.
    #[arg(long, value_name = "N")]
    pub(crate) past: Option<usize>,

    /// Sequences of the step that several take at once.
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) batch: NonZeroUsize,

    #[command(flatten)]
    pub(crate) compute: ComputeArgs,

    /// Print one JSON object; with `--kernels all` one a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also look at this model: a folder, a file, or a hub id in the cache.
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    pub(crate) model: Option<String>,

    /// Print one JSON object, with every kernel table, format and operation.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mobilevlm completions bash > ~/.local/share/bash-completion/completions/mobilevlm")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_dash_is_a_picture_and_words_keep_their_order() {
        let cli = Cli::try_parse_from(["mobilevlm", "ask", "-", "b.png", "What?", "-m", "x", "-q"])
            .unwrap();
        let Command::Ask(ask) = cli.command else {
            panic!("{:?}", cli.command)
        };
        assert_eq!(ask.words, ["-", "b.png", "What?"]);
        assert_eq!(ask.model.model.as_deref(), Some("x"));
        assert!(cli.quiet);
    }

    #[test]
    fn wrong_usage_has_exit_code_2() {
        for line in [
            &["mobilevlm"][..],
            &["mobilevlm", "ask"],
            &["mobilevlm", "nonsense"],
            &["mobilevlm", "pull"],
        ] {
            assert_eq!(
                Cli::try_parse_from(line).unwrap_err().exit_code(),
                2,
                "{line:?}"
            );
        }
    }
}
