//! The training stages of MobileVLM on burn: from recipe and data set to a folder that the engine reads.
#![forbid(unsafe_code)]

// The model, which is their only user, is not there yet.
#[allow(dead_code, unused_imports)]
mod ops;
pub mod recipe;
pub mod run;
