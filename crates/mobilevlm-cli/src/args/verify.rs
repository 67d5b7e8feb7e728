//! The arguments of `verify`, which has three forms.

use std::path::PathBuf;

use clap::Args;

use super::ComputeArgs;
use crate::error::CliError;

/// `verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0 only if something was compared and all of it agrees. docs/verify.md describes the
folders, the tolerances and the JSON output.

Examples:
  mobilevlm verify -m golden/checkpoint --golden golden
  mobilevlm verify -m golden/gguf/micro-mixed.gguf --golden golden --gguf-expected golden/gguf
  mobilevlm verify --preprocess golden/preprocess
  mobilevlm verify --tokenizer ../shared/golden/tokenizer")]
pub(crate) struct VerifyArgs {
    /// The model to check: a folder, a file, or a hub id in the cache. The network is not used.
    #[arg(short, long, requires = "golden", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) model: Option<String>,

    /// Recorded answers and stages of that model.
    #[arg(long, requires = "model", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) golden: Option<PathBuf>,

    /// Recorded logits of GGUF files: compare the model with those of its file instead.
    #[arg(long, requires = "golden", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) gguf_expected: Option<PathBuf>,

    /// The pictures: DIR/images or DIR/../../images unless given; alone with --preprocess:
    /// DIR/../images.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) images: Option<PathBuf>,

    /// Recorded pixels: DIR/preprocess or DIR/../../preprocess unless given. Without a model:
    /// check the preparation of pictures.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) preprocess: Option<PathBuf>,

    /// Check a tokenizer against every recorded `cases*.json`.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) tokenizer: Option<PathBuf>,

    /// Folder of the CLIP vision tower, for models that keep it apart.
    #[arg(long, requires = "model", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) vision_tower: Option<PathBuf>,

    /// The projector's file of a model in a pair of GGUF files; else the only `mmproj*.gguf` beside
    /// the language model's.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "model")]
    pub(crate) mmproj: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) compute: ComputeArgs,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is to be verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// A model against its recorded stages and answers.
    Model {
        /// As typed.
        model: &'a str,
        /// The recorded set.
        golden: &'a PathBuf,
    },
    /// A model in a GGUF file against the recorded logits of that very file.
    Gguf {
        /// As typed.
        model: &'a str,
        /// The recorded set of the checkpoint that it was made from.
        golden: &'a PathBuf,
        /// The recorded logits of GGUF files.
        expected: &'a PathBuf,
    },
    /// The preparation of pictures.
    Preprocess(&'a PathBuf),
    /// Text to ids and back.
    Tokenizer(&'a PathBuf),
}

impl VerifyArgs {
    /// The parts that were asked for, at least one.
    ///
    /// # Errors
    /// [`CliError::Usage`] if nothing was, or if something has no meaning beside the rest.
    pub(crate) fn what(&self) -> Result<Vec<What<'_>>, CliError> {
        let mut parts = Vec::new();
        match (&self.model, &self.golden, &self.gguf_expected) {
            (Some(model), Some(golden), None) => parts.push(What::Model { model, golden }),
            (Some(model), Some(golden), Some(expected)) => parts.push(What::Gguf {
                model,
                golden,
                expected,
            }),
            _ => parts.extend(self.preprocess.as_ref().map(What::Preprocess)),
        }
        parts.extend(self.tokenizer.as_ref().map(What::Tokenizer));
        if parts.is_empty() {
            return Err(CliError::usage(
                "nothing to verify",
                "mobilevlm verify -m MODEL --golden DIR, or verify --preprocess DIR, or verify --tokenizer DIR",
            ));
        }
        if self.images.is_some() && parts.iter().all(|part| matches!(part, What::Tokenizer(_))) {
            return Err(CliError::usage(
                "--images means nothing for a tokenizer",
                "mobilevlm verify --preprocess DIR --images DIR",
            ));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parse(line: &str) -> Result<VerifyArgs, String> {
        let line = std::iter::once("mobilevlm verify")
            .chain([line])
            .collect::<Vec<_>>()
            .join(" ");
        match Cli::try_parse_from(line.split_whitespace()) {
            Ok(Cli {
                command: Command::Verify(args),
                ..
            }) => Ok(args),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_three_forms_are_told_apart() {
        let dir = PathBuf::from("d");
        let model = What::Model {
            model: "m",
            golden: &dir,
        };
        for (line, expected) in [
            ("-m m --golden d", vec![model]),
            (
                "-m m --golden d --preprocess p --images i",
                vec![What::Model {
                    model: "m",
                    golden: &dir,
                }],
            ),
            (
                "-m m --golden d --gguf-expected d",
                vec![What::Gguf {
                    model: "m",
                    golden: &dir,
                    expected: &dir,
                }],
            ),
            ("--preprocess d --images i", vec![What::Preprocess(&dir)]),
            ("--tokenizer d", vec![What::Tokenizer(&dir)]),
            (
                "--preprocess d --tokenizer d",
                vec![What::Preprocess(&dir), What::Tokenizer(&dir)],
            ),
        ] {
            assert_eq!(parse(line).unwrap().what().unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn half_a_form_is_wrong_usage() {
        for line in [
            "-m m",
            "--golden d",
            "-m m --preprocess p",
            "-m m --gguf-expected d",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in ["", "--images i", "--tokenizer d --images i"] {
            assert!(
                matches!(parse(line).unwrap().what(), Err(CliError::Usage { .. })),
                "{line}"
            );
        }
    }
}
