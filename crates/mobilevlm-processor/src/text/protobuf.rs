//! The wire format of protocol buffers, as far as SentencePiece models need it.
//!
//! Source: protobuf.dev, "Encoding". Nothing is copied or allocated here: fields borrow the file.

use super::TokenizerError;

/// One field of a message.
pub(super) struct Field<'a> {
    /// The number that the message's definition gives it.
    pub(super) number: u64,
    /// What it holds.
    pub(super) value: Value<'a>,
}

/// A field's content by wire type.
pub(super) enum Value<'a> {
    /// Integers, booleans, enumerations.
    Varint(u64),
    /// Strings, byte strings, messages.
    Bytes(Message<'a>),
    /// 32 bits, for instance a float.
    Fixed32([u8; 4]),
    /// 64 bits; no field of a SentencePiece model has it.
    Fixed64,
}

/// A run of fields in a file; iterating gives them in order and ends after an error.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the file, for messages.
    offset: usize,
}

impl<'a> Message<'a> {
    /// The whole file.
    pub(super) fn file(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            offset: 0,
        }
    }

    /// The content as it lies in the file.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.rest
    }

    fn malformed(&self, what: &'static str) -> TokenizerError {
        TokenizerError::Malformed {
            offset: self.offset,
            what,
        }
    }

    fn take(&mut self, count: u64) -> Result<Message<'a>, TokenizerError> {
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.split_at_checked(count));
        let Some((taken, rest)) = taken else {
            return Err(TokenizerError::Truncated {
                offset: self.offset,
                expected: count,
                found: self.rest.len(),
            });
        };
        let field = Message {
            rest: taken,
            offset: self.offset,
        };
        self.rest = rest;
        self.offset += taken.len();
        Ok(field)
    }

    fn varint(&mut self) -> Result<u64, TokenizerError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.rest[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number of more than 64 bits"))
    }

    fn field(&mut self) -> Result<Field<'a>, TokenizerError> {
        let start = *self;
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?.rest;
                Value::Fixed32([bytes[0], bytes[1], bytes[2], bytes[3]])
            }
            _ => return Err(start.malformed("a field of an unknown wire type")),
        };
        match key >> 3 {
            0 => Err(start.malformed("field number 0")),
            number => Ok(Field { number, value }),
        }
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<Field<'a>, TokenizerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
