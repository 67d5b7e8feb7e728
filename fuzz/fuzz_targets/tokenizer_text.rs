//! Text to ids and back: nothing is lost, and a stream says what decoding at once says.
#![no_main]

use std::sync::LazyLock;

use mobilevlm_processor::{PromptItem, Tokenizer};

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(mobilevlm_fuzz::tokenizer);

libfuzzer_sys::fuzz_target!(|text: &str| {
    let ids = TOKENIZER.encode_pieces(text);
    assert_eq!(TOKENIZER.decode_pieces(&ids), text.replace('\u{2581}', " "));

    let prompt = TOKENIZER.encode_prompt(text);
    let pictures = prompt
        .iter()
        .filter(|item| matches!(item, PromptItem::Picture))
        .count();
    assert_eq!(pictures, text.matches("<image>").count());

    // Ids that a model might say, from the same bytes.
    let ids: Vec<u32> = text
        .bytes()
        .map(|byte| u32::from(byte) * 2)
        .chain(TOKENIZER.encode(text))
        .collect();
    let mut stream = TOKENIZER.decode_stream();
    let mut streamed: String = ids.iter().filter_map(|&id| stream.push(id)).collect();
    streamed.extend(stream.finish());
    assert_eq!(streamed, TOKENIZER.decode(&ids, true));
    TOKENIZER.decode(&ids, false);
});
