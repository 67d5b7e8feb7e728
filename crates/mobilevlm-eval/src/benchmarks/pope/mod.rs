//! POPE: is there such a thing in the picture? Three splits that differ in the things asked for.
//!
//! Official: LLaVA's `eval_pope.py`.

mod labels;
mod split;

use std::path::Path;

use serde::Deserialize;

use self::labels::read_labels;
use self::split::{SHARES, score_split, weighted_figure};
use super::{
    Asked, BENCHMARK_DATA, Benchmark, Ids, Item, Question, Scored, Source, loader_questions,
};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::{Figures, mean};
use crate::files::json_lines;

const QUESTIONS: &str = "llava_pope_test.jsonl";
const LABELS: &str =
    "https://github.com/AoiDragon/POPE/tree/e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco";

/// The splits in the order of the figures.
const SPLITS: [&str; 3] = ["adversarial", "popular", "random"];

/// The benchmark.
pub(super) struct Pope;

#[derive(Deserialize)]
struct QuestionLine {
    question_id: Id,
    image: String,
    text: String,
    category: String,
}

impl Benchmark for Pope {
    fn name(&self) -> &'static str {
        "pope"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("average.f1", 100.0)
    }

    fn decimals(&self) -> usize {
        3
    }

    fn files(&self) -> Vec<Source> {
        vec![
            Source::needed(QUESTIONS, BENCHMARK_DATA),
            Source::part("coco/coco_pope_adversarial.json", LABELS),
            Source::part("coco/coco_pope_popular.json", LABELS),
            Source::part("coco/coco_pope_random.json", LABELS),
        ]
    }

    fn pictures(&self) -> Option<Source> {
        Some(Source::part(
            "val2014",
            "https://cocodataset.org/#download: 2014 Val images",
        ))
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        loader_questions(&folder.join(QUESTIONS), "val2014/", Ids::Unique)
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let path = asked.folder.join(QUESTIONS);
        let lines: Vec<(usize, QuestionLine)> = json_lines(&path)?;
        for (at, line) in &lines {
            if !SPLITS.contains(&line.category.as_str()) {
                let wrong = format!(
                    "category {:?}; expected adversarial, popular or random",
                    line.category
                );
                return Err(BenchmarkError::line(&path, *at, wrong));
            }
        }
        if let Some(&unknown) = asked.alignment.unknown.first() {
            let answer = &asked.answers.all[unknown];
            let wrong = format!("{} is no question of {QUESTIONS}", answer.id);
            return Err(asked.answers.wrong(answer, wrong));
        }
        let mut scored = Scored::default();
        let mut splits = Figures::default();
        for split in SPLITS {
            let labels = asked.folder.join(format!("coco/coco_pope_{split}.json"));
            if asked.partial && !labels.exists() {
                scored
                    .notes
                    .push(format!("{split}: left out without {}", labels.display()));
                continue;
            }
            let of_split = lines
                .iter()
                .enumerate()
                .filter(|(_, (_, line))| line.category == split);
            let of_split: Vec<(usize, &QuestionLine)> =
                of_split.map(|(index, (_, line))| (index, line)).collect();
            let labels = read_labels(&labels, split, &of_split)?;
            splits.push(
                split,
                score_split(asked, split, &of_split, &labels, &mut scored),
            );
        }
        let mut average = Figures::default();
        for share in SHARES {
            let of_splits: Option<Vec<f64>> = splits
                .iter()
                .map(|(split, _)| splits.number(&format!("{split}.{share}")))
                .collect();
            average.push(share, of_splits.and_then(mean));
        }
        scored.figures.push("average", average);
        for (split, figure) in splits.iter() {
            scored.figures.push(split, figure.clone());
        }
        Ok(scored)
    }

    fn weighted_figure(&self, items: &[Item], weights: &[f64]) -> Option<f64> {
        weighted_figure(items, weights)
    }
}
