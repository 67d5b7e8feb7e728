use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mobilevlm_checkpoint::Access;
use mobilevlm_model::SamplerOptions;
use mobilevlm_tensor::{Arithmetic, Kernels};

use crate::Error;

/// How [`Model::open`](crate::Model::open) opens a checkpoint. The default suits every machine.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Folder of the vision tower, for checkpoints that do not hold it.
    pub vision_tower: Option<PathBuf>,
    /// Folders that may hold the tower that the configuration names, tried last.
    pub tower_cache: Vec<PathBuf>,
    /// The projector's file that belongs to a language model in a GGUF file; where absent, the
    /// only `mmproj*.gguf` beside it.
    pub mmproj: Option<PathBuf>,
    /// Whether weights are mapped or read.
    pub access: Access,
    /// Threads to compute with; one for each core that this process may use where absent.
    pub threads: Option<usize>,
    /// Kernel table; the best that this machine can run where absent.
    pub kernels: Option<&'static Kernels>,
    /// Folder for the state of the text that every conversation begins with, so that the next
    /// process need not compute it; at most 256 MiB. Where absent it is kept in memory only.
    pub state_cache: Option<PathBuf>,
    /// How exactly is computed; only for weights in block formats is there a choice.
    pub arithmetic: Arithmetic,
}

/// How an answer is made. The default is greedy.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Ends the answer after so many tokens; the end-of-sequence token counts.
    pub max_new_tokens: usize,
    /// 0 always takes the most probable token.
    pub temperature: f32,
    /// Keeps the `top_k` most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest tokens whose probabilities sum to at least `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least `min_p` times as probable as the most probable one; 0 keeps all.
    pub min_p: f32,
    /// Makes tokens that the sequence already has less probable; 1 does not.
    pub repetition_penalty: f32,
    /// Start of the random numbers.
    pub seed: u64,
    /// Strings that end the answer; they are not part of its text, and no beginning of one is
    /// streamed before it is clear that the string is not complete.
    pub stop: Vec<String>,
    /// Guesses how repeated text goes on and checks several tokens in one step. The answer is the
    /// same with and without; guesses that are often wrong are soon left out.
    pub prompt_lookup: bool,
    /// Ends the answer from another thread.
    pub cancel: CancelToken,
}

impl Default for GenerateOptions {
    fn default() -> GenerateOptions {
        let sampler = SamplerOptions::default();
        GenerateOptions {
            max_new_tokens: 512, // upstream's scripts/inference.py
            temperature: sampler.temperature,
            top_k: sampler.top_k,
            top_p: sampler.top_p,
            min_p: sampler.min_p,
            repetition_penalty: sampler.repetition_penalty,
            seed: sampler.seed,
            stop: Vec::new(),
            prompt_lookup: true,
            cancel: CancelToken::default(),
        }
    }
}

impl GenerateOptions {
    /// The options of the sampler, after checking all options.
    pub(crate) fn sampler(&self) -> Result<SamplerOptions, Error> {
        let check = |holds: bool, name, expected, found: &dyn std::fmt::Display| {
            if holds {
                return Ok(());
            }
            Err(Error::Option {
                name,
                expected,
                found: found.to_string(),
            })
        };
        let number = |value: f32, low: f32, high: f32| value >= low && value <= high;
        check(
            self.max_new_tokens > 0,
            "max_new_tokens",
            "at least 1",
            &self.max_new_tokens,
        )?;
        check(
            number(self.temperature, 0.0, f32::MAX),
            "temperature",
            "a number from 0",
            &self.temperature,
        )?;
        check(
            number(self.top_p, f32::MIN_POSITIVE, 1.0),
            "top_p",
            "above 0, at most 1",
            &self.top_p,
        )?;
        check(
            number(self.min_p, 0.0, 1.0),
            "min_p",
            "from 0 to 1",
            &self.min_p,
        )?;
        check(
            number(self.repetition_penalty, f32::MIN_POSITIVE, f32::MAX),
            "repetition_penalty",
            "a number above 0",
            &self.repetition_penalty,
        )?;
        check(
            self.stop.iter().all(|stop| !stop.is_empty()),
            "stop",
            "strings of at least one character",
            &"an empty string",
        )?;
        Ok(SamplerOptions {
            repetition_penalty: self.repetition_penalty,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            seed: self.seed,
        })
    }
}

/// Ends answers from another thread: clones share one flag.
///
/// The flag is looked at before each picture and each step, so what is under way ends within one
/// step. It stays set: use a new token for the next question.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Ends every answer that was given a clone of this token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
