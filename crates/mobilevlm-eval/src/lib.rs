//! Examinations of models on the engine that users run: so far, the held-out part of the synthetic
//! world.
#![forbid(unsafe_code)]

pub mod world;
