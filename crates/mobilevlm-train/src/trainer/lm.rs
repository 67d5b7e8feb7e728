//! The task `lm`: a language model on texts, or on conversations without pictures.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use mobilevlm_checkpoint::LanguageConfig;
use mobilevlm_data::world::{self, World, WorldOptions};
use mobilevlm_data::{
    Finding, Grouping, IMAGE_MARK, IndexPlace, LabelOptions, Labelled, Labeller, Message, Problem,
    Rows, Sample,
};
use mobilevlm_processor::Tokenizer;

use super::TrainOptions;
use super::error::TrainError;
use super::job::{Job, MicroBatch, load};
use super::samples::hash_file;
use super::setup::{adamw, check, devices, tokenizer};
use crate::error::ModelError;
use crate::model::{Either, Language, RandomSource, parameters};
use crate::optimizer::{AdamW, GroupOptions, parameter_groups};
use crate::random::Draws;
use crate::recipe::{DataSource, From, Recipe, Template, WorldData};
use crate::run::RunError;
use crate::step::PartGradients;
use crate::texts::joined;
use crate::weights::{export_language, read_language};

/// The longest line of a file of texts, in bytes.
const LONGEST_LINE: u64 = 1 << 24;

/// The task `lm`.
#[derive(Debug)]
pub(super) struct Lm {
    config: LanguageConfig,
    pad: Option<u32>,
    /// The folder of the tokenizer's files.
    tokenizer_folder: PathBuf,
    tokenizer: Tokenizer,
    /// For conversations; nothing where all of a text is supervised.
    labeller: Option<Labeller>,
    texts: Texts,
    longest: usize,
    packing: bool,
}

impl Lm {
    /// Reads what the recipe starts from.
    pub(super) fn new(
        recipe: &Recipe,
        options: &mut TrainOptions<'_>,
    ) -> Result<(Lm, Language, AdamW, Device), TrainError> {
        check(recipe)?;
        if recipe.run.eval_steps.is_some() {
            let wrong = "expected 0; what is examined is a whole model";
            return Err(TrainError::key("run.eval_steps", wrong));
        }
        let (tokenizer, tokenizer_folder) = tokenizer(recipe)?;
        let Some(language) = &recipe.start.language else {
            let wrong = "expected sizes or a folder, found none";
            return Err(TrainError::key("language", wrong));
        };
        let (config, pad, tensors) = match language {
            From::Nothing(sizes) => {
                let (bos, eos) = (tokenizer.bos(), tokenizer.eos());
                let config = sizes.config(tokenizer.vocab_size(), bos, eos);
                (config, Some(tokenizer.unk()), None)
            }
            From::Folder(folder) => {
                let (config, pad, tensors) = read_language(folder)?;
                (config, pad, Some(tensors))
            }
        };
        let (plain, device) = devices(recipe)?;
        let random = RandomSource::new(recipe.seed).beginning(recipe.start.beginning);
        let is_read = |_: &str| tensors.is_some();
        let tensors = tensors.clone().unwrap_or_default();
        let source = Either(&tensors, &random, &is_read);
        let model = Language::new(&config, pad, &source, &device).map_err(ModelError::from)?;
        let model = model.with_precision(recipe.run.precision);
        let names = parameters(&model, Self::PREFIX);
        let groups = parameter_groups(
            names.iter().map(|parameter| parameter.name.as_str()),
            &GroupOptions {
                learning_rate: recipe.train.learning_rate,
                mm_projector_lr: None,
                weight_decay: recipe.train.weight_decay,
                upstream_loses_tower: false,
            },
        );
        let longest = recipe.data.model_max_length;
        let labeller = match recipe.data.template {
            Template::Labels(template) => {
                let options = LabelOptions {
                    model_max_length: longest,
                    ..LabelOptions::new(template)
                };
                Some(Labeller::new(tokenizer.clone(), options))
            }
            Template::Text => None,
        };
        let job = Lm {
            config,
            pad,
            tokenizer_folder,
            tokenizer,
            labeller,
            texts: Texts::open(&recipe.data.source, options.stop)?,
            longest,
            packing: recipe.data.packing,
        };
        Ok((job, model, adamw(recipe, groups), plain))
    }

    fn load_one(&self, index: usize) -> Result<Labelled, Finding> {
        let text = self.texts.load(index)?;
        let labelled = match (&self.labeller, text) {
            (Some(labeller), Text::Conversation(conversations)) => {
                let sample = Sample {
                    image: None,
                    conversations,
                };
                let labelled = labeller.label(&sample).map_err(|error| Finding {
                    problem: Problem::Refused,
                    message: error.to_string(),
                })?;
                if let Some(mismatch) = &labelled.mismatch {
                    return Err(Finding {
                        problem: Problem::Masked,
                        message: mismatch.to_string(),
                    });
                }
                labelled
            }
            (_, text) => {
                let mut ids = self.tokenizer.encode(&text.joined());
                ids.push(self.tokenizer.eos());
                let ids: Vec<i32> = ids
                    .into_iter()
                    .map(|id| i32::try_from(id).unwrap_or(i32::MAX))
                    .collect();
                Labelled {
                    labels: ids.clone(),
                    ids,
                    mismatch: None,
                }
            }
        };
        match labelled.supervised_within(self.longest) {
            0 => Err(Finding {
                problem: Problem::Unsupervised,
                message: format!(
                    "{} ids of which {} are taken",
                    labelled.ids.len(),
                    self.longest
                ),
            }),
            _ => Ok(labelled),
        }
    }
}

impl Job for Lm {
    type Model = Language;
    type Batch = Vec<Labelled>;
    const PREFIX: &'static str = "language";

    fn samples(&self) -> usize {
        self.texts.len()
    }

    fn lengths(&self, grouping: Grouping) -> Vec<i32> {
        self.texts.lengths(grouping)
    }

    fn identity(&self) -> String {
        self.texts.identity()
    }

    fn micro_batch(&self, indices: &[usize]) -> Result<MicroBatch<Vec<Labelled>>, ModelError> {
        let (texts, left_out) = load(indices, |index| self.load_one(index));
        let ids = texts.iter().map(|text| text.ids.len().min(self.longest));
        Ok(MicroBatch {
            samples: texts.len() as u64,
            tokens: ids.sum::<usize>() as u64,
            content: (!texts.is_empty()).then_some(texts),
            left_out,
        })
    }

    fn gradients(
        &self,
        model: &Language,
        texts: Vec<Labelled>,
        _: Draws,
    ) -> Result<PartGradients, ModelError> {
        let loss = model.loss(&texts, self.longest, self.packing)?;
        Ok(PartGradients::of(model, Self::PREFIX, loss))
    }

    fn export(&self, model: &Language, folder: &Path) -> Result<(), ModelError> {
        export_language(
            folder,
            model,
            &self.config,
            self.pad,
            &self.tokenizer_folder,
        )
    }
}

/// One text, or what was said.
enum Text {
    Line(String),
    Conversation(Vec<Message>),
}

impl Text {
    /// What was said, a line each.
    fn joined(self) -> String {
        match self {
            Text::Line(text) => text,
            Text::Conversation(messages) => {
                joined(messages.into_iter().map(|message| message.value))
            }
        }
    }
}

/// Texts by their numbers; nothing but their places is kept.
#[derive(Debug)]
enum Texts {
    Lines {
        files: Vec<PathBuf>,
        /// File, place and length in bytes.
        lines: Vec<(u32, u64, u32)>,
        /// SHA-256 of the files.
        hash: String,
    },
    Llava {
        rows: Rows,
        hash: String,
    },
    World {
        world: World,
        data: WorldData,
    },
}

impl Texts {
    fn open(source: &DataSource, stop: &dyn Fn() -> bool) -> Result<Texts, TrainError> {
        Ok(match source {
            DataSource::Texts(files) => {
                let mut lines = Vec::new();
                let mut hashes = Vec::new();
                for (number, file) in files.iter().enumerate() {
                    let read = find_lines(file, number as u32, &mut lines);
                    read.map_err(RunError::file(file.clone(), "read"))?;
                    hashes.push(hash_file(file)?);
                }
                Texts::Lines {
                    files: files.clone(),
                    lines,
                    hash: hashes.join(" "),
                }
            }
            DataSource::Llava { data_path, .. } => {
                let mut go_on = |_, _| match stop() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                Texts::Llava {
                    rows: Rows::open(data_path, &IndexPlace::Beside, &mut go_on)?,
                    hash: hash_file(data_path)?,
                }
            }
            DataSource::World(data) => Texts::World {
                world: World::new(data.options(WorldOptions::default().size))?,
                data: data.clone(),
            },
        })
    }

    fn len(&self) -> usize {
        match self {
            Texts::Lines { lines, .. } => lines.len(),
            Texts::Llava { rows, .. } => rows.len(),
            Texts::World { data, .. } => usize::try_from(data.count).unwrap_or(usize::MAX),
        }
    }

    fn identity(&self) -> String {
        match self {
            Texts::Lines { hash, .. } => format!("{} lines, SHA-256 {hash}", self.len()),
            Texts::Llava { hash, .. } => format!("{} rows, SHA-256 {hash}", self.len()),
            Texts::World { .. } => format!("world, version {}", world::VERSION),
        }
    }

    /// Words, bytes of a line.
    fn lengths(&self, grouping: Grouping) -> Vec<i32> {
        if grouping == Grouping::None {
            return vec![1; self.len()];
        }
        match self {
            Texts::Lines { lines, .. } => lines
                .iter()
                .map(|(_, _, length)| i32::try_from(*length).unwrap_or(i32::MAX))
                .collect(),
            Texts::Llava { rows, .. } => rows.modality_lengths().iter().map(|n| n.abs()).collect(),
            Texts::World { world, data } => (0..data.count)
                .map(|index| {
                    let sample = Sample {
                        image: None,
                        conversations: data.sample(world, index).messages(),
                    };
                    i32::try_from(sample.words()).unwrap_or(i32::MAX)
                })
                .collect(),
        }
    }

    fn load(&self, index: usize) -> Result<Text, Finding> {
        let broken = |message: String| Finding {
            problem: Problem::BrokenRow,
            message,
        };
        match self {
            Texts::Lines { files, lines, .. } => {
                let (file, place, length) = lines[index];
                let file = &files[file as usize];
                let read = || -> std::io::Result<String> {
                    let mut open = File::open(file)?;
                    open.seek(SeekFrom::Start(place))?;
                    let mut text = String::new();
                    open.take(u64::from(length)).read_to_string(&mut text)?;
                    Ok(text)
                };
                let text = read().map_err(|error| broken(format!("{file:?}: {error}")))?;
                Ok(Text::Line(text))
            }
            Texts::Llava { rows, .. } => match rows.read(index) {
                Ok(sample) => Ok(Text::Conversation(unmarked(sample.conversations))),
                Err(error) => Err(broken(error.to_string())),
            },
            Texts::World { world, data } => {
                let sample = data.sample(world, index as u64);
                Ok(Text::Conversation(unmarked(sample.messages())))
            }
        }
    }
}

/// Messages without the marks of pictures.
fn unmarked(messages: Vec<Message>) -> Vec<Message> {
    let unmark = |message: Message| {
        let value = message.value.replace(IMAGE_MARK, "");
        Message::new(message.from, value.trim())
    };
    messages.into_iter().map(unmark).collect()
}

/// Finds the lines of a file that are not empty.
fn find_lines(file: &Path, number: u32, lines: &mut Vec<(u32, u64, u32)>) -> std::io::Result<()> {
    let mut open = BufReader::new(File::open(file)?);
    let mut place = 0;
    let mut line = Vec::new();
    for count in 1_u64.. {
        line.clear();
        let taken = (&mut open)
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut line)? as u64;
        if taken == 0 {
            break;
        }
        if taken > LONGEST_LINE {
            let wrong = format!("line {count} has more than {LONGEST_LINE} bytes");
            return Err(std::io::Error::other(wrong));
        }
        let text = line.trim_ascii_end();
        if !text.is_empty() {
            // Under the longest line's length.
            lines.push((number, place, text.len() as u32));
        }
        place += taken;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_and_read_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.txt"), folder.path().join("b.txt"));
        std::fs::write(&a, "one\r\n\n  two \n").unwrap();
        std::fs::write(&b, "drei: für").unwrap();
        let texts = Texts::open(&DataSource::Texts(vec![a, b]), &|| false).unwrap();
        let all = (0..texts.len()).map(|index| texts.load(index).map(Text::joined).unwrap());
        assert_eq!(all.collect::<Vec<_>>(), ["one", "  two", "drei: für"]);
        assert_eq!(texts.lengths(Grouping::Length), [3, 5, 10]);
    }

    #[test]
    fn conversations_lose_their_marks() {
        let messages = vec![
            Message::new("human", "<image>\nWhat is it?"),
            Message::new("gpt", "A cat."),
        ];
        let text = Text::Conversation(unmarked(messages));
        assert_eq!(text.joined(), "What is it?\nA cat.");
    }
}
