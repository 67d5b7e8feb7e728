//! MME: two yes-or-no questions about each picture, one of them with the answer yes; fourteen tasks.
//!
//! Official: `convert_answer_to_mme.py` of LLaVA's eval.zip, then `calculation.py` of MME's
//! evaluation tool.

mod figures;
mod gold;
mod heard;
mod pairs;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::json;

use self::figures::{figures, weighted_figure};
use self::gold::{find, place, read_gold};
use self::heard::{Heard, item, says};
use self::pairs::pairs;
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Ids, Item, Question, Scored, Source, loader_questions,
};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::Figures;

const QUESTIONS: &str = "llava_mme.jsonl";
const PICTURES: Source = Source::part(
    "images",
    "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation: \
     MME_Benchmark_release_version",
);

const PERCEPTION: [&str; 10] = [
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
];
const COGNITION: [&str; 4] = [
    "commonsense_reasoning",
    "numerical_calculation",
    "text_translation",
    "code_reasoning",
];

/// The benchmark.
pub(super) struct Mme;

impl Benchmark for Mme {
    fn name(&self) -> &'static str {
        "mme"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("perception", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        // The right answers lie among the pictures.
        vec![Source::needed(QUESTIONS, BENCHMARK_DATA), PICTURES]
    }

    fn pictures(&self) -> Option<Source> {
        Some(PICTURES)
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        loader_questions(&folder.join(QUESTIONS), "images/", Ids::Repeated)
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let gold = read_gold(asked)?;
        let mut scored = Scored::default();
        let mut by_task: HashMap<String, Vec<Heard<'_>>> = HashMap::new();
        for (index, answer) in asked.answers.all.iter().enumerate() {
            let (task, file) = match &answer.id {
                Id::Text(id) => place(id),
                Id::Number(_) => None,
            }
            .ok_or_else(|| {
                let wrong = format!("{} is no picture; expected TASK/FILE", answer.id);
                asked.answers.wrong(answer, wrong)
            })?;
            let prompt = asked.answers.prompt(answer)?;
            let known = gold.get(&(task.to_owned(), file.clone()));
            let Some((question, gold)) = known.and_then(|known| find(known, prompt)) else {
                if asked.partial && known.is_none() && asked.alignment.question_of[index].is_some()
                {
                    continue;
                }
                let wrong = format!("{task}/{file} has no question for the prompt {prompt:?}");
                return Err(asked.answers.wrong(answer, wrong));
            };
            if answer.text.contains(['\n', '\r', '\t']) {
                scored.notes.push(format!(
                    "line {}: the official tool stops at a line break or tab in a text; it is read \
                     by its first four characters as any other",
                    answer.line
                ));
            }
            let says = says(&answer.text);
            scored.listing.push(json!({
                "line": answer.line,
                "question_id": answer.id,
                "question": question,
                "post_processed": says,
                "answer": gold,
                "score": f64::from(says == gold),
            }));
            let heard = Heard {
                index,
                answer,
                gold,
                says,
            };
            scored.items.push(item(asked, task, &heard));
            by_task.entry(task.to_owned()).or_default().push(heard);
        }
        let mut tasks = Figures::default();
        let mut kept = HashSet::new();
        for task in PERCEPTION.into_iter().chain(COGNITION) {
            let heard = by_task.remove(task).unwrap_or_default();
            let pairs = pairs(asked, task, &heard, &mut scored.notes)?;
            kept.extend(pairs.iter().flatten().map(|heard| heard.answer.line));
            if !pairs.is_empty() {
                tasks.push(task, figures(&pairs));
            }
        }
        for (name, of) in [("perception", &PERCEPTION[..]), ("cognition", &COGNITION)] {
            let scores = of
                .iter()
                .filter_map(|task| tasks.number(&format!("{task}.score")));
            let scores: Vec<f64> = scores.collect();
            let sum = (!scores.is_empty()).then(|| scores.iter().sum::<f64>());
            scored.figures.push(name, sum);
        }
        scored.figures.push("tasks", tasks);
        if asked.partial {
            let is_kept = |line: usize| kept.contains(&line);
            scored.items.retain(|item| item.line.is_some_and(is_kept));
            scored.listing.retain(|item| {
                item["line"]
                    .as_u64()
                    .is_some_and(|line| is_kept(line as usize))
            });
        }
        Ok(scored)
    }

    fn weighted_figure(&self, items: &[Item], weights: &[f64]) -> Option<f64> {
        weighted_figure(items, weights)
    }

    fn draws_within_groups(&self) -> bool {
        true
    }
}
