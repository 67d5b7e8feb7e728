//! The reader of SentencePiece models.
#![no_main]

use mobilevlm_processor::Tokenizer;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_sentencepiece(file) {
        mobilevlm_fuzz::use_tokenizer(&tokenizer);
    }
});
