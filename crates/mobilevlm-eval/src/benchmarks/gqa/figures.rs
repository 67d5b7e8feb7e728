//! The figures of GQA's `eval.py`.

use std::collections::{BTreeMap, HashMap};

use mobilevlm_data::python;

use super::gold::{Gold, Step};
use crate::figures::{Figures, percent, ratio};

/// `counted`: each balanced question with what was said.
pub(super) fn figures(counted: &[(&Gold, &str)]) -> Figures {
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
