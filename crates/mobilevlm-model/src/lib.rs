//! Forward passes: vision tower, projector, language model, sampler.
#![forbid(unsafe_code)]
