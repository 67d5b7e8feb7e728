//! The figures of MME's `calculation.py`.

use super::heard::Heard;
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
