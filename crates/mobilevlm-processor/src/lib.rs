//! Turns text and pictures into model inputs, and ids back into text.
#![forbid(unsafe_code)]
