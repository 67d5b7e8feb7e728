//! Every recorded picture, against the pixels and floats that upstream makes of it.

use std::path::Path;

use mobilevlm_processor::{Aspect, Exif, Limits, Preprocessor, RgbImage, decode};
use mobilevlm_testing::{micro_golden, shared_golden};
use safetensors::SafeTensors;

/// The constants of openai/clip-vit-large-patch14-336's `preprocessor_config.json`.
const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
const STD: [f32; 3] = [0.26862954, 0.261_302_6, 0.275_777_1];

#[derive(serde::Deserialize)]
struct Row {
    file: String,
    picture: String,
    mode: String,
    size: usize,
}

fn preprocessor(mode: &str, size: usize) -> Preprocessor {
    Preprocessor {
        aspect: if mode == "pad" {
            Aspect::Pad
        } else {
            Aspect::Square
        },
        size,
        mean: MEAN,
        std: STD,
    }
}

fn read(path: &Path) -> RgbImage {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode(&bytes, &Limits::default(), Exif::Ignore)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How far two pictures are apart: the largest difference, and the share of values that differ by
/// more than one level.
fn distance(found: &RgbImage, expected: &RgbImage) -> (u8, f64) {
    assert_eq!(
        (found.width, found.height),
        (expected.width, expected.height)
    );
    let differences = found.pixels.iter().zip(&expected.pixels);
    let differences: Vec<u8> = differences.map(|(a, b)| a.abs_diff(*b)).collect();
    let far = differences.iter().filter(|&&d| d > 1).count();
    (
        differences.iter().copied().max().unwrap_or(0),
        far as f64 / differences.len() as f64,
    )
}

/// Checks all rows of `index.json`; returns how many there were.
fn check_rows(preprocess: &Path, images: &Path) -> usize {
    let index = std::fs::read(preprocess.join("index.json")).expect("index.json can be read");
    let rows: Vec<Row> = serde_json::from_slice(&index).expect("index.json lists rows");
    let mut failures = Vec::new();
    for row in &rows {
        let picture = read(&images.join(&row.picture));
        let found = preprocessor(&row.mode, row.size).prepare(&picture);
        let (largest, far) = distance(&found, &read(&preprocess.join(&row.file)));
        // JPEG is decoded as libjpeg-turbo does. Of WebP the lossy kind may round differently.
        let lossy = row.picture.ends_with(".webp") && row.picture != "lossless.webp";
        let (largest_allowed, far_allowed) = if lossy { (5, 0.1) } else { (0, 0.0) };
        if largest > largest_allowed || far > far_allowed {
            failures.push(format!(
                "{}: largest difference {largest}, {:.2} % beyond one level",
                row.file,
                100.0 * far
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    rows.len()
}

#[test]
fn the_micro_set_is_equal() {
    let rows = check_rows(&micro_golden("preprocess"), &micro_golden("images"));
    assert_eq!(rows, 5);
}

#[test]
fn the_full_set_is_equal() {
    let name = "the_full_set_is_equal";
    let (Some(preprocess), Some(images)) = (
        shared_golden("preprocess", name),
        shared_golden("images", name),
    ) else {
        return;
    };
    assert!(check_rows(&preprocess, &images) >= 107);
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors.tensor(name).expect("a recorded tensor");
    let (values, rest) = tensor.data().as_chunks();
    assert!(rest.is_empty());
    values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

#[test]
fn floats_are_equal_to_the_bit() {
    let Some(folder) = shared_golden("preprocess", "floats_are_equal_to_the_bit") else {
        return;
    };
    let file = std::fs::read(folder.join("pixel_values.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();

    // Every level in every channel: recorded as [256, 3], computed from a row of 256 grays.
    let levels = RgbImage {
        width: 256,
        height: 1,
        pixels: (0..=255).flat_map(|level| [level; 3]).collect(),
    };
    let found = preprocessor("pad", 256).normalise(&levels);
    let expected = floats(&tensors, "levels");
    let expected: Vec<f32> = (0..3 * 256)
        .map(|i| expected[i % 256 * 3 + i / 256])
        .collect();
    assert_eq!(bits(&found), bits(&expected));

    let mut whole = 0;
    for name in tensors.names() {
        let Some(file) = name.contains(".pad.").then(|| format!("{name}.png")) else {
            continue;
        };
        let picture = read(&folder.join(file));
        let found = preprocessor("pad", picture.width).normalise(&picture);
        assert_eq!(bits(&found), bits(&floats(&tensors, name)), "{name}");
        whole += 1;
    }
    assert_eq!(whole, 3);
}
