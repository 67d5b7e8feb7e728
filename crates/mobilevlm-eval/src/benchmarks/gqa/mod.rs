//! GQA, testdev-balanced: compositional questions with one right word.
//!
//! Official: LLaVA's `convert_gqa_for_eval.py`, then `eval.py` of the GQA site without choices and
//! scene graphs, which do not exist for this split.

mod figures;
mod gold;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::json;

use self::figures::figures;
use self::gold::Gold;
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Ids, Item, Question, Scored, Source, loader_questions,
};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::files::json;

const QUESTIONS: &str = "llava_gqa_testdev_balanced.jsonl";
const GOLD: &str = "testdev_balanced_questions.json";

/// The benchmark.
pub(super) struct Gqa;

impl Benchmark for Gqa {
    fn name(&self) -> &'static str {
        "gqa"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("accuracy", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        vec![
            Source::needed(QUESTIONS, BENCHMARK_DATA),
            Source::needed(GOLD, BENCHMARK_DATA),
        ]
    }

    fn pictures(&self) -> Option<Source> {
        Some(Source::part(
            "images",
            "https://cs.stanford.edu/people/dorarad/gqa/download.html",
        ))
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        loader_questions(&folder.join(QUESTIONS), "images/", Ids::Unique)
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let path = asked.folder.join(GOLD);
        let gold: BTreeMap<String, Gold> = json(&path)?;
        // The last answer to a question counts.
        let said: HashMap<&str, (usize, String)> = asked
            .answers
            .all
            .iter()
            .enumerate()
            .filter_map(|(index, answer)| match &answer.id {
                Id::Text(id) => Some((id.as_str(), (index, compared(&answer.text)))),
                Id::Number(_) => None,
            })
            .collect();

        let mut counted = Vec::new();
        for (id, gold) in gold.iter().filter(|(_, gold)| gold.balanced) {
            match said.get(id.as_str()) {
                Some((_, said)) => counted.push((gold, said.as_str())),
                None if asked.partial => {}
                None => return Err(no_answer(asked, id)),
            }
        }

        if counted.is_empty() {
            let wrong = "no balanced question with an answer";
            return Err(BenchmarkError::content(&path, wrong));
        }
        let places = asked.places();
        let mut in_order: Vec<_> = said.iter().collect();
        in_order.sort_unstable_by_key(|(_, answer)| answer.0);
        let mut scored = Scored::default();
        for (&id, (index, said)) in in_order {
            let Some(gold) = gold.get(id) else { continue };
            let answer = &asked.answers.all[*index];
            let score = f64::from(*said == gold.answer);
            scored.listing.push(json!({
                "line": answer.line,
                "question_id": id,
                "post_processed": said,
                "answer": gold.answer,
                "score": gold.balanced.then_some(score),
                "balanced": gold.balanced,
            }));
            scored.items.push(Item {
                line: Some(answer.line),
                question: places.get(&answer.id).copied(),
                said: said.clone(),
                gold: gold.answer.clone(),
                score,
                counts: gold.balanced,
                group: String::new(),
            });
        }
        scored.figures = figures(&counted);
        Ok(scored)
    }
}

/// All full stops at the end go, then it is lower-cased; nothing else is done.
fn compared(text: &str) -> String {
    text.trim_end_matches('.').to_lowercase()
}

fn no_answer(asked: &Asked<'_>, id: &str) -> BenchmarkError {
    let place = asked
        .questions
        .iter()
        .position(|question| question.id == Id::Text(id.to_owned()));
    let answers = asked.answers.path.display();
    let wrong = format!(
        "question {id:?} has no answer in {answers}; answer it, or score what is there with `--partial`"
    );
    match place {
        Some(place) => BenchmarkError::line(&asked.folder.join(QUESTIONS), place + 1, wrong),
        None => BenchmarkError::content(&asked.folder.join(GOLD), wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_are_compared_as_the_script_does() {
        for case in parse_cases("gqa") {
            let text = case[0].as_str().unwrap();
            assert_eq!(compared(text), case[1], "{text:?}");
        }
    }
}
