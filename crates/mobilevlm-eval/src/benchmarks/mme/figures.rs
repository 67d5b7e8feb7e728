//! The figures of MME's `calculation.py`.

use super::PERCEPTION;
use super::heard::Heard;
use crate::benchmarks::Item;
use crate::figures::{Figure, Figures, ratio};

/// The figures of a task.
pub(super) fn figures(pairs: &[[&Heard<'_>; 2]]) -> Figures {
    let all = || pairs.iter().flatten();
    let count = |says: &str, gold: &str| {
        all()
            .filter(|heard| heard.says == says && heard.gold == gold)
            .count()
    };
    let number = |count: usize| count as f64;
    let questions = 2 * pairs.len();
    let right = all().filter(|heard| heard.is_right()).count();
    let both = pairs
        .iter()
        .filter(|pair| pair.iter().all(|heard| heard.is_right()))
        .count();
    let acc = ratio(number(right), number(questions));
    let acc_plus = ratio(number(both), number(pairs.len()));
    let (tp, fp) = (count("yes", "yes"), count("yes", "no"));
    let (tn, fn_) = (count("no", "no"), count("no", "yes"));
    let figures: [(&str, Figure); 11] = [
        ("acc", acc.into()),
        ("acc_plus", acc_plus.into()),
        (
            "score",
            acc.zip(acc_plus)
                .map(|(acc, plus)| 100.0 * acc + 100.0 * plus)
                .into(),
        ),
        (
            "other",
            all().filter(|heard| heard.says == "other").count().into(),
        ),
        ("tp", tp.into()),
        ("fp", fp.into()),
        ("tn", tn.into()),
        ("fn", fn_.into()),
        ("precision", ratio(number(tp), number(tp + fp)).into()),
        ("recall", ratio(number(tp), number(tp + fn_)).into()),
        ("questions", questions.into()),
    ];
    let mut figures: Figures = figures.into_iter().collect();
    figures.push("pictures", pairs.len());
    figures
}

/// The sum of the perception tasks' scores; items two by two are one picture's, as above.
pub(super) fn weighted_figure(items: &[Item], weights: &[f64]) -> Option<f64> {
    let score = |task: &&str| {
        let of_task = items
            .iter()
            .zip(weights)
            .filter(|(item, _)| item.group == *task);
        let of_task: Vec<(f64, f64)> = of_task.map(|(item, w)| (item.score, *w)).collect();
        let (mut acc, mut acc_plus, mut pictures) = (0.0, 0.0, 0.0);
        for pair in of_task.chunks_exact(2) {
            let ((first, weight), (second, _)) = (pair[0], pair[1]);
            acc += weight * (first + second) / 2.0;
            acc_plus += weight * first * second;
            pictures += weight;
        }
        let score = ratio(100.0 * (acc + acc_plus), pictures);
        (!of_task.is_empty()).then_some(score)
    };
    let scores: Option<Vec<f64>> = PERCEPTION.iter().filter_map(score).collect();
    scores
        .filter(|scores| !scores.is_empty())
        .map(|scores| scores.iter().sum())
}
