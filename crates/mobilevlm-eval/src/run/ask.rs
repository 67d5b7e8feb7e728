//! Asks questions many at a time, and hands out the answers in their order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm::{
    Answer, Batch, CancelToken, Event, FinishReason, GenerateOptions, Model, SequenceId,
};

use super::RunError;
use super::pictures::{Ahead, Album};
use crate::benchmarks::{PictureSource, Question};

/// Answers that may be finished or under way before the next one is written, for each sequence of
/// the batch. One long answer then does not leave the others without company, and no more is lost
/// when the process ends.
const WINDOW: usize = 2;

/// How questions are asked.
#[derive(Clone, Debug)]
pub(crate) struct AskOptions<'a> {
    /// The benchmark's name, for errors.
    pub(crate) task: &'static str,
    /// The benchmark's folder.
    pub(crate) folder: &'a Path,
    /// Sequences that step together.
    pub(crate) batch: usize,
    /// Ends it within a step.
    pub(crate) cancel: CancelToken,
}

/// Asks `questions`, each with its line in the questions' file, and gives `on_answer` each one's index and answer, in their order.
///
/// Where a question cannot be asked, those before it are answered first.
///
/// # Errors
/// [`RunError::Question`] for a picture or prompt that cannot be used, [`RunError::Cancelled`],
/// and what `on_answer` says.
pub(crate) fn ask(
    model: &Model,
    questions: &[(usize, Question)],
    options: &AskOptions<'_>,
    on_answer: &mut dyn FnMut(usize, &str) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let pictures = questions.iter().map(|(_, question)| {
        let picture = question.picture.as_ref()?;
        Some((picture, question.crop))
    });
    let album = Album::new(model, options.folder, pictures);
    std::thread::scope(|scope| {
        let ahead = album.start(scope);
        let mut asking = Asking {
            model,
            questions,
            options,
            album,
            ahead,
            batch: Batch::new(model),
            seats: Vec::new(),
            next: 0,
            finished: BTreeMap::new(),
            written: 0,
        };
        asking.run(on_answer)
    })
}

/// A sequence of the batch.
struct Seat {
    sequence: SequenceId,
    /// The question that it is answering.
    question: Option<usize>,
    /// The picture of its last question: the next question about it has most of its prompt read.
    picture: Option<usize>,
    /// When it was asked last.
    asked: usize,
}

struct Asking<'a> {
    model: &'a Model,
    questions: &'a [(usize, Question)],
    options: &'a AskOptions<'a>,
    album: Album<'a>,
    ahead: Ahead,
    batch: Batch,
    seats: Vec<Seat>,
    /// The first question that has not been asked.
    next: usize,
    /// Answers that wait for an earlier one.
    finished: BTreeMap<usize, String>,
    /// Answers that were handed out.
    written: usize,
}

impl Asking<'_> {
    fn run(
        &mut self,
        on_answer: &mut dyn FnMut(usize, &str) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let mut refused = None;
        loop {
            while refused.is_none() && self.may_ask() {
                refused = self.ask_next().err();
            }
            if self.options.cancel.is_cancelled() {
                return Err(RunError::Cancelled);
            }
            if !self.batch.is_running() {
                return match refused {
                    Some(error) => Err(error),
                    None => Ok(()),
                };
            }
            self.step();
            while let Some(text) = self.finished.remove(&self.written) {
                on_answer(self.written, &text)?;
                self.written += 1;
            }
        }
    }

    /// Whether the next question can be asked now.
    fn may_ask(&self) -> bool {
        let busy = self.seats.iter().filter(|seat| seat.question.is_some());
        self.next < self.questions.len()
            && self.next < self.written + WINDOW * self.options.batch
            && busy.count() < self.options.batch
            && !self.options.cancel.is_cancelled()
    }

    fn ask_next(&mut self) -> Result<(), RunError> {
        let index = self.next;
        let (line, question) = &self.questions[index];
        let refused = |wrong: String| RunError::Question {
            task: self.options.task.to_owned(),
            line: *line,
            picture: question.picture.as_ref().map(PictureSource::name),
            wrong,
        };
        let encoded = self.album.encoded(self.model, &mut self.ahead, index);
        let encoded = encoded.map_err(&refused)?;
        let prompt = self.model.question(encoded.as_slice(), &question.text);
        let prompt = prompt.map_err(|error| refused(error.to_string()))?;
        let options = GenerateOptions {
            max_new_tokens: question.max_new_tokens,
            cancel: self.options.cancel.clone(),
            ..GenerateOptions::default()
        };
        let picture = self.album.of_question(index);
        let seat = self.seat_for(picture);
        let asked = self.batch.ask(self.seats[seat].sequence, prompt, &options);
        asked.map_err(|error| refused(error.to_string()))?;
        let seat = &mut self.seats[seat];
        (seat.question, seat.picture, seat.asked) = (Some(index), picture, index);
        self.next += 1;
        Ok(())
    }

    /// A free seat: one that has read the picture, else a new one, else the one that was asked
    /// longest ago.
    fn seat_for(&mut self, picture: Option<usize>) -> usize {
        let free = || (0..self.seats.len()).filter(|&at| self.seats[at].question.is_none());
        let has_read = |at: &usize| picture.is_some() && self.seats[*at].picture == picture;
        if let Some(at) = free().find(has_read) {
            return at;
        }
        let oldest = free().min_by_key(|&at| self.seats[at].asked);
        match oldest {
            Some(at) if self.seats.len() == self.options.batch => at,
            _ => {
                self.seats.push(Seat {
                    sequence: self.batch.join(),
                    question: None,
                    picture: None,
                    asked: 0,
                });
                self.seats.len() - 1
            }
        }
    }

    fn step(&mut self) {
        let mut done: Vec<(SequenceId, Answer)> = Vec::new();
        self.batch.step(&mut |sequence, event| {
            if let Event::Finished(answer) = event {
                done.push((sequence, answer));
            }
            ControlFlow::Continue(())
        });
        for (sequence, answer) in done {
            let mut seats = self.seats.iter_mut();
            let seat = seats.find(|seat| seat.sequence == sequence);
            let question = seat.and_then(|seat| seat.question.take());
            if let Some(question) = question
                && answer.finish_reason != FinishReason::Cancelled
            {
                self.finished.insert(question, answer.text);
            }
        }
    }
}
