//! Stage by stage and to the token: what upstream recorded.

mod common;

use std::ops::ControlFlow;

use common::{Case, Golden, assert_close, kernels};
use mobilevlm::{Event, FinishReason, GenerateOptions, Kernels, Model, PromptItem};

/// Largest difference over standard deviation.
const STAGES: f32 = 5e-5;
const LOGITS: f32 = 2e-4;

#[test]
fn the_micro_set_with_every_kernel_table() {
    let golden = Golden::micro();
    for kernels in kernels() {
        check(&golden, kernels);
    }
}

#[test]
fn relatives_with_every_kernel_table() {
    let relatives = Golden::relatives();
    assert!(!relatives.is_empty());
    for golden in relatives {
        for kernels in kernels() {
            check(&golden, kernels);
        }
    }
}

#[test]
fn the_full_set_with_every_kernel_table() {
    for name in common::SHARED {
        if let Some(golden) = Golden::shared(name, "the_full_set_with_every_kernel_table") {
            for kernels in kernels() {
                check(&golden, kernels);
            }
        }
    }
}

fn check(golden: &Golden, kernels: &'static Kernels) {
    let model = golden.open(kernels, 2);
    let mut stages = 0;
    for case in &golden.cases {
        let what = format!("{}: {}: {}", kernels.name(), golden.name, case.name);
        stages += check_stages(golden, &model, case, &what);
        check_answer(golden, &model, case, &what);
    }
    assert!(stages > 0, "{}: no stage was recorded", golden.name);
}

/// Returns the number of stages compared.
fn check_stages(golden: &Golden, model: &Model, case: &Case, what: &str) -> usize {
    let mut compared = 0;
    for (index, picture) in case.images.iter().enumerate() {
        let pixels = model.pixels(&golden.prepared(model, picture)).unwrap();
        let features = model.vision_features(&pixels).unwrap();
        let embeds = model.image_embeds(&features).unwrap();
        for (stage, found) in [("vision_features", features), ("image_embeds", embeds)] {
            if let Some(expected) = golden.reference(&format!("{}.{index}.{stage}", case.name)) {
                assert_close(
                    &format!("{what}: {stage} {index}"),
                    &found,
                    &expected,
                    STAGES,
                );
                compared += 1;
            }
        }
    }
    compared
}

fn check_answer(golden: &Golden, model: &Model, case: &Case, what: &str) {
    let items = model.tokenizer().encode_prompt(&case.prompt);
    let ids: Vec<i64> = items
        .iter()
        .map(|item| match item {
            PromptItem::Token(id) => i64::from(*id),
            PromptItem::Picture => -200, // upstream's IMAGE_TOKEN_INDEX
        })
        .collect();
    assert_eq!(ids, case.input_ids, "{what}: ids of the prompt");

    let pictures: Vec<_> = case
        .images
        .iter()
        .map(|picture| model.encode(&golden.prepared(model, picture)).unwrap())
        .collect();
    let prompt = model.prompt(&items, &pictures).unwrap();
    let options = GenerateOptions {
        max_new_tokens: case.max_new_tokens,
        ..Default::default()
    };
    let (mut logits, mut shown) = (Vec::new(), String::new());
    let mut output_ids = Vec::new();
    let answer = model
        .generate(prompt, &options, &mut |event| {
            match event {
                Event::Token { id, logits: row } => {
                    output_ids.push(id);
                    logits.extend_from_slice(row);
                }
                Event::Text(text) => shown.push_str(text),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();

    assert_eq!(output_ids, case.output_ids, "{what}: ids of the answer");
    let expected = golden.reference(&format!("{}.logits", case.name)).unwrap();
    assert_close(&format!("{what}: logits"), &logits, &expected, LOGITS);
    assert_eq!(answer.text, case.text, "{what}: text");
    assert_eq!(shown, case.text, "{what}: streamed text");
    let said_eos = case.output_ids.last() == Some(&2);
    let reason = if said_eos {
        FinishReason::Stop
    } else {
        FinishReason::Length
    };
    assert_eq!(answer.finish_reason, reason, "{what}");
    assert_eq!(
        answer.ids.len(),
        case.output_ids.len() - usize::from(said_eos),
        "{what}"
    );
    let embeds = pictures
        .iter()
        .map(|picture| picture.tokens())
        .sum::<usize>();
    assert_eq!(answer.image_tokens, embeds, "{what}");
    assert_eq!(
        answer.prompt_tokens,
        case.input_ids.len() - pictures.len() + embeds,
        "{what}"
    );
}
