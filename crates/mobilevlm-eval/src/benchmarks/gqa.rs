//! GQA, testdev-balanced: compositional questions with one right word.
//!
//! Official: LLaVA's `convert_gqa_for_eval.py`, then `eval.py` of the GQA site without choices and
//! scene graphs, which do not exist for this split.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use mobilevlm_data::python;
use serde::Deserialize;
use serde_json::json;

use super::{Asked, BENCHMARK_DATA, Benchmark, Item, Question, Scored, Source, loader_questions};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::{Figures, percent, ratio};
use crate::files::json;

const QUESTIONS: &str = "llava_gqa_testdev_balanced.jsonl";
const GOLD: &str = "testdev_balanced_questions.json";

/// The benchmark.
pub(super) struct Gqa;

/// What is known of a question.
#[derive(Deserialize)]
struct Gold {
    question: String,
    answer: String,
    #[serde(rename = "isBalanced")]
    balanced: bool,
    types: Types,
    groups: Groups,
    semantic: Vec<Step>,
}

#[derive(Deserialize)]
struct Types {
    structural: Option<String>,
    semantic: Option<String>,
}

#[derive(Deserialize)]
struct Groups {
    global: Option<String>,
}

#[derive(Deserialize)]
struct Step {
    operation: String,
    argument: Option<String>,
}

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
        loader_questions(&folder.join(QUESTIONS), "images")
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

        let place: HashMap<&Id, usize> = asked
            .questions
            .iter()
            .map(|question| &question.id)
            .zip(0..)
            .collect();
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
                question: place.get(&answer.id).copied(),
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

/// `counted`: each balanced question with what was said.
fn figures(counted: &[(&Gold, &str)]) -> Figures {
    let accuracy = |of: &dyn Fn(&Gold) -> bool| {
        let of = counted.iter().filter(|(gold, _)| of(gold));
        percent(of.map(|(gold, said)| f64::from(gold.answer == *said)))
    };
    let open = |gold: &Gold| gold.types.structural.as_deref() == Some("query");
    let mut figures = Figures::default();
    figures.push("accuracy", accuracy(&|_| true));
    figures.push("binary", accuracy(&|gold| !open(gold)));
    figures.push("open", accuracy(&open));
    figures.push("distribution", distribution(counted));
    figures.push("questions", counted.len());
    figures.push(
        "structural",
        by(counted, |gold| gold.types.structural.clone()),
    );
    figures.push("semantic", by(counted, |gold| gold.types.semantic.clone()));
    figures.push("steps", by(counted, |gold| Some(steps(gold))));
    figures.push(
        "words",
        by(counted, |gold| Some(python::split(&gold.question).count())),
    );
    figures
}

/// Accuracy by some property of the questions; those without it are left out.
fn by<K: Ord + ToString>(
    counted: &[(&Gold, &str)],
    property: impl Fn(&Gold) -> Option<K>,
) -> Figures {
    let mut groups: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for (gold, said) in counted {
        if let Some(key) = property(gold) {
            groups
                .entry(key)
                .or_default()
                .push(f64::from(gold.answer == *said));
        }
    }
    groups
        .into_iter()
        .map(|(key, right)| (key.to_string(), percent(right)))
        .collect()
}

/// The steps of reasoning: those of the question's program that are not part of its wording.
fn steps(gold: &Gold) -> usize {
    let is_counted = |step: &&Step| {
        let argument = step.argument.as_deref().unwrap_or("None");
        let text = format!("{}: {argument}", step.operation);
        !["exist", "query: name", "choose name"]
            .iter()
            .any(|part| text.contains(part))
    };
    gold.semantic.iter().filter(is_counted).count()
}

/// How far the answers' frequencies are from the right ones', lower being better: chi-square over the
/// right answers of each global group, weighted by the group's size, divided by 100.
fn distribution(counted: &[(&Gold, &str)]) -> Option<f64> {
    let mut groups: BTreeMap<&str, Vec<&(&Gold, &str)>> = BTreeMap::new();
    for one in counted {
        if let Some(group) = &one.0.groups.global {
            groups.entry(group).or_default().push(one);
        }
    }
    let mut sum = 0.0;
    let mut all = 0.0;
    for group in groups.values() {
        let mut expected: BTreeMap<&str, f64> = BTreeMap::new();
        let mut observed: HashMap<&str, f64> = HashMap::new();
        for (gold, said) in group {
            *expected.entry(&gold.answer).or_default() += 1.0;
            *observed.entry(said).or_default() += 1.0;
        }
        let off = |(answer, expected): (&&str, &f64)| {
            let observed = observed.get(answer).copied().unwrap_or_default();
            (observed - expected).powi(2) / expected
        };
        let size = group.len() as f64;
        sum += size * expected.iter().map(off).sum::<f64>();
        all += size;
    }
    ratio(sum, all).map(|mean| mean / 100.0)
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
