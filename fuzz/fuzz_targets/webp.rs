//! The WebP decoder.
#![no_main]

use mobilevlm_processor::Format;

libfuzzer_sys::fuzz_target!(|file: &[u8]| mobilevlm_fuzz::picture(Format::WebP, file));
