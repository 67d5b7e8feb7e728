//! Evaluations beside the paper's figures and beside each other.
//!
//! A [`Report`] scores the answers of some runs anew, by the same rules as ever, and adds what one
//! would ask next: how far from the paper, how sure, which run is better and in which questions.
//!
//! - `paper`: what the paper prints
//! - `interval`: confidence by drawing pictures anew
//! - `gather`: from runs' folders to a report
//! - `table`, `svg`: the report as text and as a picture
//! - `flipped`: the questions that one run answers right and another does not, as a page

mod flipped;
mod gather;
mod interval;
mod paper;
mod svg;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::benchmarks::{Item, Partial, Question, Score};
use crate::run::RunError;

pub use flipped::flipped_page;
pub use interval::Interval;
pub use paper::{PAPER, PaperRow, average};
pub use svg::svg;
pub use table::{markdown, text};

/// Some runs, scored and compared.
#[derive(Serialize)]
pub struct Report {
    /// The runs in the order in which they were named.
    runs: Vec<RunReport>,
    /// Every run but the first, compared with the first.
    comparisons: Vec<Comparison>,
    #[serde(skip)]
    notes: Vec<String>,
    /// The benchmarks of any run, in the order of the paper's table.
    #[serde(skip)]
    tasks: Vec<TaskData>,
}

/// One run.
#[derive(Serialize)]
struct RunReport {
    /// Its name: the model's, or the folder's where two models have the same.
    name: String,
    folder: PathBuf,
    /// The model of the paper that it is compared with.
    paper: Option<&'static str>,
    /// By benchmark.
    tasks: BTreeMap<String, Measured>,
    /// As the paper takes it; absent unless all six benchmarks are there.
    average: Option<Measured>,
}

/// A figure of a run.
#[derive(Clone, Serialize)]
struct Measured {
    /// `null` if there is nothing to divide by.
    figure: Option<f64>,
    /// 95 % confidence.
    interval: Option<Interval>,
    /// The paper's.
    paper: Option<f64>,
    /// How much more than the paper's.
    difference: Option<f64>,
    /// Present if the figure is that of a part of the benchmark.
    partial: Option<Partial>,
}

/// Two runs, question by question.
#[derive(Serialize)]
struct Comparison {
    /// The one that is compared.
    run: String,
    /// The one it is compared with.
    with: String,
    /// By benchmark, where both have it.
    tasks: BTreeMap<String, Compared>,
    /// Of the average of the paper.
    average: Option<Shift>,
}

/// What two runs have in common in a benchmark.
#[derive(Serialize)]
struct Compared {
    #[serde(flatten)]
    shift: Shift,
    /// Questions that both answered.
    questions: usize,
    /// Share of them in which both answers come to the same.
    agreement: f64,
    /// Those that the run answers better.
    gained: usize,
    /// Those that the other answers better.
    lost: usize,
}

/// How much more one run has than another.
#[derive(Serialize)]
struct Shift {
    difference: Option<f64>,
    /// 95 % confidence, by drawing the same pictures for both.
    interval: Option<Interval>,
}

/// A benchmark's questions and what the runs made of them.
struct TaskData {
    name: &'static str,
    /// The benchmark's folder.
    folder: PathBuf,
    questions: Vec<Question>,
    /// For each run its score, where it has the benchmark.
    scores: Vec<Option<Scored>>,
}

/// A run's score in a benchmark.
struct Scored {
    score: Score,
    /// What the model said to each question.
    texts: BTreeMap<usize, String>,
}

impl Scored {
    /// What was made of the answer to each question that was answered.
    fn items(&self) -> BTreeMap<usize, &Item> {
        let items = self.score.items.iter();
        items
            .filter_map(|item| Some((item.question?, item)))
            .collect()
    }
}

/// Text between tags or in an attribute of HTML or SVG.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Not allowed in SVG at all.
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Report {
    /// Scores and compares the runs in these folders. `data` is where the benchmarks' data is, for
    /// runs that know it in a place where it no longer is.
    ///
    /// # Errors
    /// [`RunError`] for folders without a run, answers that cannot be scored, and data that is not
    /// there.
    pub fn new(folders: &[PathBuf], data: Option<&Path>) -> Result<Report, RunError> {
        gather::report(folders, data)
    }

    /// What is odd about the runs, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
