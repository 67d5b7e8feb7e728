//! Turns a picture upright.

use super::RgbImage;
use super::exif::Orientation;

/// Moves the stored pixels so that the picture is upright. Upstream: none (it ignores EXIF); the
/// meaning of the values is that of Pillow's `ImageOps.exif_transpose`.
pub(crate) fn turn(picture: RgbImage, orientation: Orientation) -> RgbImage {
    let (w, h) = (picture.width, picture.height);
    // For each pixel (x, y) of the result: the stored pixel that belongs there.
    let source: &dyn Fn(usize, usize) -> (usize, usize) = match orientation {
        Orientation::Upright => return picture,
        Orientation::FlipHorizontal => &|x, y| (w - 1 - x, y),
        Orientation::Rotate180 => &|x, y| (w - 1 - x, h - 1 - y),
        Orientation::FlipVertical => &|x, y| (x, h - 1 - y),
        Orientation::Transpose => &|x, y| (y, x),
        Orientation::Rotate90 => &|x, y| (y, h - 1 - x),
        Orientation::Transverse => &|x, y| (w - 1 - y, h - 1 - x),
        Orientation::Rotate270 => &|x, y| (w - 1 - y, x),
    };
    let (width, height) = match orientation {
        Orientation::Transpose
        | Orientation::Rotate90
        | Orientation::Transverse
        | Orientation::Rotate270 => (h, w),
        _ => (w, h),
    };
    let mut pixels = vec![0; w * h * 3];
    // Tiles, so that reading columns stays in the cache.
    const TILE: usize = 32;
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..height.min(top + TILE) {
                for x in left..width.min(left + TILE) {
                    let (from_x, from_y) = source(x, y);
                    let from = (from_y * w + from_x) * 3;
                    let to = (y * width + x) * 3;
                    pixels[to..to + 3].copy_from_slice(&picture.pixels[from..from + 3]);
                }
            }
        }
    }
    RgbImage {
        width,
        height,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose red channel is given row by row.
    fn picture(rows: &[&[u8]]) -> RgbImage {
        RgbImage {
            width: rows[0].len(),
            height: rows.len(),
            pixels: rows.concat().iter().flat_map(|&v| [v, 0, 7]).collect(),
        }
    }

    #[test]
    fn the_eight_values_of_the_tiff_specification() {
        // What a viewer must show for the stored picture 1 2 3 / 4 5 6.
        let stored = picture(&[&[1, 2, 3], &[4, 5, 6]]);
        let cases: [(Orientation, RgbImage); 8] = [
            (Orientation::Upright, picture(&[&[1, 2, 3], &[4, 5, 6]])),
            (
                Orientation::FlipHorizontal,
                picture(&[&[3, 2, 1], &[6, 5, 4]]),
            ),
            (Orientation::Rotate180, picture(&[&[6, 5, 4], &[3, 2, 1]])),
            (
                Orientation::FlipVertical,
                picture(&[&[4, 5, 6], &[1, 2, 3]]),
            ),
            (
                Orientation::Transpose,
                picture(&[&[1, 4], &[2, 5], &[3, 6]]),
            ),
            (Orientation::Rotate90, picture(&[&[4, 1], &[5, 2], &[6, 3]])),
            (
                Orientation::Transverse,
                picture(&[&[6, 3], &[5, 2], &[4, 1]]),
            ),
            (
                Orientation::Rotate270,
                picture(&[&[3, 6], &[2, 5], &[1, 4]]),
            ),
        ];
        for (orientation, expected) in cases {
            assert_eq!(
                turn(stored.clone(), orientation),
                expected,
                "{orientation:?}"
            );
        }
    }
}
