//! What a picture file declares and may therefore cost, read here once more and on purpose not
//! with the code under test.

/// Bytes that decoding may hold at once for each declared pixel.
const PER_PIXEL: u64 = 16;

/// A file of fewer bytes than one for so many declared pixels is to be refused before anything is
/// allocated for them.
const PIXELS_PER_BYTE: u64 = 2000;

/// What decoding `file` may cost beyond what any file may, in bytes.
pub(super) fn cost(file: &[u8], declared: Option<(u64, u64)>) -> u64 {
    let pixels = declared.map_or(0, |(width, height)| width.saturating_mul(height));
    if pixels <= file.len() as u64 * PIXELS_PER_BYTE {
        pixels * PER_PIXEL
    } else {
        0
    }
}

/// Width and height in a PNG's first chunk.
pub(super) fn png(file: &[u8]) -> Option<(u64, u64)> {
    Some((big(file, 16, 4)?, big(file, 20, 4)?))
}

/// Width and height in a JPEG's first frame header.
pub(super) fn jpeg(file: &[u8]) -> Option<(u64, u64)> {
    let mut at = 2;
    loop {
        at += usize::from(*file.get(at)? != 0xff);
        while *file.get(at)? == 0xff {
            at += 1;
        }
        match file[at] {
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => return Some((big(file, at + 6, 2)?, big(file, at + 4, 2)?)),
            0x01 | 0xd0..=0xd8 => {
                at += 1;
                continue;
            }
            _ => {}
        }
        at += 1 + big(file, at + 1, 2)? as usize;
    }
}

/// Width and height in a WebP's first chunk: of the canvas, or of the only picture.
pub(super) fn webp(file: &[u8]) -> Option<(u64, u64)> {
    match file.get(12..16)? {
        b"VP8X" => Some((little(file, 24, 3)? + 1, little(file, 27, 3)? + 1)),
        b"VP8L" => {
            let bits = little(file, 21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => Some((little(file, 26, 2)? & 0x3fff, little(file, 28, 2)? & 0x3fff)),
    }
}

/// Width and height of a GIF's screen, made larger where its first frame reaches beyond.
pub(super) fn gif(file: &[u8]) -> Option<(u64, u64)> {
    let screen = (little(file, 6, 2)?, little(file, 8, 2)?);
    let flags = *file.get(10)?;
    let mut at = 13
        + if flags & 0x80 == 0 {
            0
        } else {
            3 << ((flags & 7) + 1)
        };
    while *file.get(at)? == b'!' {
        at += 2;
        loop {
            let length = usize::from(*file.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
    if file[at] != b',' {
        return Some(screen);
    }
    let right = little(file, at + 1, 2)? + little(file, at + 5, 2)?;
    let bottom = little(file, at + 3, 2)? + little(file, at + 7, 2)?;
    Some((screen.0.max(right), screen.1.max(bottom)))
}

/// Width and height in a BMP's header; a negative height stands for rows from the top.
pub(super) fn bmp(file: &[u8]) -> Option<(u64, u64)> {
    if little(file, 14, 4)? == 12 {
        return Some((little(file, 18, 2)?, little(file, 20, 2)?));
    }
    let side = |at| little(file, at, 4).map(|side| u64::from((side as u32 as i32).unsigned_abs()));
    Some((side(18)?, side(22)?))
}

/// Makes the checksum of each PNG chunk right, as far as the chunks' lengths lead.
pub(super) fn repair_png(file: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = big(file, at, 4) {
        let data = at + 4..at + 8 + length as usize;
        let Some(sum) = file.get(data.clone()).map(crc32) else {
            return;
        };
        let Some(place) = file.get_mut(data.end..data.end + 4) else {
            return;
        };
        place.copy_from_slice(&sum.to_be_bytes());
        at = data.end + 4;
    }
}

/// CRC-32 as PNG and ZIP have it, bit by bit.
fn crc32(data: &[u8]) -> u32 {
    let step = |sum: u32| {
        if sum & 1 == 0 {
            sum >> 1
        } else {
            sum >> 1 ^ 0xedb8_8320
        }
    };
    !data.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum))
    })
}

/// The number of `width` bytes at `at`, largest byte first.
fn big(file: &[u8], at: usize, width: usize) -> Option<u64> {
    Some(
        file.get(at..at + width)?
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)),
    )
}

/// The number of `width` bytes at `at`, smallest byte first.
fn little(file: &[u8], at: usize, width: usize) -> Option<u64> {
    Some(
        file.get(at..at + width)?
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::workspace;

    #[test]
    fn declared_sizes_of_the_samples_are_those_they_were_made_with() {
        type Declared = fn(&[u8]) -> Option<(u64, u64)>;
        let cases: [(&str, Declared, (u64, u64)); 10] = [
            ("png/rgb.png", png, (5, 4)),
            ("jpeg/baseline-420.jpg", jpeg, (17, 9)),
            ("jpeg/progressive.jpg", jpeg, (9, 8)),
            ("webp/lossy.webp", webp, (17, 9)),
            ("webp/lossless.webp", webp, (7, 5)),
            ("webp/alpha.webp", webp, (6, 5)),
            ("gif/two-frames.gif", gif, (5, 4)),
            ("bmp/rgb.bmp", bmp, (3, 2)),
            ("bmp/palette.bmp", bmp, (5, 3)),
            ("bmp/masks.bmp", bmp, (2, 2)),
        ];
        for (file, declared, expected) in cases {
            let content = std::fs::read(workspace().join("attacks/seeds").join(file)).unwrap();
            assert_eq!(declared(&content), Some(expected), "{file}");
        }
    }

    #[test]
    fn a_right_checksum_is_left_as_it_is_and_a_wrong_one_made_right() {
        let right = std::fs::read(workspace().join("attacks/seeds/png/palette-trns.png")).unwrap();
        let mut file = right.clone();
        repair_png(&mut file);
        assert_eq!(file, right);
        file[29] ^= 1; // the header's checksum
        repair_png(&mut file);
        assert_eq!(file, right);
    }
}
