//! The held-out part of the synthetic world: questions with one certain, short answer.
//!
//! A model is asked as it would be by a person: the picture at the size at which
//! `mobilevlm data world` writes it, the question through the model's own template, greedy.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mobilevlm::{
    Batch, CancelToken, EncodedPicture, Event, GenerateOptions, Model, Picture, RgbImage,
};
use mobilevlm_data::world::{Kind, Sample, Split, World, WorldError, WorldOptions};
use serde::Serialize;

/// Tokens of an answer at most: the longest right one, two words, has half as many in the smallest
/// vocabularies.
const ANSWER_TOKENS: usize = 16;

/// Questions in the batch at once. Each is asked with its picture and with a grey one.
const AT_ONCE: usize = 8;

/// The picture that shows nothing.
const GREY: [u8; 3] = [128; 3];

/// Which questions.
#[derive(Clone, Copy, Debug)]
pub struct Exam {
    /// The first so many of each kind of [`Kind::EXAMINED`].
    pub limit: usize,
    /// The world's seed: other seeds have other questions of the same part.
    pub seed: u64,
    /// Pixels in a side of the pictures.
    pub size: usize,
}

impl Default for Exam {
    /// Two thousand questions of the first seed.
    fn default() -> Exam {
        Exam {
            limit: 286,
            seed: 0,
            size: WorldOptions::default().size,
        }
    }
}

/// A question and what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// The sample's name, such as `held-out-0-counting-12`.
    pub id: String,
    /// What it is about.
    #[serde(serialize_with = "as_text")]
    pub kind: Kind,
    /// As it was asked.
    pub question: String,
    /// The right answer.
    pub expected: String,
    /// The model's.
    pub answer: String,
    /// The model's where the picture is grey all over.
    pub answer_to_grey: String,
}

fn as_text<S: serde::Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(kind.name())
}

/// What a model scores in questions of one kind; shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct KindFigures {
    /// Questions.
    pub n: usize,
    /// Share of right answers.
    pub accuracy: f64,
    /// Share that the most frequent right answer has: what always giving it would score.
    pub majority: f64,
    /// Share of right answers where the picture is grey all over: what the model knows from the
    /// question alone.
    pub text_only: f64,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamError {
    /// Pictures of this size are not drawn.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The engine refused a question.
    #[error(transparent)]
    Engine(#[from] mobilevlm::Error),
    /// The examination was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Asks the questions, all of a kind before the next; `on_progress` hears how many of how many
/// have been answered.
///
/// # Errors
/// [`ExamError`].
pub fn examine(
    model: &Model,
    exam: &Exam,
    cancel: &CancelToken,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Examined>, ExamError> {
    let world = World::new(WorldOptions {
        seed: exam.seed,
        size: exam.size,
        ..WorldOptions::default()
    })?;
    let grey = RgbImage::filled(exam.size, exam.size, GREY);
    let grey = model.encode(&Picture::from_image(grey))?;
    let limit = exam.limit as u64;
    let total = Kind::EXAMINED.len() as u64 * limit;
    let questions = Kind::EXAMINED.into_iter();
    let mut left = questions.flat_map(|kind| (0..limit).map(move |index| (kind, index)));
    let mut done = Vec::new();
    loop {
        let some = left.by_ref().take(AT_ONCE);
        let samples: Vec<Sample> = some
            .map(|(kind, index)| world.sample_of(kind, Split::HeldOut, index))
            .collect();
        if samples.is_empty() {
            break;
        }
        done.extend(ask(model, &world, &samples, &grey, cancel)?);
        on_progress(done.len() as u64, total);
    }
    Ok(done)
}

/// Asks about some samples at once.
fn ask(
    model: &Model,
    world: &World,
    samples: &[Sample],
    grey: &EncodedPicture,
    cancel: &CancelToken,
) -> Result<Vec<Examined>, ExamError> {
    let options = GenerateOptions {
        max_new_tokens: ANSWER_TOKENS,
        cancel: cancel.clone(),
        ..GenerateOptions::default()
    };
    let mut batch = Batch::new(model);
    let mut answers = BTreeMap::new();
    let mut asked = Vec::with_capacity(samples.len());
    // Kinds that are examined have one exchange and a picture.
    for sample in samples {
        let (Some(exchange), Some(image)) = (sample.exchanges.first(), world.image(sample)) else {
            continue;
        };
        let encoded = model.encode(&Picture::from_image(image))?;
        let mut start = |picture: EncodedPicture| -> Result<_, ExamError> {
            let sequence = batch.join();
            let prompt = model.question(&[picture], &exchange.question)?;
            batch.ask(sequence, prompt, &options)?;
            Ok(sequence)
        };
        asked.push((sample, exchange, start(encoded)?, start(grey.clone())?));
    }
    while batch.is_running() {
        batch.step(&mut |sequence, event| {
            if let Event::Finished(answer) = event {
                answers.insert(sequence, answer.text);
            }
            ControlFlow::Continue(())
        });
    }
    if cancel.is_cancelled() {
        return Err(ExamError::Cancelled);
    }
    let mut answer = |sequence| answers.remove(&sequence).unwrap_or_default();
    let examined = asked
        .into_iter()
        .map(|(sample, exchange, seen, unseen)| Examined {
            id: sample.id.clone(),
            kind: sample.kind,
            question: exchange.question.clone(),
            expected: exchange.answer.clone(),
            answer: answer(seen),
            answer_to_grey: answer(unseen),
        });
    Ok(examined.collect())
}

/// Whether an answer says what was expected: the same words, whatever their case, with or without
/// a full stop.
pub fn is_right(answer: &str, expected: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim();
        text.strip_suffix('.').unwrap_or(text).to_lowercase()
    };
    bare(answer) == bare(expected)
}

/// The figures of every kind that is examined, by its name; zeros where none was asked.
pub fn figures(examined: &[Examined]) -> BTreeMap<&'static str, KindFigures> {
    let of_kind = |kind: Kind| {
        let of_kind: Vec<&Examined> = examined.iter().filter(|e| e.kind == kind).collect();
        let n = of_kind.len();
        let share = |right: &dyn Fn(&Examined) -> bool| {
            of_kind.iter().filter(|e| right(e)).count() as f64 / n.max(1) as f64
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for examined in &of_kind {
            *counts.entry(&examined.expected).or_default() += 1;
        }
        let most = counts.into_values().max().unwrap_or_default();
        let figures = KindFigures {
            n,
            accuracy: share(&|e| is_right(&e.answer, &e.expected)),
            majority: most as f64 / n.max(1) as f64,
            text_only: share(&|e| is_right(&e.answer_to_grey, &e.expected)),
        };
        (kind.name(), figures)
    };
    Kind::EXAMINED.into_iter().map(of_kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(kind: Kind, expected: &str, answer: &str, grey: &str) -> Examined {
        Examined {
            id: String::new(),
            kind,
            question: String::new(),
            expected: expected.to_owned(),
            answer: answer.to_owned(),
            answer_to_grey: grey.to_owned(),
        }
    }

    #[test]
    fn case_blanks_and_a_full_stop_do_not_count() {
        for answer in ["Red star", " red star", "Red Star.\n", "RED STAR"] {
            assert!(is_right(answer, "Red star"), "{answer:?}");
        }
        for answer in ["", "Red", "Red  star", "A red star", "Red star.."] {
            assert!(!is_right(answer, "Red star"), "{answer:?}");
        }
    }

    #[test]
    fn figures_are_shares_of_each_kind() {
        let all = [
            examined(Kind::Existence, "Yes", "yes", "Yes"),
            examined(Kind::Existence, "Yes", "No", "Yes"),
            examined(Kind::Existence, "No", "No", "Yes"),
            examined(Kind::Existence, "Yes", "Yes.", "No"),
            examined(Kind::Colour, "Red", "Blue", "Blue"),
        ];
        let figures = figures(&all);
        assert_eq!(figures.len(), Kind::EXAMINED.len());
        let expected = |n, accuracy, majority, text_only| KindFigures {
            n,
            accuracy,
            majority,
            text_only,
        };
        assert_eq!(figures["existence"], expected(4, 0.75, 0.75, 0.5));
        assert_eq!(figures["colour"], expected(1, 0.0, 1.0, 0.0));
        assert_eq!(figures["counting"], expected(0, 0.0, 0.0, 0.0));
    }
}
