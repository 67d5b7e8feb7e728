//! JPEG, equal to libjpeg-turbo to the last bit.
//!
//! Pictures reached the trained model through libjpeg-turbo, and decoders differ by a few levels
//! in the inverse transform, in how chroma is enlarged and in the colour conversion. This one
//! computes what libjpeg-turbo does with its default settings (accurate integer transform,
//! triangle filter), for Huffman-coded baseline, extended and progressive files of 8 bits.
//!
//! The ways of the bytes: [`header`] reads segments, [`scan`] turns [`bits`] into coefficients by
//! way of [`huffman`] codes, [`idct`] coefficients into a plane of samples per component,
//! [`upsample`] planes into rows of full width, [`colour`] those into RGB.

mod bits;
mod colour;
mod frame;
mod header;
mod huffman;
mod idct;
mod scan;
mod upsample;

use self::colour::Colours;
use self::header::{Next, Reader};
use super::{Format, ImageError, Limits, RgbImage, bands};

/// The most scans that a file may have. Encoders write ten or so; each scan visits the whole
/// picture, however few bytes it has, so a file of thousands would take minutes.
const MAX_SCANS: usize = 256;

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    let mut reader = Reader::new(bytes, limits)?;
    let mut scans = 0;
    while let Next::Scan(scan) = reader.next()? {
        scans += 1;
        if scans > MAX_SCANS {
            return Err(malformed(format!(
                "expected at most {MAX_SCANS} scans, found more"
            )));
        }
        reader.read_scan(&scan)?;
    }
    let colours = Colours::guess(reader.frame()?, reader.jfif, reader.adobe);
    let mut frame = reader.into_frame()?;
    frame.transform()?;
    let mut picture = RgbImage {
        width: frame.width,
        height: frame.height,
        // Zeros that cost nothing before the threads below write over them.
        pixels: vec![0; frame.width * frame.height * 3],
    };
    let (stride, work) = (frame.width * 3, picture.pixels.len());
    bands::fill(&mut picture.pixels, stride, work, |first, lines| {
        let mut rows = vec![vec![0; frame.width]; frame.components.len()];
        let mut sums = vec![0; frame.width];
        for (y, out) in (first..).zip(lines.chunks_exact_mut(stride)) {
            for (component, row) in frame.components.iter().zip(&mut rows) {
                upsample::row(&frame, component, y, &mut sums, row);
            }
            colours.convert(&rows, out);
        }
    });
    Ok(picture)
}

fn malformed(problem: String) -> ImageError {
    ImageError::Malformed {
        format: Format::Jpeg,
        problem,
    }
}

fn unsupported(feature: String) -> ImageError {
    ImageError::Unsupported {
        format: Format::Jpeg,
        feature,
    }
}
