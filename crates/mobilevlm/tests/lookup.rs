//! Guessing tokens changes no id and no bit of any logit, only the number of steps.

mod common;

use std::collections::HashMap;
use std::ops::ControlFlow;

use common::{Golden, kernels};
use mobilevlm::{
    Answer, Batch, CancelToken, Chat, Event, GenerateOptions, Kernels, Model, Prompt, SequenceId,
};

/// All that one answer said.
#[derive(Default, PartialEq)]
struct Trace {
    ids: Vec<u32>,
    logits: Vec<u32>,
    streamed: String,
    answer: Option<Answer>,
}

impl Trace {
    fn hear(&mut self, event: Event<'_>) {
        match event {
            Event::Token { id, logits } => {
                self.ids.push(id);
                self.logits
                    .extend(logits.iter().map(|logit| logit.to_bits()));
            }
            Event::Text(text) => self.streamed.push_str(text),
            Event::Finished(answer) => self.answer = Some(answer),
            _ => {}
        }
    }

    /// The same with nothing that a clock or guessing changes. Returns the guesses that were right.
    fn without_counts(mut self) -> (Trace, usize) {
        let mut accepted = 0;
        if let Some(answer) = &mut self.answer {
            accepted = answer.timings.accepted_tokens;
            assert!(accepted <= answer.timings.drafted_tokens);
            answer.timings = Default::default();
            answer.cached_tokens = 0;
        }
        (self, accepted)
    }
}

/// Answers all prompts at once; `stop_at` breaks each after so many tokens.
fn traces(
    model: &Model,
    prompts: &[Prompt],
    options: &[GenerateOptions],
    stop_at: Option<usize>,
) -> Vec<(Trace, usize)> {
    let mut batch = Batch::new(model);
    let sequences: Vec<SequenceId> = prompts
        .iter()
        .zip(options)
        .map(|(prompt, options)| {
            let sequence = batch.join();
            batch.ask(sequence, prompt.clone(), options).unwrap();
            sequence
        })
        .collect();
    let mut traces: HashMap<SequenceId, Trace> = HashMap::new();
    while batch.is_running() {
        batch.step(&mut |sequence, event| {
            let trace = traces.entry(sequence).or_default();
            trace.hear(event);
            if stop_at == Some(trace.ids.len()) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }
    sequences
        .iter()
        .map(|sequence| traces.remove(sequence).unwrap().without_counts())
        .collect()
}

/// Demands that answers with and without guessing are the same; returns the guesses that were
/// right.
fn check(
    what: &str,
    model: &Model,
    prompts: &[Prompt],
    options: &[GenerateOptions],
    stop_at: Option<usize>,
) -> usize {
    let with = |prompt_lookup| {
        let options: Vec<_> = options
            .iter()
            .map(|options| GenerateOptions {
                prompt_lookup,
                ..options.clone()
            })
            .collect();
        traces(model, prompts, &options, stop_at)
    };
    let mut sum = 0;
    for (number, (plain, guessed)) in with(false).into_iter().zip(with(true)).enumerate() {
        assert_eq!(plain.1, 0, "{what}: guessed though it was switched off");
        assert_eq!(guessed.0.ids, plain.0.ids, "{what}: answer {number}");
        assert!(guessed.0 == plain.0, "{what}: answer {number} differs");
        sum += guessed.1;
    }
    sum
}

fn tokens(max_new_tokens: usize) -> GenerateOptions {
    GenerateOptions {
        max_new_tokens,
        ..GenerateOptions::default()
    }
}

/// A prompt of text only, which repeats itself.
fn repeated(model: &Model, phrase: &str) -> Prompt {
    model.question(&[], &phrase.repeat(12)).unwrap()
}

/// Questions that the micro model answers at length.
fn questions(model: &Model) -> Vec<Prompt> {
    let mut prompts: Vec<_> = ["Tell me a long story.", "What is a river in the morning?"]
        .map(|text| model.question(&[], text).unwrap())
        .into();
    prompts.push(repeated(model, "the red house and "));
    prompts.push(repeated(model, "one two three four five six seven "));
    prompts
}

#[test]
fn recorded_answers_stay_the_same() {
    for golden in Golden::all("recorded_answers_stay_the_same") {
        let model = golden.model();
        let (mut prompts, mut options) = (Vec::new(), Vec::new());
        for case in &golden.cases {
            let pictures: Vec<_> = case
                .images
                .iter()
                .map(|picture| model.encode(&golden.prepared(&model, picture)).unwrap())
                .collect();
            let items = model.tokenizer().encode_prompt(&case.prompt);
            prompts.push(model.prompt(&items, &pictures).unwrap());
            // Longer than was recorded, so that there is something to repeat.
            options.push(tokens(case.max_new_tokens + 40));
        }
        for (number, case) in golden.cases.iter().enumerate() {
            let what = format!("{}: {}", golden.name, case.name);
            check(
                &what,
                &model,
                &prompts[number..][..1],
                &options[number..],
                None,
            );
        }
        check(&golden.name, &model, &prompts, &options, None);
    }
}

#[test]
fn repetitions_take_fewer_steps_and_say_the_same() {
    let golden = Golden::micro();
    for kernels in kernels() {
        let model = golden.open(kernels, 2);
        let mut accepted = 0;
        for (number, prompt) in questions(&model).into_iter().enumerate() {
            let what = format!("{}, question {number}", kernels.name());
            accepted += check(&what, &model, &[prompt], &[tokens(400)], None);
        }
        eprintln!("{}: {accepted} guesses were right", kernels.name());
        assert!(accepted > 0, "{}", kernels.name());
    }
}

#[test]
fn drawn_tokens_are_the_same() {
    let golden = Golden::micro();
    let model = golden.model();
    for seed in 0..6 {
        let options = GenerateOptions {
            temperature: 0.2 + 0.2 * seed as f32,
            top_k: 5,
            top_p: 0.95,
            min_p: 0.01,
            repetition_penalty: if seed % 2 == 0 { 1.0 } else { 0.97 },
            seed,
            ..tokens(200)
        };
        for prompt in questions(&model) {
            check(
                &format!("seed {seed}"),
                &model,
                &[prompt],
                std::slice::from_ref(&options),
                None,
            );
        }
    }
}

#[test]
fn every_limit_ends_the_answer_at_the_same_token() {
    let golden = Golden::micro();
    let model = golden.model();
    for (number, prompt) in questions(&model).into_iter().enumerate() {
        let prompts = [prompt];
        let whole = traces(&model, &prompts, &[tokens(150)], None).remove(0).0;
        for limit in (1..60).chain([149, 150, 151]) {
            let what = format!("question {number}, limit {limit}");
            check(&what, &model, &prompts, &[tokens(limit)], None);
            check(&what, &model, &prompts, &[tokens(150)], Some(limit));
        }
        let characters: Vec<char> = whole.streamed.chars().collect();
        for start in (0..characters.len().saturating_sub(7)).step_by(9) {
            let stop: String = characters[start..start + 7].iter().collect();
            let options = GenerateOptions {
                stop: vec![stop.clone(), "never said".into()],
                ..tokens(150)
            };
            check(
                &format!("question {number}, stop {stop:?}"),
                &model,
                &prompts,
                &[options],
                None,
            );
        }
    }
}

#[test]
fn a_token_that_is_cancelled_ends_the_answer_at_the_same_token() {
    let golden = Golden::micro();
    let model = golden.model();
    for prompt in questions(&model) {
        for after in (1..120).step_by(7) {
            let ids = |prompt_lookup| {
                let cancel = CancelToken::new();
                let options = GenerateOptions {
                    prompt_lookup,
                    cancel: cancel.clone(),
                    ..tokens(150)
                };
                let mut heard = 0;
                let answer = model.generate(prompt.clone(), &options, &mut |event| {
                    if matches!(event, Event::Token { .. }) {
                        heard += 1;
                        if heard == after {
                            cancel.cancel();
                        }
                    }
                    ControlFlow::Continue(())
                });
                let answer = answer.unwrap();
                (answer.ids, answer.text, answer.finish_reason)
            };
            assert_eq!(ids(true), ids(false), "cancelled after {after}");
        }
    }
}

#[test]
fn an_answer_that_fills_the_context_is_the_same() {
    let golden = Golden::micro();
    let model = golden.model();
    let context = model.language().context();
    let mut text = "red house ".repeat(40);
    while model
        .question(&[], &text)
        .is_ok_and(|prompt| prompt.len() + 40 < context)
    {
        text.push_str("red house ");
    }
    let prompt = model.question(&[], &text).unwrap();
    check(
        "the whole context",
        &model,
        &[prompt],
        &[tokens(1000)],
        None,
    );
}

#[test]
fn sequences_beside_each_other_stay_the_same() {
    let golden = Golden::micro();
    for threads in [1, 2, 3] {
        let model = golden.open(Kernels::detect().unwrap(), threads);
        let prompts = questions(&model);
        let options: Vec<_> = (0..prompts.len())
            .map(|index| tokens(30 + 70 * index))
            .collect();
        check("together", &model, &prompts, &options, None);
    }
}

#[test]
fn a_conversation_goes_on_from_what_was_said() {
    let golden = Golden::micro();
    let talk = |prompt_lookup| {
        let model = golden.model();
        let mut chat = Chat::new(&model);
        [
            "Tell me a long story.",
            "Again, the same story.",
            "And again.",
        ]
        .map(|text| {
            let options = GenerateOptions {
                prompt_lookup,
                ..tokens(90)
            };
            let answer = chat.ask(&[], text, &options, &mut |_| ControlFlow::Continue(()));
            let answer = answer.unwrap();
            (answer.ids, answer.text, answer.prompt_tokens)
        })
    };
    assert_eq!(talk(true), talk(false));
}
