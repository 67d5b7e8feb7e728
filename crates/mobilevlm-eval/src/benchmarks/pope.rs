//! POPE: is there such a thing in the picture? Three splits that differ in the things asked for.
//!
//! Official: LLaVA's `eval_pope.py`.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::{Asked, BENCHMARK_DATA, Benchmark, Item, Question, Scored, Source, loader_questions};
use crate::answers::Id;
use crate::error::BenchmarkError;
use crate::figures::{Figure, Figures, mean, ratio};
use crate::files::json_lines;

const QUESTIONS: &str = "llava_pope_test.jsonl";
const LABELS: &str =
    "https://github.com/AoiDragon/POPE/tree/e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco";

/// The splits in the order of the figures.
const SPLITS: [&str; 3] = ["adversarial", "popular", "random"];

/// The figures of a split that are averaged.
const SHARES: [&str; 5] = ["accuracy", "precision", "recall", "f1", "yes_ratio"];

/// The benchmark.
pub(super) struct Pope;

#[derive(Deserialize)]
struct QuestionLine {
    question_id: Id,
    image: String,
    text: String,
    category: String,
}

#[derive(Deserialize)]
struct LabelLine {
    image: String,
    text: String,
    label: Label,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Label {
    Yes,
    No,
}

impl Label {
    fn name(self) -> &'static str {
        match self {
            Label::Yes => "yes",
            Label::No => "no",
        }
    }
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
        loader_questions(&folder.join(QUESTIONS), "val2014")
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
}

/// `yes` and `no` of a split, whose pictures and questions must be those of the question file:
/// another version of the labels has others, and would pass without a word.
fn read_labels(
    path: &Path,
    split: &str,
    questions: &[(usize, &QuestionLine)],
) -> Result<Vec<Label>, BenchmarkError> {
    let labels: Vec<(usize, LabelLine)> = json_lines(path)?;
    for ((at, label), (index, question)) in labels.iter().zip(questions) {
        let asked = question.text.lines().next().unwrap_or_default();
        if label.image != question.image || label.text != asked {
            let wrong = format!(
                "{:?} about {}, but line {} of {QUESTIONS} asks {asked:?} about {}; \
                 labels of another version? Take those of {LABELS}",
                label.text,
                label.image,
                index + 1,
                question.image
            );
            return Err(BenchmarkError::line(path, *at, wrong));
        }
    }
    if labels.len() != questions.len() {
        let wrong = format!(
            "{} labels, but {QUESTIONS} has {} questions of {split}; labels of another version? \
             Take those of {LABELS}",
            labels.len(),
            questions.len()
        );
        return Err(BenchmarkError::content(path, wrong));
    }
    Ok(labels.into_iter().map(|(_, label)| label.label).collect())
}

/// What an answer says: "no" if one of the words of its first sentence is, else "yes".
fn says(text: &str) -> Label {
    let sentence = text.split('.').next().unwrap_or_default().replace(',', "");
    let is_no = sentence
        .split(' ')
        .any(|word| ["No", "not", "no"].contains(&word));
    if is_no { Label::No } else { Label::Yes }
}

/// The figures of one split. Answers are paired with labels by position, as the script does.
fn score_split(
    asked: &Asked<'_>,
    split: &str,
    questions: &[(usize, &QuestionLine)],
    labels: &[Label],
    scored: &mut Scored,
) -> Figures {
    // [said yes][is yes]
    let mut counts = [[0_usize; 2]; 2];
    let mut said_yes = 0;
    let mut lines: Vec<usize> = Vec::new();
    let mut shifted = None;
    let places: HashMap<&Id, usize> = questions
        .iter()
        .map(|(_, line)| &line.question_id)
        .zip(0..)
        .collect();
    for answer in &asked.answers.all {
        let Some(&own) = places.get(&answer.id) else {
            continue;
        };
        let place = if asked.partial { own } else { lines.len() };
        let said = says(&answer.text);
        lines.push(answer.line);
        said_yes += usize::from(said == Label::Yes);
        let Some(&label) = labels.get(place) else {
            continue;
        };
        if place != own && shifted.is_none() {
            shifted = Some(answer.line);
        }
        counts[usize::from(said == Label::Yes)][usize::from(label == Label::Yes)] += 1;
        let score = f64::from(said == label);
        scored.listing.push(json!({
            "question_id": answer.id,
            "split": split,
            "post_processed": said.name(),
            "answer": label.name(),
            "score": score,
        }));
        scored.items.push(Item {
            line: Some(answer.line),
            question: Some(questions[own].0),
            said: said.name().to_owned(),
            gold: label.name().to_owned(),
            score,
            counts: true,
            group: split.to_owned(),
        });
    }
    if let Some(line) = shifted {
        scored.notes.push(format!(
            "{split}: labels are paired by position, as the official script does, and from line \
             {line} on they are those of other questions"
        ));
    }
    let [[tn, fn_], [fp, tp]] = counts;
    if tp + fp == 0 {
        let of = match (lines.first(), lines.last()) {
            (Some(first), Some(last)) => format!("no answer of lines {first} to {last} says yes"),
            _ => "there is no answer (any line)".to_owned(),
        };
        scored.notes.push(format!(
            "{split}: {of}, so that precision and F1 are 0/0; the official script stops there"
        ));
    }
    let number = |count: usize| count as f64;
    let precision = ratio(number(tp), number(tp + fp));
    let recall = ratio(number(tp), number(tp + fn_));
    let f1 = precision
        .zip(recall)
        .and_then(|(p, r)| ratio(2.0 * p * r, p + r));
    let shares: [Figure; 5] = [
        ratio(number(tp + tn), number(tp + tn + fp + fn_)).into(),
        precision.into(),
        recall.into(),
        f1.into(),
        ratio(number(said_yes), number(lines.len())).into(),
    ];
    let mut figures: Figures = SHARES.into_iter().zip(shares).collect();
    for (name, count) in [("tp", tp), ("fp", fp), ("tn", tn), ("fn", fn_)] {
        figures.push(name, count);
    }
    figures.push("questions", lines.len());
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_say_what_the_script_hears() {
        for case in parse_cases("pope") {
            let text = case[0].as_str().unwrap();
            assert_eq!(says(text).name(), case[1], "{text:?}");
        }
    }
}
