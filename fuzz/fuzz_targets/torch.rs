//! The readers of torch files: ZIP and legacy.
#![no_main]

use mobilevlm_checkpoint::torch;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for entry in torch::parse(file).unwrap_or_default() {
        let bytes = &file[entry.range];
        let elements = entry.shape.iter().product::<usize>();
        match entry.strides {
            None => assert_eq!(bytes.len(), elements * entry.dtype.size()),
            Some(strides) => assert_eq!(strides.len(), entry.shape.len()),
        }
    }
});
