//! PNG through the `png` crate, colours as Pillow converts them.

use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};

use super::indexed::{Palette, sample};
use super::{Format, ImageError, Limits, RgbImage};

const FORMAT: Format = Format::Png;

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    // The size stands at a fixed place, and is checked before the crate sees the file.
    let side = |at: usize| {
        let raw = bytes.get(at..).and_then(|rest| rest.first_chunk());
        raw.map(|&raw| u32::from_be_bytes(raw) as usize)
            .ok_or_else(|| truncated(bytes, "the header"))
    };
    let (width, height) = (side(16)?, side(20)?);
    limits.check_size(FORMAT, width, height, bytes)?;

    let mut decoder = Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder
        .read_info()
        .map_err(|error| explain(bytes, &error, "the header"))?;
    let info = reader.info();
    let (color, depth) = (info.color_type, info.bit_depth);
    let colours = Palette::new(info.palette.as_deref().unwrap_or_default());

    let length = reader
        .output_buffer_size()
        .ok_or_else(|| malformed(format!("{width}x{height} pixels do not fit in memory")))?;
    let mut raw = vec![0; length];
    let frame = reader
        .next_frame(&mut raw)
        .map_err(|error| explain(bytes, &error, "the pixels"))?;
    if (frame.width as usize, frame.height as usize) != (width, height) {
        return Err(malformed(format!(
            "expected {width}x{height} pixels as in the header, found {}x{}",
            frame.width, frame.height
        )));
    }

    let mut picture = RgbImage::filled(width, height, [0; 3]);
    let rows = raw.chunks_exact(frame.line_size);
    for (row, out) in rows.zip(picture.pixels.chunks_exact_mut(width * 3)) {
        convert_row(color, depth, &colours, row, out);
    }
    Ok(picture)
}

/// One row of samples as stored to RGB, as Pillow's modes and `convert("RGB")` do in turn.
fn convert_row(color: ColorType, depth: BitDepth, colours: &Palette, row: &[u8], out: &mut [u8]) {
    let wide = depth == BitDepth::Sixteen;
    let pixels = out.as_chunks_mut::<3>().0;
    match color {
        ColorType::Grayscale if wide => {
            // Mode `I;16` becomes 8 bits by clipping: nearly everything turns white.
            for (pixel, sample) in pixels.iter_mut().zip(row.as_chunks().0) {
                let level = u16::from_be_bytes(*sample).min(255);
                *pixel = [level as u8; 3];
            }
        }
        ColorType::Grayscale => {
            let most = (1_u16 << depth as u8) - 1;
            for (x, pixel) in pixels.iter_mut().enumerate() {
                *pixel = [(sample(row, depth as usize, x) * (255 / most) as u8); 3];
            }
        }
        ColorType::Indexed => {
            for (x, pixel) in pixels.iter_mut().enumerate() {
                *pixel = colours.0[usize::from(sample(row, depth as usize, x))];
            }
        }
        // Alpha is dropped, and 16 bits keep the high byte.
        ColorType::GrayscaleAlpha => {
            let stride = if wide { 4 } else { 2 };
            for (pixel, stored) in pixels.iter_mut().zip(row.chunks_exact(stride)) {
                *pixel = [stored[0]; 3];
            }
        }
        ColorType::Rgb | ColorType::Rgba => {
            let step = if wide { 2 } else { 1 };
            let stride = step * color.samples();
            for (pixel, stored) in pixels.iter_mut().zip(row.chunks_exact(stride)) {
                *pixel = [stored[0], stored[step], stored[2 * step]];
            }
        }
    }
}

fn explain(bytes: &[u8], error: &DecodingError, part: &'static str) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            truncated(bytes, part)
        }
        other => malformed(format!("{part}: {other}")),
    }
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
