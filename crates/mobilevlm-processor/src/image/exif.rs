//! The one EXIF entry that matters here: which way up the picture is.

use super::Format;

/// Whether a picture is turned as its EXIF orientation says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exif {
    /// Turn it upright, as people see it.
    #[default]
    Apply,
    /// Take the pixels as they are stored, as upstream does.
    Ignore,
}

/// How the stored pixels become upright: the eight values of TIFF's tag 274, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orientation {
    /// 1: as stored.
    Upright,
    /// 2: left and right exchanged.
    FlipHorizontal,
    /// 3: half a turn.
    Rotate180,
    /// 4: top and bottom exchanged.
    FlipVertical,
    /// 5: rows become columns.
    Transpose,
    /// 6: a quarter turn clockwise.
    Rotate90,
    /// 7: rows become columns, from the other corner.
    Transverse,
    /// 8: a quarter turn anticlockwise.
    Rotate270,
}

impl Orientation {
    fn from_tag(value: u16) -> Orientation {
        match value {
            2 => Orientation::FlipHorizontal,
            3 => Orientation::Rotate180,
            4 => Orientation::FlipVertical,
            5 => Orientation::Transpose,
            6 => Orientation::Rotate90,
            7 => Orientation::Transverse,
            8 => Orientation::Rotate270,
            _ => Orientation::Upright,
        }
    }
}

/// The orientation that a file states; upright where it states none, or none that can be read.
pub(crate) fn orientation(format: Format, bytes: &[u8]) -> Orientation {
    let tiff = match format {
        Format::Jpeg => jpeg_exif(bytes),
        Format::Png => png_exif(bytes),
        Format::WebP => webp_exif(bytes),
        Format::Gif | Format::Bmp => None,
    };
    tiff.and_then(tiff_orientation)
        .map_or(Orientation::Upright, Orientation::from_tag)
}

/// The body of the first APP1 segment that holds EXIF.
fn jpeg_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(2..)?;
    loop {
        // Any number of fill bytes may precede a marker.
        while let [0xff, 0xff, ..] = rest {
            rest = &rest[1..];
        }
        let [0xff, marker, high, low, ..] = *rest else {
            return None;
        };
        // From the start of a scan on, and at the end, there are no more headers.
        if matches!(marker, 0xda | 0xd9) {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(4..2 + length)?;
        if marker == 0xe1
            && let Some(tiff) = body.strip_prefix(b"Exif\0\0")
        {
            return Some(tiff);
        }
        rest = rest.get(2 + length..)?;
    }
}

fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = rest.get(4..8)?;
        let body = rest.get(8..8_usize.checked_add(length)?)?;
        if kind == b"eXIf" {
            return Some(body.strip_prefix(b"Exif\0\0").unwrap_or(body));
        }
        rest = rest.get(12 + length..)?;
    }
}

fn webp_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(12..)?;
    loop {
        let kind = rest.get(..4)?;
        let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let body = rest.get(8..8_usize.checked_add(length)?)?;
        if kind == b"EXIF" {
            return Some(body.strip_prefix(b"Exif\0\0").unwrap_or(body));
        }
        rest = rest.get(8 + length.next_multiple_of(2)..)?;
    }
}

/// Tag 274 of the first directory of a TIFF structure.
fn tiff_orientation(tiff: &[u8]) -> Option<u16> {
    const ORIENTATION: u16 = 274;
    let little = match tiff.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let raw = *tiff.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(raw)
        } else {
            u16::from_be_bytes(raw)
        })
    };
    let raw = *tiff.get(4..)?.first_chunk()?;
    let directory = if little {
        u32::from_le_bytes(raw)
    } else {
        u32::from_be_bytes(raw)
    } as usize;
    let entries = usize::from(u16_at(directory)?);
    // Entries of 12 bytes: tag, type, count, and the value where it fits in four bytes.
    (0..entries)
        .map(|entry| directory + 2 + 12 * entry)
        .find(|&at| u16_at(at) == Some(ORIENTATION))
        .and_then(|at| u16_at(at + 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiff(little: bool, value: u16) -> Vec<u8> {
        let u16_bytes = |v: u16| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let u32_bytes = |v: u32| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let mut out = if little {
            b"II".to_vec()
        } else {
            b"MM".to_vec()
        };
        out.extend(u16_bytes(42));
        out.extend(u32_bytes(8));
        out.extend(u16_bytes(2));
        for (tag, value) in [(256, 7), (274, value)] {
            out.extend(u16_bytes(tag));
            out.extend(u16_bytes(3));
            out.extend(u32_bytes(1));
            out.extend(u16_bytes(value));
            out.extend([0, 0]);
        }
        out
    }

    /// `tiff` inside the smallest container of each format.
    fn contained(tiff: &[u8]) -> [(Format, Vec<u8>); 3] {
        let mut jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xe1".to_vec();
        jpeg.extend(u16::try_from(tiff.len() + 8).unwrap().to_be_bytes());
        jpeg.extend(b"Exif\0\0");
        jpeg.extend(tiff);
        let length = u32::try_from(tiff.len()).unwrap();
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x01tEXtx1234".to_vec();
        png.extend(length.to_be_bytes());
        png.extend(b"eXIf");
        png.extend(tiff);
        let mut webp = b"RIFF\0\0\0\0WEBPVP8 \x01\0\0\0x\0EXIF".to_vec();
        webp.extend(length.to_le_bytes());
        webp.extend(tiff);
        [
            (Format::Jpeg, jpeg),
            (Format::Png, png),
            (Format::WebP, webp),
        ]
    }

    #[test]
    fn every_value_is_found_in_every_container_and_byte_order() {
        for little in [false, true] {
            for value in 0..=9 {
                for (format, file) in contained(&tiff(little, value)) {
                    let expected = Orientation::from_tag(value);
                    assert_eq!(
                        orientation(format, &file),
                        expected,
                        "{format} {value} {little}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_truncated_entry_means_upright() {
        for (format, file) in contained(&tiff(true, 6)) {
            for length in 0..file.len() - 4 {
                let found = orientation(format, &file[..length]);
                assert_eq!(found, Orientation::Upright, "{format} cut at {length}");
            }
        }
    }
}
