//! Cuts the middle out of a picture.

use super::RgbImage;

/// The middle of a picture, `[H, W, 3]` to `[height, width, 3]`, at `floor((length - wanted) / 2)`
/// in both directions. A side that is already shorter than wanted is kept.
///
/// Upstream: `center_crop` of `CLIPImageProcessor`, which always asks for less than there is.
pub fn center_crop(picture: &RgbImage, width: usize, height: usize) -> RgbImage {
    let width = width.min(picture.width);
    let height = height.min(picture.height);
    let left = (picture.width - width) / 2;
    let top = (picture.height - height) / 2;
    let rows = (top..top + height).map(|y| &picture.row(y)[left * 3..(left + width) * 3]);
    RgbImage {
        width,
        height,
        pixels: rows.collect::<Vec<_>>().concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_pixel_is_cut_from_the_end() {
        let picture = RgbImage {
            width: 4,
            height: 3,
            pixels: (0..36).collect(),
        };
        let middle = center_crop(&picture, 1, 2);
        // Left 1 of 4, top 0 of 3: pixels (1, 0) and (1, 1).
        assert_eq!(middle.pixels, [3, 4, 5, 15, 16, 17]);
        assert_eq!(center_crop(&picture, 9, 9), picture);
    }
}
