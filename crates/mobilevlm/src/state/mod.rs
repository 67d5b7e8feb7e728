//! The state of the text that every conversation begins with: computed once for a model, not once
//! for a conversation.
//!
//! It is held in memory for all conversations of a process and, where there is a folder for it, in
//! a file for the next process. The file's name is a hash of everything that the numbers depend on
//! ([`Key`]), so that what is found under it equals what would be computed, to the bit.

mod entry;
mod folder;
mod key;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mobilevlm_checkpoint::LanguageConfig;
use mobilevlm_model::{Cache, LanguageModel};
use mobilevlm_processor::{PromptItem, Template, Tokenizer, Turn};
use mobilevlm_tensor::Compute;

use crate::prompt::Prompt;

pub(crate) use key::Source;
use key::{Key, Program};

/// The state of the system prompt of one model.
pub(crate) struct SystemState {
    /// What every prompt of the model begins with.
    ids: Vec<u32>,
    file: Option<StateFile>,
    held: Mutex<Held>,
}

/// Where the state is kept between processes.
struct StateFile {
    path: PathBuf,
    key: Key,
    source: Source,
}

enum Held {
    /// The file has not been looked at.
    Unknown,
    /// There is none: the next conversation computes it.
    Nothing,
    State(Arc<Cache>),
}

impl SystemState {
    /// `kept`: a folder for the file, and what the weights come from.
    pub(crate) fn new(
        tokenizer: &Tokenizer,
        config: &LanguageConfig,
        compute: &Compute,
        kept: Option<(&Path, Source)>,
    ) -> SystemState {
        let ids = common_ids(tokenizer);
        let file = kept.and_then(|(folder, source)| {
            let key = Key::new(&source, &Program::this()?, config, compute, &ids);
            Some(StateFile {
                path: folder.join(key.file_name()),
                key,
                source,
            })
        });
        SystemState {
            ids,
            file,
            held: Mutex::new(Held::Unknown),
        }
    }

    /// How many positions of `prompt` the state can spare, at most.
    pub(crate) fn covers(&self, prompt: &Prompt) -> usize {
        let same = prompt.begins_with(&self.ids);
        same.min(prompt.len().saturating_sub(1))
    }

    /// The state, if it is at hand.
    pub(crate) fn find(&self, language: &LanguageModel, compute: &Compute) -> Option<Arc<Cache>> {
        let mut held = self.held();
        if let Held::Unknown = *held {
            let read = self.file.as_ref().and_then(|file| {
                entry::read(&file.path, &file.key, self.ids.len(), language, compute)
            });
            *held = match read {
                Some(cache) => Held::State(Arc::new(cache)),
                None => Held::Nothing,
            };
        }
        match &*held {
            Held::State(cache) => Some(Arc::clone(cache)),
            _ => None,
        }
    }

    /// Keeps the state for later conversations where it is not kept yet. `cache` has read what
    /// `prompt` begins with.
    ///
    /// What cannot be written is computed anew by the next process: no reason to fail.
    pub(crate) fn keep(&self, prompt: &Prompt, cache: &Cache) {
        let length = self.ids.len();
        if cache.len() < length || prompt.begins_with(&self.ids) < length {
            return;
        }
        let state = {
            let mut held = self.held();
            if let Held::State(_) = *held {
                return;
            }
            let state = Arc::new(cache.prefix(length));
            *held = Held::State(Arc::clone(&state));
            state
        };
        if let Some(file) = &self.file
            && file.source.is_unchanged()
        {
            folder::write(&file.path, |out| entry::write(out, &file.key, &state));
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // What a panicking thread left behind is still one of the three.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ids that a question with a picture and one without begin with.
fn common_ids(tokenizer: &Tokenizer) -> Vec<u32> {
    let items = |pictures, question| {
        let turn = Turn {
            pictures,
            question,
            answer: None,
        };
        Template::v1().encode(tokenizer, &[turn])
    };
    let (with, without) = (items(1, ""), items(0, "a"));
    with.iter()
        .zip(&without)
        .map_while(|pair| match pair {
            (PromptItem::Token(a), PromptItem::Token(b)) if a == b => Some(*a),
            _ => None,
        })
        .collect()
}
