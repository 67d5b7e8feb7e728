use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

use mobilevlm_model::{Cache, Pass};

use crate::answer::Answer;
use crate::draft::{MOST_DRAFTED, RowCost};
use crate::prompt::Prompt;
use crate::sequence::Sequence;
use crate::{Error, GenerateOptions, Model};

/// Most rows that go through the model at once. A long prompt takes several steps, so that the
/// buffers stay small (V2-7B: 256 rows x (6 x 4096 + 2 x 11008) x 4 bytes = 48 MB); the weights
/// are read so rarely at this height that more rows would gain nothing.
pub(crate) const ROWS_PER_STEP: usize = 256;

/// Many sequences that step together through one model.
///
/// Sequences join and leave at any step. Each answer is the same as if it were alone, to the id:
/// sequences share the reading of weights, never numbers.
///
/// A sequence keeps what it has read. When it is asked again, what the new prompt has in common
/// with it from the start is not computed again. The same holds for what another sequence of the
/// batch has read, for what the last sequence that left a batch of this model had read, and for
/// the system prompt.
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
    cost: RowCost,
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
            cost: RowCost::default(),
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
        let cache = &mut self.caches[index];
        if cache.is_empty()
            && let Some((read, spare)) = self.model.spare().take()
        {
            *state = Sequence::after(read);
            *cache = spare;
        }
        let started = state.start(&self.model, prompt, options, cache);
        let rows = self.sequences.len() + MOST_DRAFTED;
        self.pass.reserve(self.model.language(), rows);
        started
    }

    /// Takes a sequence out, at any time; an answer under way ends without an event. A sequence
    /// that is not there is no error.
    pub fn leave(&mut self, sequence: SequenceId) {
        if let Some(index) = self.index(sequence) {
            let (_, sequence) = self.sequences.swap_remove(index);
            let cache = self.caches.swap_remove(index);
            self.model.spare().put(sequence.into_read(), cache);
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

    /// One pass through the model: one token for each sequence that decodes, more where
    /// [`GenerateOptions::prompt_lookup`] guessed them, and some rows of the prompts that are still
    /// being read. Does nothing where nothing is running.
    ///
    /// `on_event` hears what happened; where it breaks for [`Event::Token`] or [`Event::Text`],
    /// that sequence's answer ends as [`FinishReason::Cancelled`](crate::FinishReason::Cancelled).
    pub fn step(&mut self, on_event: &mut dyn FnMut(SequenceId, Event<'_>) -> ControlFlow<()>) {
        for (id, sequence) in &mut self.sequences {
            sequence.end_if_cancelled(&mut |event| on_event(*id, event));
        }
        let drafted = self.feed();
        if self.fed.is_empty() {
            return;
        }
        let model = &self.model;
        let reads_prompts = self.pass.rows() > self.fed.len() + drafted;
        let start = Instant::now();
        model
            .language()
            .forward(model.compute(), &mut self.pass, &mut self.caches);
        if !reads_prompts {
            let seconds = start.elapsed().as_secs_f64();
            self.cost.enter(self.fed.len(), drafted, seconds);
        }
        for &(index, segment) in &self.fed {
            let logits = self.pass.logits(segment);
            if logits.is_empty() {
                continue;
            }
            let (id, sequence) = &mut self.sequences[index];
            let cache = &mut self.caches[index];
            sequence.advance(model, logits, &self.cost, cache, &mut |event| {
                on_event(*id, event)
            });
            if !sequence.is_running() {
                model.system().keep(sequence.read(), cache);
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
    /// Returns how many of the rows are guesses.
    fn feed(&mut self) -> usize {
        self.pass.clear();
        self.fed.clear();
        let indices = 0..self.sequences.len();
        let decoding = indices.clone().filter(|&index| self.decodes(index)).count();
        // Beside a prompt, whose rows take the time, nothing could be said about a guess's cost.
        let alone = indices
            .clone()
            .all(|index| self.decodes(index) || self.pending(index) == 0);
        let row = (alone && self.cost.knows(decoding)).then(|| self.cost.row());
        let mut drafted = 0;
        for index in indices.clone() {
            if self.decodes(index) {
                let (_, sequence) = &mut self.sequences[index];
                let guesses = row.map_or(0, |row| sequence.draft(row, MOST_DRAFTED - drafted));
                self.feed_rows(index, 1 + guesses);
                drafted += guesses;
            }
        }
        for index in indices {
            if !self.sequences[index].1.is_decoding() && self.pending(index) > 0 {
                self.borrow_prefix(index);
                let left = ROWS_PER_STEP.saturating_sub(self.pass.rows());
                self.feed_rows(index, self.pending(index).min(left));
            }
        }
        drafted
    }

    fn feed_rows(&mut self, index: usize, rows: usize) {
        if rows > 0 {
            let cached = self.caches[index].len();
            let (_, sequence) = &self.sequences[index];
            let segment = sequence.feed(&self.model, &mut self.pass, index, cached, rows);
            self.fed.push((index, segment));
        }
    }

    /// Copies the state of a longer prefix from what has read it already: another sequence, or
    /// whoever read the system prompt first.
    fn borrow_prefix(&mut self, index: usize) {
        let (sequence, own) = (&self.sequences[index].1, self.caches[index].len());
        let others = self.sequences.iter().zip(&self.caches).enumerate();
        let lenders =
            others
                .filter(|(other, _)| *other != index)
                .map(|(other, ((_, lender), cache))| {
                    (sequence.shared_with(lender, cache.len()), other)
                });
        let (len, lender) = lenders.max().unwrap_or_default();
        let (model, covered) = (&self.model, self.model.system().covers(sequence.read()));
        let mut cache = if covered > own.max(len)
            && let Some(state) = model.system().find(model.language(), model.compute())
        {
            state.prefix(covered)
        } else if len > own {
            self.caches[lender].prefix(len)
        } else {
            return;
        };
        let (_, sequence) = &mut self.sequences[index];
        cache.reserve(sequence.most_positions());
        sequence.borrowed(cache.len() - own);
        self.caches[index] = cache;
    }

    /// Whether the sequence waits for the token behind the one that it chose last.
    fn decodes(&self, index: usize) -> bool {
        self.pending(index) > 0 && self.sequences[index].1.is_decoding()
    }

    fn pending(&self, index: usize) -> usize {
        self.sequences[index].1.pending(self.caches[index].len())
    }

    fn index(&self, sequence: SequenceId) -> Option<usize> {
        self.sequences.iter().position(|(id, _)| *id == sequence)
    }
}

impl Drop for Batch {
    /// The next sequence of the model goes on from what one of these has read.
    fn drop(&mut self) {
        for ((_, sequence), cache) in self.sequences.drain(..).zip(self.caches.drain(..)) {
            self.model.spare().put(sequence.into_read(), cache);
        }
    }
}
