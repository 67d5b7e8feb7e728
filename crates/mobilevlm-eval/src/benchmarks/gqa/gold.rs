//! What is known of each question: `testdev_balanced_questions.json`.

use serde::Deserialize;

/// What is known of a question.
#[derive(Deserialize)]
pub(super) struct Gold {
    pub(super) question: String,
    pub(super) answer: String,
    #[serde(rename = "isBalanced")]
    pub(super) balanced: bool,
    pub(super) types: Types,
    pub(super) groups: Groups,
    pub(super) semantic: Vec<Step>,
}

#[derive(Deserialize)]
pub(super) struct Types {
    pub(super) structural: Option<String>,
    pub(super) semantic: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Groups {
    pub(super) global: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Step {
    pub(super) operation: String,
    pub(super) argument: Option<String>,
}
