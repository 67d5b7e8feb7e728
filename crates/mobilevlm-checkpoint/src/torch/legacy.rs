//! Reads what `torch.save` wrote before torch 1.6: five pickles, then the storages.
//!
//! The pickles: a magic number, a protocol version, facts about the machine, the state dictionary,
//! and the keys of the storages in the order in which they follow. Each storage is its number of
//! numbers (64 bits) and the numbers.

use std::collections::HashMap;
use std::ops::Range;

use super::pickle::{self, Storage};
use super::{TorchError, entries, take};
use crate::tensor::Entry;

/// The pickles of the magic number 0x1950a86a20f9469cfc6c and of the protocol version 1001
/// (torch: `MAGIC_NUMBER`, `PROTOCOL_VERSION` in `serialization.py`).
pub(super) const MAGIC: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";

/// Lists the tensors of a file.
pub(super) fn parse(file: &[u8]) -> Result<Vec<Entry>, TorchError> {
    let (facts, at) = pickle::run(file, MAGIC.len()..file.len())?;
    if facts.flag("little_endian") != Some(true) {
        return Err(TorchError::Malformed {
            what: "the facts about the machine",
            at: MAGIC.len(),
            expected: "little_endian: True",
            found: "something else".to_owned(),
        });
    }
    drop(facts);
    let (state, at) = pickle::run(file, at..file.len())?;
    let (keys, at) = pickle::run(file, at..file.len())?;
    let storages: HashMap<&str, &Storage> = state
        .storages()
        .iter()
        .map(|storage| (storage.key.as_str(), storage))
        .collect();
    let places = places(file, at, keys.texts()?, &storages)?;
    entries(&state, file.len(), |storage| {
        let place = places
            .get(storage.key.as_str())
            .filter(|(described, _)| *described == storage);
        match place {
            Some((_, range)) => Ok(range.clone()),
            None => Err(TorchError::NoEntry {
                name: storage.key.clone(),
            }),
        }
    })
}

/// Where each storage lies, with the description that its length was computed from.
fn places<'a>(
    file: &[u8],
    mut at: usize,
    keys: Vec<&'a str>,
    storages: &HashMap<&str, &'a Storage>,
) -> Result<HashMap<&'a str, (&'a Storage, Range<usize>)>, TorchError> {
    let what = "a storage";
    let mut places = HashMap::new();
    for key in keys {
        let storage = *storages.get(key).ok_or_else(|| TorchError::NoEntry {
            name: key.to_owned(),
        })?;
        let elements = u64::from_le_bytes(take(what, file, at)?);
        if elements != storage.elements as u64 {
            return Err(TorchError::Malformed {
                what,
                at,
                expected: "as many numbers as the description says",
                found: format!("{elements} instead of {}", storage.elements),
            });
        }
        let start = at + 8;
        let bytes = storage.elements.checked_mul(storage.dtype.size());
        let end = bytes
            .and_then(|bytes| start.checked_add(bytes))
            .filter(|&end| end <= file.len());
        let truncated = || TorchError::Truncated {
            what,
            at: start,
            needed: bytes.map_or(u64::MAX, |bytes| bytes as u64),
            end: file.len(),
        };
        at = end.ok_or_else(truncated)?;
        if places.insert(key, (storage, start..at)).is_some() {
            return Err(TorchError::Twice {
                name: key.to_owned(),
            });
        }
    }
    Ok(places)
}
