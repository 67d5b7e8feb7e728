//! What a run leaves behind, in one folder.
//!
//! | file | what |
//! |---|---|
//! | `checkpoints/step-…/` | the state after a step: [`Checkpoints`] |
//! | `metrics.jsonl` | a line for every step and evaluation: [`Metrics`] |
//! | `timings.jsonl` | how long the steps took, kept apart so that the metrics of two equal runs are equal: [`Timings`] |
//! | `events.out.tfevents.run` | both for TensorBoard: [`Events`] |
//! | `curves.svg` | a picture of the metrics: [`plot`] |
//!
//! A run that goes on from a checkpoint first cuts all of these back to it, so that they end as
//! those of a run that was never interrupted.

mod checkpoint;
mod crc32c;
mod error;
mod folder;
mod lines;
mod metrics;
mod plot;
mod progress;
mod tensorboard;

pub use checkpoint::{Checkpoints, Damaged, Saved, Writer};
pub use error::RunError;
pub use folder::RunFolder;
pub use metrics::{EvaluationRecord, Metrics, Record, StepRecord, TimingRecord, Timings};
pub use plot::{PlotOptions, Scale, plot};
pub use progress::{Clock, Progress};
pub use tensorboard::{Event, Events, read_events};
