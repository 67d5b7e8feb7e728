//! The questions of the test split with their answers.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::letter::LETTERS;
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::files::json;

pub(super) const SPLITS: &str = "pid_splits.json";
pub(super) const PROBLEMS: &str = "problems.json";

#[derive(Deserialize)]
struct Splits {
    test: Vec<String>,
}

/// What is known of a question: an entry of `problems.json`.
#[derive(Deserialize)]
pub(super) struct Problem {
    pub(super) choices: Vec<String>,
    pub(super) answer: usize,
    pub(super) hint: Option<String>,
    pub(super) image: Option<String>,
    pub(super) grade: String,
    pub(super) subject: String,
    pub(super) topic: String,
    pub(super) split: String,
}

/// Reads the problems of the test split, in its order.
pub(super) fn read_problems(folder: &Path) -> Result<Vec<(Id, Problem)>, BenchmarkError> {
    let path = folder.join(PROBLEMS);
    let mut problems: HashMap<String, Problem> = json(&path)?;
    let splits: Splits = json(&folder.join(SPLITS))?;
    let mut of_test = Vec::with_capacity(splits.test.len());
    for id in splits.test {
        let problem = problems.remove(&id).ok_or_else(|| {
            let wrong = format!("no question {id:?}, or {SPLITS} has it twice");
            BenchmarkError::content(&path, wrong)
        })?;
        if problem.answer >= problem.choices.len().min(LETTERS.len()) {
            let (answer, choices) = (problem.answer, problem.choices.len());
            let wrong = format!("question {id:?}: answer {answer} of {choices} choices, from 0");
            return Err(BenchmarkError::content(&path, wrong));
        }
        of_test.push((Id::Text(id), problem));
    }
    Ok(of_test)
}
