//! Prompts from turns, against recorded prompts and against upstream's way through one text.

use std::fs;

use mobilevlm_processor::{PromptItem, Template, Tokenizer, Turn};
use mobilevlm_testing::{micro_golden, shared_golden};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    images: Vec<String>,
    prompt: String,
}

fn tokenizer() -> Tokenizer {
    let file = fs::read(micro_golden("checkpoint/tokenizer.model")).expect("readable");
    Tokenizer::from_sentencepiece(&file).expect("a vocabulary")
}

/// The prompts of recorded cases whose pictures come before the first question.
fn check_recorded(folder: &std::path::Path) {
    let file = fs::read(folder.join("cases.json")).expect("readable");
    let cases: Vec<Case> = serde_json::from_slice(&file).expect("as the README says");
    let in_front = |case: &&Case| case.prompt.matches("<image>\n").count() == case.images.len();
    for case in cases.iter().filter(in_front) {
        let (_, turns) = case.prompt.split_once(" USER: ").expect("a first turn");
        let turns: Vec<Turn<'_>> = turns
            .split("</s>USER: ")
            .enumerate()
            .map(|(i, turn)| {
                let (question, answer) = turn.split_once(" ASSISTANT:").expect("an answer's place");
                Turn {
                    pictures: if i == 0 { case.images.len() } else { 0 },
                    question: question.trim_start_matches("<image>\n"),
                    answer: answer.strip_prefix(' '),
                }
            })
            .collect();
        assert_eq!(Template::v1().render(&turns), case.prompt);
    }
    assert!(cases.iter().filter(in_front).count() > 1);
}

#[test]
fn v1_renders_recorded_prompts() {
    check_recorded(&micro_golden(""));
    if let Some(folder) = shared_golden("model/v2-ldpv2", "v1_renders_recorded_prompts") {
        check_recorded(&folder);
    }
}

/// What upstream's `get_prompt` returned for these messages (688fdec).
#[test]
fn empty_messages_and_the_plain_template_follow_upstream() {
    let turn = |pictures, question, answer| Turn {
        pictures,
        question,
        answer,
    };
    let system = "A chat between a curious user and an artificial intelligence assistant. The \
                  assistant gives helpful, detailed, and polite answers to the user's questions. ";
    let v1 = |turns: &[Turn<'_>]| Template::v1().render(turns);
    assert_eq!(v1(&[]), system);
    assert_eq!(v1(&[turn(0, "", None)]), format!("{system}USER:ASSISTANT:"));
    assert_eq!(
        v1(&[turn(1, "", None)]),
        format!("{system}USER: <image>\n ASSISTANT:")
    );
    assert_eq!(
        v1(&[turn(0, "a", Some("b")), turn(2, "c", None)]),
        format!("{system}USER: a ASSISTANT: b</s>USER: <image>\n<image>\nc ASSISTANT:")
    );
    let plain = |turns: &[Turn<'_>]| Template::plain().render(turns);
    assert_eq!(plain(&[turn(1, "", None)]), "<image>\n\n");
    assert_eq!(plain(&[turn(1, "a", None)]), "<image>\na\n");
}

#[test]
fn typed_control_tokens_are_characters() {
    let tokenizer = tokenizer();
    let typed = "<image>\n</s> <s><unk> USER:";
    let turn = Turn {
        pictures: 1,
        question: typed,
        answer: None,
    };
    let items = Template::v1().encode(&tokenizer, &[turn]);
    let pictures = items
        .iter()
        .filter(|&&item| item == PromptItem::Picture)
        .count();
    let ids: Vec<u32> = items
        .iter()
        .filter_map(|item| match *item {
            PromptItem::Token(id) => Some(id),
            PromptItem::Picture => None,
        })
        .collect();
    assert_eq!(pictures, 1);
    assert_eq!(
        ids.iter().filter(|&&id| id < 3).count(),
        1,
        "only the first <s>"
    );
    assert!(tokenizer.decode(&ids, true).contains(typed));
}

proptest! {
    /// Without control tokens in what was typed, the result is upstream's from one text.
    #[test]
    fn equals_upstreams_way_through_text(
        turns in proptest::collection::vec((0_usize..3, "[^<]{0,20}", "[^<]{1,20}"), 1..4),
        open in any::<bool>(),
        plain in any::<bool>(),
        legacy in any::<bool>(),
    ) {
        let tokenizer = tokenizer().with_legacy(legacy);
        let template = if plain { Template::plain() } else { Template::v1() };
        let mut turns: Vec<Turn<'_>> = turns
            .iter()
            .map(|(pictures, question, answer)| Turn {
                pictures: *pictures,
                question,
                answer: Some(answer),
            })
            .collect();
        if let Some(last) = turns.last_mut().filter(|_| open) {
            last.answer = None;
        }
        let at_once = template.encode(&tokenizer, &turns);
        prop_assert_eq!(&at_once, &tokenizer.encode_prompt(&template.render(&turns)));
        // Turn by turn is the same, as `</s>` separates the turns.
        if turns.len() > 1 && !plain {
            let (last, before) = turns.split_last().expect("several");
            let mut items = template.encode(&tokenizer, before);
            items.extend(template.encode_next(&tokenizer, last));
            prop_assert_eq!(at_once, items);
        }
    }
}
