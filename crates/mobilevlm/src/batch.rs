use std::fmt;
use std::ops::ControlFlow;

use mobilevlm_model::{Cache, Pass};

use crate::answer::Answer;
use crate::prompt::Prompt;
use crate::sequence::Sequence;
use crate::{Error, GenerateOptions, Model};

/// Most rows that go through the model at once. A long prompt takes several steps, so that the
/// buffers stay small (V2-7B: 256 rows x (6 x 4096 + 2 x 11008) x 4 bytes = 48 MB); the weights
/// are read so rarely at this height that more rows would gain nothing.
const ROWS_PER_STEP: usize = 256;

/// Many sequences that step together through one model.
///
/// Sequences join and leave at any step. Each answer is the same as if it were alone, to the id:
/// sequences share the reading of weights, never numbers.
///
/// A sequence keeps what it has read. When it is asked again, what the new prompt has in common
/// with it from the start is not computed again; the same holds for what another sequence of the
/// batch has read.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use mobilevlm::{Batch, Event, GenerateOptions, Model, OpenOptions};
///
/// let model = Model::open("checkpoint".as_ref(), &OpenOptions::default())?;
/// let mut batch = Batch::new(&model);
/// for question in ["What is a river?", "Name one colour."] {
///     let sequence = batch.join();
///     batch.ask(sequence, model.question(&[], question)?, &GenerateOptions::default())?;
/// }
/// while batch.is_running() {
///     batch.step(&mut |sequence, event| {
///         if let Event::Finished(answer) = event {
///             println!("{sequence}: {}", answer.text);
///         }
///         ControlFlow::Continue(())
///     });
/// }
/// # Ok::<(), mobilevlm::Error>(())
/// ```
pub struct Batch {
    model: Model,
    sequences: Vec<(SequenceId, Sequence)>,
    /// Beside `sequences`, in the same order.
    caches: Vec<Cache>,
    pass: Pass,
    /// Sequences in `pass` by index, with their segments.
    fed: Vec<(usize, usize)>,
    next_id: u64,
}

/// Names a sequence of one batch; never used twice in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(u64);

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a step did for one sequence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token was chosen, the end-of-sequence token included.
    Token {
        /// The token.
        id: u32,
        /// What it was chosen from, `[vocab]`, as the model gave it.
        logits: &'a [f32],
    },
    /// Text became complete: whole characters, and never the beginning of a stop string.
    Text(&'a str),
    /// The answer has ended. The sequence stays, idle, until it is asked again or leaves.
    Finished(Answer),
}

impl Batch {
    /// A batch without sequences.
    pub fn new(model: &Model) -> Batch {
        Batch {
            model: model.clone(),
            sequences: Vec::new(),
            caches: Vec::new(),
            pass: Pass::new(),
            fed: Vec::new(),
            next_id: 0,
        }
    }

    /// Adds an idle sequence that has read nothing.
    pub fn join(&mut self) -> SequenceId {
        let id = SequenceId(self.next_id);
        self.next_id += 1;
        self.sequences.push((id, Sequence::default()));
        self.caches.push(self.model.language().new_cache());
        id
    }

    /// Starts an answer to `prompt`, which replaces what the sequence has read; what both have in
    /// common from the start is kept.
    ///
    /// # Errors
    /// [`Error::NoSequence`] and [`Error::StillAnswering`] for a sequence that cannot be asked,
    /// [`Error::Option`] for an option that means nothing; what [`Model::prompt`] refuses, for a
    /// prompt that another model made.
    pub fn ask(
        &mut self,
        sequence: SequenceId,
        prompt: Prompt,
        options: &GenerateOptions,
    ) -> Result<(), Error> {
        let index = self.index(sequence).ok_or(Error::NoSequence(sequence))?;
        let (_, state) = &mut self.sequences[index];
        if state.is_running() {
            return Err(Error::StillAnswering(sequence));
        }
        self.model.check(&prompt)?;
        state.start(&self.model, prompt, options, &mut self.caches[index])
    }

    /// Takes a sequence out, at any time; an answer under way ends without an event. A sequence
    /// that is not there is no error.
    pub fn leave(&mut self, sequence: SequenceId) {
        if let Some(index) = self.index(sequence) {
            self.sequences.swap_remove(index);
            self.caches.swap_remove(index);
        }
    }

    /// Whether any sequence is answering.
    pub fn is_running(&self) -> bool {
        self.sequences
            .iter()
            .any(|(_, sequence)| sequence.is_running())
    }

    /// Number of sequences, idle ones included.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// One pass through the model: one token for each sequence that decodes, and some rows of the
    /// prompts that are still being read. Does nothing where nothing is running.
    ///
    /// `on_event` hears what happened; where it breaks for [`Event::Token`] or [`Event::Text`],
    /// that sequence's answer ends as [`FinishReason::Cancelled`](crate::FinishReason::Cancelled).
    pub fn step(&mut self, on_event: &mut dyn FnMut(SequenceId, Event<'_>) -> ControlFlow<()>) {
        for (id, sequence) in &mut self.sequences {
            sequence.end_if_cancelled(&mut |event| on_event(*id, event));
        }
        self.feed();
        if self.fed.is_empty() {
            return;
        }
        let model = &self.model;
        model
            .language()
            .forward(model.compute(), &mut self.pass, &mut self.caches);
        for &(index, segment) in &self.fed {
            let logits = self.pass.logits(segment);
            if !logits.is_empty() {
                let (id, sequence) = &mut self.sequences[index];
                sequence.advance(model, logits, &mut |event| on_event(*id, event));
            }
        }
    }

    /// Steps until `sequence`, which must be answering, has its answer. Its other events go to
    /// `on_event`.
    pub(crate) fn answer(
        &mut self,
        sequence: SequenceId,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Answer {
        let mut answer = None;
        loop {
            self.step(&mut |id, event| match event {
                Event::Finished(finished) if id == sequence => {
                    answer = Some(finished);
                    ControlFlow::Continue(())
                }
                event if id == sequence => on_event(event),
                _ => ControlFlow::Continue(()),
            });
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// Fills the pass: every sequence that decodes, then prompts as far as there are rows left.
    fn feed(&mut self) {
        self.pass.clear();
        self.fed.clear();
        for decoding in [true, false] {
            for index in 0..self.sequences.len() {
                let pending = self.pending(index);
                if pending == 0 || (pending == 1) != decoding {
                    continue;
                }
                if !decoding {
                    self.borrow_prefix(index);
                }
                let left = ROWS_PER_STEP.saturating_sub(self.pass.rows());
                let rows = if decoding {
                    1
                } else {
                    self.pending(index).min(left)
                };
                if rows > 0 {
                    let cached = self.caches[index].len();
                    let (_, sequence) = &self.sequences[index];
                    let segment = sequence.feed(&self.model, &mut self.pass, index, cached, rows);
                    self.fed.push((index, segment));
                }
            }
        }
    }

    /// Copies the state of a longer prefix from another sequence that has read it already.
    fn borrow_prefix(&mut self, index: usize) {
        let sequence = &self.sequences[index].1;
        let others = self.sequences.iter().zip(&self.caches).enumerate();
        let lenders =
            others
                .filter(|(other, _)| *other != index)
                .map(|(other, ((_, lender), cache))| {
                    (sequence.shared_with(lender, cache.len()), other)
                });
        let Some((len, lender)) = lenders.max() else {
            return;
        };
        if len > self.caches[index].len() {
            let mut cache = self.caches[lender].prefix(len);
            cache.reserve(self.sequences[index].1.most_positions());
            self.caches[index] = cache;
        }
    }

    fn pending(&self, index: usize) -> usize {
        self.sequences[index].1.pending(self.caches[index].len())
    }

    fn index(&self, sequence: SequenceId) -> Option<usize> {
        self.sequences.iter().position(|(id, _)| *id == sequence)
    }
}
