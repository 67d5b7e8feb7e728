//! The figures of `eval_science_qa.py` and `evaluate_acc.py`.

use std::collections::BTreeMap;

use super::problems::Problem;
use crate::figures::{Figures, percent};

/// `counted`: each problem, whether it counts as one with a picture, and 1 if it is right.
pub(super) fn figures(counted: &[(&Problem, bool, f64)]) -> Figures {
    let right = |of: &[f64]| of.iter().filter(|&&score| score == 1.0).count();
    let all: Vec<f64> = counted.iter().map(|one| one.2).collect();
    let pictures: Vec<f64> = counted
        .iter()
        .filter(|one| one.1)
        .map(|one| one.2)
        .collect();
    let part = |of: &dyn Fn(&Problem) -> bool| {
        let of = counted
            .iter()
            .filter(|one| one.0.split == "test" && of(one.0));
        percent(of.map(|one| one.2))
    };
    let grade = |problem: &Problem, from: u32, to: u32| {
        let number = problem
            .grade
            .strip_prefix("grade")
            .and_then(|n| n.parse().ok());
        number.is_some_and(|number: u32| (from..=to).contains(&number))
    };
    let has_text = |problem: &Problem| problem.hint.as_ref().is_some_and(|hint| !hint.is_empty());
    let mut parts = Figures::default();
    parts.push("natural", part(&|one| one.subject == "natural science"));
    parts.push("social", part(&|one| one.subject == "social science"));
    parts.push("language", part(&|one| one.subject == "language science"));
    parts.push("has_text", part(&has_text));
    parts.push("has_image", part(&|one| one.image.is_some()));
    parts.push(
        "no_context",
        part(&|one| !has_text(one) && one.image.is_none()),
    );
    parts.push("grade_1_6", part(&|one| grade(one, 1, 6)));
    parts.push("grade_7_12", part(&|one| grade(one, 7, 12)));
    let mut topics: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (problem, _, score) in counted.iter().filter(|one| one.0.split == "test") {
        topics.entry(&problem.topic).or_default().push(*score);
    }

    let mut figures = Figures::default();
    figures.push("img_accuracy", percent(pictures.iter().copied()));
    figures.push("accuracy", percent(all.iter().copied()));
    figures.push("correct", right(&all));
    figures.push("total", all.len());
    figures.push("img_correct", right(&pictures));
    figures.push("img_total", pictures.len());
    figures.push("parts", parts);
    let topics = topics
        .into_iter()
        .map(|(topic, scores)| (topic, percent(scores)));
    figures.push("topics", topics.collect::<Figures>());
    figures
}
