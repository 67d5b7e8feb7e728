//! How far ten people agree with an answer.

use std::collections::HashSet;

use super::normalise::normalise;

/// How far ten human answers agree with one that is normalised: the mean over each nine of them of
/// min(1, equal ones / 3).
pub(super) fn soft_accuracy(answers: &[String], said: &str) -> f64 {
    let equal: Vec<bool> = answers
        .iter()
        .map(|answer| normalise(answer) == said)
        .collect();
    let all = equal.iter().filter(|equal| **equal).count();
    let without = |own: &bool| {
        let others = all - usize::from(*own);
        (others as f64 / 3.0).min(1.0)
    };
    equal.iter().map(without).sum::<f64>() / equal.len() as f64
}

/// The answer that most people gave, the first of several.
pub(super) fn most_frequent(answers: &[String]) -> String {
    let normalised: Vec<String> = answers.iter().map(|answer| normalise(answer)).collect();
    let mut seen = HashSet::new();
    let mut best = ("", 0);
    for answer in normalised
        .iter()
        .filter(|answer| seen.insert(answer.as_str()))
    {
        let count = normalised.iter().filter(|other| *other == answer).count();
        if count > best.1 {
            best = (answer, count);
        }
    }
    best.0.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden_json;

    #[test]
    fn soft_accuracy_is_upstreams() {
        let cases = golden_json("textvqa/normaliser.json")["soft_accuracy"].take();
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 60);
        for case in cases {
            let answers: Vec<String> = serde_json::from_value(case["answers"].clone()).unwrap();
            let said = normalise(case["said"].as_str().unwrap());
            let score = soft_accuracy(&answers, &said);
            assert!(
                (score - case["score"].as_f64().unwrap()).abs() < 1e-9,
                "{case}"
            );
        }
    }
}
