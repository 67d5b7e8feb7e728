//! The turns of a conversation as a prompt.
//!
//! Source: upstream's `conversation.py` (`conv_templates["v1"]` and `["plain"]`) and
//! `scripts/inference.py`, which puts `<image>` and a line break before the question.

use super::tokenizer::{IMAGE, PromptItem, Tokenizer};

/// How turns are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What stands before everything, with its separator.
    system: &'static str,
    /// What stands before a question.
    user: &'static str,
    /// What stands between a question and its answer.
    assistant: &'static str,
    /// What follows `assistant` where there is an answer.
    before_answer: &'static str,
    /// Whether `</s>` ends an answer; a line break does otherwise.
    ends_with_eos: bool,
}

/// One question and, unless it is still to come, its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn<'a> {
    /// How many pictures come before the question.
    pub pictures: usize,
    /// What the person typed.
    pub question: &'a str,
    /// What the model answered.
    pub answer: Option<&'a str>,
}

impl Template {
    /// The template of every released model: `SYSTEM USER: q ASSISTANT: a</s>USER: q ASSISTANT:`.
    pub fn v1() -> Self {
        Self {
            system: "A chat between a curious user and an artificial intelligence assistant. \
                     The assistant gives helpful, detailed, and polite answers to the user's \
                     questions. ",
            user: "USER:",
            assistant: "ASSISTANT:",
            before_answer: " ",
            ends_with_eos: true,
        }
    }

    /// The template of the first training stage: a picture and, after it, its caption.
    pub fn plain() -> Self {
        Self {
            system: "",
            user: "",
            assistant: "",
            before_answer: "",
            ends_with_eos: false,
        }
    }

    /// The prompt as text in upstream's spelling: what `Conversation.get_prompt` returns.
    ///
    /// Control tokens and pictures are spelled `</s>` and `<image>`, and so is what a person
    /// typed: [`Template::encode`] tells them apart, this text cannot.
    pub fn render(&self, turns: &[Turn<'_>]) -> String {
        let mut text = String::new();
        for part in self.parts(turns) {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Picture => text.push_str(IMAGE),
                Part::End => text.push_str("</s>"),
            }
        }
        text
    }

    /// The prompt as items. What was typed is literal: `<image>` and `</s>` in it are characters.
    pub fn encode(&self, tokenizer: &Tokenizer, turns: &[Turn<'_>]) -> Vec<PromptItem> {
        let mut items = vec![PromptItem::Token(tokenizer.bos())];
        encode_parts(tokenizer, self.parts(turns), true, &mut items);
        items
    }

    /// The items that continue a conversation with `turn`, after the `</s>` of the last answer.
    ///
    /// Together with the items before and `</s>` they are [`Template::encode`] of all turns,
    /// where ids of an answer are those of its text.
    pub fn encode_next(&self, tokenizer: &Tokenizer, turn: &Turn<'_>) -> Vec<PromptItem> {
        let mut parts = Vec::new();
        self.push_turn(turn, &mut parts);
        let mut items = Vec::new();
        encode_parts(tokenizer, parts, false, &mut items);
        items
    }

    fn parts<'a>(&self, turns: &[Turn<'a>]) -> Vec<Part<'a>> {
        let mut parts = vec![Part::Text(self.system)];
        for turn in turns {
            self.push_turn(turn, &mut parts);
        }
        parts
    }

    fn push_turn<'a>(&self, turn: &Turn<'a>, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Text(self.user));
        // `get_prompt` leaves out the separators of an empty message.
        if turn.pictures > 0 || !turn.question.is_empty() {
            parts.push(Part::Text(self.before_answer));
            for _ in 0..turn.pictures {
                parts.extend([Part::Picture, Part::Text("\n")]);
            }
            parts.push(Part::Text(turn.question));
            parts.push(Part::Text(if self.ends_with_eos { " " } else { "\n" }));
        }
        parts.push(Part::Text(self.assistant));
        if let Some(answer) = turn.answer.filter(|answer| !answer.is_empty()) {
            parts.extend([Part::Text(self.before_answer), Part::Text(answer)]);
            parts.push(if self.ends_with_eos {
                Part::End
            } else {
                Part::Text("\n")
            });
        }
    }
}

/// A piece of a prompt before encoding.
enum Part<'a> {
    Text(&'a str),
    Picture,
    /// `</s>`.
    End,
}

/// Texts that follow each other are encoded as one stretch, as upstream encodes the whole prompt.
/// `first`: whether the parts begin a prompt, rather than follow `</s>`.
fn encode_parts(
    tokenizer: &Tokenizer,
    parts: Vec<Part<'_>>,
    mut first: bool,
    items: &mut Vec<PromptItem>,
) {
    let mut stretch = String::new();
    let mut ids = Vec::new();
    let mut flush = |stretch: &mut String, first: bool, items: &mut Vec<PromptItem>| {
        tokenizer.append_stretch(stretch, first, &mut ids);
        items.extend(ids.drain(..).map(PromptItem::Token));
        stretch.clear();
    };
    for part in parts {
        match part {
            Part::Text(text) => stretch.push_str(text),
            Part::Picture => {
                flush(&mut stretch, first, items);
                items.push(PromptItem::Picture);
                first = true;
            }
            Part::End => {
                flush(&mut stretch, first, items);
                items.push(PromptItem::Token(tokenizer.eos()));
                first = false;
            }
        }
    }
    flush(&mut stretch, first, items);
}
