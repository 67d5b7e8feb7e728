//! What stored bytes mean: one file per storage format.

mod bf16;
mod block256;
mod block32;
mod f16;
mod f32;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod search;

pub(crate) use bf16::widen as bf16_to_f32;
pub(crate) use f16::widen as f16_to_f32;
pub(crate) use f32::stored as stored_f32;

/// How the numbers of a [`Matrix`](crate::Matrix) are stored. All formats are little-endian.
///
/// The block formats are those of ggml, byte for byte: a block holds whole numbers of few bits and
/// the scale, and in some formats the minimum, that they are multiplied with and added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// IEEE 754 binary32: 4 bytes a number.
    F32,
    /// IEEE 754 binary16: 2 bytes a number.
    F16,
    /// bfloat16, the upper half of a binary32: 2 bytes a number.
    BF16,
    /// 8 bits and a scale for 32 numbers: 8.5 bits a number.
    Q8_0,
    /// 4 bits and a scale for 32 numbers: 4.5 bits a number.
    Q4_0,
    /// 4 bits, a scale and a minimum for 32 numbers: 5 bits a number.
    Q4_1,
    /// 5 bits and a scale for 32 numbers: 5.5 bits a number.
    Q5_0,
    /// 5 bits, a scale and a minimum for 32 numbers: 6 bits a number.
    Q5_1,
    /// 2 bits; scales and minima for 16 numbers in blocks of 256: 2.625 bits a number.
    Q2K,
    /// 3 bits; scales for 16 numbers in blocks of 256: 3.4375 bits a number.
    Q3K,
    /// 4 bits; scales and minima for 32 numbers in blocks of 256: 4.5 bits a number.
    Q4K,
    /// 5 bits; scales and minima for 32 numbers in blocks of 256: 5.5 bits a number.
    Q5K,
    /// 6 bits; scales for 16 numbers in blocks of 256: 6.5625 bits a number.
    Q6K,
}

/// Writes a block of numbers with least loss for the weights of their squared errors.
type Weighted = fn(&[f32], &[f32], &mut [u8]);

/// The definition of a format: what a block of its bytes means, and how numbers become one.
#[derive(Clone, Copy)]
struct Definition {
    name: &'static str,
    /// Numbers in a block.
    numbers: usize,
    /// Bytes of a block.
    bytes: usize,
    /// A block to its numbers; where a block is one number, any count of them.
    decode: fn(&[u8], &mut [f32]),
    /// Numbers to a block; where a block is one number, any count of them.
    encode: fn(&[f32], &mut [u8]),
    /// Numbers and weights of their squared errors to a block, where there is something to choose.
    weighted: Option<Weighted>,
}

impl Format {
    /// Every format, in the order in which tables of formats are printed.
    pub const ALL: [Format; 13] = [
        Format::F32,
        Format::F16,
        Format::BF16,
        Format::Q8_0,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q2K,
        Format::Q3K,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
    ];

    #[rustfmt::skip] // A line for each format.
    fn definition(self) -> Definition {
        let define = |name, numbers, bytes, decode, encode, weighted| Definition { name, numbers, bytes, decode, encode, weighted };
        match self {
            Format::F32 => define("f32", 1, 4, f32::decode, f32::encode, None),
            Format::F16 => define("f16", 1, 2, f16::decode, f16::encode, None),
            Format::BF16 => define("bf16", 1, 2, bf16::decode, bf16::encode, None),
            Format::Q8_0 => define("q8_0", 32, 34, q8_0::decode, q8_0::encode, Some(q8_0::weighted)),
            Format::Q4_0 => define("q4_0", 32, 18, q4_0::decode, q4_0::encode, Some(q4_0::weighted)),
            Format::Q4_1 => define("q4_1", 32, 20, q4_1::decode, q4_1::encode, Some(q4_1::weighted)),
            Format::Q5_0 => define("q5_0", 32, 22, q5_0::decode, q5_0::encode, Some(q5_0::weighted)),
            Format::Q5_1 => define("q5_1", 32, 24, q5_1::decode, q5_1::encode, Some(q5_1::weighted)),
            Format::Q2K => define("q2_k", 256, 84, q2_k::decode, q2_k::encode, Some(q2_k::weighted)),
            Format::Q3K => define("q3_k", 256, 110, q3_k::decode, q3_k::encode, Some(q3_k::weighted)),
            Format::Q4K => define("q4_k", 256, 144, q4_k::decode, q4_k::encode, Some(q4_k::weighted)),
            Format::Q5K => define("q5_k", 256, 176, q5_k::decode, q5_k::encode, Some(q5_k::weighted)),
            Format::Q6K => define("q6_k", 256, 210, q6_k::decode, q6_k::encode, Some(q6_k::weighted)),
        }
    }

    /// The name that is printed: `f32`, `q8_0`, `q4_k`.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// ggml's number of the format (`ggml_type` in `ggml.h`), which GGUF files hold.
    pub fn ggml_type(self) -> u32 {
        match self {
            Format::F32 => 0,
            Format::F16 => 1,
            Format::Q4_0 => 2,
            Format::Q4_1 => 3,
            Format::Q5_0 => 6,
            Format::Q5_1 => 7,
            Format::Q8_0 => 8,
            Format::Q2K => 10,
            Format::Q3K => 11,
            Format::Q4K => 12,
            Format::Q5K => 13,
            Format::Q6K => 14,
            Format::BF16 => 30,
        }
    }

    /// The format of ggml's number.
    pub fn from_ggml_type(number: u32) -> Option<Format> {
        Format::ALL
            .into_iter()
            .find(|format| format.ggml_type() == number)
    }

    /// Numbers in a block: a row has a whole number of blocks. 1 where each number stands alone.
    pub fn block(self) -> usize {
        self.definition().numbers
    }

    /// Bytes of one row of `columns` numbers; `None` if these are no whole number of blocks or
    /// their bytes cannot be addressed.
    pub fn row_bytes(self, columns: usize) -> Option<usize> {
        let Definition { numbers, bytes, .. } = self.definition();
        if !columns.is_multiple_of(numbers) {
            return None;
        }
        (columns / numbers).checked_mul(bytes)
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
        let format = self.definition();
        if format.numbers == 1 {
            return (format.decode)(bytes, out);
        }
        let blocks = bytes.chunks_exact(format.bytes);
        for (block, out) in blocks.zip(out.chunks_exact_mut(format.numbers)) {
            (format.decode)(block, out);
        }
    }

    /// The bytes of `values`: each rounded to the nearest number of the format, ties to even; in
    /// block formats as ggml's `quantize_row_*_ref` without an importance matrix.
    ///
    /// # Panics
    /// If `values` are no whole number of blocks.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        let Some(bytes) = self.row_bytes(values.len()) else {
            panic!(
                "{} numbers are no whole {} blocks",
                values.len(),
                self.name()
            );
        };
        let mut out = vec![0; bytes];
        let format = self.definition();
        if format.numbers == 1 {
            (format.encode)(values, &mut out);
            return out;
        }
        let blocks = out.chunks_exact_mut(format.bytes);
        for (block, values) in blocks.zip(values.chunks_exact(format.numbers)) {
            (format.encode)(values, block);
        }
        out
    }

    /// The bytes of `values` where the squared error of each counts `importance` times: as
    /// [`encode`](Format::encode) writes them, but of each block the bytes with the least error
    /// among those and others that a search finds. Never has more weighted error than `encode`.
    ///
    /// Where each number stands alone there is nothing to weigh. Importances are finite and not
    /// negative; others leave the bytes of `encode`.
    ///
    /// # Panics
    /// If `values` are no whole number of blocks or `importance` has another length.
    pub fn encode_weighted(self, values: &[f32], importance: &[f32]) -> Vec<u8> {
        assert_eq!(
            values.len(),
            importance.len(),
            "each number has an importance"
        );
        let mut out = self.encode(values);
        let format = self.definition();
        let Some(weighted) = format.weighted else {
            return out;
        };
        let mut found = vec![0; format.bytes];
        let mut decoded = vec![0.0; format.numbers];
        let mut loss = |block: &[u8], values: &[f32], importance: &[f32]| {
            (format.decode)(block, &mut decoded);
            let differences = decoded.iter().zip(values).map(|(&a, &b)| f64::from(a - b));
            let weighed = differences
                .zip(importance)
                .map(|(x, &w)| f64::from(w) * x * x);
            weighed.sum::<f64>()
        };
        let blocks = out.chunks_exact_mut(format.bytes);
        let values = values.chunks_exact(format.numbers);
        let importance = importance.chunks_exact(format.numbers);
        for ((block, values), importance) in blocks.zip(values).zip(importance) {
            weighted(values, importance, &mut found);
            if loss(&found, values, importance) < loss(block, values, importance) {
                block.copy_from_slice(&found);
            }
        }
        out
    }
}
