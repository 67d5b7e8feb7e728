//! The arguments of `merge` and `report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `merge`
#[derive(Debug, Args)]
#[command(after_help = "\
The result is what a run leaves that was never shared, byte for byte. Parts that are missing, there
twice, not finished or of another model or data set are refused by name.

Examples:
  mobilevlm merge runs/v2-1.7b
  mobilevlm merge from-host-a from-host-b --out runs/v2-1.7b")]
pub(crate) struct MergeArgs {
    /// Folders that were `--out` of `mobilevlm eval --shard`: one, or one from each machine.
    #[arg(required = true, value_name = "RUN", value_hint = clap::ValueHint::DirPath)]
    pub(crate) runs: Vec<PathBuf>,

    /// Where the whole goes; RUN itself unless there are several.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

/// `report`
#[derive(Debug, Args)]
#[command(after_help = "\
Intervals are bootstrapped over pictures: questions about one picture are drawn together. Several
runs are compared with the first one, question by question.

Examples:
  mobilevlm report runs/v2-1.7b
  mobilevlm report runs/f16 runs/q4 --flipped flipped.html
  mobilevlm report runs/f16 runs/q4 --format svg > report.svg")]
pub(crate) struct ReportArgs {
    /// Folders that were `--out` of `mobilevlm eval`.
    #[arg(required = true, value_name = "RUN", value_hint = clap::ValueHint::DirPath)]
    pub(crate) runs: Vec<PathBuf>,

    /// The benchmarks' data, where it is no longer where it was when the answers were made.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,

    /// What to print.
    #[arg(long, value_enum, default_value = "terminal")]
    pub(crate) format: ReportFormat,

    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,

    /// Also write the questions that one run answers right and another does not, with their
    /// pictures, as one HTML page.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) flipped: Option<PathBuf>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Columns for a terminal
    Terminal,
    /// A table for a document
    Markdown,
    /// Everything, at full precision
    Json,
    /// A picture
    Svg,
}
