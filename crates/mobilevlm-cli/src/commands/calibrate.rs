//! `convert --calibrate`: how much the columns of each matrix matter, from pictures and texts.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use mobilevlm::{Calibration, GenerateOptions, OpenOptions};

use super::compare::questions::GENERAL;
use crate::args::ExifMode;
use crate::error::CliError;
use crate::interrupt;
use crate::plan;
use crate::terminal::Terminal;

/// Tokens of each answer about a picture.
const ANSWER: usize = 32;

/// Most bytes that are read of a text.
const TEXT_BYTES: u64 = 1 << 20;

/// The importances of the matrices of the model at `path`, for the pictures and the `.txt` files of
/// a folder.
///
/// # Errors
/// [`CliError::File`] and [`CliError::Picture`] for what cannot be read, [`CliError::Content`] if
/// there is nothing to read, [`CliError::Interrupted`].
pub(super) fn importance(
    path: &Path,
    options: &OpenOptions,
    folder: &Path,
    terminal: Terminal,
) -> Result<BTreeMap<String, Vec<f32>>, CliError> {
    let files = files(folder)?;
    let calibration = Calibration::open(path, options)?;
    let options = GenerateOptions {
        max_new_tokens: ANSWER,
        cancel: interrupt::stoppable(),
        ..GenerateOptions::default()
    };
    let mut bar = terminal.progress("calibrating");
    for (number, file) in files.iter().enumerate() {
        if options.cancel.is_cancelled() {
            break;
        }
        if plan::is_called_like_a_picture(file) {
            let picture = plan::read_picture(file, ExifMode::On)?;
            let question = GENERAL[number % GENERAL.len()];
            calibration.picture(&picture, question, &options)?;
        } else {
            calibration.text(&text(file)?)?;
        }
        bar.show(number as u64 + 1, files.len() as u64);
    }
    bar.finish();
    interrupt::done();
    match options.cancel.is_cancelled() {
        true => Err(CliError::Interrupted),
        false => Ok(calibration.importance()),
    }
}

/// The pictures and texts of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let is_text = |path: &Path| {
        let ending = path.extension();
        ending.is_some_and(|ending| ending.eq_ignore_ascii_case("txt"))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(CliError::read(folder))? {
        let path = entry.map_err(CliError::read(folder))?.path();
        if path.is_file() && (is_text(&path) || plan::is_called_like_a_picture(&path)) {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(CliError::Content {
            path: folder.display().to_string(),
            wrong: "expected pictures or .txt files to calibrate with, found none".to_owned(),
        }),
        false => Ok(files),
    }
}

/// The beginning of a text.
fn text(path: &Path) -> Result<String, CliError> {
    let file = std::fs::File::open(path).map_err(CliError::read(path))?;
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(CliError::read(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
