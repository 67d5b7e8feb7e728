//! The training stages of MobileVLM on burn: from recipe and data set to a folder that the engine reads.
#![forbid(unsafe_code)]
