use std::collections::BTreeMap;
use std::str::FromStr;

use mobilevlm_checkpoint::{
    CheckpointError, Config, ConfigFiles, Dtype, Formats, Inventory, Tensor,
};
use mobilevlm_processor::{Piece, PieceKind, Tokenizer, TokenizerSettings};
use mobilevlm_tensor::{Bytes, Format, Matrix, prefer_huge_pages};

use crate::Error;

/// A released size, for judging a machine before its weights are downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// MobileVLM V2 1.7B.
    B1_7,
    /// MobileVLM V2 3B.
    B3,
    /// MobileVLM V2 7B.
    B7,
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(name: &str) -> Result<Shape, Error> {
        match name.to_ascii_lowercase().as_str() {
            "1.7b" => Ok(Shape::B1_7),
            "3b" => Ok(Shape::B3),
            "7b" => Ok(Shape::B7),
            _ => Err(Error::Option {
                name: "random",
                expected: "1.7b, 3b or 7b",
                found: name.to_owned(),
            }),
        }
    }
}

impl Shape {
    /// The configuration of the release, as far as sizes go.
    pub(crate) fn config(self) -> Result<Config, CheckpointError> {
        let (hidden, heads, layers, ffn) = match self {
            Shape::B1_7 => (2048, 16, 24, 5632),
            Shape::B3 => (2560, 32, 32, 6912),
            Shape::B7 => (4096, 32, 32, 11008),
        };
        let json = serde_json::json!({
            "model_type": "mobilevlm",
            "mm_vision_tower": "openai/clip-vit-large-patch14-336",
            "mm_projector_type": "ldpnetv2",
            "image_aspect_ratio": "pad",
            "hidden_size": hidden,
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "intermediate_size": ffn,
            "vocab_size": 32000,
        });
        let json = json.to_string();
        let files = ConfigFiles {
            config: json.as_bytes(),
            ..ConfigFiles::default()
        };
        Config::from_json(&files).map_err(|source| CheckpointError::Config {
            path: "(built in)".into(),
            source,
        })
    }
}

/// Random weights for every tensor that `config` asks for, stored as `formats` say; what they leave
/// open in float16.
pub(crate) fn weights(config: &Config, formats: Formats) -> Result<Inventory, Error> {
    let mut inventory = Inventory::default();
    let mut patterns = Patterns::default();
    for ((name, shape, dtype), seed) in formats.types(config).into_iter().zip(0..) {
        let data = match dtype {
            Dtype::Blocks(format) | Dtype::Panels(format) => {
                let columns = shape.iter().skip(1).product();
                let pattern = patterns.of(dtype, format, columns);
                repeated(pattern, seed, dtype.bytes(&shape).unwrap_or(0))
            }
            _ => plain(dtype, seed, shape.iter().product()),
        };
        let tensor =
            Tensor::new(dtype, shape, data.into()).map_err(mobilevlm_model::ModelError::from)?;
        inventory.insert(name, tensor);
    }
    Ok(inventory)
}

/// `count` numbers that stand alone.
fn plain(dtype: Dtype, seed: u64, count: usize) -> Vec<u8> {
    let halves = halves(seed, 2 * count);
    let format = match dtype {
        Dtype::F32 => Format::F32,
        Dtype::BF16 => Format::BF16,
        _ => return halves,
    };
    let mut numbers = vec![0.0; count];
    Format::F16.decode(&halves, &mut numbers);
    format.encode(&numbers)
}

/// Rows that are interleaved together.
const PANEL: usize = 16;

/// Panels of a pattern.
const PANELS: usize = 8;

/// Some panels of random numbers for each type and width, encoded once: the quantisers of some
/// formats would take minutes for a whole model.
#[derive(Default)]
struct Patterns {
    encoded: BTreeMap<(&'static str, usize), Vec<u8>>,
}

impl Patterns {
    /// The bytes of [`PANELS`] panels of `columns` numbers; `dtype` is blocks or panels of `format`.
    fn of(&mut self, dtype: Dtype, format: Format, columns: usize) -> &[u8] {
        let key = (dtype.name(), columns);
        self.encoded.entry(key).or_insert_with(|| {
            let rows = PANELS * PANEL;
            let mut numbers = vec![0.0; rows * columns];
            Format::F16.decode(&halves(columns as u64, 2 * numbers.len()), &mut numbers);
            let stored = Bytes::from(format.encode(&numbers));
            match (dtype, Matrix::new(format, rows, columns, stored.clone())) {
                (Dtype::Panels(_), Ok(matrix)) => matrix.interleave().bytes().to_vec(),
                _ => stored.to_vec(),
            }
        })
    }
}

/// `bytes` bytes: the panels of `pattern` in a random order.
fn repeated(pattern: &[u8], seed: u64, bytes: usize) -> Vec<u8> {
    let mut data = vec![0; bytes];
    prefer_huge_pages(&data);
    let panel = (pattern.len() / PANELS).max(1);
    let mut order = odd(seed);
    for out in data.chunks_mut(panel) {
        order = xorshift(order);
        // The lowest bits are the least random ones.
        let choice = (order >> 32) as usize % PANELS;
        out.copy_from_slice(&pattern[choice * panel..][..out.len()]);
    }
    data
}

/// One step of a generator (Marsaglia 2003).
fn xorshift(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ state << 17
}

/// A state to begin with, another one for each seed.
fn odd(seed: u64) -> u64 {
    (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// `bytes` bytes of float16 numbers with sizes between 1/64 and 1/32 and random signs: small
/// enough that sums over any layer stay in range, and never subnormal, which would be slow.
///
/// Eight generators beside each other fill memory about as fast as it
/// can be written, so that 13 GB take seconds.
fn halves(seed: u64, bytes: usize) -> Vec<u8> {
    const SIGN_AND_FRACTION: u64 = 0x83ff_83ff_83ff_83ff;
    const EXPONENT: u64 = 0x2400_2400_2400_2400;
    let mut lanes: [u64; 8] = std::array::from_fn(|lane| odd(seed * 8 + lane as u64));
    let mut data = vec![0; bytes];
    prefer_huge_pages(&data);
    for chunk in data.chunks_mut(64) {
        let mut block = [0; 64];
        for (lane, out) in lanes.iter_mut().zip(block.as_chunks_mut::<8>().0) {
            *lane = xorshift(*lane);
            *out = (*lane & SIGN_AND_FRACTION | EXPONENT).to_le_bytes();
        }
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    data
}

/// A vocabulary of `size` pieces for a model that has none: control tokens, bytes, and names that
/// no text contains.
pub(crate) fn tokenizer(size: usize) -> Result<Tokenizer, Error> {
    let control = [
        ("<unk>", PieceKind::Unknown),
        ("<s>", PieceKind::Control),
        ("</s>", PieceKind::Control),
    ];
    let control = control
        .into_iter()
        .map(|(text, kind)| (text.to_owned(), kind));
    let bytes = (0..=u8::MAX).map(|byte| (format!("<0x{byte:02X}>"), PieceKind::Byte));
    let fill = (0..).map(|index| (format!("\u{e000}{index}"), PieceKind::Normal));
    let pieces = control.chain(bytes).chain(fill).take(size);
    let pieces = pieces.map(|(text, kind)| Piece {
        text,
        score: 0.0,
        kind,
    });
    Ok(Tokenizer::from_pieces(
        pieces,
        TokenizerSettings::default(),
    )?)
}

#[cfg(test)]
mod tests {
    use mobilevlm_checkpoint::Mix;

    use super::*;

    #[test]
    fn random_numbers_are_normal_and_differ() {
        let data = halves(3, 1000);
        let exponents = data
            .as_chunks::<2>()
            .0
            .iter()
            .map(|half| u16::from_le_bytes(*half) & 0x7c00);
        assert!(exponents.into_iter().all(|exponent| exponent == 0x2400));
        assert_ne!(data[..500], data[500..]);
        assert_ne!(data, halves(4, 1000));
    }

    #[test]
    fn blocks_are_whole_panels_of_normal_numbers() {
        let (format, columns) = (Format::Q4K, 512);
        let row = format.row_bytes(columns).unwrap();
        for dtype in [Dtype::Blocks(format), Dtype::Panels(format)] {
            let mut patterns = Patterns::default();
            let bytes = dtype.bytes(&[40, columns]).unwrap();
            let data = repeated(patterns.of(dtype, format, columns), 5, bytes);
            assert_ne!(data[..16 * row], data[16 * row..32 * row]);
            let matrix = match dtype {
                Dtype::Panels(_) => Matrix::panels(format, 40, columns, data.into()),
                _ => Matrix::new(format, 40, columns, data.into()),
            };
            let mut numbers = vec![0.0; columns];
            for index in [0, 17, 39] {
                matrix.as_ref().unwrap().row(index, &mut numbers);
                let largest = numbers.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                assert!((0.025..0.04).contains(&largest), "{largest}");
            }
        }
    }

    #[test]
    fn every_tensor_has_the_type_of_a_file() {
        let config = Config {
            language: mobilevlm_checkpoint::LanguageConfig {
                layers: 1,
                ..Shape::B1_7.config().unwrap().language
            },
            vision: mobilevlm_checkpoint::VisionConfig {
                blocks_to_run: 1,
                ..Shape::B1_7.config().unwrap().vision
            },
            ..Shape::B1_7.config().unwrap()
        };
        let formats = Formats {
            language: Some(Mix::Q4KM),
            vision: Some(Format::Q8_0),
            projector: None,
        };
        let weights = weights(&config, formats).unwrap();
        for (name, expected) in [
            ("language.embed_tokens.weight", Dtype::Blocks(Format::Q4K)),
            ("language.lm_head.weight", Dtype::Panels(Format::Q6K)),
            ("language.norm.weight", Dtype::F32),
            (
                "vision.encoder.layers.0.mlp.fc1.weight",
                Dtype::Panels(Format::Q8_0),
            ),
            ("vision.embeddings.patch_embedding.weight", Dtype::F16),
            ("projector.mlp.mlp.0.weight", Dtype::F16),
        ] {
            let tensor = weights.get(name).unwrap();
            assert_eq!(tensor.dtype(), expected, "{name}");
            assert!(tensor.data()[..64].iter().any(|&byte| byte != 0), "{name}");
        }
    }

    #[test]
    fn names_of_shapes() {
        assert_eq!("1.7B".parse::<Shape>().unwrap(), Shape::B1_7);
        let error = "2b".parse::<Shape>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "option random: expected 1.7b, 3b or 7b, found 2b"
        );
    }
}
