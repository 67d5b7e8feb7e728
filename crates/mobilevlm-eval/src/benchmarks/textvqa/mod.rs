//! TextVQA 0.5.1, validation: questions about text in pictures, ten human answers each.
//!
//! Official: LLaVA's `eval_textvqa.py` and `m4c_evaluator.py`.

mod agreement;
mod normalise;
mod prompt;
mod tables;

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use self::agreement::{most_frequent, soft_accuracy};
use self::normalise::normalise;
use self::prompt::question_in;
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Ids, Item, Question, Scored, Source, loader_questions,
};
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
        loader_questions(&folder.join(QUESTIONS), "train_images/", Ids::Repeated)
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
