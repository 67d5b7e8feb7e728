//! The texts that tokenizer and language model learn from: what is said in the world, without its
//! pictures.

use std::error::Error;

use mobilevlm_data::IMAGE_MARK;
use mobilevlm_data::world::{Kind, Split, World, WorldOptions};
use mobilevlm_processor::{Template, Turn};
use serde::Serialize;

/// Of each kind.
const COUNT: u64 = 1000;

/// Of the training part. Another seed than the stages': their questions are others.
const SEED: u64 = 2;

/// Those of the stages.
const KINDS: [Kind; 4] = [Kind::Caption, Kind::Existence, Kind::Colour, Kind::Counting];

/// The same questions and answers in two forms.
pub(super) struct Texts {
    /// A line each, in the template of conversations: its system prompt becomes long pieces.
    pub(super) lines: String,
    /// LLaVA's JSON.
    pub(super) rows: String,
}

#[derive(Serialize)]
struct Row {
    id: String,
    conversations: Vec<Said>,
}

#[derive(Serialize)]
struct Said {
    from: String,
    value: String,
}

impl Texts {
    /// What is said in the world.
    pub(super) fn of_world() -> Result<Texts, Box<dyn Error>> {
        let world = World::new(WorldOptions {
            seed: SEED,
            ..WorldOptions::default()
        })?;
        let template = Template::v1();
        let mut lines = String::new();
        let mut rows = Vec::new();
        for (index, kind) in (0..COUNT).flat_map(|index| KINDS.map(|kind| (index, kind))) {
            let sample = world.sample_of(kind, Split::Train, index);
            let turns: Vec<Turn<'_>> = sample
                .exchanges
                .iter()
                .map(|exchange| Turn {
                    pictures: 0,
                    question: &exchange.question,
                    answer: Some(&exchange.answer),
                })
                .collect();
            let text = template.render(&turns);
            // Who reads a text puts its end there.
            lines += &text.trim_end_matches("</s>").replace('\n', " ");
            lines.push('\n');
            let mark = format!("{IMAGE_MARK}\n");
            let said = sample.messages().into_iter().map(|message| Said {
                from: message.from,
                value: message.value.replace(&mark, ""),
            });
            rows.push(Row {
                id: sample.id,
                conversations: said.collect(),
            });
        }
        Ok(Texts {
            lines,
            rows: serde_json::to_string(&rows)?,
        })
    }
}
