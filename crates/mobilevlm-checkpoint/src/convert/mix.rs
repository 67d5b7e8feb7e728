//! Mixes: which format each matrix of a language model gets under a name that users know.
//!
//! The choices are those of llama.cpp's `llama-quantize` without an importance matrix
//! (`llama_tensor_get_type_impl` and `tensor_type_fallback` in `llama-quant.cpp`, as in
//! llama-cpp-python 0.3.36), so that both programs write the same files.

use mobilevlm_tensor::Format;

use crate::config::LanguageConfig;

/// A choice of formats for the matrices of a language model.
///
/// Plain names store every matrix in that format, but the head better where it is of four bits or
/// so; `_s`, `_m` and `_l` spend more on the matrices that suffer most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Mix {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q2K,
    Q3KS,
    Q3KM,
    Q3KL,
    Q4KS,
    Q4KM,
    Q5KS,
    Q5KM,
    Q6K,
}

/// Name, format of most matrices, and llama.cpp's number of the mix (`llama_ftype`).
type Definition = (Mix, &'static str, Format, u32);

const DEFINITIONS: [Definition; 17] = [
    (Mix::F32, "f32", Format::F32, 0),
    (Mix::F16, "f16", Format::F16, 1),
    (Mix::BF16, "bf16", Format::BF16, 32),
    (Mix::Q8_0, "q8_0", Format::Q8_0, 7),
    (Mix::Q6K, "q6_k", Format::Q6K, 18),
    (Mix::Q5KM, "q5_k_m", Format::Q5K, 17),
    (Mix::Q5KS, "q5_k_s", Format::Q5K, 16),
    (Mix::Q5_1, "q5_1", Format::Q5_1, 9),
    (Mix::Q5_0, "q5_0", Format::Q5_0, 8),
    (Mix::Q4KM, "q4_k_m", Format::Q4K, 15),
    (Mix::Q4KS, "q4_k_s", Format::Q4K, 14),
    (Mix::Q4_1, "q4_1", Format::Q4_1, 3),
    (Mix::Q4_0, "q4_0", Format::Q4_0, 2),
    (Mix::Q3KL, "q3_k_l", Format::Q3K, 13),
    (Mix::Q3KM, "q3_k_m", Format::Q3K, 12),
    (Mix::Q3KS, "q3_k_s", Format::Q3K, 11),
    (Mix::Q2K, "q2_k", Format::Q2K, 10),
];

/// A matrix of a language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Embedding,
    Head,
    Query,
    Key,
    /// Of the block with this number.
    Value(usize),
    Output,
    Gate,
    Up,
    /// Of the block with this number.
    Down(usize),
}

impl Mix {
    /// Every mix, largest first.
    pub fn all() -> impl Iterator<Item = Mix> {
        DEFINITIONS.into_iter().map(|(mix, ..)| mix)
    }

    /// The name that users know: `q4_k_m`.
    pub fn name(self) -> &'static str {
        self.definition().1
    }

    /// The mix of a name, in small or capital letters.
    pub fn from_name(name: &str) -> Option<Mix> {
        Mix::all().find(|mix| mix.name().eq_ignore_ascii_case(name))
    }

    /// The format of most matrices.
    pub fn format(self) -> Format {
        self.definition().2
    }

    /// llama.cpp's number, `general.file_type`.
    pub(crate) fn file_type(self) -> u32 {
        self.definition().3
    }

    /// The number for a file most of whose matrices are of this format.
    pub(crate) fn file_type_of(format: Format) -> u32 {
        let mixes = DEFINITIONS.iter().filter(|(_, _, most, _)| *most == format);
        let usual = mixes.max_by_key(|(_, name, ..)| name.ends_with("_m"));
        usual.map_or(0, |(.., number)| *number)
    }

    fn definition(self) -> Definition {
        let found = DEFINITIONS.into_iter().find(|(mix, ..)| *mix == self);
        found.unwrap_or(DEFINITIONS[0])
    }

    /// The format of a matrix with rows of `columns`.
    pub(crate) fn choose(self, role: Role, columns: usize, language: &LanguageConfig) -> Format {
        let base = self.format();
        if base.block() == 1 {
            return base;
        }
        fit(self.wish(role, columns, language), columns)
    }

    /// The format of a matrix if its rows are of whole blocks.
    fn wish(self, role: Role, columns: usize, language: &LanguageConfig) -> Format {
        let base = self.format();
        let layers = language.layers;
        match role {
            // A head that is the embedding counts as a head.
            Role::Embedding if !language.tied => base,
            Role::Embedding | Role::Head => match base {
                _ if !columns.is_multiple_of(base.block()) => Format::Q8_0,
                Format::Q8_0 => Format::Q8_0,
                _ => Format::Q6K,
            },
            Role::Value(layer) => {
                let format = match self {
                    Mix::Q2K if language.heads / language.kv_heads >= 4 => Format::Q4K,
                    Mix::Q2K => Format::Q3K,
                    Mix::Q3KM if layer < 2 => Format::Q5K,
                    Mix::Q3KM => Format::Q4K,
                    Mix::Q3KL => Format::Q5K,
                    Mix::Q4KM | Mix::Q5KM if gets_more(layer, layers) => Format::Q6K,
                    Mix::Q4KS if layer < 4 => Format::Q5K,
                    _ => base,
                };
                // LLaMA 70B by its number of blocks, whose values serve eight heads each.
                let is_70b = layers == 80 && language.heads != language.kv_heads;
                match format {
                    Format::Q3K | Format::Q4K if is_70b => Format::Q5K,
                    _ => format,
                }
            }
            Role::Down(layer) => match self {
                Mix::Q2K => Format::Q3K,
                Mix::Q3KM if layer < layers / 16 => Format::Q5K,
                Mix::Q3KM => Format::Q4K,
                Mix::Q3KL => Format::Q5K,
                Mix::Q4KM | Mix::Q5KM if gets_more(layer, layers) => Format::Q6K,
                Mix::Q4KS if layer < layers / 8 => Format::Q5K,
                _ => base,
            },
            Role::Output => match self {
                Mix::Q2K => Format::Q3K,
                Mix::Q3KM => Format::Q4K,
                Mix::Q3KL => Format::Q5K,
                _ => base,
            },
            Role::Query | Role::Key | Role::Gate | Role::Up => base,
        }
    }
}

/// Whether a block is one that the `_m` mixes spend more on: the first and last eighth, and every
/// third between (llama.cpp: `use_more_bits`).
fn gets_more(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// The format, or another where rows of `columns` are no whole blocks of it
/// (llama.cpp: `tensor_type_fallback`).
pub(crate) fn fit(format: Format, columns: usize) -> Format {
    let fits = |format: &Format| columns.is_multiple_of(format.block());
    let smaller = match format {
        Format::Q2K | Format::Q3K => Format::Q4_0,
        Format::Q4K => Format::Q5_0,
        Format::Q5K => Format::Q5_1,
        Format::Q6K => Format::Q8_0,
        other => other,
    };
    [format, smaller]
        .into_iter()
        .find(fits)
        .unwrap_or(Format::F16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_whole_blocks_fall_back() {
        let cases = [
            (Format::Q4K, [Format::Q4K, Format::Q5_0, Format::F16]),
            (Format::Q6K, [Format::Q6K, Format::Q8_0, Format::F16]),
            (Format::Q2K, [Format::Q2K, Format::Q4_0, Format::F16]),
            (Format::Q5K, [Format::Q5K, Format::Q5_1, Format::F16]),
            (Format::Q4_1, [Format::Q4_1, Format::Q4_1, Format::F16]),
        ];
        for (format, expected) in cases {
            assert_eq!([512, 160, 48].map(|columns| fit(format, columns)), expected);
        }
    }

    #[test]
    fn names_are_read_back() {
        for mix in Mix::all() {
            assert_eq!(Mix::from_name(&mix.name().to_uppercase()), Some(mix));
        }
        assert_eq!(Mix::all().count(), 17);
        assert_eq!(Mix::from_name("q7"), None);
    }
}
