//! From a file's bytes to pixels: finds the format, decodes, turns.

use super::exif::Exif;
use super::{ImageError, Limits, RgbImage, bmp, exif, gif, jpeg, png, turn, webp};

/// A picture format that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG: baseline, extended and progressive, Huffman coded, 8 bits.
    Jpeg,
    /// PNG, every colour type and depth. Of an animation, the default picture.
    Png,
    /// WebP, lossy and lossless. Of an animation, the first frame.
    WebP,
    /// GIF: the first frame on its screen.
    Gif,
    /// Windows bitmap: 1, 4, 8, 16, 24 and 32 bits, run lengths, bit fields.
    Bmp,
}

impl Format {
    /// The format that `bytes` begin like, or `None`.
    pub fn guess(bytes: &[u8]) -> Option<Format> {
        if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Format::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Format::Png)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Format::Gif)
        } else if bytes.starts_with(b"BM") {
            Some(Format::Bmp)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Format::WebP)
        } else {
            None
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::WebP => "WebP",
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
        })
    }
}

/// Decodes a picture file as Pillow's `Image.open(file).convert("RGB")` does.
///
/// Alpha is dropped, not blended; 16-bit gray is clipped at 255 and 16-bit colour keeps its high
/// bytes; colour profiles are not applied; of an animation the first frame is used. With
/// [`Exif::Apply`] the picture is then turned upright, as `ImageOps.exif_transpose` does.
///
/// JPEG is equal to libjpeg-turbo's, lossy WebP to libwebp's to within a level or two. Takes at
/// most the file's length, 16 MiB and 16 bytes per declared pixel. Reads `bytes` and nothing else,
/// so it is also the entry point for fuzzing.
///
/// # Errors
/// [`ImageError`]: an unknown format, a limit exceeded, a damaged or truncated file. A damaged
/// picture is never filled up with gray.
pub fn decode(bytes: &[u8], limits: &Limits, exif: Exif) -> Result<RgbImage, ImageError> {
    limits.check_bytes(bytes.len())?;
    let Some(format) = Format::guess(bytes) else {
        let head = bytes.iter().take(8).map(|byte| format!("{byte:02x}"));
        let found = match bytes {
            [] => "nothing".to_owned(),
            _ => head.collect::<Vec<_>>().join(" "),
        };
        return Err(ImageError::UnknownFormat { found });
    };
    let picture = match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Png => png::decode(bytes, limits),
        Format::WebP => webp::decode(bytes, limits),
        Format::Gif => gif::decode(bytes, limits),
        Format::Bmp => bmp::decode(bytes, limits),
    }?;
    Ok(match exif {
        Exif::Apply => turn::turn(picture, exif::orientation(format, bytes)),
        Exif::Ignore => picture,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bytes_are_named() {
        let error = decode(b"%PDF-1.7 etc", &Limits::default(), Exif::Apply).unwrap_err();
        assert!(error.to_string().contains("25 50 44 46 2d"), "{error}");
        let error = decode(b"", &Limits::default(), Exif::Apply).unwrap_err();
        assert!(error.to_string().contains("nothing"), "{error}");
    }
}
