//! Writes GGUF files, version 3: keys, the list of tensors, then their bytes one after the other.

use std::io::{self, Write};

/// The value of a key that is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A tensor as a file lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Sizes, fastest first.
    pub(crate) dimensions: Vec<u64>,
    /// GGUF's number of the type.
    pub(crate) number: u32,
    pub(crate) bytes: u64,
}

/// All of a file but the bytes of its tensors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    settings: Vec<(&'static str, Setting)>,
    tensors: Vec<Listed>,
}

/// What a tensor's place is a multiple of in a file that does not say it
/// (ggml: `GGUF_DEFAULT_ALIGNMENT`).
const DEFAULT_ALIGNMENT: u32 = 32;

impl Head {
    /// Adds a key behind those that are there.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Setting>) {
        self.settings.push((key, value.into()));
    }

    /// Adds a tensor behind those that are there.
    pub(crate) fn list(&mut self, tensor: Listed) {
        self.tensors.push(tensor);
    }

    /// Writes the file. `data` writes the bytes of the tensor of that number in the list, which
    /// it is asked for one after the other.
    ///
    /// # Errors
    /// What `data` and `out` say; an error of kind `InvalidData` if `data` writes another number
    /// of bytes than the list says.
    pub(crate) fn write(
        &self,
        out: &mut dyn Write,
        mut data: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let alignment = self.alignment();
        let mut out = Counted { out, bytes: 0 };
        out.write_all(&self.bytes(alignment))?;
        out.pad(alignment)?;
        for (number, tensor) in self.tensors.iter().enumerate() {
            let start = out.bytes;
            data(number, &mut out)?;
            let found = out.bytes - start;
            if found != tensor.bytes {
                let (name, expected) = (&tensor.name, tensor.bytes);
                let message = format!("{name}: {expected} bytes expected, {found} written");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            out.pad(alignment)?;
        }
        Ok(())
    }

    fn alignment(&self) -> u64 {
        let said = self.settings.iter().find_map(|(key, value)| match value {
            Setting::U32(number) if *key == super::keys::ALIGNMENT => Some(*number),
            _ => None,
        });
        said.unwrap_or(DEFAULT_ALIGNMENT).into()
    }

    fn bytes(&self, alignment: u64) -> Vec<u8> {
        let mut head = b"GGUF".to_vec();
        head.extend(3_u32.to_le_bytes());
        head.extend((self.tensors.len() as u64).to_le_bytes());
        head.extend((self.settings.len() as u64).to_le_bytes());
        for (key, value) in &self.settings {
            text(key, &mut head);
            value.append(&mut head);
        }
        let mut place = 0_u64;
        for tensor in &self.tensors {
            text(&tensor.name, &mut head);
            head.extend((tensor.dimensions.len() as u32).to_le_bytes());
            head.extend(tensor.dimensions.iter().flat_map(|size| size.to_le_bytes()));
            head.extend(tensor.number.to_le_bytes());
            head.extend(place.to_le_bytes());
            place = (place + tensor.bytes).next_multiple_of(alignment);
        }
        head
    }
}

impl Setting {
    /// Type and value, as the format has them.
    fn append(&self, head: &mut Vec<u8>) {
        let mut number = |number: u32| head.extend(number.to_le_bytes());
        match self {
            Self::U32(value) => {
                number(4);
                number(*value);
            }
            Self::F32(value) => {
                number(6);
                number(value.to_bits());
            }
            Self::Bool(value) => {
                number(7);
                head.push((*value).into());
            }
            Self::Text(value) => {
                number(8);
                text(value, head);
            }
            Self::Texts(values) => {
                array(8, values.len(), head);
                values.iter().for_each(|value| text(value, head));
            }
            Self::I32s(values) => {
                array(5, values.len(), head);
                head.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::F32s(values) => {
                array(6, values.len(), head);
                head.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
    }
}

fn text(text: &str, head: &mut Vec<u8>) {
    head.extend((text.len() as u64).to_le_bytes());
    head.extend(text.as_bytes());
}

/// Everything of an array but its values, which are of type `kind`.
fn array(kind: u32, count: usize, head: &mut Vec<u8>) {
    head.extend(9_u32.to_le_bytes());
    head.extend(kind.to_le_bytes());
    head.extend((count as u64).to_le_bytes());
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Counted<'_> {
    /// Fills up with zero bytes.
    fn pad(&mut self, alignment: u64) -> io::Result<()> {
        let missing = self.bytes.next_multiple_of(alignment) - self.bytes;
        self.write_all(&vec![0; missing as usize])
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{Kind, Value, parse};

    fn listed(name: &str, dimensions: &[u64], bytes: u64) -> Listed {
        Listed {
            name: name.to_owned(),
            dimensions: dimensions.to_vec(),
            number: 0,
            bytes,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for alignment in [None, Some(64)] {
            let mut head = Head::default();
            head.set("a", "text");
            head.set("b", Setting::Bool(true));
            head.set("c", Setting::F32(0.5));
            head.set("d", Setting::Texts(vec!["x".to_owned(), String::new()]));
            head.set("e", Setting::I32s(vec![-1, 2]));
            head.set("f", Setting::F32s(vec![1.5]));
            if let Some(alignment) = alignment {
                head.set("general.alignment", Setting::U32(alignment));
            }
            head.list(listed("first", &[3, 1], 12));
            head.list(listed("second", &[2], 8));
            let mut file = Vec::new();
            head.write(&mut file, |number, out| {
                out.write_all(&vec![number as u8 + 1; [12, 8][number]])
            })
            .unwrap();

            let gguf = parse(&file).unwrap();
            assert!(
                matches!(gguf.get("a"), Some(Value::Text(range)) if &file[range.clone()] == b"text")
            );
            assert_eq!(gguf.get("b"), Some(&Value::Bool(true)));
            assert_eq!(gguf.get("c"), Some(&Value::Real(0.5)));
            assert!(matches!(
                gguf.get("d"),
                Some(Value::Array(Kind::Text, 2, _))
            ));
            assert!(matches!(gguf.get("e"), Some(Value::Array(Kind::I32, 2, _))));
            assert!(matches!(gguf.get("f"), Some(Value::Array(Kind::F32, 1, _))));
            let alignment = u64::from(alignment.unwrap_or(32));
            for (info, byte) in gguf.tensors().iter().zip([1, 2]) {
                assert_eq!(info.start % alignment, 0, "{}", info.name);
                let start = info.start as usize;
                assert_eq!(file[start..start + 8], [byte; 8], "{}", info.name);
            }
            assert_eq!(gguf.tensors()[0].dimensions, [3, 1]);
            assert_eq!(file.len() as u64 % alignment, 0);
        }
    }

    #[test]
    fn a_tensor_of_other_bytes_than_listed_is_an_error() {
        let mut head = Head::default();
        head.list(listed("x", &[3], 12));
        let written = head.write(&mut Vec::new(), |_, out| out.write_all(&[0; 11]));
        let message = written.unwrap_err().to_string();
        assert_eq!(message, "x: 12 bytes expected, 11 written");
    }
}
