//! What a picture may cost, checked before memory is taken.

use super::{Format, ImageError};

/// What a picture file may cost. Checked on the header, before anything is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest file, in bytes.
    pub bytes: usize,
    /// Longest side, in pixels.
    pub side: usize,
    /// Most pixels (width times height).
    pub pixels: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 64 << 20,
            side: 16_384,
            pixels: 64_000_000,
        }
    }
}

/// A file must have one byte for this many declared pixels.
///
/// Deflate shrinks 1000 to 1 at best, so every PNG of 8 bits or more per sample, every JPEG and
/// every GIF passes, however plain. One plain colour as WebP, or as PNG with 1 or 2 bits, may not.
const PIXELS_PER_BYTE: usize = 2_000;

/// Pictures of at most this many pixels are exempt from [`PIXELS_PER_BYTE`]: decoding takes at
/// most 16 bytes a pixel, so these fit in the 16 MiB that any file may cost, and a plain icon as
/// WebP (some 40 bytes) is an honest file.
const SMALL: usize = 1 << 20;

impl Limits {
    pub(crate) fn check_bytes(&self, bytes: usize) -> Result<(), ImageError> {
        if bytes > self.bytes {
            return Err(ImageError::TooManyBytes {
                found: bytes,
                limit: self.bytes,
            });
        }
        Ok(())
    }

    /// Checks a declared size against the limits and against the length of its file.
    pub(crate) fn check_size(
        &self,
        format: Format,
        width: usize,
        height: usize,
        file: &[u8],
    ) -> Result<(), ImageError> {
        let sides = 1..=self.side;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(ImageError::Side {
                format,
                width,
                height,
                limit: self.side,
            });
        }
        let pixels = width.saturating_mul(height);
        if pixels > self.pixels {
            return Err(ImageError::TooManyPixels {
                format,
                width,
                height,
                limit: self.pixels,
            });
        }
        let expected = pixels.div_ceil(PIXELS_PER_BYTE);
        if pixels > SMALL && file.len() < expected {
            return Err(ImageError::TooFewBytes {
                format,
                width,
                height,
                expected,
                found: file.len(),
                pixels_per_byte: PIXELS_PER_BYTE,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: usize, height: usize, bytes: usize) -> Result<(), ImageError> {
        Limits::default().check_size(Format::Png, width, height, &vec![0; bytes])
    }

    #[test]
    fn sizes_at_the_limits_pass_and_beyond_them_fail() {
        assert!(check(16_384, 1, 100).is_ok());
        assert!(check(8_000, 8_000, 32_000).is_ok());
        assert!(matches!(
            check(16_385, 1, 100),
            Err(ImageError::Side { .. })
        ));
        assert!(matches!(check(0, 5, 100), Err(ImageError::Side { .. })));
        assert!(matches!(
            check(8_000, 8_001, 40_000),
            Err(ImageError::TooManyPixels { .. })
        ));
        assert!(Limits::default().check_bytes(64 << 20).is_ok());
        assert!(Limits::default().check_bytes((64 << 20) + 1).is_err());
    }

    #[test]
    fn a_large_picture_needs_a_byte_for_each_2000_pixels() {
        assert!(check(2_000, 2_000, 2_000).is_ok());
        let error = check(2_000, 2_000, 1_999).unwrap_err();
        assert!(error.to_string().contains("at least 2000 bytes"), "{error}");
        // 1024x1024 pixels cost 16 MiB at most, which any file may.
        assert!(check(1_024, 1_024, 40).is_ok());
        assert!(check(1_024, 1_025, 40).is_err());
    }
}
