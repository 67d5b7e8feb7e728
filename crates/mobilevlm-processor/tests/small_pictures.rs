//! Small pictures of every kind, against hashes of what Pillow makes of them.
//!
//! `reference/make_pictures.py` draws the pictures and records the hashes. A clone needs nothing
//! else to prove that its decoders are exact.

use std::path::{Path, PathBuf};

use mobilevlm_processor::{Aspect, Exif, Limits, Preprocessor, RgbImage, decode};
use sha2::{Digest, Sha256};

/// The side that pictures are prepared at, as in the script.
const SIZE: usize = 56;

#[derive(serde::Deserialize)]
struct Row {
    file: String,
    width: usize,
    height: usize,
    rgb: String,
    upright: String,
    pad: String,
    square: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

fn hash(picture: &RgbImage) -> String {
    let digest = Sha256::digest(&picture.pixels);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn prepared(picture: &RgbImage, aspect: Aspect) -> RgbImage {
    let preprocessor = Preprocessor {
        aspect,
        size: SIZE,
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [1.0; 3],
    };
    preprocessor.prepare(picture)
}

#[test]
fn every_picture_is_equal_to_pillows() {
    let index = std::fs::read(folder().join("expected.json")).unwrap();
    let rows: Vec<Row> = serde_json::from_slice(&index).unwrap();
    let mut failures = Vec::new();
    for row in &rows {
        let bytes = std::fs::read(folder().join(&row.file)).unwrap();
        let picture = match decode(&bytes, &Limits::default(), Exif::Ignore) {
            Ok(picture) => picture,
            Err(error) => {
                failures.push(format!("{}: {error}", row.file));
                continue;
            }
        };
        assert_eq!(
            (picture.width, picture.height),
            (row.width, row.height),
            "{}",
            row.file
        );
        let upright = decode(&bytes, &Limits::default(), Exif::Apply).unwrap();
        for (what, found, expected) in [
            ("decoded", &picture, &row.rgb),
            ("turned", &upright, &row.upright),
            ("padded", &prepared(&picture, Aspect::Pad), &row.pad),
            ("cropped", &prepared(&picture, Aspect::Square), &row.square),
        ] {
            if hash(found) != *expected {
                failures.push(format!("{}, {what}: other pixels than Pillow's", row.file));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(rows.len(), 79);
}
