//! Makes a picture square by a coloured border.

use super::RgbImage;

/// Pastes the picture on a square canvas of its longer side: centred, at
/// `floor((long - short) / 2)`, the rest in `colour`.
///
/// `[H, W, 3]` to `[L, L, 3]` with `L = max(H, W)`. Upstream: `expand2square` in
/// `mobilevlm/utils.py`. [`Preprocessor::prepare`](super::Preprocessor::prepare) has the same
/// effect without building the canvas, which is large where a picture is long and thin.
pub fn pad_to_square(picture: &RgbImage, colour: [u8; 3]) -> RgbImage {
    let side = picture.width.max(picture.height);
    let left = (side - picture.width) / 2;
    let top = (side - picture.height) / 2;
    let mut canvas = RgbImage::filled(side, side, colour);
    for y in 0..picture.height {
        let at = ((top + y) * side + left) * 3;
        canvas.pixels[at..at + picture.width * 3].copy_from_slice(picture.row(y));
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_pixel_goes_to_the_end() {
        let wide = RgbImage::filled(4, 1, [1, 2, 3]);
        let square = pad_to_square(&wide, [9, 9, 9]);
        let rows: Vec<u8> = (0..4).map(|y| square.row(y)[0]).collect();
        assert_eq!(rows, [9, 1, 9, 9]);

        let tall = RgbImage::filled(1, 4, [1, 2, 3]);
        let square = pad_to_square(&tall, [9, 9, 9]);
        let columns: Vec<u8> = (0..4).map(|x| square.row(2)[3 * x]).collect();
        assert_eq!(columns, [9, 1, 9, 9]);
    }
}
