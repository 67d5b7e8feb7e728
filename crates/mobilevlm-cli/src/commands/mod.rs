//! The verbs, one file each.

pub(crate) mod ask;
pub(crate) mod bench;
mod calibrate;
pub(crate) mod chat;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod data;
pub(crate) mod doctor;
mod each;
pub(crate) mod eval;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod pull;
pub(crate) mod report;
pub(crate) mod score;
pub(crate) mod tokenize;
#[cfg(feature = "train")]
pub(crate) mod train;
pub(crate) mod use_model;
pub(crate) mod verify;
