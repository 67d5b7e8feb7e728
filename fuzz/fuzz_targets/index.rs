//! The reader of the index of a model in several files.
#![no_main]

use std::path::{Component, Path};

use mobilevlm_checkpoint::parse_index;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for name in parse_index(file).unwrap_or_default() {
        let parts: Vec<_> = Path::new(&name).components().collect();
        assert!(
            matches!(parts[..], [Component::Normal(_)]),
            "{name:?} leaves the folder"
        );
    }
});
