//! The command `mobilevlm`: arguments, terminal, exit codes; no arithmetic.
#![forbid(unsafe_code)]
fn main() {}
