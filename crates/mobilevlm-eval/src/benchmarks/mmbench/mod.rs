//! MMBench, development set of 2023-10-03: questions with up to four options, each asked once for
//! every rotation of them.
//!
//! Official: LLaVA's `convert_mmbench_for_submission.py`, then OpenCompass's `eval_mmbench.py`, where
//! an answer that names no option is wrong instead of being shown to a judge.

mod names;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::json;

use self::names::option_named;
use self::table::{LETTERS, Row, is_missing, read_table};
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Choices, Crop, Item, LETTER, PictureSource, Question, Scored,
    Source,
};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::{Figures, percent};

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
        // The last answer to a row counts.
        let said: HashMap<&Id, (usize, &str)> = asked
            .answers
            .all
            .iter()
            .map(|answer| (&answer.id, (answer.line, answer.text.as_str())))
            .collect();

        let mut scored = Scored::default();
        let mut judged: Vec<(&Row, f64)> = Vec::new();
        let mut unparsed = 0;
        let mut incomplete = Vec::new();
        for (row, place) in rows.iter().zip(0..) {
            let id = Id::Number(row.index);
            let answer = said.get(&id).copied();
            if answer.is_none() && asked.partial {
                incomplete.push(row.index % ROTATION);
                continue;
            }
            // The script reads answers from a spreadsheet, where these texts are no value.
            let text = answer
                .map(|(_, text)| text)
                .filter(|text| !is_missing(text));
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
                line: answer.map(|(line, _)| line),
                question: Some(place),
                said: letter.map(String::from).unwrap_or_default(),
                gold: row.answer.to_string(),
                score,
                counts: true,
                group: (row.index % ROTATION).to_string(),
            });
            judged.push((row, score));
        }

        // A question is right if all its rotations are.
        let mut questions: BTreeMap<i64, (Option<&Row>, usize, f64)> = BTreeMap::new();
        for &(row, score) in &judged {
            let question = questions
                .entry(row.index % ROTATION)
                .or_insert((None, 0, 1.0));
            if row.index < ROTATION {
                question.0 = Some(row);
            }
            question.1 += 1;
            question.2 = question.2.min(score);
        }
        for index in incomplete {
            questions.remove(&index);
        }
        let mut circular: Vec<(&Row, f64)> = Vec::new();
        for (index, (row, rotations, score)) in questions {
            let Some(row) = row else { continue };
            scored.questions.push(json!({
                "index": index,
                "rotations": rotations,
                "score": score,
            }));
            circular.push((row, score));
        }
        if !asked.partial && !asked.alignment.missing.is_empty() {
            let note = "rows without an answer are wrong, as the official script has it";
            scored.notes.push(note.to_owned());
        }
        scored.figures = figures(&judged, &circular, unparsed);
        Ok(scored)
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

/// `judged`: each row with its score; `circular`: each question.
fn figures(judged: &[(&Row, f64)], circular: &[(&Row, f64)], unparsed: usize) -> Figures {
    let plain = judged.iter().filter(|(row, _)| row.index < ROTATION);
    let mut figures = Figures::default();
    figures.push("accuracy", percent(circular.iter().map(|one| one.1)));
    figures.push("questions", circular.len());
    figures.push("rows", judged.len());
    figures.push("plain_accuracy", percent(plain.map(|one| one.1)));
    figures.push(
        "plain_accuracy_all_rows",
        percent(judged.iter().map(|one| one.1)),
    );
    figures.push("unparsed_rows", unparsed);
    figures.push("l2_category", by(circular, |row| &row.l2_category));
    figures.push("category", by(circular, |row| &row.category));
    figures
}

/// Accuracy of questions by category, in alphabetical order.
fn by<'a>(circular: &[(&'a Row, f64)], category: impl Fn(&'a Row) -> &'a str) -> Figures {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (row, score) in circular {
        groups.entry(category(row)).or_default().push(*score);
    }
    groups
        .into_iter()
        .map(|(name, scores)| (name, percent(scores)))
        .collect()
}
