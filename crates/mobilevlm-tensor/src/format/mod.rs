//! What stored bytes mean: one file per storage format.

mod bf16;
mod f16;
mod f32;

pub(crate) use bf16::widen as bf16_to_f32;
pub(crate) use f16::widen as f16_to_f32;
pub(crate) use f32::stored as stored_f32;

/// How the numbers of a [`Matrix`](crate::Matrix) are stored. All formats are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// IEEE 754 binary32: 4 bytes a number.
    F32,
    /// IEEE 754 binary16: 2 bytes a number.
    F16,
    /// bfloat16, the upper half of a binary32: 2 bytes a number.
    BF16,
}

impl Format {
    /// Every format, in the order in which tables of formats are printed.
    pub const ALL: [Format; 3] = [Format::F32, Format::F16, Format::BF16];

    /// The name that is printed: `f32`, `f16`, `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::BF16 => "bf16",
        }
    }

    /// Bytes of one row of `columns` numbers; `None` if that many bytes cannot be addressed.
    pub fn row_bytes(self, columns: usize) -> Option<usize> {
        let each = match self {
            Format::F32 => 4,
            Format::F16 | Format::BF16 => 2,
        };
        columns.checked_mul(each)
    }

    /// The meaning of the format: decodes `out.len()` numbers from `bytes`. Exact.
    ///
    /// This scalar function is the definition that every kernel is tested against.
    ///
    /// # Panics
    /// If `bytes` is not exactly `self.row_bytes(out.len())` long.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(
            Some(bytes.len()),
            self.row_bytes(out.len()),
            "bytes of {} {} numbers",
            out.len(),
            self.name()
        );
        match self {
            Format::F32 => f32::decode(bytes, out),
            Format::F16 => f16::decode(bytes, out),
            Format::BF16 => bf16::decode(bytes, out),
        }
    }

    /// The bytes of `values`, each rounded to the nearest number of the format, ties to even.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Format::F32 => f32::encode(values),
            Format::F16 => f16::encode(values),
            Format::BF16 => bf16::encode(values),
        }
    }
}
