//! The right answers, in text files beside the pictures.

use std::collections::HashMap;
use std::path::Path;

use mobilevlm_data::python;

use super::{PICTURES, QUESTIONS};
use crate::answers::Id;
use crate::benchmarks::{Asked, SHORT};
use crate::error::BenchmarkError;
use crate::files::LineReader;

/// The right answers of each picture, by task and file: question, then `yes` or `no`.
pub(super) type Gold = HashMap<(String, String), Vec<(String, String)>>;

const WISH: &str = "Please answer yes or no.";

/// The task of an id, and the name of the file with the right answers.
pub(super) fn place(id: &str) -> Option<(&str, String)> {
    let (task, _) = id.split_once('/')?;
    let file = id.rsplit('/').next()?.split('.').next()?;
    // Nothing else may lead out of the folder of the pictures.
    (![".", ".."].contains(&task) && !id.contains('\\')).then(|| (task, format!("{file}.txt")))
}

/// Reads the right answers of all questions.
pub(super) fn read_gold(asked: &Asked<'_>) -> Result<Gold, BenchmarkError> {
    let mut gold = Gold::new();
    let mut missing = Vec::new();
    for (question, number) in asked.questions.iter().zip(1..) {
        let Id::Text(id) = &question.id else { continue };
        let Some((task, file)) = place(id) else {
            let wrong = format!("question_id {id:?}; expected TASK/FILE");
            return Err(BenchmarkError::line(
                &asked.folder.join(QUESTIONS),
                number,
                wrong,
            ));
        };
        let key = (task.to_owned(), file);
        if gold.contains_key(&key) {
            continue;
        }
        let mut below = format!("{}/{task}", PICTURES.path);
        if asked.folder.join(&below).join("images").exists() {
            below += "/questions_answers_YN";
        }
        below = format!("{below}/{}", key.1);
        let path = asked.folder.join(&below);
        match path.exists() {
            true => _ = gold.insert(key, read_pairs(&path)?),
            false => missing.push((below, PICTURES.from)),
        }
    }
    missing.dedup();
    match missing.is_empty() || asked.partial {
        true => Ok(gold),
        false => Err(BenchmarkError::Missing {
            folder: asked.folder.to_owned(),
            files: missing,
        }),
    }
}

/// Reads a file of lines `QUESTION\tYes`.
fn read_pairs(path: &Path) -> Result<Vec<(String, String)>, BenchmarkError> {
    let mut reader = LineReader::open(path)?;
    let mut pairs = Vec::new();
    while let Some((line, text)) = reader.next_line()? {
        let pair = python::strip(text).split_once('\t');
        let pair = pair.map(|(question, answer)| (question.to_owned(), answer.to_lowercase()));
        match pair {
            Some(pair) if ["yes", "no"].contains(&pair.1.as_str()) => pairs.push(pair),
            _ => {
                let wrong = format!("{text:?}; expected a question, a tab, and Yes or No");
                return Err(BenchmarkError::line(path, line, wrong));
            }
        }
    }
    Ok(pairs)
}

/// The question and the right answer for a prompt. Where the wish for yes or no is missing, it
/// follows after one blank, or after two where only that is known.
pub(super) fn find(known: &[(String, String)], prompt: &str) -> Option<(String, String)> {
    let prompt = match prompt.contains(SHORT) {
        true => python::strip(&prompt.replace(SHORT, "")).to_owned(),
        false => prompt.to_owned(),
    };
    let candidates = match prompt.contains(WISH) {
        true => vec![prompt],
        false => vec![format!("{prompt} {WISH}"), format!("{prompt}  {WISH}")],
    };
    // The last line of a file wins, as in the script's dictionary.
    let find = |candidate: &String| {
        known
            .iter()
            .rev()
            .find(|(question, _)| question == candidate)
    };
    candidates.iter().find_map(find).cloned()
}
