//! `mobilevlm verify`: this engine against recorded results of the original code.
//!
//! Nothing passes by default: what is missing is an error, and a part in which nothing was
//! compared has failed.

mod compare;
mod files;
mod gguf;
mod model;
mod preprocess;
mod tokenizer;

use std::io::{self, Write};

use serde::Serialize;

use crate::args::{VerifyArgs, What};
use crate::error::CliError;
use crate::terminal::{Terminal, print_json};

/// The results of the parts that were asked for.
#[derive(Default, Serialize)]
struct Report {
    passed: bool,
    /// What is not as recorded, in words.
    failures: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<model::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gguf: Option<gguf::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocess: Option<preprocess::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenizer: Option<tokenizer::Report>,
}

pub(crate) fn run(args: &VerifyArgs, terminal: Terminal) -> Result<(), CliError> {
    let parts = args.what()?;
    let mut report = Report::default();
    for part in parts {
        let _waiting = terminal.waiting("comparing");
        let failures = &mut report.failures;
        match part {
            What::Model { model, golden } => {
                report.model = Some(model::verify(args, model, golden, terminal, failures)?);
            }
            What::Gguf {
                model,
                golden,
                expected,
            } => {
                report.gguf = Some(gguf::verify(
                    args, model, golden, expected, terminal, failures,
                )?);
            }
            What::Preprocess(folder) => {
                report.preprocess = Some(preprocess::verify(
                    folder,
                    args.images.as_deref(),
                    failures,
                )?);
            }
            What::Tokenizer(folder) => {
                report.tokenizer = Some(tokenizer::verify(folder, failures)?)
            }
        }
    }
    report.passed = report.failures.is_empty();
    if args.json {
        print_json(&report)?;
    } else {
        report.print()?;
    }
    match report.failures.len() {
        0 => Ok(()),
        1 => Err(CliError::Failed(
            "verification failed: 1 difference".to_owned(),
        )),
        several => Err(CliError::Failed(format!(
            "verification failed: {several} differences"
        ))),
    }
}

impl Report {
    fn print(&self) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        if let Some(model) = &self.model {
            model.print(&mut out)?;
        }
        if let Some(gguf) = &self.gguf {
            gguf.print(&mut out)?;
        }
        if let Some(preprocess) = &self.preprocess {
            preprocess.print(&mut out)?;
        }
        if let Some(tokenizer) = &self.tokenizer {
            tokenizer.print(&mut out)?;
        }
        for failure in &self.failures {
            writeln!(out, "differs: {failure}")?;
        }
        writeln!(out, "{}", if self.passed { "passed" } else { "FAILED" })?;
        Ok(out.flush()?)
    }
}
