//! The short way to a prepared picture, against the long one; the resize, against its definition.

use mobilevlm_processor::{Aspect, Preprocessor, RgbImage, center_crop, pad_to_square, resize};
use proptest::prelude::*;

fn preprocessor(aspect: Aspect, size: usize) -> Preprocessor {
    Preprocessor {
        aspect,
        size,
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [1.0; 3],
    }
}

fn noise(width: usize, height: usize, seed: u32) -> RgbImage {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    RgbImage {
        width,
        height,
        pixels: (0..width * height * 3).map(|_| next()).collect(),
    }
}

proptest! {
    #[test]
    fn preparing_is_padding_resizing_and_cropping(
        width in 1_usize..90,
        height in 1_usize..90,
        size in 1_usize..40,
        seed: u32,
    ) {
        let picture = noise(width, height, seed);
        let square = resize(&pad_to_square(&picture, [122, 116, 104]), size, size);
        prop_assert_eq!(preprocessor(Aspect::Pad, size).prepare(&picture), square);

        let short = width.min(height);
        let (w, h) = (size * width / short, size * height / short);
        let middle = center_crop(&resize(&picture, w, h), size, size);
        prop_assert_eq!(preprocessor(Aspect::Square, size).prepare(&picture), middle);
    }

    #[test]
    fn a_turned_picture_resizes_to_the_turned_result_within_two_levels(
        width in 1_usize..40,
        height in 1_usize..40,
        to in 1_usize..50,
        seed: u32,
    ) {
        // The passes come in the other order, so only their rounding may differ; what the first
        // pass clips at 0 or 255 is lost to the second, so the levels stay in the middle.
        let mut picture = noise(width, height, seed);
        picture.pixels.iter_mut().for_each(|level| *level = 64 + *level / 2);
        let found = resize(&turned(&picture), to, to);
        let expected = turned(&resize(&picture, to, to));
        for (a, b) in found.pixels.iter().zip(&expected.pixels) {
            prop_assert!(a.abs_diff(*b) <= 2, "{} and {}", a, b);
        }
    }

    #[test]
    fn a_plain_picture_stays_plain(
        width in 1_usize..60,
        height in 1_usize..60,
        to in (1_usize..80, 1_usize..80),
        colour: [u8; 3],
    ) {
        let plain = RgbImage::filled(width, height, colour);
        prop_assert_eq!(resize(&plain, to.0, to.1), RgbImage::filled(to.0, to.1, colour));
    }
}

/// Rows become columns.
fn turned(picture: &RgbImage) -> RgbImage {
    let (w, h) = (picture.width, picture.height);
    let pixel = |at: usize| &picture.pixels[3 * at..3 * at + 3];
    RgbImage {
        width: h,
        height: w,
        pixels: (0..w * h)
            .flat_map(|i| pixel(i % h * w + i / h).to_vec())
            .collect(),
    }
}

#[test]
fn a_thin_picture_costs_no_square() {
    // Padded, this would be a canvas of 768 MB.
    for (width, height) in [(16_384, 1), (1, 16_384), (16_384, 3)] {
        let picture = noise(width, height, 5);
        for aspect in [Aspect::Pad, Aspect::Square] {
            let prepared = preprocessor(aspect, 336).prepare(&picture);
            assert_eq!((prepared.width, prepared.height), (336, 336));
        }
    }
}

/// Found by the fuzz target `prepare`: an output whose inputs all lie in the border to the right.
#[test]
fn outputs_beside_a_thin_picture_are_border() {
    let thin = noise(1, 11, 7);
    let expected = resize(&pad_to_square(&thin, [122, 116, 104]), 11, 11);
    assert_eq!(preprocessor(Aspect::Pad, 11).prepare(&thin), expected);
}
