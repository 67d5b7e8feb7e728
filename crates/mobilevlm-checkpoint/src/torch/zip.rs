//! Reads a ZIP archive whose entries are stored uncompressed, as torch 1.6 and later write.
//!
//! The format is PKWARE's APPNOTE.TXT; the numbers of its sections are cited below. The central
//! directory decides what is in the archive. An entry is a range of the file: nothing is unpacked.

use std::collections::HashMap;
use std::ops::Range;

use super::{TorchError, entries, pickle, take};
use crate::tensor::Entry;

/// Begins an entry, and with it the file (4.3.7).
pub(super) const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
/// Begins an entry's record in the central directory (4.3.12).
const CENTRAL_SIGNATURE: &[u8] = b"PK\x01\x02";
/// Begins the end of the central directory (4.3.16), its 64-bit form (4.3.14), and the locator of
/// that (4.3.15).
const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END64_SIGNATURE: &[u8] = b"PK\x06\x06";
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";

const END_LENGTH: usize = 22;
const LOCATOR_LENGTH: usize = 20;

/// The longest central directory, in bytes: room for some 30,000 tensors.
const DIRECTORY_LIMIT: usize = 3 << 20;

/// Lists the tensors of an archive.
pub(super) fn parse(file: &[u8]) -> Result<Vec<Entry>, TorchError> {
    let archive = Archive::parse(file)?;
    let root = archive.root()?;
    if let Some(member) = archive.members.get(&format!("{root}/byteorder")) {
        let order = &file[member.range.clone()];
        if !member.is_stored || order != b"little" {
            return Err(TorchError::Malformed {
                what: "byteorder",
                at: member.range.start,
                expected: "\"little\"",
                found: format!(
                    "{:?}",
                    String::from_utf8_lossy(&order[..order.len().min(16)])
                ),
            });
        }
    }
    let description = archive.stored(&format!("{root}/data.pkl"))?;
    let (pickle, _) = pickle::run(file, description)?;
    entries(&pickle, file.len(), |storage| {
        let name = format!("{root}/data/{}", storage.key);
        let range = archive.stored(&name)?;
        let needed = storage.elements.checked_mul(storage.dtype.size());
        if needed.is_none_or(|needed| needed > range.len()) {
            return Err(TorchError::Malformed {
                what: "a storage",
                at: range.start,
                expected: "as many bytes as its numbers need",
                found: format!(
                    "{} bytes for {} {} in {name:?}",
                    range.len(),
                    storage.elements,
                    storage.dtype
                ),
            });
        }
        Ok(range)
    })
}

/// The entries of an archive by name.
struct Archive {
    members: HashMap<String, Member>,
}

struct Member {
    /// Its content in the file.
    range: Range<usize>,
    /// Whether it is neither compressed nor encrypted.
    is_stored: bool,
}

impl Archive {
    fn parse(file: &[u8]) -> Result<Self, TorchError> {
        let (directory, count) = find_directory(file)?;
        if directory.len() > DIRECTORY_LIMIT {
            return Err(TorchError::Limit {
                what: "bytes of the archive's directory",
                limit: DIRECTORY_LIMIT,
            });
        }
        let start = directory.start;
        // A copy, so that nobody who changes a mapped file can change what was checked.
        let records = file[directory].to_vec();
        let mut members = HashMap::new();
        let mut at = 0;
        while at < records.len() {
            let record = Record::parse(&records, at)?;
            let range = record.content(file, start)?;
            at = record.end;
            if members
                .insert(
                    record.name.clone(),
                    Member {
                        range,
                        is_stored: record.is_stored,
                    },
                )
                .is_some()
            {
                return Err(TorchError::Twice { name: record.name });
            }
        }
        if members.len() as u64 != count {
            return Err(TorchError::Malformed {
                what: "the archive's directory",
                at: start,
                expected: "as many entries as its end says",
                found: format!("{} instead of {count}", members.len()),
            });
        }
        Ok(Self { members })
    }

    /// The folder that `data.pkl` is in.
    fn root(&self) -> Result<String, TorchError> {
        let mut roots = self
            .members
            .keys()
            .filter_map(|name| name.strip_suffix("/data.pkl"));
        match (roots.next(), roots.next()) {
            (Some(root), None) => Ok(root.to_owned()),
            (None, _) => Err(TorchError::NoEntry {
                name: "data.pkl".to_owned(),
            }),
            (Some(_), Some(_)) => Err(TorchError::Twice {
                name: "data.pkl".to_owned(),
            }),
        }
    }

    /// The content of an entry.
    fn stored(&self, name: &str) -> Result<Range<usize>, TorchError> {
        let member = self.members.get(name).ok_or_else(|| TorchError::NoEntry {
            name: name.to_owned(),
        })?;
        if !member.is_stored {
            return Err(TorchError::Compressed {
                name: name.to_owned(),
            });
        }
        Ok(member.range.clone())
    }
}

/// Where the central directory lies, and how many entries it claims.
fn find_directory(file: &[u8]) -> Result<(Range<usize>, u64), TorchError> {
    let what = "the archive's end";
    let malformed = |at, expected, found| TorchError::Malformed {
        what,
        at,
        expected,
        found,
    };
    // The end has a comment of up to 65,535 bytes behind it; only the true end says so rightly.
    let earliest = file
        .len()
        .saturating_sub(END_LENGTH + usize::from(u16::MAX));
    let end = (earliest..(file.len() + 1).saturating_sub(END_LENGTH))
        .rev()
        .find(|&at| {
            file[at..].starts_with(END_SIGNATURE)
                && at + END_LENGTH + usize::from(u16::from_le_bytes([file[at + 20], file[at + 21]]))
                    == file.len()
        });
    let Some(end) = end else {
        return Err(malformed(
            file.len(),
            "an end of the central directory",
            "none: it is cut short".to_owned(),
        ));
    };
    let mut count = u64::from(u16::from_le_bytes(take(what, file, end + 10)?));
    let mut size = u64::from(u32::from_le_bytes(take(what, file, end + 12)?));
    let mut start = u64::from(u32::from_le_bytes(take(what, file, end + 16)?));
    let mut bound = end;

    if let Some(locator) = end.checked_sub(LOCATOR_LENGTH)
        && file[locator..].starts_with(LOCATOR_SIGNATURE)
    {
        let at = u64::from_le_bytes(take(what, file, locator + 8)?);
        let at = usize::try_from(at).ok().filter(|&at| at < locator);
        let at = at.ok_or_else(|| {
            malformed(
                locator,
                "a 64-bit end before its locator",
                "none".to_owned(),
            )
        })?;
        if !file[at..].starts_with(END64_SIGNATURE) {
            return Err(malformed(at, "a 64-bit end", "other bytes".to_owned()));
        }
        count = u64::from_le_bytes(take(what, file, at + 32)?);
        size = u64::from_le_bytes(take(what, file, at + 40)?);
        start = u64::from_le_bytes(take(what, file, at + 48)?);
        bound = at;
    }
    let stop = start.checked_add(size).filter(|&stop| stop <= bound as u64);
    match stop {
        Some(stop) => Ok((start as usize..stop as usize, count)),
        None => Err(malformed(
            end,
            "a directory before it",
            format!("{size} bytes at {start}"),
        )),
    }
}

/// One record of the central directory.
struct Record {
    name: String,
    is_stored: bool,
    /// Bytes of the content.
    size: u64,
    /// Where the entry begins in the file.
    offset: u64,
    /// Where the record ends in the directory.
    end: usize,
}

impl Record {
    fn parse(records: &[u8], at: usize) -> Result<Self, TorchError> {
        let what = "the archive's directory";
        if !records[at..].starts_with(CENTRAL_SIGNATURE) {
            let (expected, found) = ("a record of an entry", "other bytes".to_owned());
            return Err(TorchError::Malformed {
                what,
                at,
                expected,
                found,
            });
        }
        let short = |offset| take(what, records, at + offset).map(u16::from_le_bytes);
        let long = |offset| {
            take(what, records, at + offset).map(|bytes| u64::from(u32::from_le_bytes(bytes)))
        };
        let (flags, method) = (short(8)?, short(10)?);
        let (mut compressed, mut size, mut offset) = (long(20)?, long(24)?, long(42)?);
        let name_length = usize::from(short(28)?);
        let (extra_length, comment_length) = (usize::from(short(30)?), usize::from(short(32)?));
        let part = |start: usize, length: usize| {
            let truncated = TorchError::Truncated {
                what,
                at: start,
                needed: length as u64,
                end: records.len(),
            };
            records.get(start..start + length).ok_or(truncated)
        };
        let name = part(at + 46, name_length)?;
        let extra = part(at + 46 + name_length, extra_length)?;
        let end = at + 46 + name_length + extra_length + comment_length;
        part(end - comment_length, comment_length)?;
        // Fields that are too small for their value are all ones, and their value is here (4.5.3).
        let mut wide = zip64(extra);
        for field in [&mut size, &mut compressed, &mut offset] {
            if *field == u64::from(u32::MAX) {
                let (value, rest) = wide.split_first_chunk::<8>().ok_or(TorchError::Malformed {
                    what,
                    at,
                    expected: "a 64-bit size or offset",
                    found: "none".to_owned(),
                })?;
                *field = u64::from_le_bytes(*value);
                wide = rest;
            }
        }
        Ok(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            is_stored: method == 0 && flags & 1 == 0 && compressed == size,
            size,
            offset,
            end,
        })
    }

    /// The entry's content, which ends before the directory that begins at `directory`.
    fn content(&self, file: &[u8], directory: usize) -> Result<Range<usize>, TorchError> {
        let what = "an entry of the archive";
        let outside = || TorchError::Malformed {
            what,
            at: usize::try_from(self.offset).unwrap_or(usize::MAX),
            expected: "an entry before the directory",
            found: format!("{:?} of {} bytes", self.name, self.size),
        };
        let at = usize::try_from(self.offset)
            .ok()
            .filter(|&at| at < directory)
            .ok_or_else(outside)?;
        if !file[at..].starts_with(LOCAL_SIGNATURE) {
            return Err(outside());
        }
        let short = |offset| {
            take(what, file, at + offset).map(|bytes| usize::from(u16::from_le_bytes(bytes)))
        };
        // The lengths of name and padding here may differ from those in the directory.
        let start = at + 30 + short(26)? + short(28)?;
        let end = usize::try_from(self.size)
            .ok()
            .and_then(|size| start.checked_add(size));
        match end.filter(|&end| end <= directory) {
            Some(end) => Ok(start..end),
            None => Err(outside()),
        }
    }
}

/// The content of the field of 64-bit numbers among an entry's extra fields, or nothing.
fn zip64(mut extra: &[u8]) -> &[u8] {
    while let [a, b, c, d, rest @ ..] = extra {
        let length = usize::from(u16::from_le_bytes([*c, *d])).min(rest.len());
        if u16::from_le_bytes([*a, *b]) == 1 {
            return &rest[..length];
        }
        extra = &rest[length..];
    }
    &[]
}
