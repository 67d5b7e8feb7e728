//! Puts the mark of a picture where upstream wants it. Source: `preprocess_multimodal`.

use crate::python;
use crate::sample::{IMAGE_MARK, Message};

/// The messages with all marks of a message taken out and one put on a line of its own in front.
/// A message without a mark stays as it is; one with a mark also loses white space at both ends.
pub(super) fn move_to_front(messages: &[Message], start_end: bool) -> Vec<Message> {
    let moved = |message: &Message| Message {
        from: message.from.clone(),
        value: match message.value.contains(IMAGE_MARK) {
            true => move_one(&message.value, start_end),
            false => message.value.clone(),
        },
    };
    messages.iter().map(moved).collect()
}

fn move_one(text: &str, start_end: bool) -> String {
    let rest = text.replace(IMAGE_MARK, "");
    let text = format!("{IMAGE_MARK}\n{}", python::strip(&rest));
    let text = python::strip(&text);
    match start_end {
        true => text.replace(IMAGE_MARK, "<im_start><image><im_end>"),
        false => text.to_owned(),
    }
}
