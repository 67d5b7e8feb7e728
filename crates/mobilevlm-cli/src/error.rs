//! What a command ends with when it does not end well, and how that is told.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use mobilevlm::hub::HubError;
use mobilevlm_checkpoint::{CheckpointError, ConvertError};

/// Why a command did not do its job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CliError {
    /// The arguments make no sense together. Exit code 2.
    #[error("{message}\n\nFor example:\n  {example}\n\nFor more, try `mobilevlm --help`.")]
    Usage {
        /// What is wrong.
        message: String,
        /// A line that would be right.
        example: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: cannot be {doing}")]
    File {
        /// The file.
        path: String,
        /// `read` or `written`.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {wrong}")]
    Content {
        /// The file.
        path: String,
        /// What was expected and found.
        wrong: String,
    },
    /// No model was named and none is the obvious one.
    #[error("{0}")]
    NoModel(String),
    /// A model could not be found or fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model cannot be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A data set cannot be used.
    #[error(transparent)]
    Data(#[from] mobilevlm_data::DataError),
    /// A mix of data sets cannot be made.
    #[error(transparent)]
    Mix(#[from] mobilevlm_data::MixError),
    /// A benchmark cannot be asked or scored.
    #[error(transparent)]
    Benchmark(#[from] mobilevlm_eval::BenchmarkError),
    /// An evaluation cannot begin, go on or be merged.
    #[error(transparent)]
    Run(mobilevlm_eval::run::RunError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] mobilevlm::Error),
    /// A picture cannot be used.
    #[error("{path}")]
    Picture {
        /// The file, or `standard input`.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<mobilevlm::Error>,
    },
    /// The synthetic world cannot be made or written.
    #[error(transparent)]
    World(#[from] mobilevlm_data::world::WorldError),
    /// A kernel table cannot be used.
    #[error(transparent)]
    Kernels(#[from] mobilevlm_tensor::KernelError),
    /// A picture of several could not be read; which one has been told.
    #[error("{failed} of {total} pictures could not be answered")]
    Some {
        /// Pictures without an answer.
        failed: usize,
        /// All pictures.
        total: usize,
    },
    /// Something that was checked is not as it should be; the output says what.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Standard output cannot be written. A closed pipe is no failure: the reader had enough.
    #[error("standard output cannot be written")]
    Output(#[from] io::Error),
}

impl From<mobilevlm_eval::run::RunError> for CliError {
    fn from(error: mobilevlm_eval::run::RunError) -> CliError {
        match error {
            mobilevlm_eval::run::RunError::Cancelled => CliError::Interrupted,
            error => CliError::Run(error),
        }
    }
}

impl CliError {
    /// Wrong usage, with a line that would be right.
    pub(crate) fn usage(message: impl Into<String>, example: impl Into<String>) -> CliError {
        CliError::Usage {
            message: message.into(),
            example: example.into(),
        }
    }

    /// A file that cannot be read.
    pub(crate) fn read(path: impl AsRef<std::path::Path>) -> impl FnOnce(io::Error) -> CliError {
        let path = path.as_ref().display().to_string();
        move |source| CliError::File {
            path,
            doing: "read",
            source,
        }
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Usage { .. } => ExitCode::from(2),
            // What a shell reports for a process that Ctrl-C ended.
            CliError::Interrupted => ExitCode::from(130),
            CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            _ => ExitCode::FAILURE,
        }
    }

    /// Whether there is nothing to say: the user knows.
    pub(crate) fn is_silent(&self) -> bool {
        match self {
            CliError::Interrupted => true,
            CliError::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    /// What to do next, where the message itself does not say it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            CliError::Hub(HubError::NoSuchPath { .. } | HubError::Id { .. }) => Some(
                "check the spelling, or try `mobilevlm doctor` to see the models that are here",
            ),
            CliError::Hub(
                HubError::Connection { .. } | HubError::Status { .. } | HubError::Length { .. },
            ) => Some("try again: the download goes on where it stopped"),
            CliError::Hub(HubError::Offline { .. }) => {
                Some("unset HF_HUB_OFFLINE, or name a folder")
            }
            CliError::Checkpoint(CheckpointError::Tower { .. })
            | CliError::Engine(mobilevlm::Error::Checkpoint(CheckpointError::Tower { .. })) => {
                Some("say where the CLIP tower is with `--vision-tower DIR`")
            }
            CliError::Checkpoint(_) | CliError::Engine(mobilevlm::Error::Checkpoint(_)) => {
                Some("`mobilevlm inspect MODEL` shows what is there and what is wrong")
            }
            CliError::Kernels(_) => {
                Some("`mobilevlm doctor` lists the kernel tables of this machine")
            }
            _ => None,
        }
    }
}

/// An error with all that caused it, on one line: `a: b: c`.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors repeat their cause in their own message.
        if !text.ends_with(&said) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_chain_is_told_once() {
        let error = CliError::read("a.jpg")(io::Error::other("no such luck"));
        assert_eq!(chain(&error), "a.jpg: cannot be read: no such luck");
        let twice = CliError::Output(io::Error::other(io::Error::other("full")));
        assert_eq!(chain(&twice), "standard output cannot be written: full");
    }

    #[test]
    fn a_closed_pipe_is_success_and_silent() {
        let error = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert!(error.is_silent());
        assert_eq!(
            format!("{:?}", error.exit_code()),
            format!("{:?}", ExitCode::SUCCESS)
        );
    }
}
