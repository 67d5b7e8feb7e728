//! TextVQA 0.5.1, validation: questions about text in pictures, ten human answers each.
//!
//! Official: LLaVA's `eval_textvqa.py` and `m4c_evaluator.py`.

mod normalise;
mod tables;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use self::normalise::normalise;
use super::{Asked, BENCHMARK_DATA, Benchmark, Item, Question, Scored, Source, loader_questions};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::percent;
use crate::files::json;

const QUESTIONS: &str = "llava_textvqa_val_v051_ocr.jsonl";
const ANNOTATIONS: &str = "TextVQA_0.5.1_val.json";

/// The benchmark.
pub(super) struct TextVqa;

#[derive(Deserialize)]
struct Annotations {
    data: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    question: String,
    question_id: Id,
    answers: Vec<String>,
}

impl Benchmark for TextVqa {
    fn name(&self) -> &'static str {
        "textvqa"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("accuracy", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        vec![
            Source::needed(QUESTIONS, BENCHMARK_DATA),
            Source::needed(ANNOTATIONS, BENCHMARK_DATA),
        ]
    }

    fn pictures(&self) -> Option<Source> {
        let from = "https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip";
        Some(Source::part("train_images", from))
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        loader_questions(&folder.join(QUESTIONS), "train_images")
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let path = asked.folder.join(ANNOTATIONS);
        let annotations = json::<Annotations>(&path)?.data;
        for one in &annotations {
            if one.answers.len() != 10 {
                let wrong = format!(
                    "question {} has {} answers; expected 10",
                    one.question_id,
                    one.answers.len()
                );
                return Err(BenchmarkError::content(&path, wrong));
            }
        }
        let annotations: HashMap<(&Id, String), &Annotation> = annotations
            .iter()
            .map(|one| ((&one.image_id, one.question.to_lowercase()), one))
            .collect();

        let mut scored = Scored::default();
        // Every line counts, doubled ones too.
        for (answer, question) in asked.answers.all.iter().zip(&asked.alignment.question_of) {
            let prompt = asked.answers.prompt(answer)?;
            let text = question_in(prompt).ok_or_else(|| {
                let wrong = format!("no question is found in the prompt {prompt:?}");
                asked.answers.wrong(answer, wrong)
            })?;
            let key = (&answer.id, text.to_lowercase());
            let annotation = annotations.get(&key).ok_or_else(|| {
                let wrong = format!(
                    "{ANNOTATIONS} has no question {:?} about picture {}",
                    key.1, answer.id
                );
                asked.answers.wrong(answer, wrong)
            })?;
            let said = normalise(&answer.text);
            let score = soft_accuracy(&annotation.answers, &said);
            scored.listing.push(json!({
                "line": answer.line,
                "question_id": answer.id,
                "annotation_question_id": annotation.question_id,
                "question": key.1,
                "post_processed": said,
                "answers": annotation.answers,
                "score": score,
            }));
            scored.items.push(Item {
                line: Some(answer.line),
                question: *question,
                said,
                gold: most_frequent(&annotation.answers),
                score,
                counts: true,
                group: String::new(),
            });
        }
        if !asked.alignment.doubled.is_empty() {
            let note = "every line counts, doubled ones too, as the official script has it";
            scored.notes.push(note.to_owned());
        }
        if !asked.partial && !asked.alignment.missing.is_empty() {
            let note = "the mean is over the lines of the answers file; the official script does \
                        not notice what is missing";
            scored.notes.push(note.to_owned());
        }
        scored.figures.push(
            "accuracy",
            percent(scored.items.iter().map(|item| item.score)),
        );
        scored.figures.push("samples", scored.items.len());
        Ok(scored)
    }
}

/// The question in a prompt; `None` where the official script stops.
fn question_in(prompt: &str) -> Option<&str> {
    let lines: Vec<&str> = prompt.split('\n').collect();
    if prompt.starts_with("OCR tokens: ") {
        let (_, rest) = prompt.split_once("Question: ")?;
        rest.split_once(" Short answer:")
            .map(|(question, _)| question)
    } else if prompt.contains("Reference OCR token: ") && lines.len() == 3 {
        let first = usize::from(prompt.starts_with("Reference OCR token:"));
        Some(lines[first])
    } else {
        (lines.len() == 2).then(|| lines[0])
    }
}

/// How far ten human answers agree with one that is normalised: the mean over each nine of them of
/// min(1, equal ones / 3).
fn soft_accuracy(answers: &[String], said: &str) -> f64 {
    let equal: Vec<bool> = answers
        .iter()
        .map(|answer| normalise(answer) == said)
        .collect();
    let all = equal.iter().filter(|equal| **equal).count();
    let without = |own: &bool| {
        let others = all - usize::from(*own);
        (others as f64 / 3.0).min(1.0)
    };
    equal.iter().map(without).sum::<f64>() / equal.len() as f64
}

/// The answer that most people gave, the first of several.
fn most_frequent(answers: &[String]) -> String {
    let normalised: Vec<String> = answers.iter().map(|answer| normalise(answer)).collect();
    let mut seen = HashSet::new();
    let mut best = ("", 0);
    for answer in normalised
        .iter()
        .filter(|answer| seen.insert(answer.as_str()))
    {
        let count = normalised.iter().filter(|other| *other == answer).count();
        if count > best.1 {
            best = (answer, count);
        }
    }
    best.0.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden_json;

    #[test]
    fn soft_accuracy_is_upstreams() {
        let cases = golden_json("textvqa/normaliser.json")["soft_accuracy"].take();
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 60);
        for case in cases {
            let answers: Vec<String> = serde_json::from_value(case["answers"].clone()).unwrap();
            let said = normalise(case["said"].as_str().unwrap());
            let score = soft_accuracy(&answers, &said);
            assert!(
                (score - case["score"].as_f64().unwrap()).abs() < 1e-9,
                "{case}"
            );
        }
    }

    #[test]
    fn the_question_is_found_in_all_three_kinds_of_prompt() {
        for (prompt, question) in [
            (
                "What?\nReference OCR token: A, B\nAnswer shortly.",
                Some("What?"),
            ),
            (
                "Reference OCR token: A\nWhat?\nAnswer shortly.",
                Some("What?"),
            ),
            ("What?\nAnswer shortly.", Some("What?")),
            (
                "OCR tokens: A\nB. Question: What\nis it? Short answer: x",
                Some("What\nis it?"),
            ),
            ("OCR tokens: A\nWhat?", None),
            ("What?", None),
            ("What?\nReference OCR token: A\nB\nAnswer shortly.", None),
        ] {
            assert_eq!(question_in(prompt), question, "{prompt:?}");
        }
    }
}
