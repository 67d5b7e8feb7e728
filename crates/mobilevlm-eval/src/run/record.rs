//! The record of a run: what its answers depend on, so that nothing else is mixed in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mobilevlm::{Config, Model};
use mobilevlm_checkpoint::{Inspection, OpenOptions, Projector, TokenizerSource};
use mobilevlm_data::replace_file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RunError;
use super::decode::JPEG_DECODER;
use super::shard::Shard;

/// The name of a record's file, beside the answers.
pub(crate) const RECORD_FILE: &str = "record.json";

/// What the answers beside it were made with. Nothing in it depends on the time, the number of
/// threads or the batch, nor do the answers: a run that was interrupted or shared among machines
/// leaves the same record as one that was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The benchmark.
    pub task: String,
    /// The model.
    pub model: ModelIdentity,
    /// The questions and pictures.
    pub data: DataRecord,
    /// How answers are made.
    pub settings: Settings,
    /// Which part of the questions, as index and count; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<(usize, usize)>,
}

/// Which model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Its name, as answers have it in `model_id`.
    pub name: String,
    /// SHA-256 of its weights, configuration and vocabulary.
    pub sha256: String,
    /// The model of the paper that has these sizes.
    pub paper: Option<String>,
}

/// Which questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Where they lie: for showing the pictures afterwards. May change while a run goes on.
    pub folder: PathBuf,
    /// SHA-256 of the questions with their prompts, and of the names and lengths of their
    /// pictures' files.
    pub sha256: String,
    /// Questions of the benchmark.
    pub questions: usize,
    /// Those that are left out because their picture is missing (`--partial`).
    pub left_out: usize,
}

/// What else answers depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The program and its version.
    pub program: String,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// The kernel table: tables differ by rounding.
    pub kernels: String,
    /// How weights in block formats are multiplied.
    pub arithmetic: String,
    /// Who decodes JPEG.
    pub jpeg: String,
}

impl ModelIdentity {
    /// Reads all weights of the model at `path` to hash them. `name` is what it was called by: a
    /// path, a file or a hub id; the last part of it, without `.gguf` and a revision, is the name.
    pub fn read(name: &str, path: &Path, options: &OpenOptions) -> ModelIdentity {
        let inspection = Inspection::new(path, options);
        let mut hash = Sha256::new();
        for part in &inspection.parts {
            hash.update(format!("{} {}\n", part.name, inspection.sha256(part.name)));
        }
        hash.update(format!("{:?}\n", inspection.config));
        match &inspection.tokenizer {
            Some(TokenizerSource::SentencePiece { model, legacy }) => {
                hash.update(format!("{legacy}\n"));
                hash.update(&model[..]);
            }
            other => hash.update(format!("{other:?}")),
        }
        ModelIdentity {
            name: short_name(name),
            sha256: hexadecimal(hash),
            paper: inspection
                .config
                .as_ref()
                .and_then(paper_row)
                .map(str::to_owned),
        }
    }
}

/// Removes the new files from which `path` was to be replaced, which [`replace_file`] leaves where
/// its process is killed in between.
fn remove_parts(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.file_name();
        let rest = other
            .as_encoded_bytes()
            .strip_prefix(name.as_encoded_bytes());
        if rest.is_some_and(|rest| rest.ends_with(b".part")) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The last part of a path or hub id. Upstream: `get_model_name_from_path`, where a folder
/// `checkpoint-N` takes its parent's name before its own.
fn short_name(name: &str) -> String {
    let trimmed = name.trim_end_matches(['/', '\\']);
    let mut parts = trimmed.rsplit(['/', '\\']);
    let last = parts.next().unwrap_or(trimmed);
    let last = last.split_once('@').map_or(last, |(id, _)| id);
    let last = last.strip_suffix(".gguf").unwrap_or(last);
    match parts.next() {
        Some(parent) if last.starts_with("checkpoint-") => format!("{parent}_{last}"),
        _ => last.to_owned(),
    }
}

/// The model of the paper's table with these sizes and this projector.
fn paper_row(config: &Config) -> Option<&'static str> {
    let sizes = (config.language.hidden, config.language.layers);
    match (config.projector, sizes) {
        (Projector::LdpNet, (2048, 24)) => Some("MobileVLM 1.7B"),
        (Projector::LdpNet, (2560, 32)) => Some("MobileVLM 3B"),
        (Projector::LdpNetV2(_), (2048, 24)) => Some("MobileVLM V2 1.7B"),
        (Projector::LdpNetV2(_), (2560, 32)) => Some("MobileVLM V2 3B"),
        (Projector::LdpNetV2(_), (4096, 32)) => Some("MobileVLM V2 7B"),
        _ => None,
    }
}

impl Settings {
    /// The settings of `model` in this build.
    pub(crate) fn of(model: &Model, max_new_tokens: usize) -> Settings {
        Settings {
            program: format!("mobilevlm {}", env!("CARGO_PKG_VERSION")),
            max_new_tokens,
            kernels: model.compute().kernels().name().to_owned(),
            arithmetic: model.compute().arithmetic().name().to_owned(),
            jpeg: JPEG_DECODER.to_owned(),
        }
    }
}

impl Record {
    /// Reads the record in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be read, [`RunError::Content`] if it is no record.
    pub fn read(folder: &Path) -> Result<Option<Record>, RunError> {
        let path = folder.join(RECORD_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunError::file(&path, "read", error)),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| RunError::Content {
                path,
                wrong: format!("expected the record of a run, found other content: {error}"),
            })
    }

    /// Writes the record into `folder`, whose answers this process holds, and removes what killed
    /// processes left of theirs.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), RunError> {
        let path = folder.join(RECORD_FILE);
        remove_parts(&path).map_err(|error| RunError::file(&path, "written", error))?;
        replace_file(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })
        .map_err(|error| RunError::file(&path, "written", error))
    }

    /// The part of the questions.
    pub(crate) fn part(&self) -> Option<Shard> {
        self.shard
            .and_then(|(index, count)| Shard::new(index, count))
    }

    /// Refuses `other` in `folder`, where this record lies, if its answers could differ.
    pub(crate) fn demand_equal(&self, other: &Record, folder: &Path) -> Result<(), RunError> {
        let differences = self.differences(other);
        match differences.is_empty() {
            true => Ok(()),
            false => Err(RunError::Changed {
                folder: folder.to_owned(),
                differences,
            }),
        }
    }

    /// What `other` has otherwise, among the things that answers depend on: a line for each, with
    /// the value here and there.
    pub fn differences(&self, other: &Record) -> Vec<String> {
        let (a, b) = (self, other);
        let pairs = [
            ("task", a.task.clone(), b.task.clone()),
            ("model", a.model.name.clone(), b.model.name.clone()),
            (
                "model's SHA-256",
                a.model.sha256.clone(),
                b.model.sha256.clone(),
            ),
            (
                "questions",
                a.data.questions.to_string(),
                b.data.questions.to_string(),
            ),
            (
                "questions left out",
                a.data.left_out.to_string(),
                b.data.left_out.to_string(),
            ),
            (
                "data's SHA-256",
                a.data.sha256.clone(),
                b.data.sha256.clone(),
            ),
            (
                "program",
                a.settings.program.clone(),
                b.settings.program.clone(),
            ),
            (
                "tokens of an answer",
                a.settings.max_new_tokens.to_string(),
                b.settings.max_new_tokens.to_string(),
            ),
            (
                "kernels",
                a.settings.kernels.clone(),
                b.settings.kernels.clone(),
            ),
            (
                "arithmetic",
                a.settings.arithmetic.clone(),
                b.settings.arithmetic.clone(),
            ),
            (
                "JPEG decoder",
                a.settings.jpeg.clone(),
                b.settings.jpeg.clone(),
            ),
        ];
        let unequal = pairs.into_iter().filter(|(_, a, b)| a != b);
        unequal
            .map(|(what, a, b)| format!("{what}: {a} there, {b} now"))
            .collect()
    }
}

/// A finished hash as hexadecimal digits.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    let digits = hash.finalize();
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_as_upstream_names_it() {
        for (name, expected) in [
            ("mtgv/MobileVLM_V2-1.7B", "MobileVLM_V2-1.7B"),
            ("mtgv/MobileVLM_V2-1.7B@main", "MobileVLM_V2-1.7B"),
            ("./models/v2-q4_k_m.gguf", "v2-q4_k_m"),
            ("/m/mine/", "mine"),
            ("/m/mine/checkpoint-200", "mine_checkpoint-200"),
            ("C:\\m\\mine", "mine"),
        ] {
            assert_eq!(short_name(name), expected);
        }
    }
}
