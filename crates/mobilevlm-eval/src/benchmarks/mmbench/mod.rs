//! MMBench, development set of 2023-10-03: questions with up to four options, each asked once for
//! every rotation of them.
//!
//! Official: LLaVA's `convert_mmbench_for_submission.py`, then OpenCompass's `eval_mmbench.py`, where
//! an answer that names no option is wrong instead of being shown to a judge.

mod figures;
mod names;
mod table;

use std::path::Path;

use serde_json::json;

use self::figures::{circular, figures, weighted_figure};
use self::names::option_named;
use self::table::{LETTERS, Row, is_missing, read_table};
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Choices, Crop, Item, LETTER, PictureSource, Question, Scored,
    Source,
};
use crate::answers::Id;
use crate::error::BenchmarkError;

const TABLE: &str = "mmbench_dev_en_20231003.tsv";

/// Rotations of a question have its index plus multiples of this.
const ROTATION: i64 = 1_000_000;

/// The benchmark.
pub(super) struct MmBench;

impl Benchmark for MmBench {
    fn name(&self) -> &'static str {
        "mmbench"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("accuracy", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        vec![Source::needed(TABLE, BENCHMARK_DATA)]
    }

    fn pictures(&self) -> Option<Source> {
        None
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        Ok(read_table(&folder.join(TABLE))?
            .into_iter()
            .map(question)
            .collect())
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let rows = read_table(&asked.folder.join(TABLE))?;
        let answers = asked.last_answers();
        let mut scored = Scored::default();
        let mut judged: Vec<(&Row, f64)> = Vec::new();
        let mut unparsed = 0;
        let mut incomplete = Vec::new();
        for (row, place) in rows.iter().zip(0..) {
            let id = Id::Number(row.index);
            let answer = answers.get(&id).copied();
            if answer.is_none() && asked.partial {
                incomplete.push(row.index % ROTATION);
                continue;
            }
            // The script reads answers from a spreadsheet, where these texts are no value.
            let text = answer.map(|answer| answer.text.as_str());
            let text = text.filter(|text| !is_missing(text));
            let letter = option_named(text.unwrap_or("nan"), &row.options);
            unparsed += usize::from(letter.is_none());
            let score = f64::from(letter == Some(row.answer));
            scored.listing.push(json!({
                "question_id": row.index,
                "parsed": letter,
                "answer": row.answer,
                "score": score,
            }));
            scored.items.push(Item {
                line: answer.map(|answer| answer.line),
                question: Some(place),
                said: letter.map(String::from).unwrap_or_default(),
                gold: row.answer.to_string(),
                score,
                counts: true,
                group: (row.index % ROTATION).to_string(),
            });
            judged.push((row, score));
        }

        let circular = circular(&judged, &incomplete);
        for (row, rotations, score) in &circular {
            scored.questions.push(json!({
                "index": row.index,
                "rotations": rotations,
                "score": score,
            }));
        }
        if !asked.partial && !asked.alignment.missing.is_empty() {
            let note = "rows without an answer are wrong, as the official script has it";
            scored.notes.push(note.to_owned());
        }
        scored.figures = figures(&judged, &circular, unparsed);
        Ok(scored)
    }

    fn weighted_figure(&self, items: &[Item], weights: &[f64]) -> Option<f64> {
        weighted_figure(items, weights)
    }
}

/// What is asked of a row.
fn question(row: Row) -> Question {
    let shown = row.shown_options();
    let mut prompt = match row.hint {
        Some(hint) => format!("{hint}\n{}", row.question),
        None => row.question,
    };
    for (letter, option) in LETTERS.into_iter().zip(&shown) {
        prompt += &format!("\n{letter}. {option}");
    }
    Question {
        id: Id::Number(row.index),
        text: format!("{prompt}\n{LETTER}"),
        prompt,
        picture: Some(PictureSource::Base64(row.picture)),
        crop: Crop::Model,
        max_new_tokens: 1024,
        choices: Some(Choices { options: shown }),
    }
}
