//! A synthetic world: pictures drawn by our own code, and questions with certain answers.
//!
//! ```
//! use mobilevlm_data::world::{Kind, Split, World, WorldOptions};
//!
//! let world = World::new(WorldOptions::default())?;
//! let sample = world.sample_of(Kind::Counting, Split::HeldOut, 0);
//! let picture = world.image(&sample).expect("only texts have none");
//! assert_eq!((picture.width, picture.height), (336, 336));
//! let exchange = &sample.exchanges[0];
//! assert!(exchange.question.starts_with("How many"));
//! assert!((0..=6).contains(&exchange.answer.parse::<u32>().unwrap()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A sample is a pure function of (seed, split, kind, index): there is nothing to store and no
//! order to keep, and any number of readers may ask for any samples. Training and held-out part
//! differ in what they combine, not only in numbers drawn: see [`pair_split`], [`word_split`] and
//! [`number_split`]. `docs/world.md` lists the kinds and the guarantees.
//!
//! The parts, one file each: `compose` makes up a [`Scene`], `ask/` asks about it, `draw/` draws
//! it; none of them knows how the others do it.

mod ask;
mod balance;
mod compose;
mod draw;
mod error;
mod kind;
mod place;
mod rng;
mod scene;
mod split;
mod words;
mod write;

use mobilevlm_processor::RgbImage;

pub use ask::{Exchange, Relation, Statement};
pub use balance::Balance;
pub use compose::LEAST_VISIBLE;
pub use error::WorldError;
pub use kind::{Kind, UnknownKind};
pub use scene::{
    Background, Bar, Clock, Colour, Layout, Object, Pattern, Scene, Shape, Sign, Size,
};
pub use split::{Noun, Split, Thing, number_split, pair_split, text_split, word_split};
pub use words::WORDS;
pub use write::{Written, png};

use rng::Rng;

/// Increased whenever the same (seed, split, kind, index) would give another sample than before.
pub const VERSION: u32 = 4;

/// What samples are drawn from; another number gives others altogether. Since version 3, when it was
/// last changed, held-out samples are the same, and what models made of them can be compared.
const STREAM: u64 = 3;

/// Sides that pictures may have, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 16..=4096;

/// Scenes that are made up until one is simple enough.
const MOST_ATTEMPTS: usize = 1000;

/// How often [`World::sample`] gives each kind, in hundredths.
const MIX: [(Kind, usize); 14] = [
    (Kind::Caption, 10),
    (Kind::LongCaption, 5),
    (Kind::List, 5),
    (Kind::Conversation, 22),
    (Kind::Existence, 6),
    (Kind::Colour, 6),
    (Kind::Counting, 8),
    (Kind::Relation, 8),
    (Kind::Comparison, 6),
    (Kind::Reading, 8),
    (Kind::Choice, 6),
    (Kind::Clock, 2),
    (Kind::Place, 3),
    (Kind::Text, 5),
];

/// What scenes are made for in which things are looked up. Those of the first two may have one shape
/// alone; those of the last are never simple, nor without colours that are no shape's.
const LOOKED_UP_IN: [Kind; 8] = [
    Kind::Existence,
    Kind::Colour,
    Kind::Counting,
    Kind::Counting,
    Kind::Relation,
    Kind::Comparison,
    Kind::Place,
    Kind::Reading,
];

/// Which world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldOptions {
    /// Worlds of different seeds have different samples, and the same parts.
    pub seed: u64,
    /// Pixels in a side of a picture, from 16 to 4096; less than 112 is hard to read.
    pub size: usize,
    /// Questions of a conversation, at most; two at least. More of them teach more for the same
    /// picture.
    pub most_turns: usize,
    /// Questions of a sample of one kind, at most: the one that its scene was made for, and others
    /// of the kind about the same picture, as far as there are some that ask for something else or
    /// give other answers to choose from. One at least.
    pub most_questions: usize,
    /// Only scenes of at most so many shapes that stand anywhere, without grids, signs, charts and
    /// clocks; nothing: every scene. Kinds that need more than there is are given without a bound.
    pub most_objects: Option<usize>,
}

impl Default for WorldOptions {
    fn default() -> WorldOptions {
        WorldOptions {
            seed: 0,
            size: 336,
            most_turns: 5,
            most_questions: 1,
            most_objects: None,
        }
    }
}

/// A source of samples.
#[derive(Clone, Copy, Debug)]
pub struct World {
    options: WorldOptions,
}

/// A picture's description, and what is said about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// A name that says where it comes from: `held-out-0-counting-12`.
    pub id: String,
    /// What kind it is of.
    pub kind: Kind,
    /// What the picture shows; nothing where there is none.
    pub scene: Option<Scene>,
    /// Questions and answers, at least one.
    pub exchanges: Vec<Exchange>,
}

impl World {
    /// The world with these options.
    ///
    /// # Errors
    /// [`WorldError::Size`] if pictures of this size are not drawn.
    pub fn new(options: WorldOptions) -> Result<World, WorldError> {
        match SIDES.contains(&options.size) {
            true => Ok(World { options }),
            false => Err(WorldError::Size {
                found: options.size,
                least: *SIDES.start(),
                most: *SIDES.end(),
            }),
        }
    }

    /// Its options.
    pub fn options(&self) -> WorldOptions {
        self.options
    }

    /// Sample `index` of a mixture of all kinds.
    pub fn sample(&self, split: Split, index: u64) -> Sample {
        let mut rng = Rng::of(&[STREAM, self.options.seed, split as u64, index]);
        self.sample_of(rng.weighted(&MIX), split, index)
    }

    /// Sample `index` of one kind.
    pub fn sample_of(&self, kind: Kind, split: Split, index: u64) -> Sample {
        let seed = self.options.seed;
        let place = Kind::ALL.iter().position(|other| *other == kind);
        let mut rng = Rng::of(&[
            STREAM,
            seed,
            split as u64,
            place.unwrap_or_default() as u64 + 1,
            index,
        ]);
        let id = format!("{}-{seed}-{kind}-{index}", split.name());
        if kind == Kind::Text {
            let exchanges = ask::text(&mut rng, split);
            return Sample {
                id,
                kind,
                scene: None,
                exchanges,
            };
        }
        // Decided first, so that every answer is equally frequent, none but "0" less.
        let count = rng.weighted(&[(0, 1), (1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 2)]);
        // Descriptions and conversations are about scenes of every kind, some of which are never
        // simple.
        let is_open = matches!(
            kind,
            Kind::Caption | Kind::LongCaption | Kind::List | Kind::Conversation
        );
        let theme = match (kind, self.options.most_objects) {
            (Kind::Lookup, None) => *rng.pick(&LOOKED_UP_IN),
            (Kind::Lookup | Kind::ColourLookup, Some(most)) if most < compose::MOST_OBJECTS => {
                *rng.pick(&LOOKED_UP_IN[..2])
            }
            (Kind::Lookup | Kind::ColourLookup, _) => *rng.pick(&LOOKED_UP_IN[..7]),
            (_, None) if is_open => {
                *rng.pick(&[&Kind::EXAMINED[..], &[kind, Kind::Clock]].concat())
            }
            _ => kind,
        };
        // A scene may have no question of its kind; the next one has.
        let is_simple = |scene: &Scene| match self.options.most_objects {
            Some(most) => scene.layout == Layout::Free && scene.objects.len() <= most,
            None => true,
        };
        let mut attempts = 0;
        loop {
            let wanted = ask::Wanted {
                count,
                most_turns: self.options.most_turns,
                most_questions: self.options.most_questions.max(1),
            };
            let scene = compose::scene(&mut rng, split, theme, count);
            attempts += 1;
            if attempts < MOST_ATTEMPTS && !is_simple(&scene) {
                continue;
            }
            let exchanges = ask::exchanges(&mut rng, &scene, split, kind, wanted);
            if let Some(exchanges) = exchanges {
                return Sample {
                    id,
                    kind,
                    scene: Some(scene),
                    exchanges,
                };
            }
        }
    }

    /// The picture of a sample, `size` by `size` pixels; nothing for texts.
    pub fn image(&self, sample: &Sample) -> Option<RgbImage> {
        let scene = sample.scene.as_ref()?;
        Some(draw::draw(scene, self.options.size))
    }
}
