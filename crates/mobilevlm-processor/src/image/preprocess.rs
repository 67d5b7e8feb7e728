//! The whole way from a decoded picture to what the tower reads.

use super::resize::{Canvas, Window, resample};
use super::{RgbImage, normalise};

/// How a picture that is not square becomes one. Configuration key `image_aspect_ratio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// `pad`: a border in the colour of the mean, so that everything is seen.
    Pad,
    /// Anything else: the middle is cut out.
    Square,
}

/// What happens to a picture before the tower: sizes and constants from the configuration.
///
/// Upstream: `process_images` in `mobilevlm/utils.py` with `CLIPImageProcessor` of transformers
/// 4.33. Upstream guesses from the shape where the channels are, and takes a picture of height 1
/// or 3 for channels first: it fails, or is silently wrong. Here such a picture is like any other.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessor {
    /// How a picture becomes square.
    pub aspect: Aspect,
    /// Side of the tower's image `S`, in pixels.
    pub size: usize,
    /// Mean of each channel, of levels between 0 and 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, of levels between 0 and 1.
    pub std: [f32; 3],
}

impl Preprocessor {
    /// Pads (if so configured), resizes the shortest side to `size`, cuts out the middle.
    ///
    /// `[H, W, 3]` to `[size, size, 3]`. Computes only the pixels that the crop keeps and never
    /// builds the padded canvas, so the cost is bounded by the picture's own size; the result is
    /// that of [`pad_to_square`](super::pad_to_square), [`resize`](super::resize()) and
    /// [`center_crop`](super::center_crop) in turn.
    ///
    /// # Panics
    /// If the picture has no pixels or other than `3 · width · height` bytes.
    pub fn prepare(&self, picture: &RgbImage) -> RgbImage {
        let canvas = match self.aspect {
            Aspect::Pad => Canvas::square(picture, self.background()),
            Aspect::Square => Canvas::exact(picture),
        };
        let (width, height) = self.resized(canvas.width, canvas.height);
        let window = Window {
            left: (width - self.size) / 2,
            top: (height - self.size) / 2,
            width: self.size,
            height: self.size,
        };
        resample(&canvas, width, height, &window)
    }

    /// `(level / 255 - mean) / std`, channels first: `[S, S, 3]` to `[3, S, S]`. See
    /// [`normalise`](super::normalise()).
    pub fn normalise(&self, picture: &RgbImage) -> Vec<f32> {
        normalise::normalise(picture, self.mean, self.std)
    }

    /// The colour of the border: `int(255 · mean)`, truncated. Upstream: `process_images`.
    fn background(&self) -> [u8; 3] {
        self.mean.map(|mean| (f64::from(mean) * 255.0) as u8)
    }

    /// Width and height after resizing: the shorter side becomes `size`, the longer one
    /// `int(size · long / short)`. Upstream: `get_resize_output_image_size` of transformers.
    fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        let longer = |long: usize, short: usize| (self.size * long) as f64 / short as f64;
        if width <= height {
            (self.size, longer(height, width) as usize)
        } else {
            (longer(width, height) as usize, self.size)
        }
    }
}
