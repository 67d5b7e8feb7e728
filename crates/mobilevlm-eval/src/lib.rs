//! Examinations of models on the engine that users run: benchmarks with their official scores, and
//! the held-out part of the synthetic world.
//!
//! A benchmark ([`Benchmark`]) turns its own files into questions and recorded answers
//! ([`Answers`]) into figures:
//!
//! ```no_run
//! use std::path::Path;
//! use mobilevlm_eval::{Answers, benchmark, score};
//!
//! let answers = Answers::read(Path::new("answers.jsonl"))?;
//! let gqa = benchmark("gqa").expect("one of the list");
//! let score = score(gqa, Path::new("data/benchmark_data"), &answers, false)?;
//! println!("{:?}", score.paper_table_figure);
//! # Ok::<(), mobilevlm_eval::BenchmarkError>(())
//! ```
#![forbid(unsafe_code)]

mod align;
mod answers;
mod benchmarks;
mod error;
mod figures;
mod files;
pub mod report;
pub mod run;
#[cfg(test)]
mod testing;
pub mod world;

pub use align::Alignment;
pub use answers::{Answer, AnswerLine, Answers, Id, answer_text, write_answer};
pub use benchmarks::{
    Asked, BENCHMARKS, Benchmark, Choices, Crop, Item, Partial, PictureSource, Question, Score,
    Scored, Source, benchmark, questions, score,
};
pub use error::BenchmarkError;
pub use figures::{Figure, Figures};
pub use files::{LineReader, task_folder};
