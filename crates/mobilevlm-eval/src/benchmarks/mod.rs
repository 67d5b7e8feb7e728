//! The benchmarks: how each asks and how it is scored. One file each, and one line in
//! [`BENCHMARKS`].

mod gqa;
mod mmbench;
mod mme;
mod pope;
mod question;
mod scored;
mod seed_bench;
mod sqa;
mod textvqa;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::align::Alignment;
use crate::answers::{Answers, Id};
use crate::error::BenchmarkError;
use crate::figures::ratio;
use crate::files::{demand, json_lines, task_folder};

pub use question::{Choices, Crop, PictureSource, Question};
pub use scored::{Asked, Item, Partial, Score, Scored};

/// All benchmarks: those of the paper's table in its order, then others.
pub const BENCHMARKS: &[&dyn Benchmark] = &[
    &gqa::Gqa,
    &sqa::Sqa,
    &textvqa::TextVqa,
    &pope::Pope,
    &mme::Mme,
    &mmbench::MmBench,
    &seed_bench::SeedBench,
];

/// Upstream's archive of questions, labels and scripts.
const BENCHMARK_DATA: &str =
    "https://github.com/Meituan-AutoML/MobileVLM/releases/download/v0.1/benchmark_data.zip";

/// The wish that LLaVA adds to questions with a short answer.
const SHORT: &str = "Answer the question using a single word or phrase.";

/// The wish that LLaVA adds to questions with options.
const LETTER: &str = "Answer with the option's letter from the given choices directly.";

/// A benchmark: where its questions are and what its official scripts make of answers.
///
/// All methods take the benchmark's own folder, laid out as upstream's
/// `data/benchmark_data/NAME`.
pub trait Benchmark: Sync {
    /// The name on the command line and of the folder.
    fn name(&self) -> &'static str;

    /// The figure that stands in the paper's table, or would: its path in [`Score::figures`], and by
    /// what it is multiplied.
    fn paper_table_figure(&self) -> (&'static str, f64);

    /// Whether the paper's table has that figure.
    fn is_in_paper(&self) -> bool {
        true
    }

    /// Digits after the point when figures are shown, as the official script has it.
    fn decimals(&self) -> usize {
        2
    }

    /// The files that questions and scores need.
    fn files(&self) -> Vec<Source>;

    /// The folder of the pictures and where to get them; `None` if the questions' file holds them.
    fn pictures(&self) -> Option<Source>;

    /// The questions in the order in which upstream asks them. Pictures are not looked for.
    ///
    /// # Errors
    /// [`BenchmarkError`] names the file and line that is not as it should be.
    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError>;

    /// The official figures.
    ///
    /// # Errors
    /// [`BenchmarkError`] where the official script stops too, and for files that are not as they
    /// should be.
    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError>;

    /// The figure of the paper's table where each item counts as often as its weight says: with
    /// weights of 1 it is [`Score::paper_table_figure`], with others what it would be had other
    /// pictures been drawn. By default 100 × the mean of the items that count.
    fn weighted_figure(&self, items: &[Item], weights: &[f64]) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for (item, weight) in items.iter().zip(weights).filter(|(item, _)| item.counts) {
            sum += weight * item.score;
            count += weight;
        }
        ratio(100.0 * sum, count)
    }

    /// Whether pictures are drawn anew within each [`Item::group`], because the benchmark fixes how
    /// many each has.
    fn draws_within_groups(&self) -> bool {
        false
    }
}

/// A file or folder of a benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its place below the benchmark's folder.
    pub path: &'static str,
    /// Where upstream says to get it.
    pub from: &'static str,
    /// Whether nothing at all can be done without it; else a part can be scored.
    pub is_needed: bool,
}

impl Source {
    /// What nothing can be done without.
    pub const fn needed(path: &'static str, from: &'static str) -> Source {
        Source {
            path,
            from,
            is_needed: true,
        }
    }

    /// What a part of the benchmark can be scored without.
    pub const fn part(path: &'static str, from: &'static str) -> Source {
        Source {
            path,
            from,
            is_needed: false,
        }
    }
}

/// The benchmark of this name.
pub fn benchmark(name: &str) -> Option<&'static dyn Benchmark> {
    BENCHMARKS.iter().copied().find(|one| one.name() == name)
}

/// The questions of a benchmark in `data`, which is its own folder or the one above it. With
/// `partial`, files that a part can be scored without may be missing.
///
/// # Errors
/// [`BenchmarkError::Missing`] names all files that are not there, pictures aside; others name the
/// line that is not as it should be.
pub fn questions(
    benchmark: &dyn Benchmark,
    data: &Path,
    partial: bool,
) -> Result<Vec<Question>, BenchmarkError> {
    let folder = task_folder(benchmark, data);
    let mut files = benchmark.files();
    files.retain(|file| file.is_needed || !partial);
    demand(&folder, &files)?;
    let questions = benchmark.questions(&folder)?;
    match questions.is_empty() {
        true => Err(BenchmarkError::content(
            &folder,
            "no questions in its files",
        )),
        false => Ok(questions),
    }
}

/// Scores answers as the benchmark's official scripts do. With `partial` what is there is scored
/// where they would stop.
///
/// # Errors
/// As [`questions`], and where the official script stops; each with file and line.
pub fn score(
    benchmark: &dyn Benchmark,
    data: &Path,
    answers: &Answers,
    partial: bool,
) -> Result<Score, BenchmarkError> {
    let questions = questions(benchmark, data, partial)?;
    let alignment = Alignment::new(&questions, answers);
    let folder = task_folder(benchmark, data);
    if alignment.is_foreign() {
        let first = &answers.all[0];
        let name = benchmark.name();
        let wrong = format!(
            "{} is no question of {name}, nor is any other line's",
            first.id
        );
        return Err(answers.wrong(first, wrong));
    }
    let scored = benchmark.score(&Asked {
        folder: &folder,
        questions: &questions,
        answers,
        alignment: &alignment,
        partial,
    })?;
    let of_items: HashSet<usize> = scored
        .items
        .iter()
        .filter_map(|item| item.question)
        .collect();
    let scored_questions = of_items.len();
    let (path, factor) = benchmark.paper_table_figure();
    let mut notes = alignment.notes(&questions, answers);
    notes.extend(scored.notes);
    Ok(Score {
        paper_table_figure: scored.figures.number(path).map(|figure| factor * figure),
        figures: scored.figures,
        items: scored.items,
        listing: match scored.questions.is_empty() {
            true => Value::Array(scored.listing),
            false => json!({"rows": scored.listing, "questions": scored.questions}),
        },
        notes,
        partial: (partial && scored_questions < questions.len()).then_some(Partial {
            scored: scored_questions,
            questions: questions.len(),
        }),
    })
}

/// A line of the question files that LLaVA's `model_vqa_loader.py` reads.
#[derive(Deserialize)]
struct LoaderLine {
    question_id: Id,
    image: String,
    text: String,
}

/// How often an id may stand in a file of questions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// Once.
    Unique,
    /// As often as it likes: it is the picture's.
    Repeated,
}

/// The questions of a file that `model_vqa_loader.py` reads. `pictures` is what stands before the names
/// of its pictures: their folder and `/`, or nothing.
fn loader_questions(
    path: &Path,
    pictures: &str,
    ids: Ids,
) -> Result<Vec<Question>, BenchmarkError> {
    let mut seen = HashMap::new();
    let mut questions = Vec::new();
    for (at, line) in json_lines::<LoaderLine>(path)? {
        if ids == Ids::Unique
            && let Some(first) = seen.insert(line.question_id.clone(), at)
        {
            let wrong = format!(
                "question {} stands in line {first} already",
                line.question_id
            );
            return Err(BenchmarkError::line(path, at, wrong));
        }
        questions.push(Question {
            id: line.question_id,
            prompt: line.text.clone(),
            text: line.text,
            picture: Some(PictureSource::File(format!("{pictures}{}", line.image))),
            crop: Crop::Model,
            max_new_tokens: 128,
            choices: None,
        });
    }
    Ok(questions)
}
