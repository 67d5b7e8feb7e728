//! What several fuzz targets share.

use mobilevlm_processor::{Exif, Format, Limits, Tokenizer, decode};

/// A small configuration of a model, and of a tower that fits it.
pub const CONFIG: &[u8] = include_bytes!("../attacks/seeds/config-json/mobilevlm.json");
/// See [`CONFIG`].
pub const VISION: &[u8] = include_bytes!("../attacks/seeds/vision-json/clip.json");

/// Decodes a picture that begins like `format`, within limits that keep a run fast.
///
/// # Panics
/// If what comes back is no picture of its own size.
pub fn picture(format: Format, bytes: &[u8]) {
    if Format::guess(bytes) != Some(format) {
        return;
    }
    let limits = Limits {
        side: 4096,
        pixels: 1 << 18,
        ..Limits::default()
    };
    if let Ok(picture) = decode(bytes, &limits, Exif::Apply) {
        assert!(picture.width > 0 && picture.height > 0);
        assert_eq!(picture.pixels.len(), 3 * picture.width * picture.height);
    }
}

/// The tokenizer of the micro set.
///
/// # Panics
/// If that file is not valid.
pub fn tokenizer() -> Tokenizer {
    let file = include_bytes!("../golden/checkpoint/tokenizer.model");
    Tokenizer::from_sentencepiece(file).expect("the micro set's tokenizer is valid")
}

/// Uses a tokenizer that was read from bytes of a stranger.
pub fn use_tokenizer(tokenizer: &Tokenizer) {
    let ids = tokenizer.encode("a</s>ab c\u{2581}\u{1f600}\n<s>");
    tokenizer.decode(&ids, false);
    tokenizer.decode(&[0, 1, 2, 3, u32::MAX], true);
}
