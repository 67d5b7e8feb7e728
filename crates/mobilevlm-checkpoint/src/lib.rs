//! Files: reads and writes checkpoints in every released layout.
#![deny(unsafe_code)]
