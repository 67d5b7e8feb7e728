//! Decoding allocates nothing, on any thread. Alone in its file: other tests allocate.

mod common;

use std::ops::ControlFlow;

use common::Golden;
use mobilevlm::{Batch, Event, GenerateOptions, Kernels, Model, Prompt};
use mobilevlm_testing::alloc::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_decoded_token_allocates_nothing() {
    assert!(alloc::installed());
    let golden = Golden::micro();
    for threads in [1, 3] {
        let model = golden.open(Kernels::detect().unwrap(), threads);
        let case = golden
            .cases
            .iter()
            .find(|case| case.name == "long-answer")
            .unwrap();
        let picture = model
            .encode(&golden.prepared(&model, &case.images[0]))
            .unwrap();
        let prompt = || {
            let items = model.tokenizer().encode_prompt(&case.prompt);
            model
                .prompt(&items, std::slice::from_ref(&picture))
                .unwrap()
        };
        let sampled = |seed| GenerateOptions {
            temperature: 0.8,
            top_k: 100,
            top_p: 0.9,
            min_p: 0.001,
            repetition_penalty: 1.1,
            stop: vec!["a sentence that is never said".into()],
            seed,
            ..GenerateOptions::default()
        };
        let mut batch = Batch::new(&model);
        for options in [
            GenerateOptions::default(),
            long_enough(&model, prompt, sampled),
        ] {
            let sequence = batch.join();
            batch.ask(sequence, prompt(), &options).unwrap();
        }
        let mut decoded = 0;
        let mut step = |batch: &mut Batch| {
            batch.step(&mut |_, event| {
                assert!(
                    !matches!(event, Event::Finished(_)),
                    "ended before all was measured"
                );
                decoded += usize::from(matches!(event, Event::Token { .. }));
                ControlFlow::Continue(())
            });
        };
        // Reads both prompts, and lets every buffer reach its size.
        (0..6).for_each(|_| step(&mut batch));
        let ((), usage) = alloc::measure_process(|| (0..STEPS).for_each(|_| step(&mut batch)));
        assert_eq!(usage.count, 0, "{threads} threads: {usage:?}");
        assert!(decoded >= 2 * STEPS, "{threads} threads: {decoded} tokens");
    }
}

/// Steps that are measured.
const STEPS: usize = 25;

/// `options` with the first seed whose answer does not end while it is measured.
fn long_enough(
    model: &Model,
    prompt: impl Fn() -> Prompt,
    options: impl Fn(u64) -> GenerateOptions,
) -> GenerateOptions {
    let mut seeds = (0..1000).map(options);
    let long = seeds.find(|options| {
        let answer = model.generate(prompt(), options, &mut |_| ControlFlow::Continue(()));
        answer.unwrap().ids.len() > STEPS + 8
    });
    long.expect("no seed gives a long answer")
}
