//! The first frame of a GIF, on its screen, through the `gif` crate.

use std::io::{Cursor, Read};

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::indexed::Palette;
use super::{Format, ImageError, Limits, RgbImage};

const FORMAT: Format = Format::Gif;

/// Decodes the first frame. The screen grows where the frame reaches beyond it; what the frame
/// leaves free shows the transparent colour, else colour 0. Upstream: Pillow's
/// `GifImageFile._seek` and `load_prepare` for frame 0.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Unlimited); // the limits are checked here instead
    let mut decoder = options
        .read_info(with_global_palette(bytes))
        .map_err(|error| explain(bytes, error, "the header"))?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder
        .next_frame_info()
        .map_err(|error| explain(bytes, error, "the first frame's header"))?
        .ok_or_else(|| malformed("expected a frame, found none".to_owned()))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (columns, rows) = (usize::from(frame.width), usize::from(frame.height));
    let background = usize::from(frame.transparent.unwrap_or(0));
    let local = frame.palette.clone();
    let width = screen.0.max(left + columns);
    let height = screen.1.max(top + rows);
    limits.check_size(FORMAT, width, height, bytes)?;

    let global = Palette::new_or_gray(decoder.global_palette().unwrap_or_default());
    let colours = match local.map(|stored| Palette::new_or_gray(&stored)) {
        // Pillow takes a gray local palette for none.
        Some(local) if local != Palette::gray() => local,
        _ => global,
    };
    let mut indices = vec![0; columns * rows];
    decoder
        .read_into_buffer(&mut indices)
        .map_err(|error| explain(bytes, error, "the pixels"))?;

    let mut picture = RgbImage::filled(width, height, colours.0[background]);
    if columns > 0 {
        for (y, row) in indices.chunks_exact(columns).enumerate() {
            let at = ((top + y) * width + left) * 3;
            let out = picture.pixels[at..at + columns * 3].as_chunks_mut().0;
            for (pixel, &index) in out.iter_mut().zip(row) {
                *pixel = colours.0[usize::from(index)];
            }
        }
    }
    Ok(picture)
}

/// The file, with a gray ramp as its global palette if it has none. The crate refuses a frame
/// without any palette, which Pillow opens as gray.
fn with_global_palette(bytes: &[u8]) -> impl Read {
    /// Flag: a global palette follows the header.
    const GLOBAL: u8 = 0x80;
    let (header, rest) = bytes.split_at(bytes.len().min(13));
    let mut head = header.to_vec();
    if let Some(flags) = head.get_mut(10)
        && *flags & GLOBAL == 0
    {
        *flags |= GLOBAL | 7; // 2^(7 + 1) colours
        if header.len() == 13 {
            head.extend(Palette::gray().0.as_flattened());
        }
    }
    Cursor::new(head).chain(rest)
}

fn explain(bytes: &[u8], error: DecodingError, part: &'static str) -> ImageError {
    match error {
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated {
                format: FORMAT,
                length: bytes.len(),
                part,
            }
        }
        other => malformed(format!("{part}: {other}")),
    }
}

fn malformed(problem: String) -> ImageError {
    ImageError::Malformed {
        format: FORMAT,
        problem,
    }
}
