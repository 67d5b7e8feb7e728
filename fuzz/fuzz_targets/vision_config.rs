//! The reader of a tower's configuration.
#![no_main]

use mobilevlm_checkpoint::{Config, ConfigFiles};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let files = ConfigFiles {
        config: mobilevlm_fuzz::CONFIG,
        vision: Some(file),
        preprocessor: None,
    };
    if let Ok(config) = Config::from_json(&files) {
        assert_eq!(config.vision.image_size % config.vision.patch_size, 0);
    }
});
