//! What can be wrong with a picture.

use super::Format;

/// Why a picture could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The first bytes belong to no format that is read here.
    #[error(
        "expected a JPEG, PNG, WebP, GIF or BMP picture, found bytes that begin with {found}: \
         convert the picture to one of these formats"
    )]
    UnknownFormat {
        /// The first bytes, in hexadecimal.
        found: String,
    },
    /// The file is longer than [`Limits::bytes`](super::Limits::bytes).
    #[error("picture: expected at most {limit} bytes, found {found}: raise the limit or shrink it")]
    TooManyBytes {
        /// Length of the file in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A side is zero or longer than [`Limits::side`](super::Limits::side).
    #[error(
        "{format} header: expected sides of 1 to {limit} pixels, found {width}x{height}: \
         raise the limit or shrink the picture"
    )]
    Side {
        /// The file's format.
        format: Format,
        /// Declared width in pixels.
        width: usize,
        /// Declared height in pixels.
        height: usize,
        /// The limit in pixels.
        limit: usize,
    },
    /// More pixels than [`Limits::pixels`](super::Limits::pixels).
    #[error(
        "{format} header: expected at most {limit} pixels, found {width}x{height}: \
         raise the limit or shrink the picture"
    )]
    TooManyPixels {
        /// The file's format.
        format: Format,
        /// Declared width in pixels.
        width: usize,
        /// Declared height in pixels.
        height: usize,
        /// The limit in pixels.
        limit: usize,
    },
    /// The file is far too short for the size that its header declares.
    #[error(
        "{format} header: {width}x{height} pixels need at least {expected} bytes of file (one per \
         {pixels_per_byte} pixels), found {found}: the file is damaged, made to exhaust memory, or \
         one plain colour; save it smaller or in another format"
    )]
    TooFewBytes {
        /// The file's format.
        format: Format,
        /// Declared width in pixels.
        width: usize,
        /// Declared height in pixels.
        height: usize,
        /// Least length of such a file in bytes.
        expected: usize,
        /// Length of the file in bytes.
        found: usize,
        /// The share that the least length follows from.
        pixels_per_byte: usize,
    },
    /// The file ends before the picture does.
    #[error(
        "{format}: the file ends at byte {length}, inside {part}: it was cut off; copy it again"
    )]
    Truncated {
        /// The file's format.
        format: Format,
        /// Length of the file in bytes.
        length: usize,
        /// What was being read.
        part: &'static str,
    },
    /// The file breaks a rule of its format.
    #[error("{format}: {problem}: the file is damaged")]
    Malformed {
        /// The file's format.
        format: Format,
        /// What was expected and found, and where.
        problem: String,
    },
    /// The file uses a part of its format that is not read here.
    #[error("{format}: {feature} is not supported: save the picture in a common variant")]
    Unsupported {
        /// The file's format.
        format: Format,
        /// The part of the format.
        feature: String,
    },
}
