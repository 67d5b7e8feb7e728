//! What is made of the answers of a split.

use std::collections::HashMap;

use serde_json::json;

use super::labels::Label;
use super::{QuestionLine, SPLITS};
use crate::answers::Id;
use crate::benchmarks::{Asked, Item, Scored};
use crate::figures::{Figure, Figures, mean, ratio};

/// The figures of a split that are averaged.
pub(super) const SHARES: [&str; 5] = ["accuracy", "precision", "recall", "f1", "yes_ratio"];

/// What an answer says: "no" if one of the words of its first sentence is, else "yes".
fn says(text: &str) -> Label {
    let sentence = text.split('.').next().unwrap_or_default().replace(',', "");
    let is_no = sentence
        .split(' ')
        .any(|word| ["No", "not", "no"].contains(&word));
    if is_no { Label::No } else { Label::Yes }
}

/// Adds the items of one split and returns its figures. Answers are paired with labels by position, as the script does.
pub(super) fn score_split(
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

/// 100 × the mean F1 of the splits.
pub(super) fn weighted_figure(items: &[Item], weights: &[f64]) -> Option<f64> {
    let f1 = |split: &&str| {
        // What was called yes, what is yes, and what is both.
        let (mut called, mut is, mut both, mut seen) = (0.0, 0.0, 0.0, false);
        for (item, weight) in items
            .iter()
            .zip(weights)
            .filter(|(item, _)| item.group == *split)
        {
            seen = true;
            let (said, gold) = (item.said == "yes", item.gold == "yes");
            called += weight * f64::from(said);
            is += weight * f64::from(gold);
            both += weight * f64::from(said && gold);
        }
        let (precision, recall) = (ratio(both, called), ratio(both, is));
        let f1 = precision
            .zip(recall)
            .and_then(|(p, r)| ratio(2.0 * p * r, p + r));
        seen.then_some(f1)
    };
    let f1: Option<Vec<f64>> = SPLITS.iter().filter_map(f1).collect();
    mean(f1?).map(|mean| 100.0 * mean)
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
