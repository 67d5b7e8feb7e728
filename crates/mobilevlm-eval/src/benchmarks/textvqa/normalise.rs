//! The normaliser of answers, with the traps of the original kept (`docs/evaluation.md`).
//!
//! Original: `EvalAIAnswerProcessor` of upstream's `mobilevlm/eval/m4c_evaluator.py`.

use std::sync::LazyLock;

use mobilevlm_data::python;
use regex::{Captures, Regex};

use super::tables::{ARTICLES, CONTRACTIONS, MARKS, NUMBERS};

/// Full stops that are deleted at most: the original passes a flag, 32, where the count belongs.
const MOST_STOPS: usize = 32;

/// The form in which answers are compared.
pub(super) fn normalise(answer: &str) -> String {
    let text = answer.to_lowercase();
    let text = text.replace([',', '?'], "").replace("'s", " 's");
    let text = python::strip(&text).replace(['\n', '\t'], " ");
    let text = marks(python::strip(&text));
    words(&stops(&text))
}

/// A mark that stands next to a blank anywhere in the text is deleted wherever it stands; others
/// become blanks.
fn marks(text: &str) -> String {
    let mut out = text.to_owned();
    for mark in MARKS {
        let beside_blank = text.contains(&format!("{mark} ")) || text.contains(&format!(" {mark}"));
        out = out.replace(mark, if beside_blank { "" } else { " " });
    }
    out
}

/// Deletes the first full stops that no digit follows. What stands before does not matter: the
/// original's look-behind is misspelt.
fn stops(text: &str) -> String {
    static STOP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\.(\d?)").expect("a valid expression"));
    let mut deleted = 0;
    let keep = |found: &Captures<'_>| {
        if found[1].is_empty() && deleted < MOST_STOPS {
            deleted += 1;
            return String::new();
        }
        found[0].to_owned()
    };
    STOP.replace_all(text, keep).into_owned()
}

/// Whole words: numbers to digits, articles away, contractions with their apostrophe.
fn words(text: &str) -> String {
    let text = text.to_lowercase();
    let words: Vec<&str> = python::split(&text)
        .map(|word| find(&NUMBERS, word))
        .filter(|word| !ARTICLES.contains(word))
        .map(|word| find(&CONTRACTIONS, word))
        .collect();
    words.join(" ")
}

/// What stands beside a word in a table; itself if it is not there.
fn find<'a>(table: &[(&str, &'static str)], word: &'a str) -> &'a str {
    table
        .iter()
        .find(|(key, _)| *key == word)
        .map_or(word, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden_json;

    #[test]
    fn answers_are_normalised_as_upstream_does() {
        let vectors = golden_json("textvqa/normaliser.json");
        let pairs: Vec<(String, String)> =
            serde_json::from_value(vectors["pairs"].clone()).unwrap();
        assert_eq!(pairs.len(), 402);
        for (answer, expected) in pairs {
            assert_eq!(normalise(&answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn tables_are_upstreams() {
        let tables = golden_json("textvqa/normaliser.json")["tables"].take();
        for (name, table) in [("contractions", &CONTRACTIONS[..]), ("numbers", &NUMBERS)] {
            let expected = tables[name].as_object().unwrap();
            assert_eq!(table.len(), expected.len());
            for (key, value) in table {
                assert_eq!(*value, expected[*key]);
            }
        }
        let marks: Vec<String> = MARKS.iter().map(char::to_string).collect();
        assert_eq!(serde_json::json!(marks), tables["punctuation"]);
        assert_eq!(serde_json::json!(ARTICLES), tables["articles"]);
    }

    #[test]
    fn only_thirty_two_stops_are_deleted() {
        assert_eq!(
            normalise(&"x. ".repeat(34)),
            format!("{}x. x.", "x ".repeat(32))
        );
    }
}
