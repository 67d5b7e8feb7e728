use std::ops::ControlFlow;
use std::time::Instant;

use mobilevlm_model::{Cache, Pass, Sampler};
use mobilevlm_processor::DecodeStream;

use crate::answer::{Answer, FinishReason, Timings, milliseconds};
use crate::batch::Event;
use crate::draft::{self, Ledger, RowCost};
use crate::prompt::{Content, Prompt};
use crate::stops::StopText;
use crate::{CancelToken, Error, GenerateOptions, Model};

/// Bytes of text reserved for each token of an answer: sixteen characters, the longest piece.
const BYTES_PER_TOKEN: usize = 64;

/// One sequence of a batch: what it has read and shall read, and the answer under way.
///
/// The first positions of `read` are in the sequence's cache, the rest is still to go through the
/// model. A prompt has many of these, a decode step one; nothing else tells them apart.
#[derive(Default)]
pub(crate) struct Sequence {
    read: Prompt,
    /// The last positions of `read` that are guesses; none between two steps.
    drafted: usize,
    generation: Option<Generation>,
}

struct Generation {
    prompt_tokens: usize,
    image_tokens: usize,
    cached_tokens: usize,
    sampler: Sampler,
    cancel: CancelToken,
    max_new_tokens: usize,
    ids: Vec<u32>,
    decode: DecodeStream,
    /// Text of the newest token.
    piece: String,
    text: StopText,
    started: Instant,
    first_token: Option<Instant>,
    /// Tokens after the first.
    steps: usize,
    /// Whether tokens may be guessed.
    lookup: bool,
    /// Absent where none may be, and before the first step.
    ledger: Option<Ledger>,
    timings: Timings,
}

impl Sequence {
    /// Starts an answer to `prompt`. The cache keeps what `prompt` begins with, and has room for
    /// the whole answer afterwards.
    pub(crate) fn start(
        &mut self,
        model: &Model,
        mut prompt: Prompt,
        options: &GenerateOptions,
        cache: &mut Cache,
    ) -> Result<(), Error> {
        let mut sampler = Sampler::new(options.sampler()?, model.language().vocab());
        prompt.tokens().for_each(|id| sampler.observe(id));

        let room = model.language().context() - prompt.len();
        let max_new_tokens = options.max_new_tokens.min(room + 1);
        let answer_bytes = max_new_tokens.saturating_mul(BYTES_PER_TOKEN);
        let pictures = prompt.timings();
        // The last position is always read again: its logits give the first token.
        let kept = self
            .read
            .common_prefix(&prompt)
            .min(cache.len())
            .min(prompt.len() - 1);
        let generation = Generation {
            prompt_tokens: prompt.len(),
            image_tokens: prompt.image_tokens(),
            cached_tokens: kept,
            sampler,
            cancel: options.cancel.clone(),
            max_new_tokens,
            ids: Vec::with_capacity(max_new_tokens),
            decode: model.tokenizer().decode_stream(),
            piece: String::with_capacity(2 * BYTES_PER_TOKEN),
            text: StopText::new(options.stop.clone(), answer_bytes),
            started: Instant::now(),
            first_token: None,
            steps: 0,
            lookup: options.prompt_lookup,
            ledger: None,
            timings: Timings {
                load: model.load_ms(),
                image_read: pictures.image_read,
                preprocess: pictures.preprocess,
                vision: pictures.vision,
                projector: pictures.projector,
                ..Timings::default()
            },
        };
        cache.truncate(kept);
        prompt.reserve(max_new_tokens);
        cache.reserve(prompt.len() + max_new_tokens);
        self.read = prompt;
        self.generation = Some(generation);
        Ok(())
    }

    /// A sequence that has read what `read` says, and is not answering.
    pub(crate) fn after(read: Prompt) -> Sequence {
        Sequence {
            read,
            ..Sequence::default()
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.generation.is_some()
    }

    /// What the sequence has read or is to read.
    pub(crate) fn read(&self) -> &Prompt {
        &self.read
    }

    pub(crate) fn into_read(self) -> Prompt {
        self.read
    }

    /// Whether the first token of the answer has been chosen, so that what is pending is not of the
    /// prompt.
    pub(crate) fn is_decoding(&self) -> bool {
        let generation = self.generation.as_ref();
        generation.is_some_and(|generation| !generation.ids.is_empty())
    }

    /// Notes that `positions` of the prompt, which were not at hand, came from another sequence.
    pub(crate) fn borrowed(&mut self, positions: usize) {
        if let Some(generation) = &mut self.generation {
            generation.cached_tokens += positions;
        }
    }

    /// Guesses up to `most` of the tokens behind the last one, where each costs `row` of a plain
    /// step. Returns how many it guessed.
    pub(crate) fn draft(&mut self, row: f64, most: usize) -> usize {
        let Some(generation) = &self.generation else {
            return 0;
        };
        let Some(ledger) = &generation.ledger else {
            return 0;
        };
        // The step itself gives one token more than were guessed.
        let room = generation.max_new_tokens - generation.ids.len() - 1;
        let most = most.min(room).min(ledger.allowance(row));
        if most == 0 {
            return 0;
        }
        let Some(first) = draft::continuation(&self.read) else {
            return 0;
        };
        // The source may reach into the guess itself, where a text repeats what it just said.
        self.drafted = (first..first + most)
            .map_while(|position| {
                let id = self.read.token(position)?;
                self.read.push_token(id);
                Some(())
            })
            .count();
        self.drafted
    }

    /// Positions that `other`, of which `cached` are in its cache, could lend to this sequence.
    pub(crate) fn shared_with(&self, other: &Sequence, cached: usize) -> usize {
        self.read
            .common_prefix(&other.read)
            .min(cached)
            .min(self.read.len().saturating_sub(1))
    }

    /// Positions still to go through the model.
    pub(crate) fn pending(&self, cached: usize) -> usize {
        if self.is_running() {
            self.read.len() - cached
        } else {
            0
        }
    }

    /// Most positions that the sequence has when its answer is complete.
    pub(crate) fn most_positions(&self) -> usize {
        let answer = self
            .generation
            .as_ref()
            .map_or(0, |generation| generation.max_new_tokens);
        self.read.len() + answer
    }

    /// Adds the next `rows` positions to `pass`, and asks for logits behind the last. Returns the
    /// segment to find them at.
    pub(crate) fn feed(
        &self,
        model: &Model,
        pass: &mut Pass,
        index: usize,
        cached: usize,
        rows: usize,
    ) -> usize {
        let segment = match self.is_decoding() {
            true => pass.begin_step(index),
            false => pass.begin(index),
        };
        for position in cached..cached + rows {
            match self.read.content(position) {
                Content::Token(id) => pass.push_token(model.language(), id),
                Content::Embed(row) => pass.push_embed(row),
            }
        }
        if self.drafted > 0 {
            pass.want_all();
        } else if cached + rows == self.read.len() {
            pass.want_last();
        }
        segment
    }

    /// Chooses the next token from `logits`, and one more for each guess that was right, and tells
    /// `on_event`; ends the answer where it ends.
    ///
    /// `logits`: `[1 + drafted, vocab]`. Afterwards neither `read` nor `cache` has a wrong guess.
    pub(crate) fn advance(
        &mut self,
        model: &Model,
        logits: &[f32],
        cost: &RowCost,
        cache: &mut Cache,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) {
        let Some(generation) = &mut self.generation else {
            return;
        };
        let eos = model.tokenizer().eos();
        let drafted = std::mem::take(&mut self.drafted);
        let certain = self.read.len() - drafted;
        let mut accepted = 0;
        let mut rows = logits.chunks_exact(model.language().vocab());
        let (next, ended) = loop {
            let Some(row) = rows.next() else { return };
            let (id, ended) = generation.choose(row, eos, on_event);
            if ended.is_some() {
                break (id, ended);
            }
            if accepted == drafted || self.read.token(certain + accepted) != Some(id) {
                break (id, None);
            }
            accepted += 1;
            // Between plain steps the token would have been looked at.
            if generation.cancel.is_cancelled() {
                break (id, Some(FinishReason::Cancelled));
            }
        };
        generation.enter(drafted, accepted, cost);
        self.read.truncate(certain + accepted);
        cache.truncate(certain + accepted);
        match ended {
            Some(reason) => self.finish(reason, on_event),
            None => self.read.push_token(next),
        }
    }

    /// Ends the answer if its token says so.
    pub(crate) fn end_if_cancelled(
        &mut self,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) {
        if self
            .generation
            .as_ref()
            .is_some_and(|generation| generation.cancel.is_cancelled())
        {
            self.finish(FinishReason::Cancelled, on_event);
        }
    }

    fn finish(
        &mut self,
        reason: FinishReason,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) {
        if let Some(generation) = self.generation.take() {
            let answer = generation.finish(reason, on_event);
            // The answer has ended whatever the callback says to it.
            let _ = on_event(Event::Finished(answer));
        }
    }
}

impl Generation {
    /// Enters a step into the ledger, which begins as soon as it is known what a step costs.
    fn enter(&mut self, drafted: usize, accepted: usize, cost: &RowCost) {
        self.timings.drafted_tokens += drafted;
        self.timings.accepted_tokens += accepted;
        match (&mut self.ledger, cost.plain()) {
            (Some(ledger), _) => ledger.enter(drafted, accepted, cost.row()),
            (None, Some(plain)) if self.lookup => {
                let prefill = self.timings.prefill / 1e3 / plain;
                self.ledger = Some(Ledger::new(prefill + self.steps as f64));
            }
            _ => {}
        }
    }

    /// The next token, and why the answer ends with it if it does.
    fn choose(
        &mut self,
        logits: &[f32],
        eos: u32,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> (u32, Option<FinishReason>) {
        match self.first_token {
            None => {
                self.first_token = Some(Instant::now());
                self.timings.prefill = milliseconds(self.started);
            }
            Some(_) => self.steps += 1,
        }
        let id = self.sampler.sample(logits);
        self.sampler.observe(id);
        let mut flow = on_event(Event::Token { id, logits });
        if id == eos {
            return (id, Some(FinishReason::Stop));
        }
        self.ids.push(id);
        self.piece.clear();
        self.decode.push_into(id, &mut self.piece);
        if flow.is_continue() {
            flow = show(self.text.push(&self.piece), on_event);
        }
        let ended = if self.text.stopped() {
            Some(FinishReason::Stop)
        } else if flow.is_break() {
            Some(FinishReason::Cancelled)
        } else if self.ids.len() == self.max_new_tokens {
            Some(FinishReason::Length)
        } else {
            None
        };
        (id, ended)
    }

    fn finish(
        mut self,
        reason: FinishReason,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Answer {
        let mut finish_reason = reason;
        if reason != FinishReason::Cancelled && !self.text.stopped() {
            // Bytes of a character that never became whole, and what a stop string held back. The
            // answer has ended whatever the callback says to it.
            self.piece.clear();
            self.decode.finish_into(&mut self.piece);
            let _ = show(self.text.push(&self.piece), on_event);
            if self.text.stopped() {
                finish_reason = FinishReason::Stop;
            }
            let _ = show(self.text.flush(), on_event);
        }
        if let Some(first) = self.first_token {
            self.timings.decode = milliseconds(first);
        }
        if self.steps > 0 {
            self.timings.decode_tokens_per_second =
                self.steps as f64 * 1e3 / self.timings.decode.max(f64::MIN_POSITIVE);
        }
        Answer {
            text: self.text.into_shown(),
            ids: self.ids,
            prompt_tokens: self.prompt_tokens,
            image_tokens: self.image_tokens,
            cached_tokens: self.cached_tokens,
            finish_reason,
            timings: self.timings,
        }
    }
}

fn show(text: &str, on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    if text.is_empty() {
        ControlFlow::Continue(())
    } else {
        on_event(Event::Text(text))
    }
}
