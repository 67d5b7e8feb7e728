//! From a sample to token ids and their labels, as upstream's `LazySupervisedDataset` makes them.
//!
//! - `plain`: the template of stage 1, a picture and its caption
//! - `v1`: the template of stage 2, a conversation
//! - `mark`: puts the mark of a picture where upstream wants it

mod error;
mod mark;
mod plain;
mod v1;

use std::fmt;

use mobilevlm_processor::{PromptItem, Tokenizer};

use crate::sample::{IGNORE, Message, PICTURE, Sample};

pub use error::LabelError;

/// How a sample becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainTemplate {
    /// Stage 1: the picture, its caption, a line break. Whatever was asked is thrown away.
    Plain,
    /// Stage 2: system prompt, `USER:`, `ASSISTANT:`, `</s>` after every answer.
    V1,
}

impl TrainTemplate {
    /// Whether the template can hold these messages, without a tokenizer.
    ///
    /// # Errors
    /// [`LabelError`] if it cannot.
    pub fn accepts(self, messages: &[Message]) -> Result<(), LabelError> {
        match self {
            TrainTemplate::Plain => plain::caption(messages).map(|_| ()),
            TrainTemplate::V1 => v1::render(messages).map(|_| ()),
        }
    }
}

/// What decides about the labels. The names are upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelOptions {
    /// How a sample becomes text.
    pub template: TrainTemplate,
    /// The longest row, in ids; a picture counts as one.
    pub model_max_length: usize,
    /// Whether the mark of a picture is moved to the front of its message. True in all of
    /// upstream's recipes.
    pub is_multimodal: bool,
    /// Whether `<im_start>` and `<im_end>` are written around the mark of a picture. They are
    /// letters: upstream adds no ids for them. False in all of upstream's recipes.
    pub mm_use_im_start_end: bool,
}

impl LabelOptions {
    /// What upstream's recipes use.
    pub fn new(template: TrainTemplate) -> LabelOptions {
        LabelOptions {
            template,
            model_max_length: 2048,
            is_multimodal: true,
            mm_use_im_start_end: false,
        }
    }
}

/// A sample as ids and labels, before it is cut to the model's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Token ids; [`PICTURE`] stands for a picture.
    pub ids: Vec<i32>,
    /// For each id itself, or [`IGNORE`].
    pub labels: Vec<i32>,
    /// Set if upstream would have printed a warning and masked the sample whole. The labels are
    /// masked here too; such a sample teaches nothing and should be counted and left out.
    pub mismatch: Option<Mismatch>,
}

impl Labelled {
    /// Labels that reach the loss: all but the first place's that are not [`IGNORE`].
    pub fn supervised(&self) -> usize {
        supervised(&self.labels)
    }

    /// The same after the cut to `length` places.
    pub fn supervised_within(&self, length: usize) -> usize {
        supervised(&self.labels[..self.labels.len().min(length)])
    }

    /// Pictures that the ids ask for.
    pub fn pictures(&self) -> usize {
        self.ids.iter().filter(|&&id| id == PICTURE).count()
    }
}

pub(crate) fn supervised(labels: &[i32]) -> usize {
    let places = labels.iter().skip(1);
    places.filter(|&&label| label != IGNORE).count()
}

/// The ids of a conversation as its parts count them differ in number from those of the whole, so
/// that nobody knows which of them are answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Ids by the parts.
    pub counted: usize,
    /// Ids of the whole, those equal to the pad id left out.
    pub total: usize,
}

impl fmt::Display for Mismatch {
    /// In upstream's words, so that logs can be compared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { counted, total } = self;
        write!(
            f,
            "WARNING: tokenization mismatch: {counted} vs. {total}. (ignored)"
        )
    }
}

/// Makes ids and labels.
#[derive(Clone, Debug)]
pub struct Labeller {
    tokenizer: Tokenizer,
    options: LabelOptions,
}

impl Labeller {
    /// A labeller for this tokenizer.
    pub fn new(tokenizer: Tokenizer, options: LabelOptions) -> Labeller {
        Labeller { tokenizer, options }
    }

    /// What decides about the labels.
    pub fn options(&self) -> &LabelOptions {
        &self.options
    }

    /// The id that rows are padded with: that of `<unk>`, as upstream sets it.
    pub fn pad(&self) -> i32 {
        as_id(self.tokenizer.unk())
    }

    /// The ids and labels of `sample`, both `[n]`.
    ///
    /// # Errors
    /// [`LabelError`] where upstream raises an exception: a sample that the template cannot hold.
    pub fn label(&self, sample: &Sample) -> Result<Labelled, LabelError> {
        let moved;
        let messages = match sample.image.is_some() && self.options.is_multimodal {
            true => {
                moved =
                    mark::move_to_front(&sample.conversations, self.options.mm_use_im_start_end);
                &moved
            }
            false => &sample.conversations,
        };
        match self.options.template {
            TrainTemplate::Plain => plain::label(&self.tokenizer, messages),
            TrainTemplate::V1 => v1::label(self, messages, sample.image.is_some()),
        }
    }
}

/// The ids of a text in which marks stand for pictures. Upstream: `tokenizer_image_token`.
fn encode_with_pictures(tokenizer: &Tokenizer, text: &str) -> Vec<i32> {
    let items = tokenizer.encode_prompt(text).into_iter();
    items
        .map(|item| match item {
            PromptItem::Token(id) => as_id(id),
            PromptItem::Picture => PICTURE,
        })
        .collect()
}

/// The ids of a text in which a mark is only letters.
fn encode_text(tokenizer: &Tokenizer, text: &str) -> Vec<i32> {
    tokenizer.encode(text).into_iter().map(as_id).collect()
}

/// Vocabularies have far fewer than 2³¹ pieces.
fn as_id(id: u32) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}
