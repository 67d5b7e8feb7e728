//! Pictures: from the bytes of a file to the floats that a vision tower reads.
//!
//! ```
//! use mobilevlm_processor::{Aspect, Exif, Limits, Preprocessor, decode};
//!
//! # let file = [
//! #     66, 77, 58, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0,
//! #     24, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0,
//! # ];
//! let picture = decode(&file, &Limits::default(), Exif::Apply)?;
//! let preprocessor = Preprocessor {
//!     aspect: Aspect::Pad,
//!     size: 336,
//!     mean: [0.48145466, 0.4578275, 0.40821073],
//!     std: [0.26862954, 0.26130258, 0.27577711],
//! };
//! let prepared = preprocessor.prepare(&picture);
//! assert_eq!((prepared.width, prepared.height), (336, 336));
//! let pixels = preprocessor.normalise(&prepared); // [3, 336, 336]
//! assert_eq!(pixels.len(), 3 * 336 * 336);
//! # Ok::<(), mobilevlm_processor::ImageError>(())
//! ```
//!
//! The steps, one file each: [`decode`] (a file per format), turn by EXIF, [`pad_to_square`],
//! [`resize`], [`center_crop`], [`Preprocessor::normalise`]. All of them give what upstream's
//! Pillow 12 gives, to the last bit: what a model was trained on is what it sees here.

mod bands;
mod bmp;
mod crop;
mod decode;
mod error;
mod exif;
mod gif;
mod indexed;
mod jpeg;
mod limits;
mod normalise;
mod pad;
mod png;
mod preprocess;
mod resize;
mod turn;
mod webp;

pub use crop::center_crop;
pub use decode::{Format, decode};
pub use error::ImageError;
pub use exif::Exif;
pub use limits::Limits;
pub use normalise::normalise;
pub use pad::pad_to_square;
pub use preprocess::{Aspect, Preprocessor};
pub use resize::resize;

/// A picture of 8 bits per channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[height, width, 3]`: red, green, blue, row by row from the top.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// A picture of one colour. Takes `3 · width · height` bytes.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> RgbImage {
        RgbImage {
            width,
            height,
            pixels: colour.repeat(width * height),
        }
    }

    /// The bytes of row `y`: `[width, 3]`.
    ///
    /// # Panics
    /// If `y` is not below the height.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width * 3..][..self.width * 3]
    }
}
