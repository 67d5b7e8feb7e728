//! Preparing a picture in one step gives what padding, resizing and cropping give in turn.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use mobilevlm_processor::{Aspect, Preprocessor, RgbImage, center_crop, pad_to_square, resize};

#[derive(Arbitrary, Debug)]
struct Case {
    width: u8,
    height: u8,
    size: u8,
    pad: bool,
    levels: Vec<u8>,
}

libfuzzer_sys::fuzz_target!(|case: Case| {
    let (width, height) = (usize::from(case.width) + 1, usize::from(case.height) + 1);
    let size = usize::from(case.size % 64) + 1;
    let levels = if case.levels.is_empty() {
        vec![200]
    } else {
        case.levels
    };
    let pixels = levels
        .iter()
        .copied()
        .cycle()
        .take(3 * width * height)
        .collect();
    let picture = RgbImage {
        width,
        height,
        pixels,
    };
    let aspect = if case.pad {
        Aspect::Pad
    } else {
        Aspect::Square
    };
    let preprocessor = Preprocessor {
        aspect,
        size,
        mean: [0.48, 0.46, 0.41],
        std: [0.27; 3],
    };
    let prepared = preprocessor.prepare(&picture);

    let background = preprocessor
        .mean
        .map(|mean| (f64::from(mean) * 255.0) as u8);
    let canvas = if case.pad {
        pad_to_square(&picture, background)
    } else {
        picture
    };
    let longer = |long: usize, short: usize| ((size * long) as f64 / short as f64) as usize;
    let (width, height) = match canvas.width <= canvas.height {
        true => (size, longer(canvas.height, canvas.width)),
        false => (longer(canvas.width, canvas.height), size),
    };
    assert_eq!(
        prepared,
        center_crop(&resize(&canvas, width, height), size, size)
    );
});
