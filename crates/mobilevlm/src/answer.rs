use serde::Serialize;

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The text without special tokens and without the stop string that ended it. Not stripped:
    /// a leading or trailing space is the model's.
    pub text: String,
    /// The ids as generated, without the end-of-sequence token.
    pub ids: Vec<u32>,
    /// Positions of the prompt, those of pictures among them; with several turns, of the whole
    /// conversation so far.
    pub prompt_tokens: usize,
    /// Positions of the prompt that are pictures.
    pub image_tokens: usize,
    /// Positions of the prompt that were read before and not computed again.
    pub cached_tokens: usize,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Where the time went.
    pub timings: Timings,
}

impl Answer {
    /// The answer to a question that was cancelled before it was read.
    pub(crate) fn cancelled(load: f64) -> Answer {
        Answer {
            text: String::new(),
            ids: Vec::new(),
            prompt_tokens: 0,
            image_tokens: 0,
            cached_tokens: 0,
            finish_reason: FinishReason::Cancelled,
            timings: Timings {
                load,
                ..Timings::default()
            },
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model said the end-of-sequence token, or a stop string.
    Stop,
    /// `max_new_tokens` or the end of the context was reached.
    Length,
    /// The callback or the [`CancelToken`](crate::CancelToken) said so.
    Cancelled,
}

impl FinishReason {
    /// `stop`, `length` or `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Cancelled => "cancelled",
        }
    }
}

/// Milliseconds of each stage of one answer, and what guessing brought. A picture whose embeds were
/// at hand costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Opening the model, once for all its answers.
    pub load: f64,
    /// Decoding the pictures' files.
    pub image_read: f64,
    /// Padding, resizing, normalising.
    pub preprocess: f64,
    /// The vision tower.
    pub vision: f64,
    /// The projector.
    pub projector: f64,
    /// From the prompt to the first token.
    pub prefill: f64,
    /// From the first token to the last.
    pub decode: f64,
    /// Tokens after the first, for each second of `decode`; 0 where there is none.
    pub decode_tokens_per_second: f64,
    /// Tokens that were guessed: see [`prompt_lookup`](crate::GenerateOptions::prompt_lookup).
    pub drafted_tokens: usize,
    /// Those of them that were right, each of which saved a step.
    pub accepted_tokens: usize,
}

/// Milliseconds since `start`.
pub(crate) fn milliseconds(start: std::time::Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
