//! Windows bitmaps, as Pillow's `BmpImagePlugin` reads them.
//!
//! Where Pillow is plainly wrong (skips in run-length coding, absolute runs of an odd number of
//! 4-bit pixels), the format's rules are followed instead.

use super::indexed::{Palette, sample};
use super::{Format, ImageError, Limits, RgbImage};

const FORMAT: Format = Format::Bmp;

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    let header = Header::parse(bytes)?;
    limits.check_size(FORMAT, header.width, header.height, bytes)?;
    let data = bytes.get(header.data..).unwrap_or_default();
    let mut picture = RgbImage::filled(header.width, header.height, [0; 3]);
    match header.layout {
        Layout::Indexed { bits } => {
            let palette = header.palette(bytes);
            header.rows(bytes, data, bits, &mut picture, |row, x| {
                palette.0[usize::from(sample(row, bits, x))]
            })?;
        }
        Layout::RunLength { bits } => {
            let palette = header.palette(bytes);
            let indices = run_lengths(bytes, data, bits, header.width, header.height)?;
            header.rows(bytes, &indices, 8, &mut picture, |row, x| {
                palette.0[usize::from(row[x])]
            })?;
        }
        Layout::Bits16 { green } => {
            header.rows(bytes, data, 16, &mut picture, |row, x| {
                let pixel = u32::from(u16::from_le_bytes([row[2 * x], row[2 * x + 1]]));
                let field = |shift: u32, bits: u32| {
                    let most = (1 << bits) - 1;
                    (((pixel >> shift) & most) * 255 / most) as u8
                };
                [field(5 + green, 5), field(5, green), field(0, 5)]
            })?;
        }
        Layout::Bytes { stride, rgb } => {
            header.rows(bytes, data, 8 * stride, &mut picture, |row, x| {
                rgb.map(|at| row[stride * x + at])
            })?;
        }
    }
    Ok(picture)
}

/// What the headers say, checked.
struct Header {
    width: usize,
    height: usize,
    /// The first stored row is the top one.
    top_down: bool,
    layout: Layout,
    /// Where the palette begins, its colours, and the bytes of each: blue, green, red, and one
    /// unused byte where there are four.
    palette: usize,
    colours: usize,
    colour_bytes: usize,
    /// Where the pixels begin.
    data: usize,
}

/// How pixels are stored.
enum Layout {
    /// 1, 4 or 8 bits that number a colour.
    Indexed { bits: usize },
    /// The same with 4 or 8 bits, as runs.
    RunLength { bits: usize },
    /// 16 bits: five for red and blue, `green` for green.
    Bits16 { green: u32 },
    /// `stride` bytes, of which those at `rgb` are red, green and blue.
    Bytes { stride: usize, rgb: [usize; 3] },
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Header, ImageError> {
        let u16_at = |at: usize| {
            let raw = bytes.get(at..).and_then(|rest| rest.first_chunk());
            let &raw = raw.ok_or_else(|| truncated(bytes, "the header"))?;
            Ok::<_, ImageError>(usize::from(u16::from_le_bytes(raw)))
        };
        let u32_at = |at: usize| Ok::<_, ImageError>(u16_at(at)? | u16_at(at + 2)? << 16);

        let size = u32_at(14)?;
        let end = 14 + size;
        let (width, height, top_down, bits, compression, colours, colour_bytes) = match size {
            12 => (u16_at(18)?, u16_at(20)?, false, u16_at(24)?, 0, 0, 3),
            40 | 52 | 56 | 64 | 108 | 124 => {
                let height = u32_at(22)?;
                // As Pillow: only heights above -2^24 count as negative, beyond which no limit is.
                let top_down = height >> 24 == 0xff;
                let height = if top_down { (1 << 32) - height } else { height };
                let (bits, compression) = (u16_at(28)?, u32_at(30)?);
                (
                    u32_at(18)?,
                    height,
                    top_down,
                    bits,
                    compression,
                    u32_at(46)?,
                    4,
                )
            }
            other => return Err(unsupported(format!("a header of {other} bytes"))),
        };
        let colours = match colours {
            0 if bits <= 8 => 1 << bits,
            given => given,
        };
        let layout = match (compression, bits) {
            (0, 1 | 4 | 8) => Layout::Indexed { bits },
            (0, 16) => Layout::Bits16 { green: 5 },
            (0, 24) => bgr(3),
            (0, 32) => bgr(4),
            (1, 8) | (2, 4) => Layout::RunLength { bits },
            (3, _) => {
                // Inside the larger headers, or right behind the smallest: the same place.
                let alpha = if size >= 56 { u32_at(66)? } else { 0 };
                bit_fields(bits, [u32_at(54)?, u32_at(58)?, u32_at(62)?, alpha])?
            }
            _ => {
                let feature = format!("compression {compression} with {bits} bits per pixel");
                return Err(unsupported(feature));
            }
        };
        if bits <= 8 && !(1..=65_536).contains(&colours) {
            return Err(malformed(format!(
                "header, offset 46: expected 1 to 65536 colours, found {colours}"
            )));
        }
        let data = match u32_at(10)? {
            0 if bits <= 8 => end + colours * colour_bytes,
            0 if compression == 3 && size == 40 => end + 12,
            0 => end,
            // Some writers forget that the palette comes first.
            given if given == end && bits <= 8 => end + 4 * colours,
            given => given,
        };
        Ok(Header {
            width,
            height,
            top_down,
            layout,
            palette: end,
            colours,
            colour_bytes,
            data,
        })
    }

    fn palette(&self, bytes: &[u8]) -> Palette {
        let stored = bytes.get(self.palette..).unwrap_or_default();
        let colours = stored
            .chunks_exact(self.colour_bytes)
            .take(self.colours.min(256));
        let rgb: Vec<u8> = colours.flat_map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect();
        Palette::new_or_gray(&rgb)
    }

    /// Fills the picture from rows of `bits` per pixel that are padded to four bytes.
    fn rows(
        &self,
        bytes: &[u8],
        data: &[u8],
        bits: usize,
        picture: &mut RgbImage,
        pixel: impl Fn(&[u8], usize) -> [u8; 3],
    ) -> Result<(), ImageError> {
        let length = (self.width * bits).div_ceil(8);
        let stride = length.next_multiple_of(4);
        for stored in 0..self.height {
            let row = data
                .get(stored * stride..)
                .and_then(|rest| rest.get(..length));
            let row = row.ok_or_else(|| truncated(bytes, "the pixels"))?;
            let y = if self.top_down {
                stored
            } else {
                self.height - 1 - stored
            };
            let out = &mut picture.pixels[y * self.width * 3..][..self.width * 3];
            for (x, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
                *out = pixel(row, x);
            }
        }
        Ok(())
    }
}

fn bgr(stride: usize) -> Layout {
    Layout::Bytes {
        stride,
        rgb: [2, 1, 0],
    }
}

/// The layouts that Pillow knows, by the masks of red, green, blue and alpha.
fn bit_fields(bits: usize, masks: [usize; 4]) -> Result<Layout, ImageError> {
    let rgb = match (bits, masks) {
        (16, [0xf800, 0x07e0, 0x001f, _]) => return Ok(Layout::Bits16 { green: 6 }),
        (16, [0x7c00, 0x03e0, 0x001f, _]) => return Ok(Layout::Bits16 { green: 5 }),
        (24, [0xff_0000, 0xff00, 0xff, _]) => return Ok(bgr(3)),
        (32, [0xff_0000, 0xff00, 0xff, 0 | 0xff00_0000] | [0, 0, 0, 0]) => [2, 1, 0],
        (32, [0xff00_0000, 0xff_0000, 0xff00, 0 | 0xff]) => [3, 2, 1],
        (32, [0xff00_0000, 0xff00, 0xff, 0 | 0xff_0000]) => [3, 1, 0],
        (32, [0xff, 0xff00, 0xff_0000, 0xff00_0000]) => [0, 1, 2],
        _ => {
            let [r, g, b, a] = masks;
            let feature = format!("{bits} bits with masks {r:08x} {g:08x} {b:08x} {a:08x}");
            return Err(unsupported(feature));
        }
    };
    Ok(Layout::Bytes { stride: 4, rgb })
}

/// Expands runs to one byte per pixel, rows padded to four bytes as in a plain bitmap.
fn run_lengths(
    bytes: &[u8],
    data: &[u8],
    bits: usize,
    width: usize,
    height: usize,
) -> Result<Vec<u8>, ImageError> {
    let cut = || truncated(bytes, "the runs");
    let stride = width.next_multiple_of(4);
    let mut indices = vec![0; stride * height];
    let (mut x, mut y) = (0, 0);
    let mut data = data.iter().copied();
    let mut next = || data.next().ok_or_else(cut);
    // A run that would leave its row is clipped, as in Pillow.
    let mut put = |x: usize, y: usize, index: u8| {
        if x < width && y < height {
            indices[y * stride + x] = index;
        }
    };
    while y < height && !(y + 1 == height && x >= width) {
        let (count, value) = (next()?, next()?);
        match (count, value) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => {
                return Err(malformed(format!(
                    "expected {height} rows of {width} pixels, found the end in row {y} at {x}"
                )));
            }
            (0, 2) => {
                x += usize::from(next()?);
                y += usize::from(next()?);
            }
            (0, count) => {
                let count = usize::from(count);
                let length = (count * bits).div_ceil(8);
                for at in 0..length.next_multiple_of(2) {
                    let byte = next()?;
                    let run = (at * 8 / bits..count).take(8 / bits);
                    for (part, pixel) in run.enumerate() {
                        put(x + pixel, y, sample(&[byte], bits, part));
                    }
                }
                x += count;
            }
            (count, value) => {
                let count = usize::from(count);
                for pixel in 0..count {
                    put(x + pixel, y, sample(&[value], bits, pixel % (8 / bits)));
                }
                x = width.min(x + count);
            }
        }
    }
    Ok(indices)
}

fn truncated(bytes: &[u8], part: &'static str) -> ImageError {
    ImageError::Truncated {
        format: FORMAT,
        length: bytes.len(),
        part,
    }
}

fn malformed(problem: String) -> ImageError {
    ImageError::Malformed {
        format: FORMAT,
        problem,
    }
}

fn unsupported(feature: String) -> ImageError {
    ImageError::Unsupported {
        format: FORMAT,
        feature,
    }
}
