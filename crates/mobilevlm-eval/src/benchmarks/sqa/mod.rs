//! ScienceQA, test split: questions with two to five options, about half of them with a picture.
//!
//! Official: LLaVA's `eval_science_qa.py`; parts and topics as the ScienceQA repository's
//! `tools/evaluate_acc.py`.

mod figures;
mod letter;
mod problems;

use std::collections::HashMap;
use std::path::Path;

use mobilevlm_data::python;
use serde::Deserialize;
use serde_json::json;

use self::figures::figures;
use self::letter::{LETTERS, index, letter};
use self::problems::{PROBLEMS, Problem, SPLITS, read_problems};
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Crop, Item, LETTER, PictureSource, Question, Scored, Source,
};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::files::json;

const QUESTIONS: &str = "llava_test_CQM-A.json";

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
        let mut seen = HashMap::new();
        for (entry, number) in entries.into_iter().zip(1..) {
            let Some(turn) = entry.conversations.first() else {
                let wrong = format!("entry {number}, {:?}, has no conversation", entry.id);
                return Err(BenchmarkError::content(&path, wrong));
            };
            if let Some(first) = seen.insert(entry.id.clone(), number) {
                let wrong = format!("entry {number}, {:?}, is entry {first} too", entry.id);
                return Err(BenchmarkError::content(&path, wrong));
            }
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
        let problems = read_problems(asked.folder)?;
        let answers = asked.last_answers();
        let places = asked.places();

        let mut scored = Scored::default();
        let mut counted: Vec<(&Problem, bool, f64)> = Vec::new();
        for (id, problem) in &problems {
            let answer = answers.get(id).copied();
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
                question: places.get(id).copied(),
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
