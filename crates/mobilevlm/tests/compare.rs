//! Scoring an answer is making it, and comparisons rest on that.

mod common;

use std::ops::ControlFlow;

use common::Golden;
use mobilevlm::{CancelToken, Comparison, Error, Event, GenerateOptions};

#[test]
fn an_answer_is_scored_with_the_numbers_that_it_was_made_from() {
    let golden = Golden::micro();
    let model = golden.model();
    for case in &golden.cases {
        let pictures: Vec<_> = case
            .images
            .iter()
            .map(|name| model.encode(&golden.picture(name)).unwrap())
            .collect();
        let items = model.tokenizer().encode_prompt(&case.prompt);
        let prompt = model.prompt(&items, &pictures).unwrap();
        let options = GenerateOptions {
            max_new_tokens: case.max_new_tokens,
            ..GenerateOptions::default()
        };
        let (mut ids, mut made) = (Vec::new(), Vec::new());
        model
            .generate(prompt.clone(), &options, &mut |event| {
                if let Event::Token { id, logits } = event {
                    ids.push(id);
                    made.extend_from_slice(logits);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        let scored = model.score(&prompt, &ids).unwrap();
        assert!(scored == made, "{}: {} tokens", case.name, ids.len());
    }
}

#[test]
fn an_answer_longer_than_a_step_is_scored_whole() {
    let golden = Golden::micro();
    let model = golden.model();
    let prompt = model.question(&[], "What is a river?").unwrap();
    let ids: Vec<u32> = (0..300).map(|id| id % 200 + 10).collect();
    let scored = model.score(&prompt, &ids).unwrap();
    let vocab = model.language().vocab();
    assert_eq!(scored.len(), 300 * vocab);
    // The first rows do not depend on what follows.
    assert!(scored[..290 * vocab] == model.score(&prompt, &ids[..290]).unwrap());
    assert!(model.score(&prompt, &[]).unwrap().is_empty());
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let golden = Golden::micro();
    let model = golden.model();
    let prompt = model.question(&[], "What is a river?").unwrap();
    let vocab = model.language().vocab() as u32;
    let unknown = model.score(&prompt, &[vocab, 5]).unwrap_err();
    assert!(matches!(unknown, Error::UnknownToken { .. }), "{unknown}");
    let long = vec![5; model.language().context()];
    let error = model.score(&prompt, &long).unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error}");
}

#[test]
fn models_of_other_sizes_have_nothing_to_compare() {
    let model = Golden::micro().model();
    for other in Golden::relatives() {
        let other = other.model();
        let sizes = |model: &mobilevlm::Model| {
            [
                model.language().vocab(),
                model.projector().tokens(),
                model.language().hidden(),
            ]
        };
        match Comparison::new(&model, &other) {
            Ok(_) => assert_eq!(sizes(&model), sizes(&other)),
            Err(error) => {
                assert!(matches!(error, Error::Unlike { .. }), "{error}");
                assert_ne!(sizes(&model), sizes(&other));
            }
        }
    }
}

#[test]
fn a_cancelled_answer_counts_for_nothing() {
    let golden = Golden::micro();
    let model = golden.model();
    let mut comparison = Comparison::new(&model, &model).unwrap();
    let cancel = CancelToken::new();
    cancel.cancel();
    let options = GenerateOptions {
        cancel,
        ..GenerateOptions::default()
    };
    comparison
        .question(None, "What is a river?", &options)
        .unwrap();
    let differences = comparison.differences();
    assert_eq!((differences.answers, differences.tokens), (0, 0));
    assert_eq!(differences.agreement, 1.0);
}
