//! The reader of `config.json`.
#![no_main]

use mobilevlm_checkpoint::{Config, ConfigFiles};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for vision in [None, Some(mobilevlm_fuzz::VISION)] {
        let files = ConfigFiles {
            config: file,
            vision,
            preprocessor: None,
        };
        let _ = Config::from_json(&files);
    }
});
