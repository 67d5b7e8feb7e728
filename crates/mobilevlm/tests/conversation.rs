//! Conversations: every turn equals the whole conversation read from scratch.

mod common;

use std::ops::ControlFlow;
use std::thread;

use common::Golden;
use mobilevlm::{
    Answer, Batch, CancelToken, Chat, Error, Event, FinishReason, GenerateOptions, Model, Picture,
    PromptItem,
};
use mobilevlm_processor::{Template, Turn};

fn tokens(max_new_tokens: usize) -> GenerateOptions {
    GenerateOptions {
        max_new_tokens,
        ..GenerateOptions::default()
    }
}

fn ask(chat: &mut Chat, pictures: &[Picture], text: &str, options: &GenerateOptions) -> Answer {
    chat.ask(pictures, text, options, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

/// What a conversation has said so far, for reading it from scratch.
#[derive(Default)]
struct Transcript {
    items: Vec<PromptItem>,
    pictures: Vec<Picture>,
}

impl Transcript {
    /// The answer to the next turn with nothing remembered: a fresh model reads everything.
    fn ask(
        &mut self,
        golden: &Golden,
        pictures: &[Picture],
        question: &str,
        options: &GenerateOptions,
    ) -> Answer {
        let model = &golden.model();
        let turn = Turn {
            pictures: pictures.len(),
            question,
            answer: None,
        };
        let (template, tokenizer) = (Template::v1(), model.tokenizer());
        self.items.extend(match self.items.is_empty() {
            true => template.encode(tokenizer, &[turn]),
            false => template.encode_next(tokenizer, &turn),
        });
        self.pictures.extend_from_slice(pictures);
        let encoded: Vec<_> = self
            .pictures
            .iter()
            .map(|picture| model.encode(picture).unwrap())
            .collect();
        let prompt = model.prompt(&self.items, &encoded).unwrap();
        let answer = model
            .generate(prompt, options, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        self.items
            .extend(answer.ids.iter().map(|&id| PromptItem::Token(id)));
        self.items.push(PromptItem::Token(tokenizer.eos()));
        answer
    }
}

#[test]
fn many_turns_with_several_pictures_equal_reading_from_scratch() {
    for golden in Golden::all("many_turns_with_several_pictures_equal_reading_from_scratch") {
        let model = golden.model();
        let names: Vec<&str> = golden
            .cases
            .iter()
            .flat_map(|case| &case.images)
            .map(String::as_str)
            .collect();
        let picture = |index: usize| golden.picture(names[index % names.len()]);
        let turns = [
            (vec![picture(0)], "What is in this picture?", 6),
            (vec![], "And what colour is it?", 3),
            (vec![picture(1), picture(2)], "Which of these is larger?", 5),
            (vec![], "Größe? 你好 🙂", 1),
            (vec![picture(0)], "Again?", 4),
            (vec![], "", 3),
        ];
        // With 576 places each, not all pictures fit the context.
        let fits = |pictures: usize| pictures * model.projector().tokens() < 1200;
        let turns = turns
            .into_iter()
            .filter(|(pictures, ..)| fits(pictures.len() * 2));
        let mut chat = Chat::new(&model);
        let mut transcript = Transcript::default();
        for (number, (pictures, question, length)) in turns.enumerate() {
            let answer = ask(&mut chat, &pictures, question, &tokens(length));
            let expected = transcript.ask(&golden, &pictures, question, &tokens(length));
            let what = format!("{}, turn {number}", golden.name);
            assert_eq!(answer.ids, expected.ids, "{what}");
            assert_eq!(answer.text, expected.text, "{what}");
            assert_eq!(answer.prompt_tokens, expected.prompt_tokens, "{what}");
            assert_eq!(answer.image_tokens, expected.image_tokens, "{what}");
        }
    }
}

#[test]
fn a_recorded_second_turn_continues_the_first() {
    let golden = Golden::micro();
    let model = golden.model();
    let case = golden
        .cases
        .iter()
        .find(|case| case.name == "multi-turn")
        .unwrap();
    let picture = model
        .encode(&golden.prepared(&model, &case.images[0]))
        .unwrap();
    let prompt = |text: &str| {
        model
            .prompt(
                &model.tokenizer().encode_prompt(text),
                std::slice::from_ref(&picture),
            )
            .unwrap()
    };
    let mut batch = Batch::new(&model);
    let sequence = batch.join();
    let first_turn = case.prompt.split("</s>").next().unwrap();
    let mut answers = Vec::new();
    for (text, length) in [(first_turn, 1), (case.prompt.as_str(), case.max_new_tokens)] {
        batch.ask(sequence, prompt(text), &tokens(length)).unwrap();
        while batch.is_running() {
            batch.step(&mut |_, event| {
                if let Event::Finished(answer) = event {
                    answers.push(answer.ids);
                }
                ControlFlow::Continue(())
            });
        }
    }
    let (_eos, expected) = case.output_ids.split_last().unwrap();
    assert_eq!(answers[1], expected);
}

#[test]
fn a_picture_seen_before_is_not_encoded_again() {
    let golden = Golden::micro();
    let model = golden.model();
    let picture = golden.picture("a.png");
    let mut chat = Chat::new(&model);
    let first = ask(
        &mut chat,
        std::slice::from_ref(&picture),
        "One?",
        &tokens(2),
    )
    .timings;
    assert!(first.vision > 0.0 && first.projector > 0.0 && first.preprocess > 0.0);
    let again = ask(&mut chat, &[golden.picture("a.png")], "Two?", &tokens(2)).timings;
    assert_eq!(
        (again.preprocess, again.vision, again.projector),
        (0.0, 0.0, 0.0)
    );
    let without = ask(&mut chat, &[], "Three?", &tokens(2)).timings;
    assert_eq!((without.image_read, without.vision), (0.0, 0.0));
    let other_chat = ask(&mut Chat::new(&model), &[picture], "One?", &tokens(2)).timings;
    assert_eq!((other_chat.preprocess, other_chat.vision), (0.0, 0.0));
}

#[test]
fn a_second_question_about_a_picture_computes_only_what_is_new() {
    let golden = Golden::micro();
    let model = golden.model();
    let picture = [golden.picture("a.png")];
    let options = tokens(5);
    let mut chat = Chat::new(&model);
    let first = ask(&mut chat, &picture, "What is this?", &options);
    assert_eq!(first.cached_tokens, 0);
    assert!(first.timings.vision > 0.0);

    // In the conversation: all but the last token of the answer was read.
    let second = ask(&mut chat, &[], "And what colour is it?", &options);
    assert_eq!(
        second.cached_tokens,
        first.prompt_tokens + first.ids.len() - 1
    );
    assert_eq!(
        (second.timings.vision, second.timings.projector),
        (0.0, 0.0)
    );

    // After a reset, and in a conversation that follows: the system prompt and the picture.
    chat.reset();
    let again = ask(&mut chat, &picture, "Where was it taken?", &options);
    drop(chat);
    let mut next = Chat::new(&model);
    let in_next = ask(&mut next, &picture, "Who took it?", &options);
    for (what, answer) in [("reset", &again), ("next", &in_next)] {
        assert!(
            answer.cached_tokens > answer.image_tokens,
            "{what}: {answer:?}"
        );
        assert_eq!(answer.timings.vision, 0.0, "{what}");
    }
    let mut transcript = Transcript::default();
    let expected = transcript.ask(&golden, &picture, "Who took it?", &options);
    assert_eq!(in_next.ids, expected.ids);

    // Beside one that is still there: the system prompt, but not what was said.
    let beside = ask(&mut Chat::new(&model), &picture, "Who took it?", &options);
    assert!(beside.cached_tokens > 0, "{beside:?}");
    assert!(
        beside.cached_tokens + beside.image_tokens <= in_next.cached_tokens,
        "{beside:?}"
    );
    assert_eq!(beside.timings.vision, 0.0);
    assert_eq!(beside.ids, expected.ids);
}

#[test]
fn after_a_reset_everything_is_as_new() {
    let golden = Golden::micro();
    let model = golden.model();
    let mut chat = Chat::new(&model);
    let first = ask(
        &mut chat,
        &[golden.picture("c.png")],
        "What is this?",
        &tokens(6),
    );
    ask(&mut chat, &[], "And this?", &tokens(6));
    chat.reset();
    assert_eq!(chat.tokens(), 0);
    let again = ask(
        &mut chat,
        &[golden.picture("c.png")],
        "What is this?",
        &tokens(6),
    );
    assert_eq!(again.ids, first.ids);
    assert_eq!(again.prompt_tokens, first.prompt_tokens);
}

#[test]
fn a_conversation_too_long_for_the_context_is_refused_before_any_work() {
    let golden = Golden::micro();
    let model = golden.model();
    let context = model.language().context();
    let mut chat = Chat::new(&model);
    ask(
        &mut chat,
        &[golden.picture("a.png")],
        "What is this?",
        &tokens(4),
    );
    let before = chat.tokens();
    // This picture has not been encoded yet, and must not be.
    let pictures = vec![golden.picture("c.png"); context / model.projector().tokens() + 1];
    let error = chat
        .ask(&pictures, "And these?", &tokens(4), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap_err();
    let Error::TooLong {
        tokens: found,
        context: limit,
    } = error
    else {
        panic!("expected TooLong, found {error}");
    };
    assert_eq!(limit, context);
    assert!(
        error
            .to_string()
            .contains(&format!("{} more than", found - context)),
        "{error}"
    );
    assert_eq!(chat.tokens(), before);
    let timings = ask(
        &mut chat,
        &[golden.picture("c.png")],
        "And this?",
        &tokens(1),
    )
    .timings;
    assert!(
        timings.vision > 0.0,
        "the picture was encoded for a prompt that was refused"
    );
}

#[test]
fn an_answer_ends_where_the_context_ends() {
    let golden = Golden::micro();
    let model = golden.model();
    let context = model.language().context();
    let filler = PromptItem::Token(7);
    for (length, expected) in [(context - 2, 3), (context, 1)] {
        let prompt = model.prompt(&vec![filler; length], &[]).unwrap();
        let answer = model
            .generate(prompt, &tokens(50), &mut |_| ControlFlow::Continue(()))
            .unwrap();
        let said_eos = answer.finish_reason == FinishReason::Stop;
        assert!(
            answer.ids.len() == expected || said_eos,
            "{} tokens",
            answer.ids.len()
        );
    }
    let error = model.prompt(&vec![filler; context + 1], &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1 more than the model's context of"),
        "{error}"
    );
}

#[test]
fn what_a_person_types_is_literal() {
    let golden = Golden::micro();
    let model = golden.model();
    let mut chat = Chat::new(&model);
    let answer = ask(&mut chat, &[], "What do <image> and </s> mean?", &tokens(2));
    assert_eq!(answer.image_tokens, 0);
    let typed = model.question(&[], "a</s>b").unwrap();
    let parsed = model
        .tokenizer()
        .encode_prompt(&Template::v1().render(&[Turn {
            question: "a</s>b",
            ..Turn::default()
        }]));
    assert!(typed.len() > parsed.len(), "</s> was taken for one token");
}

/// The micro model's greedy answer to a question, for tests that cut it short.
fn story(model: &Model) -> (String, Answer) {
    let question = "Tell me a long story.".to_owned();
    let answer = ask(&mut Chat::new(model), &[], &question, &tokens(40));
    assert!(answer.ids.len() > 20, "too short to cut: {answer:?}");
    (question, answer)
}

#[test]
fn a_stop_string_over_several_tokens_ends_the_answer_and_is_not_streamed() {
    let golden = Golden::micro();
    let model = golden.model();
    let (question, whole) = story(&model);
    // Characters from the middle of the text, whichever tokens they came from.
    let start = whole.text.char_indices().nth(10).unwrap().0;
    let stop: String = whole.text[start..].chars().take(8).collect();
    let expected = &whole.text[..whole.text.find(&stop).unwrap()];
    let options = GenerateOptions {
        stop: vec![stop.clone(), "never said".into()],
        ..tokens(40)
    };
    let mut streamed = String::new();
    let answer = Chat::new(&model)
        .ask(&[], &question, &options, &mut |text| {
            streamed.push_str(text);
            assert!(
                expected.starts_with(&streamed),
                "{streamed:?} has a part of the stop string"
            );
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(answer.text, expected);
    assert_eq!(streamed, expected);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert!(answer.ids.len() < whole.ids.len());
}

#[test]
fn a_callback_that_breaks_cancels_and_the_conversation_goes_on() {
    let golden = Golden::micro();
    let model = golden.model();
    let (question, whole) = story(&model);
    let mut chat = Chat::new(&model);
    let mut streamed = String::new();
    let answer = chat
        .ask(&[], &question, &tokens(40), &mut |text| {
            streamed.push_str(text);
            if streamed.chars().count() > 5 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(answer.finish_reason, FinishReason::Cancelled);
    assert_eq!(answer.text, streamed);
    assert!(whole.ids.starts_with(&answer.ids) && answer.ids.len() < whole.ids.len());

    // The next turn reads the answer as far as it came.
    let next = ask(&mut chat, &[], "Go on.", &tokens(5));
    let mut transcript = Transcript::default();
    let cut = transcript.ask(&golden, &[], &question, &tokens(answer.ids.len()));
    assert_eq!(cut.ids, answer.ids);
    assert_eq!(
        next.ids,
        transcript.ask(&golden, &[], "Go on.", &tokens(5)).ids
    );
}

#[test]
fn a_cancelled_token_ends_the_answer_from_another_thread() {
    let golden = Golden::micro();
    let model = golden.model();
    let (question, whole) = story(&model);
    let cancel = CancelToken::new();
    let options = GenerateOptions {
        cancel: cancel.clone(),
        ..tokens(1000)
    };
    let (started, wait) = std::sync::mpsc::channel();
    let canceller = thread::spawn(move || {
        wait.recv().unwrap();
        cancel.cancel();
    });
    let mut canceller = Some(canceller);
    let mut chat = Chat::new(&model);
    let answer = chat
        .ask(&[], &question, &options, &mut |_| {
            // Waits for the other thread, so that the outcome does not hang on timing.
            if let Some(canceller) = canceller.take() {
                started.send(()).unwrap();
                canceller.join().unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(answer.finish_reason, FinishReason::Cancelled);
    assert!(whole.ids.starts_with(&answer.ids) && !answer.ids.is_empty());

    // The token stays cancelled: nothing is said, and no turn is added.
    let before = chat.tokens();
    let answer = ask(&mut chat, &[golden.picture("a.png")], "And now?", &options);
    assert_eq!(
        (answer.ids.len(), answer.finish_reason),
        (0, FinishReason::Cancelled)
    );
    assert_eq!(chat.tokens(), before);
}

#[test]
fn one_model_answers_on_several_threads_at_once() {
    let golden = Golden::micro();
    let model = golden.model();
    let questions = [
        "One?",
        "Tell me two things.",
        "What is a river in the morning?",
    ];
    let alone: Vec<_> = questions
        .iter()
        .map(|text| ask(&mut Chat::new(&model), &[], text, &tokens(10)).ids)
        .collect();
    thread::scope(|scope| {
        let together: Vec<_> = questions
            .iter()
            .map(|text| {
                let model = model.clone();
                scope.spawn(move || ask(&mut Chat::new(&model), &[], text, &tokens(10)).ids)
            })
            .collect();
        for (thread, expected) in together.into_iter().zip(alone) {
            assert_eq!(thread.join().unwrap(), expected);
        }
    });
}

#[test]
fn options_that_mean_nothing_are_refused_by_name() {
    let golden = Golden::micro();
    let model = golden.model();
    let cases = [
        ("max_new_tokens", tokens(0)),
        (
            "temperature",
            GenerateOptions {
                temperature: f32::NAN,
                ..tokens(1)
            },
        ),
        (
            "top_p",
            GenerateOptions {
                top_p: 0.0,
                ..tokens(1)
            },
        ),
        (
            "min_p",
            GenerateOptions {
                min_p: 1.5,
                ..tokens(1)
            },
        ),
        (
            "repetition_penalty",
            GenerateOptions {
                repetition_penalty: -1.0,
                ..tokens(1)
            },
        ),
        (
            "stop",
            GenerateOptions {
                stop: vec![String::new()],
                ..tokens(1)
            },
        ),
    ];
    for (name, options) in cases {
        let mut chat = Chat::new(&model);
        let result = chat.ask(&[], "Hello?", &options, &mut |_| ControlFlow::Continue(()));
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("option {name}: expected ")),
            "{error}"
        );
    }
}
