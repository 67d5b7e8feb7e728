//! Template `plain`: a picture and its caption. Source: upstream's `preprocess_plain`.

use mobilevlm_processor::Tokenizer;

use super::{LabelError, Labelled, encode_with_pictures};
use crate::sample::{IGNORE, IMAGE_MARK, Message};

/// What ends a caption, and is supervised: `sep` of `conv_templates["plain"]`.
const END: &str = "\n";

/// `messages`: a question with a mark, of which only the mark is used, and the caption. Ignored
/// are `<s>` and the picture.
pub(super) fn label(tokenizer: &Tokenizer, messages: &[Message]) -> Result<Labelled, LabelError> {
    let text = format!("{IMAGE_MARK}{}{END}", caption(messages)?);
    let ids = encode_with_pictures(tokenizer, &text);
    let mut labels = ids.clone();
    let ignored = encode_with_pictures(tokenizer, IMAGE_MARK).len();
    for label in labels.iter_mut().take(ignored) {
        *label = IGNORE;
    }
    Ok(Labelled {
        ids,
        labels,
        mismatch: None,
    })
}

/// The text after the picture.
pub(super) fn caption(messages: &[Message]) -> Result<&str, LabelError> {
    let [question, answer] = messages else {
        let found = messages.len();
        return Err(LabelError::Messages { found });
    };
    if !question.value.contains(IMAGE_MARK) {
        return Err(LabelError::NoMark);
    }
    Ok(&answer.value)
}
