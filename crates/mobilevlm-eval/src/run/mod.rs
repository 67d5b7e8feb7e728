//! Runs a model on a benchmark: questions in, `answers.jsonl` out, whatever comes between.
//!
//! What is written is written once, in the order of the questions, and each answer is on the disk
//! before the next batch: a run that was killed goes on at the line where it was, and ends with the
//! same bytes as one that was not. A record beside the answers says what they depend on; a model or
//! data set that has changed is refused, not mixed in.
//!
//! - `shard`: which part of the questions, where machines share a run
//! - `record`: what the answers depend on
//! - `pictures`, `decode`: from files to what the tower reads, ahead of time
//! - `ask`: many questions at once
//! - `writer`: the answers file
//! - `merge`: the parts of a shared run as one

mod ask;
mod decode;
mod error;
mod merge;
mod pictures;
mod record;
mod shard;
mod writer;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mobilevlm::{CancelToken, Model};
use sha2::{Digest, Sha256};

use crate::answers::{AnswerLine, answer_text, write_answer};
use crate::benchmarks::{Benchmark, PictureSource, Question, questions};
use crate::error::BenchmarkError;
use crate::files::task_folder;
use ask::{AskOptions, ask};
use record::hexadecimal;
use writer::AnswersFile;

pub use decode::{JPEG_DECODER, decode};
pub use error::RunError;
pub use merge::{Merged, merge};
pub use pictures::picture_bytes;
pub use record::{DataRecord, ModelIdentity, Record, Settings};
pub use shard::{Shard, ShardChoice, ShardError, shard};

/// The name of the answers' file in a run's folder for a benchmark.
pub const ANSWERS_FILE: &str = "answers.jsonl";

/// The folder of the parts of a shared run, in the run's folder.
const SHARDS: &str = "shards";

/// What a benchmark asks on this machine: its questions and which of their pictures are there.
pub struct Plan {
    benchmark: &'static dyn Benchmark,
    /// The benchmark's folder.
    folder: PathBuf,
    /// Questions that can be asked, with their lines in the questions' file, from 1.
    questions: Vec<(usize, Question)>,
    missing: Vec<String>,
    max_new_tokens: usize,
    data: DataRecord,
}

impl Plan {
    /// Reads the questions of a benchmark in `data`, which is its own folder or the one above it,
    /// and looks for their pictures. With `partial`, questions whose picture is missing are left
    /// out.
    ///
    /// # Errors
    /// [`BenchmarkError::Missing`] names all files that are not there, with where to get them;
    /// others name the line that is not as it should be.
    pub fn new(
        benchmark: &'static dyn Benchmark,
        data: &Path,
        partial: bool,
    ) -> Result<Plan, BenchmarkError> {
        let folder = task_folder(benchmark, data);
        let all = questions(benchmark, data, partial)?;
        let lengths: Vec<Option<u64>> = all
            .iter()
            .map(|question| picture_length(&folder, question))
            .collect();
        let missing = missing(&all, &lengths);
        if !missing.is_empty() && (!partial || lengths.iter().all(Option::is_none)) {
            let from = benchmark.pictures().map_or("", |pictures| pictures.from);
            return Err(BenchmarkError::Missing {
                folder,
                files: missing.into_iter().map(|name| (name, from)).collect(),
            });
        }
        let tokens = all.iter().map(|question| question.max_new_tokens);
        let left_out = lengths.iter().filter(|length| length.is_none());
        Ok(Plan {
            benchmark,
            missing,
            max_new_tokens: tokens.max().unwrap_or_default(),
            data: DataRecord {
                folder: fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone()),
                sha256: data_hash(&all, &lengths),
                questions: all.len(),
                left_out: left_out.count(),
            },
            folder,
            questions: (1..)
                .zip(all)
                .zip(lengths)
                .filter(|(_, length)| length.is_some())
                .map(|(question, _)| question)
                .collect(),
        })
    }

    /// The benchmark.
    pub fn benchmark(&self) -> &'static dyn Benchmark {
        self.benchmark
    }

    /// The names of the pictures that are missing, in the order of the questions.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Where the questions lie and how many there are.
    pub fn data(&self) -> &DataRecord {
        &self.data
    }
}

/// Bytes of a question's picture in its file; 0 where there is none or it is no file of its own,
/// `None` where it is missing.
fn picture_length(folder: &Path, question: &Question) -> Option<u64> {
    let Some(PictureSource::File(path)) = &question.picture else {
        return Some(0);
    };
    let file = fs::metadata(folder.join(path)).ok()?;
    file.is_file().then_some(file.len())
}

/// The pictures without a length, each once.
fn missing(questions: &[Question], lengths: &[Option<u64>]) -> Vec<String> {
    let mut seen = HashSet::new();
    let without = questions.iter().zip(lengths);
    without
        .filter(|(_, length)| length.is_none())
        .filter_map(|(question, _)| Some(question.picture.as_ref()?.name()))
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

/// SHA-256 of what is asked: each question with its prompt, and the name and length of its picture.
fn data_hash(questions: &[Question], lengths: &[Option<u64>]) -> String {
    let mut hash = Sha256::new();
    for (question, length) in questions.iter().zip(lengths) {
        let picture = question.picture.as_ref().map(PictureSource::name);
        // Texts are quoted, so that none can run into the next.
        hash.update(format!(
            "{} {:?} {:?} {picture:?} {length:?} {:?} {}\n",
            question.id, question.prompt, question.text, question.crop, question.max_new_tokens
        ));
    }
    hexadecimal(hash)
}

/// A run of one benchmark, or of a part of it.
pub struct Run<'a> {
    /// The model.
    pub model: &'a Model,
    /// Which one it is.
    pub identity: &'a ModelIdentity,
    /// What is asked.
    pub plan: &'a Plan,
    /// The run's folder, of all benchmarks and parts.
    pub out: &'a Path,
    /// Which part of the questions; all where absent.
    pub shard: Option<Shard>,
    /// Questions at once.
    pub batch: usize,
    /// Ends the run within a step; what was answered is kept.
    pub cancel: CancelToken,
}

/// A run of which it is certain that what lies in its folder is its own.
pub struct Prepared<'a> {
    run: &'a Run<'a>,
    folder: PathBuf,
    questions: &'a [(usize, Question)],
    record: Record,
    answers: AnswersFile,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where the answers and their record are.
    pub folder: PathBuf,
    /// The answers' record.
    pub record: Record,
    /// Questions of this part of the benchmark.
    pub questions: usize,
    /// Questions that were asked now; the others had been answered before.
    pub asked: usize,
    /// Seconds that asking took.
    pub seconds: f64,
}

impl<'a> Run<'a> {
    /// Compares what an interrupted run left in the folder with what this one would do.
    ///
    /// # Errors
    /// [`RunError::Changed`], [`RunError::Foreign`] and [`RunError::Line`] if the answers that are
    /// there are another run's, [`RunError::Busy`] if another process is at work there,
    /// [`RunError::File`].
    pub fn prepare(&'a self) -> Result<Prepared<'a>, RunError> {
        let plan = self.plan;
        let range = match self.shard {
            Some(shard) => shard.range(plan.questions.len()),
            None => 0..plan.questions.len(),
        };
        let questions = &plan.questions[range];
        let record = Record {
            task: plan.benchmark.name().to_owned(),
            model: self.identity.clone(),
            data: plan.data.clone(),
            settings: Settings::of(self.model, plan.max_new_tokens),
            shard: self.shard.map(|shard| (shard.index(), shard.count())),
        };
        let folder = match self.shard {
            Some(shard) => self.out.join(SHARDS).join(shard.folder()),
            None => self.out.to_owned(),
        };
        let folder = folder.join(&record.task);
        fs::create_dir_all(&folder).map_err(|error| RunError::file(&folder, "made", error))?;
        let path = folder.join(ANSWERS_FILE);
        match Record::read(&folder)? {
            Some(there) => there.demand_equal(&record, &folder)?,
            None if fs::metadata(&path).is_ok_and(|file| file.len() > 0) => {
                return Err(RunError::Foreign(path));
            }
            None => {}
        }
        let answers = AnswersFile::open(&path, |index, line| {
            let (number, question) = questions
                .get(index)
                .ok_or_else(|| format!("expected {} answers, found more", questions.len()))?;
            check_line(&record, *number, question, line)
        })?;
        record.write(&folder)?;
        Ok(Prepared {
            run: self,
            folder,
            questions,
            record,
            answers,
        })
    }
}

impl Prepared<'_> {
    /// Questions of this part.
    pub fn questions(&self) -> usize {
        self.questions.len()
    }

    /// Those of them that were answered before.
    pub fn answered(&self) -> usize {
        self.answers.lines()
    }

    /// Asks what is not answered yet; `on_progress` hears how many of how many are.
    ///
    /// # Errors
    /// [`RunError::Question`] for a question that cannot be asked, [`RunError::Cancelled`],
    /// [`RunError::File`] for an answer that cannot be written. Answers before it are kept.
    pub fn run(mut self, on_progress: &mut dyn FnMut(u64, u64)) -> Result<Outcome, RunError> {
        let start = Instant::now();
        let before = self.answers.lines();
        let total = self.questions.len();
        let left = &self.questions[before..];
        let options = AskOptions {
            task: self.run.plan.benchmark.name(),
            folder: &self.run.plan.folder,
            batch: self.run.batch.max(1),
            cancel: self.run.cancel.clone(),
        };
        let (record, answers) = (&self.record, &mut self.answers);
        on_progress(before as u64, total as u64);
        ask(self.run.model, left, &options, &mut |index, text| {
            let (number, question) = &left[index];
            answers.append(&answer_line(record, *number, question, text))?;
            on_progress(answers.lines() as u64, total as u64);
            Ok(())
        })?;
        Ok(Outcome {
            folder: self.folder,
            questions: total,
            asked: total - before,
            record: self.record,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// A line of the answers file for the question in line `number`, from 1.
fn answer_line(record: &Record, number: usize, question: &Question, text: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(format!("{} {} {number}", record.model.sha256, record.task));
    // As many characters as upstream's random ones have.
    let answer_id = &hexadecimal(hash)[..22];
    let line = AnswerLine {
        id: &question.id,
        prompt: &question.prompt,
        text: answer_text(text),
        choices: question.choices.as_ref(),
        answer_id,
        model_id: &record.model.name,
    };
    let mut out = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_answer(&mut out, &line);
    out
}

/// Whether `line` is an answer of this run to the question in line `number`.
fn check_line(
    record: &Record,
    number: usize,
    question: &Question,
    line: &[u8],
) -> Result<(), String> {
    let parsed: Result<serde_json::Value, _> = serde_json::from_slice(line);
    let text = parsed.as_ref().ok().and_then(|line| line["text"].as_str());
    let text = text.ok_or("expected an answer, found other content")?;
    let expected = answer_line(record, number, question, text);
    match expected.strip_suffix(b"\n") == Some(line) {
        true => Ok(()),
        false => Err(format!(
            "expected this run's answer to question {} (line {number} of the questions), found \
             another one",
            question.id
        )),
    }
}
