//! Sequences in a batch equal sequences alone, to the last bit of every logit.

mod common;

use std::collections::HashMap;
use std::ops::ControlFlow;

use common::{Case, Golden, kernels};
use mobilevlm::{Batch, Error, Event, GenerateOptions, Model, Prompt, SequenceId};

/// Ids and the bits of all logits of one answer.
#[derive(Default, PartialEq, Eq)]
struct Trace {
    ids: Vec<u32>,
    logits: Vec<u32>,
    finished: bool,
}

impl Trace {
    fn hear(&mut self, event: Event<'_>) {
        match event {
            Event::Token { id, logits } => {
                self.ids.push(id);
                self.logits
                    .extend(logits.iter().map(|logit| logit.to_bits()));
            }
            Event::Finished(_) => self.finished = true,
            _ => {}
        }
    }
}

fn prompt(golden: &Golden, model: &Model, case: &Case) -> Prompt {
    let pictures: Vec<_> = case
        .images
        .iter()
        .map(|picture| model.encode(&golden.prepared(model, picture)).unwrap())
        .collect();
    model
        .prompt(&model.tokenizer().encode_prompt(&case.prompt), &pictures)
        .unwrap()
}

fn options(case: &Case) -> GenerateOptions {
    GenerateOptions {
        max_new_tokens: case.max_new_tokens,
        ..GenerateOptions::default()
    }
}

fn alone(golden: &Golden, model: &Model, case: &Case) -> Trace {
    let mut trace = Trace::default();
    // A model that has read nothing yet.
    let compute = model.compute();
    let fresh = golden.open(compute.kernels(), compute.pool().threads());
    fresh
        .generate(prompt(golden, model, case), &options(case), &mut |event| {
            trace.hear(event);
            ControlFlow::Continue(())
        })
        .unwrap();
    trace.finished = true;
    trace
}

/// A batch with what each of its sequences said.
struct Listening {
    batch: Batch,
    traces: HashMap<SequenceId, Trace>,
}

impl Listening {
    fn new(model: &Model) -> Listening {
        Listening {
            batch: Batch::new(model),
            traces: HashMap::new(),
        }
    }

    fn steps(&mut self, number: usize) {
        for _ in 0..number {
            self.batch.step(&mut |sequence, event| {
                self.traces.entry(sequence).or_default().hear(event);
                ControlFlow::Continue(())
            });
        }
    }

    fn finish(&mut self) {
        while self.batch.is_running() {
            self.steps(1);
        }
    }
}

#[test]
fn joining_and_leaving_at_any_step_changes_no_bit() {
    for golden in Golden::all("joining_and_leaving_at_any_step_changes_no_bit") {
        check_joining_and_leaving(&golden, &golden.model());
    }
    let micro = Golden::micro();
    for kernels in kernels() {
        check_joining_and_leaving(&micro, &micro.open(kernels, 2));
    }
}

fn check_joining_and_leaving(golden: &Golden, model: &Model) {
    let mut listening = Listening::new(model);
    let mut expected = Vec::new();
    for (number, case) in golden.cases.iter().enumerate() {
        let sequence = listening.batch.join();
        listening
            .batch
            .ask(sequence, prompt(golden, model, case), &options(case))
            .unwrap();
        expected.push((sequence, case));
        listening.steps(number % 4);
        if number % 3 == 1 {
            // Somebody comes and goes in the middle of a prompt or an answer.
            let passer_by = listening.batch.join();
            let case = &golden.cases[(number + 2) % golden.cases.len()];
            listening
                .batch
                .ask(passer_by, prompt(golden, model, case), &options(case))
                .unwrap();
            listening.steps(number);
            listening.batch.leave(passer_by);
        }
    }
    listening.finish();
    assert_eq!(listening.batch.len(), golden.cases.len());
    for (sequence, case) in expected {
        let what = format!(
            "{}: {}: {}",
            model.compute().kernels().name(),
            golden.name,
            case.name
        );
        let trace = &listening.traces[&sequence];
        assert_eq!(trace.ids, case.output_ids, "{what}: ids as recorded");
        assert!(trace.finished, "{what}: not finished");
        let alone = alone(golden, model, case);
        assert!(
            *trace == alone,
            "{what}: a logit differs from the sequence alone"
        );
    }
}

#[test]
fn a_sequence_asked_again_keeps_what_both_prompts_begin_with() {
    let golden = Golden::micro();
    let model = golden.model();
    let mut listening = Listening::new(&model);
    let sequence = listening.batch.join();
    for case in golden.cases.iter().chain(golden.cases.iter().rev()) {
        listening.traces.clear();
        listening
            .batch
            .ask(sequence, prompt(&golden, &model, case), &options(case))
            .unwrap();
        listening.finish();
        assert!(
            listening.traces[&sequence] == alone(&golden, &model, case),
            "{}",
            case.name
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let golden = Golden::micro();
    for kernels in kernels() {
        let expected: Vec<_> = {
            let model = golden.open(kernels, 1);
            golden
                .cases
                .iter()
                .map(|case| alone(&golden, &model, case))
                .collect()
        };
        for threads in [2, 3, 7] {
            let model = golden.open(kernels, threads);
            for (case, expected) in golden.cases.iter().zip(&expected) {
                let what = format!("{}, {threads} threads, {}", kernels.name(), case.name);
                assert!(alone(&golden, &model, case) == *expected, "{what}");
            }
        }
    }
}

#[test]
fn a_sequence_that_runs_or_has_left_cannot_be_asked() {
    let golden = Golden::micro();
    let model = golden.model();
    let mut batch = Batch::new(&model);
    let sequence = batch.join();
    let ask = |batch: &mut Batch| {
        batch.ask(
            sequence,
            model.question(&[], "Hello?").unwrap(),
            &GenerateOptions::default(),
        )
    };
    ask(&mut batch).unwrap();
    assert!(matches!(ask(&mut batch), Err(Error::StillAnswering(id)) if id == sequence));
    batch.leave(sequence);
    assert!(batch.is_empty());
    assert!(matches!(ask(&mut batch), Err(Error::NoSequence(id)) if id == sequence));
}

#[test]
fn a_prompt_of_another_model_is_refused() {
    let model = Golden::micro().model();
    for golden in Golden::relatives() {
        let other = golden.model();
        let encoded = other.encode(&golden.picture("a.png")).unwrap();
        let prompt = other.question(&[encoded], "What is this?").unwrap();
        let mut batch = Batch::new(&model);
        let sequence = batch.join();
        let error = batch
            .ask(sequence, prompt, &GenerateOptions::default())
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::PictureWidth {
                    expected: 48,
                    found: 32
                }
            ),
            "{error}"
        );
    }
}
