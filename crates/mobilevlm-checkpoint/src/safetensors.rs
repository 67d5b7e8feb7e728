//! Reads and writes the safetensors format: a length, a JSON header, and the tensors' bytes.
//!
//! <https://github.com/huggingface/safetensors> defines it. The header is parsed here rather than
//! by the reference crate, because that one holds a header of up to 100 MB in memory several
//! times over, and what is promised here is the file's size plus 16 MiB.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::tensor::{Dtype, Entry, Tensor};

/// The longest header that is read. A model of this family has under 2000 tensors and a header of
/// some 100 kB.
const HEADER_LIMIT: usize = 4 << 20;

/// The most tensors in one file.
const TENSOR_LIMIT: usize = 1 << 16;

/// The most sizes of one tensor.
pub(crate) const RANK_LIMIT: usize = 8;

/// What is wrong with a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The file ends inside its header.
    #[error(
        "the header needs {needed} bytes, the file has {found}: it is cut short or no safetensors file"
    )]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes there.
        found: u64,
    },
    /// The header is longer than is read.
    #[error("the header claims {found} bytes, at most {limit} are read")]
    HeaderLimit {
        /// Bytes claimed.
        found: u64,
        /// Bytes read at most.
        limit: u64,
    },
    /// The header is not the JSON that the format asks for.
    #[error("the header is not valid")]
    Header(#[source] serde_json::Error),
    /// The numbers of a tensor do not fill the bytes it claims.
    #[error("tensor {name:?}: {dtype} {shape:?} does not fill bytes {start}..{end}")]
    Size {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
        /// Its sizes.
        shape: Vec<usize>,
        /// First byte claimed, counted from the end of the header.
        start: usize,
        /// End of the bytes claimed.
        end: usize,
    },
    /// A tensor does not begin where the one before it ended.
    #[error(
        "tensor {name:?}: expected to begin at byte {expected}, where the one before ended, found {found}"
    )]
    Gap {
        /// The tensor.
        name: String,
        /// End of the tensor before.
        expected: usize,
        /// Where it claims to begin.
        found: usize,
    },
    /// The last tensor does not end where the file does.
    #[error(
        "the tensors end at byte {expected} behind the header, the file at {found}: it is cut short or damaged"
    )]
    End {
        /// End of the last tensor.
        expected: usize,
        /// Bytes behind the header.
        found: usize,
    },
}

/// Lists the tensors of a whole file, in the order of the header.
///
/// All is checked here: names are unique, every tensor fills its bytes, the bytes of all tensors
/// follow one another without gap or overlap and end with the file.
///
/// # Errors
/// [`SafetensorsError`] names the first thing that is wrong.
pub fn parse(file: &[u8]) -> Result<Vec<Entry>, SafetensorsError> {
    let total = file.len() as u64;
    let Some((length, rest)) = file.split_first_chunk::<8>() else {
        return Err(SafetensorsError::Truncated {
            needed: 8,
            found: total,
        });
    };
    let length = u64::from_le_bytes(*length);
    if length > rest.len() as u64 {
        return Err(SafetensorsError::Truncated {
            needed: length.saturating_add(8),
            found: total,
        });
    }
    if length > HEADER_LIMIT as u64 {
        return Err(SafetensorsError::HeaderLimit {
            found: length,
            limit: HEADER_LIMIT as u64,
        });
    }
    // A copy, so that nobody who changes a mapped file can change what was checked.
    let header = rest[..length as usize].to_vec();
    let data_start = 8 + header.len();

    let mut json = serde_json::Deserializer::from_slice(&header);
    let mut entries = (|| {
        let entries = json.deserialize_map(HeaderVisitor)?;
        json.end()?;
        Ok(entries)
    })()
    .map_err(SafetensorsError::Header)?;

    check_places(&entries, file.len() - data_start)?;
    for entry in &mut entries {
        entry.range = data_start + entry.range.start..data_start + entry.range.end;
    }
    Ok(entries)
}

/// Checks that the tensors fill the bytes behind the header, one after the other.
fn check_places(entries: &[Entry], data: usize) -> Result<(), SafetensorsError> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| (entry.range.start, entry.range.end));
    let mut end = 0;
    for entry in order {
        let claimed = entry.range.end.checked_sub(entry.range.start);
        let bytes = entry.dtype.bytes(&entry.shape);
        if bytes.is_none() || bytes != claimed {
            return Err(SafetensorsError::Size {
                name: entry.name.clone(),
                dtype: entry.dtype,
                shape: entry.shape.clone(),
                start: entry.range.start,
                end: entry.range.end,
            });
        }
        if entry.range.start != end {
            let (name, found) = (entry.name.clone(), entry.range.start);
            return Err(SafetensorsError::Gap {
                name,
                expected: end,
                found,
            });
        }
        end = entry.range.end;
    }
    if end != data {
        return Err(SafetensorsError::End {
            expected: end,
            found: data,
        });
    }
    Ok(())
}

/// Writes tensors as one safetensors file.
///
/// The header is padded with spaces so that the first tensor begins at a multiple of eight bytes.
///
/// # Errors
/// What `writer` says; and `InvalidInput` where a name occurs twice.
pub fn write<'a>(
    writer: &mut dyn Write,
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> io::Result<()> {
    let tensors: Vec<_> = tensors.into_iter().collect();
    let mut header = serde_json::Map::new();
    header.insert(
        "__metadata__".to_owned(),
        serde_json::json!({ "format": "pt" }),
    );
    let mut start = 0;
    for (name, tensor) in &tensors {
        let end = start + tensor.byte_len();
        let entry = serde_json::json!({
            "dtype": tensor.dtype().name(),
            "shape": tensor.shape(),
            "data_offsets": [start, end],
        });
        if header.insert((*name).to_owned(), entry).is_some() {
            let message = format!("two tensors are named {name:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        start = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(&header)?;
    for (_, tensor) in &tensors {
        writer.write_all(&tensor.data())?;
    }
    Ok(())
}

/// The header: names, each with the description of a tensor, and `__metadata__`.
struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that describes tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format_args!(
                    "the name {name:?} occurs twice"
                )));
            }
            if names.len() > TENSOR_LIMIT {
                return Err(de::Error::custom(format_args!(
                    "more than {TENSOR_LIMIT} tensors"
                )));
            }
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
            } else {
                entries.push(map.next_value_seed(EntryVisitor { name })?);
            }
        }
        Ok(entries)
    }
}

/// The description of one tensor: `{"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}`.
struct EntryVisitor {
    name: String,
}

impl<'de> DeserializeSeed<'de> for EntryVisitor {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dtype, shape and data_offsets of tensor {:?}", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            let repeated = match key.as_str() {
                "dtype" => dtype.replace(map.next_value::<String>()?).is_some(),
                "shape" => shape.replace(map.next_value::<Sizes>()?.0).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<[usize; 2]>()?).is_some(),
                other => {
                    // Quoted with escapes, unlike serde's own wording: a terminal may show it.
                    return Err(de::Error::custom(format_args!(
                        "tensor {:?}: expected dtype, shape and data_offsets, found {other:?}",
                        self.name
                    )));
                }
            };
            if repeated {
                return Err(de::Error::custom(format_args!(
                    "tensor {:?}: {key} occurs twice",
                    self.name
                )));
            }
        }
        let missing = |field| de::Error::missing_field(field);
        let dtype = dtype.ok_or_else(|| missing("dtype"))?;
        let [start, end] = offsets.ok_or_else(|| missing("data_offsets"))?;
        Ok(Entry {
            dtype: Dtype::from_name(&dtype).ok_or_else(|| {
                de::Error::custom(format_args!(
                    "tensor {:?}: unknown type {dtype:?}",
                    self.name
                ))
            })?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            strides: None,
            range: start..end,
            name: self.name,
        })
    }
}

/// A shape, refused at [`RANK_LIMIT`] before it is collected.
struct Sizes(Vec<usize>);

impl<'de> de::Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizesVisitor;
        impl<'de> Visitor<'de> for SizesVisitor {
            type Value = Sizes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sizes, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = list.next_element()? {
                    if sizes.len() == RANK_LIMIT {
                        return Err(de::Error::custom(format_args!(
                            "a shape of more than {RANK_LIMIT} sizes"
                        )));
                    }
                    sizes.push(size);
                }
                Ok(Sizes(sizes))
            }
        }
        deserializer.deserialize_seq(SizesVisitor)
    }
}

#[cfg(test)]
mod tests;
