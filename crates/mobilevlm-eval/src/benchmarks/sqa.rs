//! ScienceQA, test split: questions with two to five options, about half of them with a picture.
//!
//! Official: LLaVA's `eval_science_qa.py`; parts and topics as the ScienceQA repository's
//! `tools/evaluate_acc.py`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::LazyLock;

use mobilevlm_data::python;
use regex::Regex;
use serde::Deserialize;
use serde_json::json;

use super::{
    Asked, BENCHMARK_DATA, Benchmark, Crop, Item, LETTER, PictureSource, Question, Scored, Source,
};
use crate::answers::{Answer, Id};
use crate::error::BenchmarkError;
use crate::figures::{Figures, percent};
use crate::files::json;

const QUESTIONS: &str = "llava_test_CQM-A.json";
const SPLITS: &str = "pid_splits.json";
const PROBLEMS: &str = "problems.json";
const LETTERS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// The benchmark.
pub(super) struct Sqa;

#[derive(Deserialize)]
struct Entry {
    id: String,
    image: Option<String>,
    conversations: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    value: String,
}

#[derive(Deserialize)]
struct Splits {
    test: Vec<String>,
}

#[derive(Deserialize)]
struct Problem {
    choices: Vec<String>,
    answer: usize,
    hint: String,
    image: Option<String>,
    grade: String,
    subject: String,
    topic: String,
    split: String,
}

impl Benchmark for Sqa {
    fn name(&self) -> &'static str {
        "sqa"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("img_accuracy", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        vec![
            Source::needed(QUESTIONS, BENCHMARK_DATA),
            Source::needed(SPLITS, BENCHMARK_DATA),
            Source::needed(PROBLEMS, BENCHMARK_DATA),
        ]
    }

    fn pictures(&self) -> Option<Source> {
        let from = "https://github.com/lupantech/ScienceQA: its folder data/scienceqa/images";
        Some(Source::part("images/test", from))
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        let path = folder.join(QUESTIONS);
        let entries: Vec<Entry> = json(&path)?;
        let mut questions = Vec::with_capacity(entries.len());
        for (entry, number) in entries.into_iter().zip(1..) {
            let Some(turn) = entry.conversations.first() else {
                let wrong = format!("entry {number}, {:?}, has no conversation", entry.id);
                return Err(BenchmarkError::content(&path, wrong));
            };
            let asked = turn.value.replace("<image>", "");
            let text = format!("{}\n{LETTER}", python::strip(&asked));
            questions.push(Question {
                id: Id::Text(entry.id),
                prompt: match entry.image {
                    Some(_) => format!("<image>\n{text}"),
                    None => text.clone(),
                },
                text,
                picture: entry
                    .image
                    .map(|name| PictureSource::File(format!("images/test/{name}"))),
                crop: Crop::Centre,
                max_new_tokens: 1024,
                choices: None,
            });
        }
        Ok(questions)
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let path = asked.folder.join(PROBLEMS);
        let problems: HashMap<String, Problem> = json(&path)?;
        let splits: Splits = json(&asked.folder.join(SPLITS))?;
        // The last answer to a question counts.
        let answers: HashMap<&Id, &Answer> = asked
            .answers
            .all
            .iter()
            .map(|answer| (&answer.id, answer))
            .collect();
        let places: HashMap<&Id, usize> = asked
            .questions
            .iter()
            .map(|question| &question.id)
            .zip(0..)
            .collect();

        let mut scored = Scored::default();
        let mut counted: Vec<(&Problem, bool, f64)> = Vec::new();
        for id in splits.test {
            let problem = problems.get(&id).ok_or_else(|| {
                let wrong = format!("question {id:?} of {SPLITS} is missing");
                BenchmarkError::content(&path, wrong)
            })?;
            if problem.answer >= problem.choices.len().min(LETTERS.len()) {
                let (answer, choices) = (problem.answer, problem.choices.len());
                let wrong =
                    format!("question {id:?}: answer {answer} of {choices} choices, from 0");
                return Err(BenchmarkError::content(&path, wrong));
            }
            let id = Id::Text(id);
            let answer = answers.get(&id).copied();
            if answer.is_none() && asked.partial {
                continue;
            }
            let letter = answer.map_or("FAILED", |answer| letter(&answer.text));
            let index = index(letter, problem.choices.len());
            // Whether there is a picture is read from the prompt, so that a question without an
            // answer is none with a picture.
            let with_picture = match answer {
                Some(answer) => asked.answers.prompt(answer)?.contains("<image>"),
                None => false,
            };
            let score = f64::from(index == Some(problem.answer));
            scored.listing.push(json!({
                "question_id": id,
                "parsed": letter,
                "index": index.map_or(-1, |index| index as i64),
                "answer": problem.answer,
                "score": score,
                "counts_as_img": with_picture,
            }));
            scored.items.push(Item {
                line: answer.map(|answer| answer.line),
                question: places.get(&id).copied(),
                said: letter.to_owned(),
                gold: LETTERS[problem.answer].to_owned(),
                score,
                counts: with_picture,
                group: String::new(),
            });
            counted.push((problem, with_picture, score));
        }
        if !asked.partial && !asked.alignment.missing.is_empty() {
            scored.notes.push(
                "questions without an answer are wrong in `accuracy` and drop out of \
                 `img_accuracy`, as the official script has it"
                    .to_owned(),
            );
        }
        scored.figures = figures(&counted);
        Ok(scored)
    }
}

/// The letter that an answer names, or `FAILED`.
fn letter(text: &str) -> &str {
    static SENTENCE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("The answer is ([A-Z]).").expect("a valid expression"));
    if LETTERS.contains(&text) {
        return text;
    }
    if let Some((letter, rest)) = text.split_at_checked(1)
        && LETTERS.contains(&letter)
        && rest.starts_with(". ")
    {
        return letter;
    }
    let mut found = SENTENCE.captures_iter(text);
    match (found.next(), found.next()) {
        (Some(only), None) => only.get(1).map_or("FAILED", |letter| letter.as_str()),
        _ => "FAILED",
    }
}

/// The option of a letter, from 0; `None` if there is none.
fn index(letter: &str, choices: usize) -> Option<usize> {
    LETTERS.iter().take(choices).position(|one| *one == letter)
}

/// `counted`: each problem, whether it counts as one with a picture, and 1 if it is right.
fn figures(counted: &[(&Problem, bool, f64)]) -> Figures {
    let right = |of: &[f64]| of.iter().filter(|&&score| score == 1.0).count();
    let all: Vec<f64> = counted.iter().map(|one| one.2).collect();
    let pictures: Vec<f64> = counted
        .iter()
        .filter(|one| one.1)
        .map(|one| one.2)
        .collect();
    let part = |of: &dyn Fn(&Problem) -> bool| {
        let of = counted
            .iter()
            .filter(|one| one.0.split == "test" && of(one.0));
        percent(of.map(|one| one.2))
    };
    let grade = |problem: &Problem, from: u32, to: u32| {
        let number = problem
            .grade
            .strip_prefix("grade")
            .and_then(|n| n.parse().ok());
        number.is_some_and(|number: u32| (from..=to).contains(&number))
    };
    let mut parts = Figures::default();
    parts.push("natural", part(&|one| one.subject == "natural science"));
    parts.push("social", part(&|one| one.subject == "social science"));
    parts.push("language", part(&|one| one.subject == "language science"));
    parts.push("has_text", part(&|one| !one.hint.is_empty()));
    parts.push("has_image", part(&|one| one.image.is_some()));
    parts.push(
        "no_context",
        part(&|one| one.hint.is_empty() && one.image.is_none()),
    );
    parts.push("grade_1_6", part(&|one| grade(one, 1, 6)));
    parts.push("grade_7_12", part(&|one| grade(one, 7, 12)));
    let mut topics: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (problem, _, score) in counted.iter().filter(|one| one.0.split == "test") {
        topics.entry(&problem.topic).or_default().push(*score);
    }

    let mut figures = Figures::default();
    figures.push("img_accuracy", percent(pictures.iter().copied()));
    figures.push("accuracy", percent(all.iter().copied()));
    figures.push("correct", right(&all));
    figures.push("total", all.len());
    figures.push("img_correct", right(&pictures));
    figures.push("img_total", pictures.len());
    figures.push("parts", parts);
    let topics = topics
        .into_iter()
        .map(|(topic, scores)| (topic, percent(scores)));
    figures.push("topics", topics.collect::<Figures>());
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_name_the_letters_that_the_script_finds() {
        for case in parse_cases("sqa") {
            let text = case[0].as_str().unwrap();
            let choices = case[1].as_u64().unwrap() as usize;
            let letter = letter(text);
            assert_eq!(letter, case[2], "{text:?}");
            let index = index(letter, choices).map_or(-1, |index| index as i64);
            assert_eq!(index, case[3].as_i64().unwrap(), "{text:?}");
        }
    }
}
