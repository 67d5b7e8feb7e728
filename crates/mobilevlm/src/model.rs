use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mobilevlm_checkpoint::{Bytes, Checkpoint, Config, Formats, Inventory};
use mobilevlm_model::{LanguageModel, Projector, VisionTower};
use mobilevlm_processor::{Aspect, Preprocessor, PromptItem, RgbImage, Template, Tokenizer, Turn};
use mobilevlm_tensor::{Arithmetic, Compute, Kernels};

use crate::answer::{Answer, milliseconds};
use crate::batch::{Batch, Event};
use crate::picture::{EncodedPicture, Picture, PictureTimings, RecentPictures};
use crate::prompt::Prompt;
use crate::random::{self, Shape};
use crate::spare::Spare;
use crate::state::{Source, SystemState};
use crate::{Error, GenerateOptions, OpenOptions, panels, vocabulary};

/// Bytes of embeds of recent pictures that a model keeps: some 27 pictures of V2-1.7B.
const RECENT_PICTURES_BYTES: usize = 32 << 20;

/// A model ready to answer: weights mapped and checked, tokenizer, and the threads to compute on.
///
/// Cloning is cheap and shares everything; clones may be used from different threads at once.
/// [`Chat`](crate::Chat) and [`Batch`] answer; the stages between are here one by one.
#[derive(Clone)]
pub struct Model {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    compute: Compute,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
    tower: VisionTower,
    projector: Projector,
    language: LanguageModel,
    recent: Mutex<RecentPictures>,
    system: SystemState,
    spare: Spare,
    weight_bytes: usize,
    load_ms: f64,
}

impl Model {
    /// Opens a checkpoint in any of the layouts that `mobilevlm-checkpoint` reads. Weights are
    /// mapped, not read: this takes milliseconds.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for what is unreadable, missing or misshaped, with all tensors in one
    /// message; [`Error::Tokenizer`] for an unreadable tokenizer.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Model, Error> {
        let start = Instant::now();
        let checkpoint = Checkpoint::open(
            path,
            &mobilevlm_checkpoint::OpenOptions {
                vision_tower: options.vision_tower.clone(),
                tower_cache: options.tower_cache.clone(),
                mmproj: options.mmproj.clone(),
                access: options.access,
            },
        )?;
        Model::of_checkpoint(start, checkpoint, options)
    }

    /// Opens a whole model in a GGUF file that is in memory; options that are about files do
    /// nothing.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_gguf(file: Bytes, options: &OpenOptions) -> Result<Model, Error> {
        let start = Instant::now();
        Model::of_checkpoint(start, Checkpoint::from_gguf(file, None)?, options)
    }

    fn of_checkpoint(
        start: Instant,
        checkpoint: Checkpoint,
        options: &OpenOptions,
    ) -> Result<Model, Error> {
        let source = checkpoint.tokenizer.as_ref().ok_or(Error::NoTokenizer)?;
        let tokenizer = vocabulary::tokenizer(source)?;
        Model::assemble(
            start,
            checkpoint.config,
            &checkpoint.tensors,
            tokenizer,
            options,
        )
    }

    /// A model of a released shape with random weights in memory, stored as `formats` say, and in
    /// float16 where they leave it open. Its answers are noise; what they cost is what the real
    /// model costs.
    ///
    /// # Errors
    /// None in practice: shapes are built in.
    pub fn random(shape: Shape, formats: Formats, options: &OpenOptions) -> Result<Model, Error> {
        let start = Instant::now();
        let config = shape.config()?;
        let weights = random::weights(&config, formats)?;
        let tokenizer = random::tokenizer(config.language.vocab)?;
        Model::assemble(start, config, &weights, tokenizer, options)
    }

    fn assemble(
        start: Instant,
        config: Config,
        tensors: &Inventory,
        tokenizer: Tokenizer,
        options: &OpenOptions,
    ) -> Result<Model, Error> {
        let kernels = match options.kernels {
            Some(kernels) => kernels,
            None => Kernels::detect()?,
        };
        let threads = options.threads.unwrap_or_else(available_threads);
        let compute = Compute::new(kernels, threads).with_arithmetic(options.arithmetic);
        let state_cache = options.state_cache.as_deref();
        let system = SystemState::new(
            &tokenizer,
            &config.language,
            &compute,
            state_cache.and_then(|folder| Some((folder, Source::of(tensors)?))),
        );
        // A head that is the embedding is listed twice.
        let repeats = |name: &str| config.language.tied && name == "language.lm_head.weight";
        let stored = tensors.iter().filter(|(name, _)| !repeats(name));
        let laid_out;
        let tensors = match options.arithmetic {
            Arithmetic::F32 => tensors,
            _ => {
                laid_out = panels::interleaved(tensors, compute.pool());
                &laid_out
            }
        };
        let inner = Inner {
            weight_bytes: stored.map(|(_, tensor)| tensor.byte_len()).sum(),
            compute,
            tokenizer,
            system,
            spare: Spare::default(),
            preprocessor: Preprocessor {
                aspect: match config.preprocess.aspect {
                    mobilevlm_checkpoint::Aspect::Pad => Aspect::Pad,
                    _ => Aspect::Square,
                },
                size: config.preprocess.image_size,
                mean: config.preprocess.mean,
                std: config.preprocess.std,
            },
            tower: VisionTower::load(&config.vision, tensors.scope("vision"))?,
            projector: Projector::load(&config, tensors.scope("projector"))?,
            language: LanguageModel::load(&config.language, tensors.scope("language"))?,
            recent: Mutex::new(RecentPictures::new(RECENT_PICTURES_BYTES)),
            config,
            load_ms: milliseconds(start),
        };
        Ok(Model {
            inner: Arc::new(inner),
        })
    }

    /// Encodes a picture, or finds it among those encoded last.
    ///
    /// # Errors
    /// [`Error::PreparedSize`] for prepared pixels of another size than the tower's.
    pub fn encode(&self, picture: &Picture) -> Result<EncodedPicture, Error> {
        if let Some(encoded) = self.recent().find(picture.hash()) {
            return Ok(encoded.at_hand(picture.read_ms()));
        }
        let mut timings = PictureTimings {
            image_read: picture.read_ms(),
            ..PictureTimings::default()
        };
        let mut start = Instant::now();
        let mut lap = || {
            let lap = milliseconds(start);
            start = Instant::now();
            lap
        };
        let pixels = self.pixels(picture)?;
        timings.preprocess = lap();
        let features = self.vision_features(&pixels)?;
        timings.vision = lap();
        let embeds = self.image_embeds(&features)?;
        timings.projector = lap();
        let encoded =
            EncodedPicture::new(picture.hash(), embeds, self.language().hidden(), timings);
        self.recent().insert(encoded.clone());
        Ok(encoded)
    }

    /// First stage of [`Model::encode`]: what the tower reads, `[3, S, S]`, normalised.
    ///
    /// # Errors
    /// [`Error::PreparedSize`] for prepared pixels of another size than the tower's.
    pub fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, Error> {
        let preprocessor = &self.inner.preprocessor;
        if !picture.is_prepared() {
            return Ok(preprocessor.normalise(&preprocessor.prepare(picture.image())));
        }
        let RgbImage { width, height, .. } = *picture.image();
        let side = preprocessor.size;
        if (width, height) != (side, side) {
            return Err(Error::PreparedSize {
                side,
                width,
                height,
            });
        }
        Ok(preprocessor.normalise(picture.image()))
    }

    /// Second stage: `[3, S, S]` to the features of the selected hidden state, `[P, V]`.
    ///
    /// # Errors
    /// [`Error::Model`] for another number of values.
    pub fn vision_features(&self, pixels: &[f32]) -> Result<Vec<f32>, Error> {
        Ok(self.tower().encode(self.compute(), pixels)?)
    }

    /// Third stage: `[P, V]` to the embeds that stand in the prompt, `[T, d]`.
    ///
    /// # Errors
    /// [`Error::Model`] for another number of values.
    pub fn image_embeds(&self, features: &[f32]) -> Result<Vec<f32>, Error> {
        Ok(self.projector().forward(self.compute(), features)?)
    }

    /// Puts `pictures` into the places that `items` has for them, in their order.
    ///
    /// [`Tokenizer::encode_prompt`] gives the items of a prompt in upstream's spelling.
    ///
    /// # Errors
    /// [`Error::Pictures`] for another number of pictures, [`Error::UnknownToken`] for a token
    /// that the model does not have, [`Error::PictureWidth`] for a picture that another model
    /// encoded, [`Error::Empty`] and [`Error::TooLong`] for a prompt that cannot be read.
    pub fn prompt(
        &self,
        items: &[PromptItem],
        pictures: &[EncodedPicture],
    ) -> Result<Prompt, Error> {
        let is_picture = |item: &&PromptItem| matches!(item, PromptItem::Picture);
        let places = items.iter().filter(is_picture).count();
        if places != pictures.len() {
            return Err(Error::Pictures {
                expected: places,
                found: pictures.len(),
            });
        }
        let mut pictures = pictures.iter();
        let mut prompt = Prompt::default();
        for item in items {
            match item {
                PromptItem::Token(id) => prompt.push_token(*id),
                // There are as many pictures as places.
                PromptItem::Picture => {
                    pictures
                        .next()
                        .cloned()
                        .into_iter()
                        .for_each(|picture| prompt.push_picture(picture));
                }
            }
        }
        self.check(&prompt)?;
        Ok(prompt)
    }

    /// Refuses what this model cannot read.
    pub(crate) fn check(&self, prompt: &Prompt) -> Result<(), Error> {
        self.check_length(prompt.len())?;
        let (vocab, expected) = (self.language().vocab(), self.language().hidden());
        if let Some(id) = prompt.tokens().find(|&id| id as usize >= vocab) {
            return Err(Error::UnknownToken { id, vocab });
        }
        let mut widths = prompt.pictures().iter().map(EncodedPicture::width);
        match widths.find(|&width| width != expected) {
            Some(found) => Err(Error::PictureWidth { expected, found }),
            None => Ok(()),
        }
    }

    /// The prompt of one question about `pictures`, as the first turn of a conversation. What a
    /// person typed is literal.
    ///
    /// # Errors
    /// [`Error::TooLong`] if it does not fit the context.
    pub fn question(&self, pictures: &[EncodedPicture], text: &str) -> Result<Prompt, Error> {
        let turn = Turn {
            pictures: pictures.len(),
            question: text,
            answer: None,
        };
        self.prompt(&Template::v1().encode(self.tokenizer(), &[turn]), pictures)
    }

    /// Answers one prompt, with all events on the way: for comparing each step's logits.
    ///
    /// # Errors
    /// [`Error::Option`] for an option that means nothing.
    pub fn generate(
        &self,
        prompt: Prompt,
        options: &GenerateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Answer, Error> {
        let mut batch = Batch::new(self);
        let sequence = batch.join();
        batch.ask(sequence, prompt, options)?;
        Ok(batch.answer(sequence, on_event))
    }

    /// Positions of a prompt: one for each token, [`Projector::tokens`] for each picture.
    pub fn positions(&self, items: &[PromptItem]) -> usize {
        let positions = items.iter().map(|item| match item {
            PromptItem::Token(_) => 1,
            PromptItem::Picture => self.projector().tokens(),
        });
        positions.sum()
    }

    pub(crate) fn check_length(&self, tokens: usize) -> Result<(), Error> {
        let context = self.language().context();
        match tokens {
            0 => Err(Error::Empty),
            _ if tokens > context => Err(Error::TooLong { tokens, context }),
            _ => Ok(()),
        }
    }

    /// Sizes and constants.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Text to ids and back.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.inner.tokenizer
    }

    /// What is done to a picture before the tower.
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.inner.preprocessor
    }

    /// The kernel table and threads in use.
    pub fn compute(&self) -> &Compute {
        &self.inner.compute
    }

    /// The vision tower.
    pub fn tower(&self) -> &VisionTower {
        &self.inner.tower
    }

    /// The projector.
    pub fn projector(&self) -> &Projector {
        &self.inner.projector
    }

    /// The language model.
    pub fn language(&self) -> &LanguageModel {
        &self.inner.language
    }

    /// Bytes of the weights as they are stored.
    pub fn weight_bytes(&self) -> usize {
        self.inner.weight_bytes
    }

    /// Milliseconds that opening took.
    pub fn load_ms(&self) -> f64 {
        self.inner.load_ms
    }

    /// The state of the text that every conversation begins with.
    pub(crate) fn system(&self) -> &SystemState {
        &self.inner.system
    }

    /// What the sequence that ended last has read.
    pub(crate) fn spare(&self) -> &Spare {
        &self.inner.spare
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, RecentPictures> {
        // What a panicking thread left behind is still a valid list of pictures.
        self.inner
            .recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
