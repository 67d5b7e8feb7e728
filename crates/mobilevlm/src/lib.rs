//! Answers questions about pictures: Model, Chat, Batch, and the model hub.
#![forbid(unsafe_code)]

pub mod hub;
