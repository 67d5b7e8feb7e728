//! `mobilevlm ask --each`: the same question about every picture, many at once.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm::{Batch, Event, GenerateOptions, Model, SequenceId};

use crate::args::AskArgs;
use crate::error::{CliError, chain};
use crate::interrupt;
use crate::output::{AnswerJson, FailureJson};
use crate::plan::{self, Network, Question};
use crate::terminal::{Terminal, print_json};

/// Sequences that step together. Reading the weights is most of a step's cost, and eight share it;
/// more would need more memory for their key-value caches (V2-7B: 0.7 GB each at full length).
const AT_ONCE: usize = 8;

pub(crate) fn run(args: &AskArgs, question: &Question, terminal: Terminal) -> Result<(), CliError> {
    let model = plan::open_model(&args.model, &args.compute, Network::Allowed, terminal)?;
    let cancel = interrupt::stoppable();
    let options = plan::generate_options(&args.generate, cancel.clone());
    let total = question.pictures.len();
    let mut lines = Lines::default();
    let mut batch = Batch::new(&model);
    let mut running: HashMap<SequenceId, usize> = HashMap::new();
    for (index, picture) in question.pictures.iter().enumerate() {
        while running.len() == AT_ONCE && !cancel.is_cancelled() {
            step(&mut batch, &mut running, question, &mut lines)?;
        }
        if cancel.is_cancelled() {
            break;
        }
        match start(&model, &mut batch, picture, question, args, &options) {
            Ok(sequence) => drop(running.insert(sequence, index)),
            Err(error) => lines.fail(
                index,
                &FailureJson {
                    image: &name(picture),
                    error: chain(&error),
                },
            )?,
        }
    }
    while !running.is_empty() && !cancel.is_cancelled() {
        step(&mut batch, &mut running, question, &mut lines)?;
    }
    interrupt::done();
    if cancel.is_cancelled() {
        return Err(CliError::Interrupted);
    }
    match lines.failed {
        0 => Ok(()),
        failed => Err(CliError::Some { failed, total }),
    }
}

/// Reads and encodes a picture and lets its question join the batch.
fn start(
    model: &Model,
    batch: &mut Batch,
    picture: &Path,
    question: &Question,
    args: &AskArgs,
    options: &GenerateOptions,
) -> Result<SequenceId, CliError> {
    let encoded = model.encode(&plan::read_picture(picture, args.generate.exif)?)?;
    let prompt = model.question(&[encoded], &question.text)?;
    let sequence = batch.join();
    if let Err(error) = batch.ask(sequence, prompt, options) {
        batch.leave(sequence);
        return Err(error.into());
    }
    Ok(sequence)
}

/// One step of all sequences; those that have their answer leave.
fn step(
    batch: &mut Batch,
    running: &mut HashMap<SequenceId, usize>,
    question: &Question,
    lines: &mut Lines,
) -> Result<(), CliError> {
    let mut finished = Vec::new();
    batch.step(&mut |sequence, event| {
        if let Event::Finished(answer) = event {
            finished.push((sequence, answer));
        }
        ControlFlow::Continue(())
    });
    for (sequence, answer) in finished {
        batch.leave(sequence);
        if let Some(index) = running.remove(&sequence) {
            let image = name(&question.pictures[index]);
            lines.answer(index, &AnswerJson::new(Some(&image), &answer))?;
        }
    }
    Ok(())
}

fn name(picture: &Path) -> String {
    picture.display().to_string()
}

/// Prints lines in the order of the pictures, however they become ready.
#[derive(Default)]
struct Lines {
    printed: usize,
    waiting: HashMap<usize, serde_json::Value>,
    failed: usize,
}

impl Lines {
    fn answer(&mut self, index: usize, line: &AnswerJson<'_>) -> Result<(), CliError> {
        self.push(index, line)
    }

    fn fail(&mut self, index: usize, line: &FailureJson<'_>) -> Result<(), CliError> {
        self.failed += 1;
        self.push(index, line)
    }

    fn push(&mut self, index: usize, line: &impl serde::Serialize) -> Result<(), CliError> {
        self.waiting.insert(
            index,
            serde_json::to_value(line).map_err(std::io::Error::from)?,
        );
        while let Some(line) = self.waiting.remove(&self.printed) {
            print_json(&line)?;
            self.printed += 1;
        }
        Ok(())
    }
}
