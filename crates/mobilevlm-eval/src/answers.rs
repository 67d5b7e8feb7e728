//! `answers.jsonl`: upstream's form of recorded answers, written as upstream writes it and read from
//! any program.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mobilevlm_data::python;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::benchmarks::Choices;
use crate::error::BenchmarkError;
use crate::files::{LineReader, one_line};

/// What a question is known by: a whole number or a text, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A whole number.
    Number(i64),
    /// A text; leading zeros count.
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// One recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The line in the file, from 1.
    pub line: usize,
    /// The question's id.
    pub id: Id,
    /// The question as it was asked, if the program wrote it.
    pub prompt: Option<String>,
    /// What the model said.
    pub text: String,
}

/// The answers of a file, in its order.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The file.
    pub path: PathBuf,
    /// One a line.
    pub all: Vec<Answer>,
}

impl Answers {
    /// Reads a file of JSON lines. Of each, `question_id` and `text` must be there; `prompt` may be;
    /// anything else is ignored. Blank lines are passed over.
    ///
    /// # Errors
    /// [`BenchmarkError`] names the first line that is no answer; or there are none.
    pub fn read(path: &Path) -> Result<Answers, BenchmarkError> {
        let mut reader = LineReader::open(path)?;
        let mut all = Vec::new();
        while let Some((line, text)) = reader.next_line()? {
            all.push(parse(line, text).map_err(|wrong| BenchmarkError::line(path, line, wrong))?);
        }
        if all.is_empty() {
            let wrong = "no answers; expected one JSON object a line";
            return Err(BenchmarkError::content(path, wrong));
        }
        Ok(Answers {
            path: path.to_owned(),
            all,
        })
    }

    /// An error about one of the answers.
    pub(crate) fn wrong(&self, answer: &Answer, wrong: impl Into<String>) -> BenchmarkError {
        BenchmarkError::line(&self.path, answer.line, wrong)
    }

    /// The prompt of one of the answers.
    ///
    /// # Errors
    /// [`BenchmarkError::Line`] if it has none.
    pub(crate) fn prompt<'a>(&self, answer: &'a Answer) -> Result<&'a str, BenchmarkError> {
        answer
            .prompt
            .as_deref()
            .ok_or_else(|| self.wrong(answer, "missing field `prompt`, which the score needs"))
    }
}

fn parse(line: usize, text: &str) -> Result<Answer, String> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let hint = match error.is_eof() {
            true => "; was the file cut off while it was written?",
            false => "",
        };
        format!("expected one JSON object: {}{hint}", one_line(&error))
    })?;
    let id = match fields.remove("question_id") {
        Some(Value::String(text)) => Id::Text(text),
        Some(Value::Number(number)) => Id::Number(number.as_i64().ok_or_else(|| {
            format!("field `question_id` is {number}; expected a whole number or a text")
        })?),
        other => return Err(unfit("question_id", "a whole number or a text", other)),
    };
    let text = match fields.remove("text") {
        Some(Value::String(text)) => text,
        other => return Err(unfit("text", "a text", other)),
    };
    let prompt = match fields.remove("prompt") {
        Some(Value::String(prompt)) => Some(prompt),
        None => None,
        other => return Err(unfit("prompt", "a text", other)),
    };
    Ok(Answer {
        line,
        id,
        prompt,
        text,
    })
}

fn unfit(field: &str, expected: &str, found: Option<Value>) -> String {
    let found = match found {
        None => return format!("missing field `{field}`; expected {expected}"),
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a truth value",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    };
    format!("field `{field}` is {found}; expected {expected}")
}

/// What upstream writes of a model's text: stripped, without one `</s>` at the end, stripped again.
///
/// Upstream: `model_vqa_loader.py`, `eval_model`.
pub fn answer_text(raw: &str) -> &str {
    let text = python::strip(raw);
    python::strip(text.strip_suffix("</s>").unwrap_or(text))
}

/// A line of an answers file.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLine<'a> {
    /// The question's id.
    pub id: &'a Id,
    /// [`Question::prompt`](crate::Question::prompt).
    pub prompt: &'a str,
    /// What the model said, as [`answer_text`] leaves it.
    pub text: &'a str,
    /// MMBench's options.
    pub choices: Option<&'a Choices>,
    /// What this answer is known by.
    pub answer_id: &'a str,
    /// The model's name.
    pub model_id: &'a str,
}

/// The fields in upstream's order.
#[derive(Serialize)]
struct Line<'a> {
    question_id: &'a Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_id: Option<u8>,
    prompt: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    option_char: Option<Vec<String>>,
    answer_id: &'a str,
    model_id: &'a str,
    metadata: Map<String, Value>,
}

/// Writes a line with its end, to the byte as Python's `json.dumps` would.
///
/// # Errors
/// What `out` says.
pub fn write_answer(out: &mut dyn Write, line: &AnswerLine<'_>) -> io::Result<()> {
    let options = line.choices.map(|choices| choices.options.as_slice());
    let fields = Line {
        question_id: line.id,
        // Rounds are upstream's `--all-rounds`, which it does not use.
        round_id: line.choices.map(|_| 0),
        prompt: line.prompt,
        text: line.text,
        options,
        option_char: line.choices.map(Choices::letters),
        answer_id: line.answer_id,
        model_id: line.model_id,
        metadata: Map::new(),
    };
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, PythonJson);
    fields.serialize(&mut serializer)?;
    out.write_all(b"\n")
}

/// `json.dumps` with its defaults: a blank after `,` and `:`, and nothing but ASCII.
struct PythonJson;

impl serde_json::ser::Formatter for PythonJson {
    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            // serde_json has escaped what is below the blank; Python escapes the delete too.
            if (' '..'\u{7f}').contains(&c) {
                out.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_end_of_sequence_is_taken_off() {
        assert_eq!(answer_text(" \u{1c}yes </s>\n"), "yes");
        assert_eq!(answer_text("yes</s></s>"), "yes</s>");
        assert_eq!(answer_text("</s>"), "");
    }

    #[test]
    fn lines_are_pythons() {
        let mut out = Vec::new();
        let choices = Choices {
            options: vec!["é".to_owned(), "b".to_owned()],
        };
        let line = AnswerLine {
            id: &Id::Number(7),
            prompt: "a\n\"b\"\\",
            text: "\u{7f}\u{1f600}\u{1}\u{8}ü",
            choices: Some(&choices),
            answer_id: "x",
            model_id: "m",
        };
        write_answer(&mut out, &line).unwrap();
        // As Python 3.12 wrote it.
        let expected = r#"{"question_id": 7, "round_id": 0, "prompt": "a\n\"b\"\\", "text": "\u007f\ud83d\ude00\u0001\b\u00fc", "options": ["\u00e9", "b"], "option_char": ["A", "B"], "answer_id": "x", "model_id": "m", "metadata": {}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn what_is_no_answer_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let good = r#"{"question_id": 1, "text": "no"}"#;
        for (bad, expected) in [
            (&b"{\"question_id\": 1, \"te"[..], "cut off"),
            (b"[1]", "expected one JSON object"),
            (b"{\"question_id\": 1} {}", "trailing characters"),
            (b"{\"text\": \"no\"}", "missing field `question_id`"),
            (b"{\"question_id\": 1}", "missing field `text`"),
            (
                b"{\"question_id\": 1.5, \"text\": \"no\"}",
                "`question_id` is 1.5",
            ),
            (
                b"{\"question_id\": null, \"text\": \"no\"}",
                "`question_id` is null",
            ),
            (
                b"{\"question_id\": 1, \"text\": [\"no\"]}",
                "`text` is a list",
            ),
            (
                b"{\"question_id\": 1, \"text\": \"\", \"prompt\": 3}",
                "`prompt` is a number",
            ),
            (b"{\"question_id\": 1, \"text\": \"\xff\"}", "no UTF-8"),
            (b"{\"question_id\": 1, \"text\": \"\\ud800\"}", "column"),
            (b"\xef\xbb\xbf{}", "column 1"),
        ] {
            let mut content = format!("{good}\r\n\n").into_bytes();
            content.extend(bad);
            std::fs::write(&path, content).unwrap();
            let text = Answers::read(&path).unwrap_err().to_string();
            assert!(text.contains("answers.jsonl: line 3: "), "{text}");
            assert!(text.contains(expected), "{expected}: {text}");
        }
        std::fs::write(&path, "\n").unwrap();
        let text = Answers::read(&path).unwrap_err().to_string();
        assert!(text.contains("no answers"), "{text}");
        std::fs::write(&path, good).unwrap();
        assert_eq!(Answers::read(&path).unwrap().all[0].text, "no");
    }
}
