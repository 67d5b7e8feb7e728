//! The reader of safetensors.
#![no_main]

use mobilevlm_checkpoint::safetensors;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for entry in safetensors::parse(file).unwrap_or_default() {
        let bytes = &file[entry.range];
        assert_eq!(
            bytes.len(),
            entry.shape.iter().product::<usize>() * entry.dtype.size()
        );
    }
});
