//! The training stages of MobileVLM on burn: from recipe and data set to a folder that the engine reads.
#![forbid(unsafe_code)]

mod check;
mod clip;
mod error;
mod model;
mod ops;
mod optimizer;
mod random;
pub mod recipe;
mod replicas;
pub mod run;
mod schedule;
mod step;
mod texts;
pub mod tokenizer;
mod trainer;
mod weights;

pub use check::{CheckItem, CheckReport, OnPart, check};
pub use clip::{ClipModel, ClipSizes};
pub use error::ModelError;
pub use model::{
    Beginning, Described, Either, Init, Language, LoraConfig, Loss, MobileVlm, NamedGradients,
    RandomSource, Source, VisionTower, parameters, train_only, used_pictures, values,
};
pub use ops::Products;
pub use optimizer::{
    AdamW, AdamWConfig, GroupOptions, Method, ParameterGroup, decays, parameter_groups, with_muon,
};
pub use random::Draws;
pub use replicas::Replicas;
pub use schedule::CosineSchedule;
pub use step::{Accumulated, Accumulation, NonFinite, PartGradients, StepOptions, StepOutcome};
pub use texts::{TextsError, TextsRead, for_each_text};
pub use trainer::{Evaluate, Outcome, TrainError, TrainEvent, TrainOptions, train};
pub use weights::{Export, ExportDtype, Start, StartParts, export_language, export_tower};
