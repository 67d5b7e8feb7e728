//! Template `v1`: a conversation. Source: upstream's `preprocess_v1`.
//!
//! Upstream finds the answers by cutting the finished text at `</s>` and ` ASSISTANT: ` and
//! counting the ids of each part. Whatever makes the parts count differently from the whole masks
//! the conversation without an error; [`Mismatch`] tells of it.

use mobilevlm_processor::Template;

use super::{LabelError, Labelled, Labeller, Mismatch, encode_text, encode_with_pictures};
use crate::sample::{IGNORE, Message};

/// Who speaks, as the text names them, in turn.
const SPEAKERS: [&str; 2] = ["USER", "ASSISTANT"];
/// What follows a question, and what an answer: `sep` and `sep2`.
const SEPARATORS: [&str; 2] = [" ", "</s>"];
/// What stands between a question and its answer.
const BEFORE_ANSWER: &str = " ASSISTANT: ";

pub(super) fn label(
    labeller: &Labeller,
    messages: &[Message],
    has_image: bool,
) -> Result<Labelled, LabelError> {
    let text = render(messages)?;
    let encode = |text: &str| match has_image {
        true => encode_with_pictures(&labeller.tokenizer, text),
        false => encode_text(&labeller.tokenizer, text),
    };
    let limit = labeller.options.model_max_length;
    let mut ids = encode(&text);
    if !has_image {
        // The tokenizer cuts a text; one with a picture is cut with the batch.
        ids.truncate(limit);
    }
    let pad = labeller.pad();
    let total = ids.iter().filter(|&&id| id != pad).count();
    let mut labels = ids.clone();

    // `<s>` is counted once, and again in place of the `</s>` that a round has lost.
    let mut counted = 1;
    ignore(&mut labels, 0, counted);
    for round in text.split(SEPARATORS[1]) {
        let Some((question, answer)) = round.split_once(BEFORE_ANSWER) else {
            break;
        };
        if answer.contains(BEFORE_ANSWER) {
            break;
        }
        let question = format!("{question}{BEFORE_ANSWER}");
        // Less `<s>` and the last piece, the space that joins the answer.
        let ignored = encode(&question).len().saturating_sub(2);
        ignore(&mut labels, counted, counted + ignored);
        counted += encode(round).len();
    }
    let end = labels.len();
    ignore(&mut labels, counted, end);

    let mismatch = (counted < limit && counted != total).then_some(Mismatch { counted, total });
    if mismatch.is_some() {
        labels.fill(IGNORE);
    }
    Ok(Labelled {
        ids,
        labels,
        mismatch,
    })
}

/// The conversation as one text. Source: `Conversation.get_prompt`.
pub(super) fn render(messages: &[Message]) -> Result<String, LabelError> {
    let first = messages.first().ok_or(LabelError::Empty)?;
    let dropped = usize::from(speaker(0, first)? != 0);
    let mut text = Template::v1().render(&[]);
    for (turn, message) in messages[dropped..].iter().enumerate() {
        let number = turn + dropped;
        if speaker(number, message)? != turn % 2 {
            return Err(LabelError::Turn {
                message: number,
                role: message.from.clone(),
            });
        }
        text.push_str(SPEAKERS[turn % 2]);
        text.push(':');
        if !message.value.is_empty() {
            text.push(' ');
            text.push_str(&message.value);
            text.push_str(SEPARATORS[turn % 2]);
        }
    }
    Ok(text)
}

/// 0 for the person, 1 for the model.
fn speaker(number: usize, message: &Message) -> Result<usize, LabelError> {
    match message.from.as_str() {
        "human" => Ok(0),
        "gpt" => Ok(1),
        role => Err(LabelError::Role {
            message: number,
            role: role.to_owned(),
        }),
    }
}

/// Ignores the labels from `start` to `end`, as far as there are any.
fn ignore(labels: &mut [i32], start: usize, end: usize) {
    let end = end.min(labels.len());
    if let Some(labels) = labels.get_mut(start..end) {
        labels.fill(IGNORE);
    }
}
