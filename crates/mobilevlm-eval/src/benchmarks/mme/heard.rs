//! What an answer says.

use super::PERCEPTION;
use crate::answers::Answer;
use crate::benchmarks::{Asked, Item};

/// An answer with what it is compared with.
pub(super) struct Heard<'a> {
    /// Its place among the answers.
    pub(super) index: usize,
    pub(super) answer: &'a Answer,
    /// `yes` or `no`
    pub(super) gold: String,
    /// `yes`, `no` or `other`
    pub(super) says: &'static str,
}

impl Heard<'_> {
    /// Whether it is the right answer.
    pub(super) fn is_right(&self) -> bool {
        self.says == self.gold
    }
}

/// What an answer says, by its first four characters.
pub(super) fn says(text: &str) -> &'static str {
    let beginning: String = text.to_lowercase().chars().chain(['\n']).take(4).collect();
    match beginning.as_str() {
        yes if yes.contains("yes") => "yes",
        no if no.contains("no") => "no",
        _ => "other",
    }
}

/// The item of an answer.
pub(super) fn item(asked: &Asked<'_>, task: &str, heard: &Heard<'_>) -> Item {
    Item {
        line: Some(heard.answer.line),
        question: asked.alignment.question_of[heard.index],
        said: heard.says.to_owned(),
        gold: heard.gold.clone(),
        score: f64::from(heard.is_right()),
        counts: PERCEPTION.contains(&task),
        group: task.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_say_what_the_tool_hears() {
        for case in parse_cases("mme") {
            let text = case[0].as_str().unwrap();
            assert_eq!(says(text), case[1], "{text:?}");
        }
    }
}
