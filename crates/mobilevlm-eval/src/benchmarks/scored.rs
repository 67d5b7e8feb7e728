//! What is scored, and what comes of it.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::Question;
use crate::align::Alignment;
use crate::answers::{Answer, Answers, Id};
use crate::figures::Figures;

/// What a benchmark scores.
pub struct Asked<'a> {
    /// The benchmark's folder.
    pub folder: &'a Path,
    /// All its questions.
    pub questions: &'a [Question],
    /// The recorded answers.
    pub answers: &'a Answers,
    /// Which answer belongs to which question.
    pub alignment: &'a Alignment,
    /// Whether to score what is there instead of refusing what is incomplete.
    pub partial: bool,
}

impl<'a> Asked<'a> {
    /// The last answer to each question.
    pub fn last_answers(&self) -> HashMap<&'a Id, &'a Answer> {
        let answers = self.answers.all.iter();
        answers.map(|answer| (&answer.id, answer)).collect()
    }

    /// The index of each question.
    pub fn places(&self) -> HashMap<&'a Id, usize> {
        let ids = self.questions.iter().map(|question| &question.id);
        ids.zip(0..).collect()
    }
}

/// What a benchmark makes of answers.
#[derive(Default)]
pub struct Scored {
    /// The official figures, under the names that `docs/evaluation.md` explains.
    pub figures: Figures,
    /// What was made of each answer.
    pub items: Vec<Item>,
    /// The items with all that the benchmark knows of them, in JSON.
    pub listing: Vec<Value>,
    /// What several items come to together, in JSON: MMBench's questions, of all their rotations.
    pub questions: Vec<Value>,
    /// What the official script does with this file that one would not expect.
    pub notes: Vec<String>,
}

/// What was made of one answer.
#[derive(Clone, Debug)]
pub struct Item {
    /// The answer's line, from 1; `None` where there is none.
    pub line: Option<usize>,
    /// The question's index, from 0; `None` for answers that count without being to one.
    pub question: Option<usize>,
    /// The answer as it is compared.
    pub said: String,
    /// What it is compared with.
    pub gold: String,
    /// From 0 to 1.
    pub score: f64,
    /// Whether it counts in the figure of the paper's table.
    pub counts: bool,
    /// What it is summed with: POPE's split, MME's task, MMBench's question; empty elsewhere.
    pub group: String,
}

/// A benchmark's score.
#[derive(Clone, Debug)]
pub struct Score {
    /// All figures.
    pub figures: Figures,
    /// The one that stands in the paper's table; `None` if it is undefined.
    pub paper_table_figure: Option<f64>,
    /// What was made of each answer.
    pub items: Vec<Item>,
    /// The items with all that the benchmark knows of them, in JSON.
    pub listing: Value,
    /// What is wrong with the answers file, and what the official script makes of that.
    pub notes: Vec<String>,
    /// Present if the figures are those of a part of the benchmark.
    pub partial: Option<Partial>,
}

/// How much of a benchmark was scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Partial {
    /// Questions that were scored.
    pub scored: usize,
    /// All questions.
    pub questions: usize,
}
