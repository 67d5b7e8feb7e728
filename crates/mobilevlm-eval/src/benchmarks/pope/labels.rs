//! The right answers of a split.

use std::path::Path;

use serde::Deserialize;

use super::{LABELS, QUESTIONS, QuestionLine};
use crate::error::BenchmarkError;
use crate::files::json_lines;

#[derive(Deserialize)]
struct LabelLine {
    image: String,
    text: String,
    label: Label,
}

/// Whether the thing is in the picture.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Label {
    Yes,
    No,
}

impl Label {
    /// `yes` or `no`
    pub(super) fn name(self) -> &'static str {
        match self {
            Label::Yes => "yes",
            Label::No => "no",
        }
    }
}

/// `yes` and `no` of a split, whose pictures and questions must be those of the question file:
/// another version of the labels has others, and would pass without a word.
pub(super) fn read_labels(
    path: &Path,
    split: &str,
    questions: &[(usize, &QuestionLine)],
) -> Result<Vec<Label>, BenchmarkError> {
    let labels: Vec<(usize, LabelLine)> = json_lines(path)?;
    for ((at, label), (index, question)) in labels.iter().zip(questions) {
        let asked = question.text.lines().next().unwrap_or_default();
        if label.image != question.image || label.text != asked {
            let wrong = format!(
                "{:?} about {}, but line {} of {QUESTIONS} asks {asked:?} about {}; \
                 labels of another version? Take those of {LABELS}",
                label.text,
                label.image,
                index + 1,
                question.image
            );
            return Err(BenchmarkError::line(path, *at, wrong));
        }
    }
    if labels.len() != questions.len() {
        let wrong = format!(
            "{} labels, but {QUESTIONS} has {} questions of {split}; labels of another version? \
             Take those of {LABELS}",
            labels.len(),
            questions.len()
        );
        return Err(BenchmarkError::content(path, wrong));
    }
    Ok(labels.into_iter().map(|(_, label)| label.label).collect())
}
