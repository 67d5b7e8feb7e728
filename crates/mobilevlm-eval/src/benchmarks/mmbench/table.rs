//! MMBench's table, read as pandas reads it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use crate::error::BenchmarkError;

/// The letters of options.
pub(super) const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];

/// One line of the table.
pub(super) struct Row {
    /// The question's number, plus a million for each rotation.
    pub(super) index: i64,
    pub(super) question: String,
    pub(super) hint: Option<String>,
    /// The options that are there, by letter.
    pub(super) options: Vec<(char, String)>,
    pub(super) answer: char,
    pub(super) category: String,
    pub(super) l2_category: String,
    /// In base64; rows with the same picture share it.
    pub(super) picture: Arc<str>,
}

impl Row {
    /// The options that the prompt shows: up to the first that is missing.
    pub(super) fn shown_options(&self) -> Vec<String> {
        let shown = LETTERS
            .iter()
            .zip(&self.options)
            .take_while(|(letter, option)| **letter == option.0 && !is_none(&option.1));
        shown.map(|(_, option)| option.1.clone()).collect()
    }
}

/// Whether pandas reads this field as missing.
pub(super) fn is_missing(field: &str) -> bool {
    const MISSING: [&str; 19] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    ];
    MISSING.contains(&field)
}

/// What upstream also takes for missing in a prompt: `is_none` of `model_vqa_mmbench.py`.
fn is_none(field: &str) -> bool {
    ["nan", "none"].contains(&field.to_lowercase().as_str())
}

/// Reads the table.
///
/// # Errors
/// [`BenchmarkError`] names the line that is not as it should be.
pub(super) fn read_table(path: &Path) -> Result<Vec<Row>, BenchmarkError> {
    let file = std::fs::File::open(path).map_err(BenchmarkError::file(path))?;
    let mut reader = ReaderBuilder::new().delimiter(b'\t').from_reader(file);
    let columns = Columns::find(path, reader.headers().map_err(|error| wrong(path, &error))?)?;
    let mut pictures: HashMap<String, Arc<str>> = HashMap::new();
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(path, &error))?;
        let line = record
            .position()
            .map_or(0, |position| position.line() as usize);
        let row = columns
            .row(&record, &mut pictures)
            .map_err(|wrong| BenchmarkError::line(path, line, wrong))?;
        if !seen.insert(row.index) {
            let wrong = format!("index {} stands there twice", row.index);
            return Err(BenchmarkError::line(path, line, wrong));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn wrong(path: &Path, error: &csv::Error) -> BenchmarkError {
    let line = error
        .position()
        .map_or(0, |position| position.line() as usize);
    let wrong = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} fields; expected {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("field {} is no UTF-8", err.field() + 1),
        _ => error.to_string(),
    };
    BenchmarkError::line(path, line, wrong)
}

/// Where each column is.
struct Columns {
    index: usize,
    question: usize,
    hint: usize,
    options: [usize; 4],
    answer: usize,
    category: usize,
    l2_category: usize,
    image: usize,
}

impl Columns {
    fn find(path: &Path, heads: &StringRecord) -> Result<Columns, BenchmarkError> {
        let column = |name: &str| {
            heads.iter().position(|head| head == name).ok_or_else(|| {
                let found = heads.iter().collect::<Vec<_>>().join(", ");
                let found: String = found.chars().take(200).collect();
                BenchmarkError::line(path, 1, format!("no column {name:?} among: {found}"))
            })
        };
        Ok(Columns {
            index: column("index")?,
            question: column("question")?,
            hint: column("hint")?,
            options: [column("A")?, column("B")?, column("C")?, column("D")?],
            answer: column("answer")?,
            category: column("category")?,
            l2_category: column("l2-category")?,
            image: column("image")?,
        })
    }

    fn row(
        &self,
        record: &StringRecord,
        pictures: &mut HashMap<String, Arc<str>>,
    ) -> Result<Row, String> {
        let field = |at: usize| record.get(at).filter(|field| !is_missing(field));
        let text = |at: usize, name: &str| {
            field(at)
                .map(str::to_owned)
                .ok_or_else(|| format!("the field {name:?} is missing"))
        };
        let index = text(self.index, "index")?;
        let index = index
            .parse()
            .ok()
            .filter(|index| *index >= 0)
            .ok_or_else(|| format!("index {index:?}; expected a whole number"))?;
        let answer = text(self.answer, "answer")?;
        let answer = LETTERS
            .into_iter()
            .find(|letter| answer == letter.to_string())
            .ok_or_else(|| format!("answer {answer:?}; expected A, B, C or D"))?;
        let options = LETTERS.into_iter().zip(self.options);
        let image = text(self.image, "image")?;
        let picture = match pictures.get(&image) {
            Some(known) => known.clone(),
            None => pictures
                .entry(image.clone())
                .or_insert(image.into())
                .clone(),
        };
        Ok(Row {
            index,
            question: text(self.question, "question")?,
            hint: field(self.hint)
                .filter(|hint| !is_none(hint))
                .map(str::to_owned),
            options: options
                .filter_map(|(letter, at)| Some((letter, field(at)?.to_owned())))
                .collect(),
            answer,
            category: text(self.category, "category")?,
            l2_category: text(self.l2_category, "l2-category")?,
            picture,
        })
    }
}
