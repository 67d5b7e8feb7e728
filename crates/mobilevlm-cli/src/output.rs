//! The JSON that `ask` prints.

use mobilevlm::{Answer, Timings};
use serde::Serialize;

use crate::memory;

/// One answer.
#[derive(Serialize)]
pub(crate) struct AnswerJson<'a> {
    /// The picture, where each has an answer of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    text: &'a str,
    ids: &'a [u32],
    prompt_tokens: usize,
    image_tokens: usize,
    cached_tokens: usize,
    finish_reason: &'static str,
    timings: TimingsJson,
}

/// Milliseconds of each stage, and what they come to.
#[derive(Serialize)]
struct TimingsJson {
    #[serde(flatten)]
    stages: Timings,
    /// Bytes; absent where the system does not tell.
    peak_memory_bytes: Option<u64>,
}

impl<'a> AnswerJson<'a> {
    /// `image`: the picture's name, where the answer is one of many.
    pub(crate) fn new(image: Option<&'a str>, answer: &'a Answer) -> AnswerJson<'a> {
        AnswerJson {
            image,
            text: &answer.text,
            ids: &answer.ids,
            prompt_tokens: answer.prompt_tokens,
            image_tokens: answer.image_tokens,
            cached_tokens: answer.cached_tokens,
            finish_reason: answer.finish_reason.as_str(),
            timings: TimingsJson {
                stages: answer.timings,
                peak_memory_bytes: memory::peak_bytes(),
            },
        }
    }
}

/// A picture without an answer.
#[derive(Serialize)]
pub(crate) struct FailureJson<'a> {
    /// The picture's name.
    pub(crate) image: &'a str,
    /// What went wrong.
    pub(crate) error: String,
}
