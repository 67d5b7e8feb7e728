//! The members of a tar archive: ustar, with long names as GNU and POSIX (pax) write them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::error::DataError;

const BLOCK: u64 = 512;
/// The longest name, and the longest pax record, that is read.
const LONGEST_NAME: u64 = 64 << 10;

/// Calls `on_file(name, offset, size)` for every regular file of the archive.
pub(super) fn list(
    path: &Path,
    file: &mut File,
    on_file: &mut dyn FnMut(&[u8], u64, u64),
) -> Result<(), DataError> {
    let read = || DataError::file(path, "read");
    let total = file.metadata().map_err(read())?.len();
    let mut at = 0;
    let mut long_name: Option<Vec<u8>> = None;
    let mut long_size = None;
    while at + BLOCK <= total {
        let wrong = |wrong: &str| DataError::Tar {
            path: path.to_owned(),
            offset: at,
            wrong: wrong.to_owned(),
        };
        let mut header = [0; BLOCK as usize];
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut header))
            .map_err(read())?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        if number(&header[148..156]) != Some(checksum(&header)) {
            return Err(wrong("expected a tar header with its checksum"));
        }
        let kind = header[156];
        let own_size =
            number(&header[124..136]).ok_or_else(|| wrong("a size that is no number"))?;
        let is_file = matches!(kind, b'0' | 0 | b'7');
        let size = long_size.filter(|_| is_file).unwrap_or(own_size);
        let start = at + BLOCK;
        let end = start.checked_add(size).filter(|&end| end <= total);
        let end = end.ok_or_else(|| wrong("a member that is longer than the file"))?;
        match kind {
            b'L' | b'x' => {
                if size > LONGEST_NAME {
                    return Err(wrong("a name of more than 64 KiB"));
                }
                let mut content = vec![0; size as usize];
                file.read_exact(&mut content).map_err(read())?;
                if kind == b'L' {
                    long_name = Some(text(&content).to_vec());
                } else {
                    let (name, size) = pax(&content);
                    long_name = name.or(long_name);
                    long_size = size.or(long_size);
                }
            }
            _ => {
                let long = long_name.take();
                long_size = None;
                if is_file {
                    let name = long.unwrap_or_else(|| short_name(&header));
                    on_file(&name, start, size);
                }
            }
        }
        at = end.div_ceil(BLOCK) * BLOCK;
    }
    Ok(())
}

fn short_name(header: &[u8; BLOCK as usize]) -> Vec<u8> {
    let name = text(&header[..100]);
    let prefix = text(&header[345..500]);
    if header[257..262] != *b"ustar" || header[263..265] != *b"00" || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits, or GNU's binary form for sizes of 8 GiB and more.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        let (first, zeros) = high.split_first()?;
        let is_small = *first == 0x80 && zeros.iter().all(|&byte| byte == 0);
        return is_small.then(|| u64::from_be_bytes(low.try_into().unwrap_or_default()));
    }
    let digits = std::str::from_utf8(text(field)).ok()?.trim();
    match digits {
        "" => Some(0),
        digits => u64::from_str_radix(digits, 8).ok(),
    }
}

/// The sum of all bytes, those of the checksum itself taken as blanks.
fn checksum(header: &[u8; BLOCK as usize]) -> u64 {
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = header[148..156].iter().map(|&byte| u64::from(byte)).sum();
    sum - own + 8 * u64::from(b' ')
}

/// `path` and `size` of a pax header: records `LENGTH KEY=VALUE\n`.
fn pax(mut content: &[u8]) -> (Option<Vec<u8>>, Option<u64>) {
    let (mut name, mut size) = (None, None);
    while let Some(blank) = content.iter().position(|&byte| byte == b' ') {
        let length = std::str::from_utf8(&content[..blank]).ok();
        let length = length.and_then(|digits| digits.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| content.get(blank + 1..length)) else {
            break;
        };
        let value = record.strip_suffix(b"\n").unwrap_or(record);
        if let Some(path) = value.strip_prefix(b"path=") {
            name = Some(path.to_vec());
        } else if let Some(digits) = value.strip_prefix(b"size=") {
            size = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok());
        }
        content = &content[blank + 1 + record.len()..];
    }
    (name, size)
}
