//! One training sample as a LLaVA file holds it.

use serde::{Deserialize, Serialize};

use crate::python;

/// The mark for a picture in a text. Upstream: `DEFAULT_IMAGE_TOKEN`.
pub const IMAGE_MARK: &str = "<image>";

/// The id that stands for all places of a picture. Upstream: `IMAGE_TOKEN_INDEX`.
pub const PICTURE: i32 = -200;

/// The label of what is not supervised. Upstream: `IGNORE_INDEX`.
pub const IGNORE: i32 = -100;

/// What upstream adds to the words of a sample with a picture: `img_tokens` of
/// `LazySupervisedDataset.lengths`.
const PICTURE_WORDS: usize = 128;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `human` or `gpt`.
    pub from: String,
    /// What is said; `<image>` marks the place of a picture.
    pub value: String,
}

impl Message {
    /// A message.
    pub fn new(from: impl Into<String>, value: impl Into<String>) -> Message {
        Message {
            from: from.into(),
            value: value.into(),
        }
    }
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The picture's file, below the root of the pictures; `None` for a sample of text alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The messages in their order.
    pub conversations: Vec<Message>,
}

impl Sample {
    /// Words of all messages, a mark counted as one.
    pub fn words(&self) -> usize {
        let words = |message: &Message| python::split(&message.value).count();
        self.conversations.iter().map(words).sum()
    }

    /// Upstream's `lengths`: words, and 128 for a picture.
    pub fn length(&self) -> usize {
        self.words() + self.image.as_ref().map_or(0, |_| PICTURE_WORDS)
    }

    /// Upstream's `modality_lengths`, which its sampler groups by: words, negative without a
    /// picture.
    pub fn modality_length(&self) -> i32 {
        let words = i32::try_from(self.words()).unwrap_or(i32::MAX);
        if self.image.is_some() { words } else { -words }
    }

    /// Marks in all messages.
    pub fn marks(&self) -> usize {
        let marks = |message: &Message| message.value.matches(IMAGE_MARK).count();
        self.conversations.iter().map(marks).sum()
    }
}
