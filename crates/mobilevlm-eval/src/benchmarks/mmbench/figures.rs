//! The figures of OpenCompass's `eval_mmbench.py`, and the plain ones that others quote.

use std::collections::{BTreeMap, HashMap};

use super::ROTATION;
use super::table::Row;
use crate::benchmarks::Item;
use crate::figures::{Figures, percent, ratio};

/// Each question with its number of rotations and 1 if all of them are right; by index.
/// `incomplete`: indices of questions that are left out.
pub(super) fn circular<'a>(
    judged: &[(&'a Row, f64)],
    incomplete: &[i64],
) -> Vec<(&'a Row, usize, f64)> {
    let mut questions: BTreeMap<i64, (Option<&'a Row>, usize, f64)> = BTreeMap::new();
    for &(row, score) in judged {
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
        questions.remove(index);
    }
    let known = |(row, rotations, score): (Option<&'a Row>, _, _)| Some((row?, rotations, score));
    questions.into_values().filter_map(known).collect()
}

/// `judged`: each row with its score; `circular`: each question.
pub(super) fn figures(
    judged: &[(&Row, f64)],
    circular: &[(&Row, usize, f64)],
    unparsed: usize,
) -> Figures {
    let plain = judged.iter().filter(|(row, _)| row.index < ROTATION);
    let mut figures = Figures::default();
    figures.push("accuracy", percent(circular.iter().map(|one| one.2)));
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
fn by<'a>(circular: &[(&'a Row, usize, f64)], category: impl Fn(&'a Row) -> &'a str) -> Figures {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (row, _, score) in circular {
        groups.entry(category(row)).or_default().push(*score);
    }
    groups
        .into_iter()
        .map(|(name, scores)| (name, percent(scores)))
        .collect()
}

/// 100 × the mean of the questions, each right if all its rotations are, with the weight of the
/// first.
pub(super) fn weighted_figure(items: &[Item], weights: &[f64]) -> Option<f64> {
    let mut questions: HashMap<&str, (f64, f64)> = HashMap::new();
    for (item, weight) in items.iter().zip(weights) {
        let question = questions.entry(&item.group).or_insert((*weight, 1.0));
        question.1 *= item.score;
    }
    let (mut right, mut count) = (0.0, 0.0);
    // Sums of whole numbers: their order does not matter.
    for (weight, score) in questions.into_values() {
        right += weight * score;
        count += weight;
    }
    ratio(100.0 * right, count)
}
