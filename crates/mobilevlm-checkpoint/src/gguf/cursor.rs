//! Walks through the bytes of a GGUF header.

use super::{COUNT_LIMIT, DEPTH_LIMIT, GgufError, Info, Kind, NAME_LIMIT, RANK_LIMIT, Value};

/// A place in a file.
pub(super) struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0 }
    }

    /// The next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn bytes<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], GgufError> {
        let start = self.skip(what, N as u64)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.file[start..start + N]);
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    /// A number of things that take at least `least` bytes each.
    pub(super) fn count(&mut self, what: &'static str, least: u64) -> Result<u64, GgufError> {
        let at = self.at;
        let count = self.u64(what)?;
        let limit = ((self.file.len() - self.at) as u64 / least).min(COUNT_LIMIT);
        if count > limit {
            let expected = format!("at most {limit}");
            return Err(GgufError::Malformed {
                what,
                at,
                expected,
                found: count.to_string(),
            });
        }
        Ok(count)
    }

    /// A name of at most `limit` bytes.
    pub(super) fn name(&mut self, what: &'static str, limit: u64) -> Result<String, GgufError> {
        let at = self.at;
        let malformed = |expected, found| GgufError::Malformed {
            what,
            at,
            expected,
            found,
        };
        let length = self.u64(what)?;
        if length > limit {
            return Err(malformed(
                format!("a name of at most {limit} bytes"),
                format!("{length} bytes"),
            ));
        }
        let start = self.skip(what, length)?;
        // The copy is checked, not the file, which somebody might change.
        let name = self.file[start..self.at].to_vec();
        String::from_utf8(name)
            .map_err(|error| malformed("UTF-8".to_owned(), error.utf8_error().to_string()))
    }

    pub(super) fn kind(&mut self) -> Result<Kind, GgufError> {
        let at = self.at;
        let number = self.u32("a type")?;
        Kind::ALL
            .get(number as usize)
            .copied()
            .ok_or_else(|| GgufError::Malformed {
                what: "a type",
                at,
                expected: format!("a number below {}", Kind::ALL.len()),
                found: number.to_string(),
            })
    }

    pub(super) fn value(&mut self, kind: Kind) -> Result<Value, GgufError> {
        let what = "a value";
        Ok(match kind {
            Kind::U8 => Value::Whole(u8::from_le_bytes(self.bytes(what)?).into()),
            Kind::I8 => Value::Whole(i8::from_le_bytes(self.bytes(what)?).into()),
            Kind::U16 => Value::Whole(u16::from_le_bytes(self.bytes(what)?).into()),
            Kind::I16 => Value::Whole(i16::from_le_bytes(self.bytes(what)?).into()),
            Kind::U32 => Value::Whole(u32::from_le_bytes(self.bytes(what)?).into()),
            Kind::I32 => Value::Whole(i32::from_le_bytes(self.bytes(what)?).into()),
            Kind::U64 => Value::Whole(u64::from_le_bytes(self.bytes(what)?).into()),
            Kind::I64 => Value::Whole(i64::from_le_bytes(self.bytes(what)?).into()),
            Kind::F32 => Value::Real(f32::from_le_bytes(self.bytes(what)?).into()),
            Kind::F64 => Value::Real(f64::from_le_bytes(self.bytes(what)?)),
            Kind::Bool => Value::Bool(self.bytes::<1>(what)? != [0]),
            Kind::Text => {
                let length = self.u64("a text")?;
                let start = self.skip("a text", length)?;
                Value::Text(start..self.at)
            }
            Kind::Array => {
                let kind = self.kind()?;
                let count = self.u64("an array")?;
                let start = self.at;
                let count = self.skip_values(kind, count, 1)?;
                Value::Array(kind, count, start..self.at)
            }
        })
    }

    /// Steps over the values of an array, and returns how many they are. `depth` counts arrays.
    fn skip_values(&mut self, kind: Kind, count: u64, depth: usize) -> Result<usize, GgufError> {
        let what = "an array";
        if let Some(size) = kind.size() {
            self.skip(what, count.saturating_mul(size as u64))?;
        } else if depth > DEPTH_LIMIT {
            return Err(GgufError::Malformed {
                what,
                at: self.at,
                expected: format!("arrays {DEPTH_LIMIT} deep"),
                found: "deeper ones".to_owned(),
            });
        } else {
            // Each step takes at least eight bytes, so the file ends a false count.
            for _ in 0..count {
                if kind == Kind::Text {
                    let length = self.u64("a text")?;
                    self.skip("a text", length)?;
                } else {
                    let inner = self.kind()?;
                    let inner_count = self.u64(what)?;
                    self.skip_values(inner, inner_count, depth + 1)?;
                }
            }
        }
        // The values lie in the file, so their number fits.
        Ok(count as usize)
    }

    pub(super) fn tensor(&mut self) -> Result<Info, GgufError> {
        let what = "a tensor's description";
        let name = self.name(what, NAME_LIMIT)?;
        let at = self.at;
        let rank = self.u32(what)?;
        if rank > RANK_LIMIT {
            let expected = format!("at most {RANK_LIMIT} sizes");
            return Err(GgufError::Malformed {
                what,
                at,
                expected,
                found: rank.to_string(),
            });
        }
        let dimensions = (0..rank)
            .map(|_| self.u64(what))
            .collect::<Result<_, _>>()?;
        Ok(Info {
            name,
            dimensions,
            format: self.u32(what)?,
            start: self.u64(what)?,
        })
    }

    /// Steps over so many bytes, and returns where they begin.
    fn skip(&mut self, what: &'static str, length: u64) -> Result<usize, GgufError> {
        let left = (self.file.len() - self.at) as u64;
        if length > left {
            return Err(GgufError::Truncated {
                what,
                at: self.at,
                needed: length,
                end: self.file.len(),
            });
        }
        let start = self.at;
        // No longer than what is left of a slice.
        self.at += length as usize;
        Ok(start)
    }
}
