//! WebP: the still picture, or the first frame of an animation. Lossy bitstreams go through the
//! `image-webp` crate, lossless ones through [`lossless`].

mod lossless;
mod partitions;

use image_webp::{DecodingError, WebPDecoder};

use self::lossless::Problem;
use super::{Format, ImageError, Limits, RgbImage};

const FORMAT: Format = Format::WebP;

/// Decodes a WebP file.
///
/// The container is read here, so that the size is checked before the crate allocates and alpha
/// planes, which nobody sees, are not decoded. The picture's own bitstream then goes to the crate
/// in a container of the simplest kind. What the first frame of an animation leaves free is black:
/// upstream's decoder begins with transparent black, and alpha is dropped.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    let body = bytes.get(12..).unwrap_or_default();
    let mut canvas = None;
    for chunk in chunks(bytes, body) {
        let chunk = chunk?;
        match &chunk.kind {
            b"VP8X" => canvas = Some(size_24(bytes, chunk.body, 4)?),
            b"ANMF" => {
                let (left, top) = (
                    2 * u24(bytes, chunk.body, 0)?,
                    2 * u24(bytes, chunk.body, 3)?,
                );
                let frame = chunk.body.get(16..).ok_or_else(|| truncated(bytes))?;
                let (width, height) = canvas.unwrap_or(size_24(bytes, chunk.body, 6)?);
                limits.check_size(FORMAT, width, height, bytes)?;
                for chunk in chunks(bytes, frame) {
                    let chunk = chunk?;
                    if chunk.is_picture() {
                        let picture = chunk.decode(bytes, limits)?;
                        return place(&picture, left, top, width, height);
                    }
                }
                return Err(malformed(
                    "expected a picture in the first frame, found none",
                ));
            }
            _ if chunk.is_picture() => {
                let picture = chunk.decode(bytes, limits)?;
                return match canvas {
                    Some(canvas) if canvas != (picture.width, picture.height) => {
                        Err(malformed(format!(
                            "expected a picture of {}x{} as in VP8X, found {}x{}",
                            canvas.0, canvas.1, picture.width, picture.height
                        )))
                    }
                    _ => Ok(picture),
                };
            }
            _ => {}
        }
    }
    Err(truncated(bytes))
}

/// A frame on its canvas, the rest black.
fn place(
    frame: &RgbImage,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
) -> Result<RgbImage, ImageError> {
    if left + frame.width > width || top + frame.height > height {
        return Err(malformed(format!(
            "expected the first frame within {width}x{height}, found {}x{} at ({left}, {top})",
            frame.width, frame.height
        )));
    }
    let mut picture = RgbImage::filled(width, height, [0; 3]);
    for y in 0..frame.height {
        let at = ((top + y) * width + left) * 3;
        picture.pixels[at..at + frame.width * 3].copy_from_slice(frame.row(y));
    }
    Ok(picture)
}

/// The chunks of a RIFF body, in order. `bytes` is the whole file, for errors.
fn chunks<'a>(bytes: &'a [u8], rest: &'a [u8]) -> Chunks<'a> {
    Chunks { bytes, rest }
}

struct Chunks<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
}

struct Chunk<'a> {
    kind: [u8; 4],
    body: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let &kind = self.rest.first_chunk()?;
        let length = self.rest.get(4..).and_then(|rest| rest.first_chunk());
        let length = length.map(|&raw| u32::from_le_bytes(raw) as usize);
        let end = length.and_then(|length| length.checked_add(8));
        let Some(body) = end.and_then(|end| self.rest.get(8..end)) else {
            self.rest = &[];
            return Some(Err(truncated(self.bytes)));
        };
        let next = 8 + body.len().next_multiple_of(2);
        self.rest = self.rest.get(next..).unwrap_or_default();
        Some(Ok(Chunk { kind, body }))
    }
}

impl Chunk<'_> {
    fn is_picture(&self) -> bool {
        matches!(&self.kind, b"VP8 " | b"VP8L")
    }

    /// Decodes a `VP8 ` or `VP8L` bitstream.
    fn decode(&self, bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
        let (width, height) = self.size(bytes)?;
        limits.check_size(FORMAT, width, height, bytes)?;

        if &self.kind == b"VP8L" {
            let pixels = lossless::decode(self.body, width, height);
            let pixels = pixels.map_err(|problem| match problem {
                Problem::Truncated => truncated(bytes),
                Problem::Broken(rule) => malformed(format!("the pixels: {rule}")),
            })?;
            return Ok(RgbImage {
                width,
                height,
                pixels,
            });
        }

        if !partitions::are_whole(self.body) {
            return Err(truncated(bytes));
        }
        let length = self.body.len().next_multiple_of(2);
        let mut file = Vec::with_capacity(20 + length);
        file.extend(b"RIFF");
        file.extend((12 + length as u32).to_le_bytes());
        file.extend(b"WEBP");
        file.extend(self.kind);
        file.extend((self.body.len() as u32).to_le_bytes());
        file.extend(self.body);
        file.resize(20 + length, 0);
        let explain = |error: DecodingError| match error {
            DecodingError::IoError(_) | DecodingError::BitStreamError => truncated(bytes),
            other => malformed(format!("the pixels: {other}")),
        };
        let mut decoder = WebPDecoder::new(std::io::Cursor::new(file)).map_err(explain)?;
        let mut pixels = vec![0; width * height * 3];
        decoder.read_image(&mut pixels).map_err(explain)?;
        Ok(RgbImage {
            width,
            height,
            pixels,
        })
    }

    /// Width and height from the head of the bitstream.
    fn size(&self, bytes: &[u8]) -> Result<(usize, usize), ImageError> {
        let u16_at = |at: usize| {
            let raw = self.body.get(at..).and_then(|rest| rest.first_chunk());
            let &raw = raw.ok_or_else(|| truncated(bytes))?;
            Ok(usize::from(u16::from_le_bytes(raw)))
        };
        if &self.kind == b"VP8 " {
            // Frame tag and start code, then 14 bits each with two bits of scale above.
            return Ok((u16_at(6)? & 0x3fff, u16_at(8)? & 0x3fff));
        }
        let bits = u16_at(1)? | (u16_at(3)? << 16);
        Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
    }
}

fn u24(bytes: &[u8], body: &[u8], at: usize) -> Result<usize, ImageError> {
    let raw = body.get(at..at + 3).ok_or_else(|| truncated(bytes))?;
    Ok(usize::from(raw[0]) | usize::from(raw[1]) << 8 | usize::from(raw[2]) << 16)
}

/// Two lengths of 24 bits, each stored less one.
fn size_24(bytes: &[u8], body: &[u8], at: usize) -> Result<(usize, usize), ImageError> {
    Ok((u24(bytes, body, at)? + 1, u24(bytes, body, at + 3)? + 1))
}

fn truncated(bytes: &[u8]) -> ImageError {
    ImageError::Truncated {
        format: FORMAT,
        length: bytes.len(),
        part: "the picture's data",
    }
}

fn malformed(problem: impl Into<String>) -> ImageError {
    ImageError::Malformed {
        format: FORMAT,
        problem: problem.into(),
    }
}
