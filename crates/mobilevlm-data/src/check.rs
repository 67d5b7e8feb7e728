//! What is wrong with the rows of a data set: found before a training, or skipped during it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use mobilevlm_processor::RgbImage;
use serde::{Deserialize, Serialize};

use crate::file::{PictureError, Pictures, Rows};
use crate::labels::{Labelled, Labeller, TrainTemplate};
use crate::sample::Sample;

/// A kind of thing that can be wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// The row is no sample, or cannot be read.
    BrokenRow,
    /// The picture's name leads out of the folder of the pictures.
    OutsideRoot,
    /// The picture is not there.
    MissingPicture,
    /// The picture cannot be read or decoded.
    BrokenPicture,
    /// The template cannot hold the conversation: roles, turns, number of messages, no mark.
    Refused,
    /// More places for pictures than the one picture that a sample has.
    SeveralMarks,
    /// Upstream masks the sample whole, without an error.
    Masked,
    /// No supervised id is left within the length.
    Unsupervised,
    /// A message without text.
    EmptyTurn,
    /// A picture whose place is not marked: it is encoded and not used.
    Unmarked,
    /// A mark without a picture: letters in template `v1`, an empty picture in `plain`.
    NoPicture,
    /// Longer than the limit: cut.
    TooLong,
}

impl Problem {
    /// All of them, those that keep a row out of training first.
    pub const ALL: [Problem; 12] = [
        Problem::BrokenRow,
        Problem::OutsideRoot,
        Problem::MissingPicture,
        Problem::BrokenPicture,
        Problem::Refused,
        Problem::SeveralMarks,
        Problem::Masked,
        Problem::Unsupervised,
        Problem::EmptyTurn,
        Problem::Unmarked,
        Problem::NoPicture,
        Problem::TooLong,
    ];

    /// Whether a row with it is left out of training; it is only told otherwise.
    pub fn is_left_out(self) -> bool {
        !matches!(
            self,
            Problem::EmptyTurn | Problem::Unmarked | Problem::NoPicture | Problem::TooLong
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::BrokenRow => "broken rows",
            Problem::OutsideRoot => "pictures outside the folder",
            Problem::MissingPicture => "missing pictures",
            Problem::BrokenPicture => "broken pictures",
            Problem::Refused => "conversations that the template cannot hold",
            Problem::SeveralMarks => "several marks for one picture",
            Problem::Masked => "masked whole by upstream's count",
            Problem::Unsupervised => "nothing supervised within the length",
            Problem::EmptyTurn => "empty messages",
            Problem::Unmarked => "pictures without a mark",
            Problem::NoPicture => "marks without a picture",
            Problem::TooLong => "longer than the length: cut",
        })
    }
}

/// What is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub problem: Problem,
    /// What was expected and found.
    pub message: String,
}

/// A sample that is ready for a batch.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its ids and labels.
    pub labelled: Labelled,
    /// Its picture; `None` for text alone, and where the checker does not decode.
    pub picture: Option<RgbImage>,
}

/// How rows are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'a> {
    /// The rows.
    pub rows: &'a Rows,
    /// Where their pictures are; without it pictures are not looked for.
    pub pictures: Option<&'a Pictures>,
    /// Whether pictures are decoded, rather than only read.
    pub decode: bool,
    /// How a sample becomes text.
    pub template: TrainTemplate,
    /// Makes labels; without it nothing is said about lengths and supervision.
    pub labeller: Option<&'a Labeller>,
}

/// What was seen of one row.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// Whether it names a picture.
    pub has_picture: bool,
    /// Its ids, a picture counted as one; 0 without a labeller.
    pub ids: usize,
    /// Labels that reach the loss, after the cut.
    pub supervised: usize,
    /// All that is wrong.
    pub findings: Vec<Finding>,
}

impl Checker<'_> {
    /// Looks at row `row`.
    pub fn examine(&self, row: usize) -> Examined {
        self.look(row).0
    }

    /// Row `row` as training takes it.
    ///
    /// # Errors
    /// The first [`Finding`] that keeps it out: to be counted and passed over. Without a labeller
    /// every row is kept out.
    pub fn load(&self, row: usize) -> Result<Loaded, Finding> {
        let (examined, loaded) = self.look(row);
        let mut findings = examined.findings.into_iter();
        if let Some(finding) = findings.find(|finding| finding.problem.is_left_out()) {
            return Err(finding);
        }
        loaded.ok_or_else(|| Finding {
            problem: Problem::Refused,
            message: "there is no labeller; expected one to load a sample".to_owned(),
        })
    }

    fn look(&self, row: usize) -> (Examined, Option<Loaded>) {
        let mut seen = Examined::default();
        let sample = match self.rows.read(row) {
            Ok(sample) => sample,
            Err(error) => {
                seen.find(Problem::BrokenRow, chain(&error));
                return (seen, None);
            }
        };
        seen.has_picture = sample.image.is_some();
        let picture = self.picture(&sample, &mut seen);
        look_at_messages(&sample, &mut seen);
        let labelled = match self.labeller {
            Some(labeller) => label(labeller, &sample, &mut seen),
            None => {
                if let Err(error) = self.template.accepts(&sample.conversations) {
                    seen.find(Problem::Refused, error.to_string());
                }
                None
            }
        };
        let loaded = labelled.map(|labelled| Loaded { labelled, picture });
        (seen, loaded)
    }

    fn picture(&self, sample: &Sample, seen: &mut Examined) -> Option<RgbImage> {
        let (name, pictures) = (sample.image.as_deref()?, self.pictures?);
        let found = match self.decode {
            true => pictures.decode(name).map(Some),
            false => pictures.read(name).map(|_| None),
        };
        found.unwrap_or_else(|error| {
            let problem = match error {
                PictureError::Outside { .. } => Problem::OutsideRoot,
                PictureError::Missing { .. } => Problem::MissingPicture,
                PictureError::Read { .. } | PictureError::Broken { .. } => Problem::BrokenPicture,
            };
            seen.find(problem, chain(&error));
            None
        })
    }
}

impl Examined {
    fn find(&mut self, problem: Problem, message: String) {
        self.findings.push(Finding { problem, message });
    }
}

fn look_at_messages(sample: &Sample, seen: &mut Examined) {
    let empty = |value: &str| value.trim().is_empty();
    let mut messages = sample.conversations.iter();
    if let Some(turn) = messages.position(|message| empty(&message.value)) {
        let from = &sample.conversations[turn].from;
        seen.find(
            Problem::EmptyTurn,
            format!("message {turn}, from {from:?}, is empty"),
        );
    }
    let marks = sample.marks();
    if sample.image.is_some() && marks == 0 {
        seen.find(Problem::Unmarked, "no message has <image>".to_owned());
    }
    if sample.image.is_none() && marks > 0 {
        let message = format!("{marks} × <image> in the text and no key \"image\"");
        seen.find(Problem::NoPicture, message);
    }
}

fn label(labeller: &Labeller, sample: &Sample, seen: &mut Examined) -> Option<Labelled> {
    let labelled = match labeller.label(sample) {
        Ok(labelled) => labelled,
        Err(error) => {
            seen.find(Problem::Refused, error.to_string());
            return None;
        }
    };
    let limit = labeller.options().model_max_length;
    let within = labelled.ids.iter().take(limit);
    let places = within.filter(|&&id| id == crate::PICTURE).count();
    seen.ids = labelled.ids.len();
    seen.supervised = labelled.supervised_within(limit);
    if places > 1 {
        let message = format!("{places} places for the one picture of a sample");
        seen.find(Problem::SeveralMarks, message);
    }
    if let Some(mismatch) = labelled.mismatch {
        let message = format!(
            "{} ids by its parts, {} in all: \"</s>\", \"<unk>\" or \" ASSISTANT: \" in a text, an \
             empty message, or a question at the end",
            mismatch.counted, mismatch.total
        );
        seen.find(Problem::Masked, message);
    } else if seen.supervised == 0 {
        let message = format!("none of {} ids within {limit} is an answer's", seen.ids);
        seen.find(Problem::Unsupervised, message);
    }
    // The tokenizer has cut a text alone already, to the limit exactly.
    let is_cut = match sample.image {
        Some(_) => seen.ids > limit,
        None => seen.ids >= limit,
    };
    if is_cut {
        let message = format!("{} ids or more; the limit is {limit}", seen.ids);
        seen.find(Problem::TooLong, message);
    }
    Some(labelled)
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// How many rows of each kind are kept as examples.
const EXAMPLES: usize = 10;

/// What a data set holds and what is wrong with it; written and read as JSON, also half done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rows of the data set.
    pub rows: u64,
    /// Rows that were looked at, from the first.
    pub checked: u64,
    /// Rows that name a picture.
    pub with_picture: u64,
    /// Rows that training takes.
    pub trainable: u64,
    /// Ids of all rows, a picture counted as one.
    pub ids: u64,
    /// Labels that reach the loss.
    pub supervised: u64,
    /// Ids of the longest row.
    pub longest: u64,
    /// What is wrong.
    pub problems: BTreeMap<Problem, Found>,
}

/// Rows with one kind of problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How many there are.
    pub rows: u64,
    /// The first of them.
    pub first: Vec<Example>,
}

/// A row with a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The row, from 0.
    pub row: u64,
    /// What was expected and found.
    pub message: String,
}

impl Report {
    /// Rows that training leaves out.
    pub fn left_out(&self) -> u64 {
        self.checked - self.trainable
    }

    fn add(&mut self, examined: Examined) {
        let row = self.checked;
        self.checked += 1;
        self.with_picture += u64::from(examined.has_picture);
        self.ids += examined.ids as u64;
        self.longest = self.longest.max(examined.ids as u64);
        let is_left_out = |finding: &Finding| finding.problem.is_left_out();
        if !examined.findings.iter().any(is_left_out) {
            self.trainable += 1;
            self.supervised += examined.supervised as u64;
        }
        for Finding { problem, message } in examined.findings {
            let found = self.problems.entry(problem).or_default();
            found.rows += 1;
            if found.first.len() < EXAMPLES {
                found.first.push(Example { row, message });
            }
        }
    }
}

/// Rows that a thread looks at before the report is brought up to date.
const ROWS_AT_ONCE: usize = 64;

/// Looks at all rows that `report` has not seen, on `threads` threads; the report is the same
/// whatever their number. `on_progress` is told of it now and then and says whether to go on.
pub fn check(
    checker: &Checker<'_>,
    report: &mut Report,
    threads: usize,
    on_progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let threads = threads.max(1);
    let rows = checker.rows.len();
    report.rows = rows as u64;
    let mut start = usize::try_from(report.checked).unwrap_or(rows);
    while start < rows {
        let end = rows.min(start + threads * ROWS_AT_ONCE);
        let share = (end - start).div_ceil(threads);
        let examined: Vec<Vec<Examined>> = std::thread::scope(|scope| {
            let look = |first: usize| {
                let rows = first..end.min(first + share);
                scope.spawn(move || rows.map(|row| checker.examine(row)).collect::<Vec<_>>())
            };
            let started: Vec<_> = (start..end).step_by(share).map(look).collect();
            // A panic of a thread is a bug, not input, and goes on here.
            let joined = started.into_iter().map(|thread| thread.join());
            joined
                .map(|rows| rows.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for row in examined.into_iter().flatten() {
            report.add(row);
        }
        start = end;
        on_progress(report)?;
    }
    ControlFlow::Continue(())
}
