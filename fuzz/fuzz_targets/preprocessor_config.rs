//! The reader of `preprocessor_config.json`.
#![no_main]

use mobilevlm_checkpoint::{Config, ConfigFiles};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let files = ConfigFiles {
        config: mobilevlm_fuzz::CONFIG,
        vision: Some(mobilevlm_fuzz::VISION),
        preprocessor: Some(file),
    };
    if let Ok(config) = Config::from_json(&files) {
        assert!(config.preprocess.std.iter().all(|&std| std > 0.0));
    }
});
