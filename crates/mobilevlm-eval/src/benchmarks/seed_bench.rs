//! SEED-Bench, image part: questions with four options about pictures, in nine types. It is in no
//! table of the paper.
//!
//! Official: LLaVA's `convert_seed_for_submission.py`, whose image accuracy this is.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::{
    Asked, Benchmark, Ids, Item, PictureSource, Question, Scored, Source, loader_questions,
};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::{Figures, percent};
use crate::files::json;

const QUESTIONS: &str = "llava-seed-bench.jsonl";
const ANNOTATIONS: &str = "SEED-Bench.json";
const PICTURES: &str = "SEED-Bench-image/";
const DATASET: &str = "https://github.com/AILab-CVC/SEED-Bench/blob/main/DATASET.md";

/// The benchmark.
pub(super) struct SeedBench;

#[derive(Deserialize)]
struct Annotations {
    question_type: HashMap<String, i64>,
    questions: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    question_id: Id,
    question_type_id: i64,
    data_type: String,
    answer: String,
}

impl Annotation {
    /// The id as answers have it: digits are a number.
    fn id(&self) -> Id {
        match &self.question_id {
            Id::Text(text) => text
                .parse()
                .map_or_else(|_| self.question_id.clone(), Id::Number),
            Id::Number(_) => self.question_id.clone(),
        }
    }
}

impl Benchmark for SeedBench {
    fn name(&self) -> &'static str {
        "seed_bench"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("accuracy", 1.0)
    }

    fn is_in_paper(&self) -> bool {
        false
    }

    fn files(&self) -> Vec<Source> {
        let llava = "https://github.com/haotian-liu/LLaVA/blob/main/docs/Evaluation.md: eval.zip";
        vec![
            Source::needed(QUESTIONS, llava),
            Source::needed(ANNOTATIONS, DATASET),
        ]
    }

    fn pictures(&self) -> Option<Source> {
        Some(Source::part(PICTURES, DATASET))
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        let mut questions = loader_questions(&folder.join(QUESTIONS), "", Ids::Unique)?;
        // The others are about frames of videos.
        questions.retain(|question| match &question.picture {
            Some(PictureSource::File(path)) => path.starts_with(PICTURES),
            _ => false,
        });
        Ok(questions)
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let path = asked.folder.join(ANNOTATIONS);
        let annotations: Annotations = json(&path)?;
        let names: HashMap<i64, String> = annotations
            .question_type
            .into_iter()
            .map(|(name, number)| (number, name))
            .collect();
        let answers = asked.last_answers();
        let places = asked.places();

        let mut scored = Scored::default();
        // By type: whether each is answered, and 1 if it is right.
        let mut types: BTreeMap<i64, Vec<(bool, f64)>> = BTreeMap::new();
        let of_images = |one: &&Annotation| one.data_type == "image";
        for one in annotations.questions.iter().filter(of_images) {
            let id = one.id();
            let answer = answers.get(&id).copied();
            if answer.is_none() && asked.partial {
                continue;
            }
            let said = answer.map(|answer| answer.text.as_str());
            let score = f64::from(said == Some(one.answer.as_str()));
            let of_type = types.entry(one.question_type_id).or_default();
            of_type.push((answer.is_some(), score));
            scored.listing.push(json!({
                "question_id": id,
                "post_processed": said,
                "answer": one.answer,
                "score": score,
            }));
            scored.items.push(Item {
                line: answer.map(|answer| answer.line),
                question: places.get(&id).copied(),
                said: said.unwrap_or_default().to_owned(),
                gold: one.answer.clone(),
                score,
                counts: true,
                group: String::new(),
            });
        }

        let scores = |of: &[(bool, f64)]| percent(of.iter().map(|one| one.1));
        let mut by_type = Figures::default();
        for (number, of_type) in &types {
            let name = names.get(number).ok_or_else(|| {
                BenchmarkError::content(&path, format!("question type {number} has no name"))
            })?;
            by_type.push(name, scores(of_type));
            if of_type.iter().all(|one| *one == (true, 0.0)) {
                scored.notes.push(format!(
                    "{name}: no answer is right, on which the official script stops; it counts as 0"
                ));
            }
        }
        let all: Vec<(bool, f64)> = types.into_values().flatten().collect();
        scored.figures.push("accuracy", scores(&all));
        scored.figures.push("questions", all.len());
        scored.figures.push("types", by_type);
        Ok(scored)
    }
}
