//! The questions that models are compared with.

use std::io::Read;
use std::path::Path;

use crate::error::CliError;

/// Asked of any picture: a word, a list, a sentence, several sentences.
pub(in crate::commands) const GENERAL: [&str; 10] = [
    "What is in this picture?",
    "Describe the picture in detail.",
    "Describe this in one sentence.",
    "How many objects are there?",
    "Which colours do you see?",
    "Is there a person in this picture? Answer yes or no.",
    "Is there any text in this picture? What does it say?",
    "Where was this picture taken?",
    "What is in the background?",
    "What is unusual about this picture?",
];

/// Most bytes of a file of questions.
const MOST_BYTES: u64 = 1 << 20;

/// The questions of a file, one a line, or the general ones.
///
/// # Errors
/// [`CliError::File`] if the file cannot be read, [`CliError::Content`] if it holds no questions.
pub(super) fn read(file: Option<&Path>) -> Result<Vec<String>, CliError> {
    let Some(path) = file else {
        return Ok(GENERAL.map(str::to_owned).into());
    };
    let wrong = |wrong: &str| CliError::Content {
        path: path.display().to_string(),
        wrong: format!("expected a question on each line, found {wrong}"),
    };
    let file = std::fs::File::open(path).map_err(CliError::read(path))?;
    let mut bytes = Vec::new();
    let mut start = file.take(MOST_BYTES + 1);
    start
        .read_to_end(&mut bytes)
        .map_err(CliError::read(path))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong("more than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("text that is not UTF-8"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let questions: Vec<String> = lines.map(str::to_owned).collect();
    match questions.is_empty() {
        true => Err(wrong("none")),
        false => Ok(questions),
    }
}
