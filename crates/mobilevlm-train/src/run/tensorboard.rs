//! Event files of TensorBoard, scalars only.
//!
//! An event file is a row of records, each framed as in a TFRecord file: length (8 bytes, little-
//! endian), masked CRC-32C of it, content, masked CRC-32C of that. The content is the protocol
//! buffer `Event` of `tensorflow/core/util/event.proto`.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::crc32c::masked;
use super::error::RunError;

/// The first record of every file.
const FILE_VERSION: &str = "brain.Event:2";

/// What a record may be long; ours have a few hundred bytes.
const LONGEST: u64 = 1 << 20;

/// Scalars of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// The step.
    pub step: u64,
    /// Values with their tags.
    pub scalars: Vec<(String, f32)>,
}

/// An event file, open for more events.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Opens the file `path`, or makes it, and cuts off what comes after step `last`, or what
    /// cannot be read: whatever is in it is in the metrics too. TensorBoard looks for files whose
    /// names contain `tfevents`.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be opened.
    pub fn open(path: &Path, last: u64) -> Result<Events, RunError> {
        let failed = || RunError::file(path, "opened");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed())?;
        let mut reader = BufReader::new(&mut file);
        let mut bytes = 0;
        while let Some((event, length)) = next(&mut reader).map_err(failed())? {
            if event.step > last {
                break;
            }
            bytes += length;
        }
        file.set_len(bytes).map_err(failed())?;
        let mut events = Events {
            path: path.to_owned(),
            file,
        };
        if bytes == 0 {
            let mut version = wall_time();
            message(&mut version, 3, FILE_VERSION.as_bytes());
            events.write(&version)?;
        }
        Ok(events)
    }

    /// Adds scalars of a step, with the time of day.
    ///
    /// # Errors
    /// [`RunError::File`] with what the system says.
    pub fn add(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<(), RunError> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut scalar = Vec::new();
            message(&mut scalar, 1, tag.as_bytes());
            key(&mut scalar, 2, 5);
            scalar.extend((*value as f32).to_le_bytes());
            message(&mut summary, 1, &scalar);
        }
        let mut event = wall_time();
        key(&mut event, 2, 0);
        varint(&mut event, step);
        message(&mut event, 5, &summary);
        self.write(&event)
    }

    fn write(&mut self, content: &[u8]) -> Result<(), RunError> {
        let length = (content.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(content.len() + 16);
        record.extend(length);
        record.extend(masked(&length).to_le_bytes());
        record.extend(content);
        record.extend(masked(content).to_le_bytes());
        let written = self.file.write_all(&record);
        written.map_err(RunError::file(&self.path, "written"))
    }
}

/// Reads the scalars of an event file, up to the first record that is damaged or being written.
///
/// # Errors
/// [`RunError::File`] if the file cannot be read.
pub fn read_events(path: &Path) -> Result<Vec<Event>, RunError> {
    let read = || RunError::file(path, "read");
    let mut reader = BufReader::new(File::open(path).map_err(read())?);
    let mut events = Vec::new();
    while let Some((event, _)) = next(&mut reader).map_err(read())? {
        if !event.scalars.is_empty() {
            events.push(event);
        }
    }
    Ok(events)
}

/// The next record and the bytes it takes; nothing where none is whole.
fn next(reader: &mut impl Read) -> std::io::Result<Option<(Event, u64)>> {
    let mut head = Vec::new();
    reader.by_ref().take(12).read_to_end(&mut head)?;
    let Some((length, checksum)) = head.split_first_chunk::<8>() else {
        return Ok(None);
    };
    if checksum != masked(length).to_le_bytes() {
        return Ok(None);
    }
    let length = u64::from_le_bytes(*length);
    if length > LONGEST {
        return Ok(None);
    }
    let mut content = Vec::new();
    reader.by_ref().take(length + 4).read_to_end(&mut content)?;
    let Some((content, checksum)) = content.split_last_chunk::<4>() else {
        return Ok(None);
    };
    if content.len() as u64 != length || *checksum != masked(content).to_le_bytes() {
        return Ok(None);
    }
    Ok(parse(content).map(|event| (event, length + 16)))
}

/// The parts of an `Event` that we write.
fn parse(content: &[u8]) -> Option<Event> {
    let mut event = Event::default();
    fields(content, &mut |number, field| {
        match (number, field) {
            (1, Field::Fixed64(bits)) => event.wall_time = f64::from_bits(bits),
            (2, Field::Varint(step)) => event.step = step,
            (5, Field::Bytes(summary)) => fields(summary, &mut |number, field| {
                let (1, Field::Bytes(scalar)) = (number, field) else {
                    return Some(());
                };
                let (mut tag, mut value) = (String::new(), 0.0);
                fields(scalar, &mut |number, field| {
                    match (number, field) {
                        (1, Field::Bytes(text)) => tag = String::from_utf8(text.to_vec()).ok()?,
                        (2, Field::Fixed32(bits)) => value = f32::from_bits(bits),
                        _ => {}
                    }
                    Some(())
                })?;
                event.scalars.push((tag, value));
                Some(())
            })?,
            _ => {}
        }
        Some(())
    })?;
    Some(event)
}

/// A field of a protocol buffer, by its wire type.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Gives every field of a message to `take`; nothing if the message is damaged.
fn fields<'a>(
    mut rest: &'a [u8],
    take: &mut dyn FnMut(u64, Field<'a>) -> Option<()>,
) -> Option<()> {
    while !rest.is_empty() {
        let key = read_varint(&mut rest)?;
        let field = match key & 7 {
            0 => Field::Varint(read_varint(&mut rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(*take_chunk(&mut rest)?)),
            2 => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(u32::from_le_bytes(*take_chunk(&mut rest)?)),
            _ => return None,
        };
        take(key >> 3, field)?;
    }
    Some(())
}

fn take_chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (chunk, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(chunk)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take_chunk::<1>(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The beginning of an event: the time of day.
fn wall_time() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0.0, |now| now.as_secs_f64());
    let mut event = Vec::new();
    key(&mut event, 1, 1);
    event.extend(seconds.to_le_bytes());
    event
}

fn message(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    key(out, number, 2);
    varint(out, content.len() as u64);
    out.extend(content);
}

fn key(out: &mut Vec<u8>, number: u64, wire_type: u64) {
    varint(out, number << 3 | wire_type);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn scalars(path: &Path) -> Vec<(u64, Vec<(String, f32)>)> {
        let events = read_events(path).unwrap().into_iter();
        events.map(|event| (event.step, event.scalars)).collect()
    }

    #[test]
    fn bytes_are_those_of_the_format() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("events.out.tfevents.run");
        let mut events = Events::open(&path, 0).unwrap();
        events.add(300, &[("loss", 0.5)]).unwrap();
        let bytes = fs::read(&path).unwrap();
        // Event { wall_time, file_version }: key, 8 bytes, key, length, 13 bytes.
        assert_eq!(bytes[..8], 24_u64.to_le_bytes());
        assert_eq!(bytes[12], 0x09);
        assert_eq!(bytes[21..36], *b"\x1a\x0dbrain.Event:2");
        // Event { wall_time, step: 300, summary: { value: { tag: "loss", simple_value: 0.5 } } }
        let second = &bytes[40..];
        assert_eq!(second[..8], 27_u64.to_le_bytes());
        let expected = b"\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f";
        assert_eq!(second[21..39], *expected);
        assert_eq!(second.len(), 8 + 4 + 27 + 4);
    }

    #[test]
    fn a_file_is_cut_back_and_gone_on_with() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("events.out.tfevents.run");
        let mut events = Events::open(&path, 0).unwrap();
        for step in 1..=4 {
            let value = 1.0 / step as f64;
            events
                .add(step, &[("loss", value), ("rate", 2.0 * value)])
                .unwrap();
        }
        let whole = scalars(&path);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[3].1[1], ("rate".to_owned(), 0.5));

        // Killed while it wrote.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        assert_eq!(scalars(&path), whole[..3]);
        let mut events = Events::open(&path, 2).unwrap();
        assert_eq!(scalars(&path), whole[..2]);
        for (step, values) in &whole[2..] {
            let values: Vec<(&str, f64)> = values
                .iter()
                .map(|(tag, value)| (tag.as_str(), f64::from(*value)))
                .collect();
            events.add(*step, &values).unwrap();
        }
        assert_eq!(scalars(&path), whole);
    }
}
