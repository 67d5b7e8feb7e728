//! From the bytes of a picture file to pixels, as upstream's Pillow reads them.

use mobilevlm::{Error, Exif, Limits, Picture, RgbImage};

/// Who decodes JPEG in this build.
pub const JPEG_DECODER: &str = if cfg!(feature = "libjpeg-turbo") {
    "libjpeg-turbo"
} else {
    "built in"
};

/// Decodes a picture file: `[H, W, 3]`, alpha dropped, of an animation the first frame.
///
/// EXIF is ignored, as upstream's evaluation does: `Image.open(file).convert("RGB")`. With the
/// feature `libjpeg-turbo` that library decodes JPEGs; the built-in decoder gives the same pixels
/// and takes over where the library does not go: CMYK, and files that are damaged or too large,
/// about which it says what is wrong.
///
/// # Errors
/// [`Error::Picture`] for what is no picture, is damaged, or exceeds the limits for pictures.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    let limits = Limits::default();
    #[cfg(feature = "libjpeg-turbo")]
    if let Some(image) = libjpeg::decode(bytes, &limits) {
        return Ok(image);
    }
    let picture = Picture::decode(bytes, &limits, Exif::Ignore)?;
    Ok(picture.image().clone())
}

/// JPEG by way of libjpeg-turbo, the library that Pillow decodes with.
#[cfg(feature = "libjpeg-turbo")]
mod libjpeg {
    use mobilevlm::{Limits, RgbImage};
    use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

    /// Scans that a progressive file may have: each visits the whole picture, however few bytes
    /// it has.
    const MAX_SCANS: u32 = 256;

    /// The pixels, or `None` for what the built-in decoder has to judge.
    ///
    /// The library's own settings are Pillow's: the accurate integer transform, smooth chroma.
    pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Option<RgbImage> {
        if !bytes.starts_with(b"\xff\xd8\xff") || bytes.len() > limits.bytes {
            return None;
        }
        let mut decompressor = Decompressor::new().ok()?;
        decompressor.set_scan_limit(MAX_SCANS).ok()?;
        let header = decompressor.read_header(bytes).ok()?;
        let (width, height) = (header.width, header.height);
        let sides = 1..=limits.side;
        if matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK)
            || !sides.contains(&width)
            || !sides.contains(&height)
            || width * height
                > limits
                    .pixels
                    .min(bytes.len().saturating_mul(PIXELS_PER_BYTE))
        {
            return None;
        }
        let mut pixels = vec![0; 3 * width * height];
        let output = Image {
            pixels: &mut pixels[..],
            width,
            pitch: 3 * width,
            height,
            format: PixelFormat::RGB,
        };
        decompressor.decompress(bytes, output).ok()?;
        Some(RgbImage {
            width,
            height,
            pixels,
        })
    }

    /// A byte of a JPEG declares no more pixels than this: one bit for a block of 16 x 16.
    const PIXELS_PER_BYTE: usize = 2_048;
}
