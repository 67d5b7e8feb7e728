//! Pairs are put together here from small valid files, so that each can differ in one way.

use std::fs;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::Activation;
use crate::names::Report;

const LANGUAGE: &[u8] = include_bytes!("../../../../../attacks/seeds/gguf/language.gguf");
const PROJECTOR: &[u8] = include_bytes!("../../../../../attacks/seeds/gguf/projector.gguf");
const WHOLE: &[u8] = include_bytes!("../../../../../attacks/seeds/gguf/whole.gguf");

const U8: u32 = 0;
const U32: u32 = 4;
const BOOL: u32 = 7;
const ARRAY: u32 = 9;
const I64: u32 = 11;

/// A file taken apart.
#[derive(Clone)]
struct Parts {
    /// Name, number of the type, value.
    keys: Vec<(String, u32, Vec<u8>)>,
    /// Name, sizes fastest first, number of the type, bytes.
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

impl Parts {
    fn of(file: &[u8]) -> Self {
        let gguf = crate::gguf::parse(file).expect("a valid file");
        let entries = gguf.entries(file.len()).expect("valid tensors");
        let text = |bytes: &[u8]| [&(bytes.len() as u64).to_le_bytes(), bytes].concat();
        let keys = gguf.keys().map(|(name, value)| {
            let (number, value) = match value {
                Value::Whole(number) => (U32, (*number as u32).to_le_bytes().to_vec()),
                Value::Real(number) => (6, (*number as f32).to_le_bytes().to_vec()),
                Value::Bool(flag) => (BOOL, vec![(*flag).into()]),
                Value::Text(range) => (8, text(&file[range.clone()])),
                Value::Array(kind, count, range) => {
                    let kind = *kind as u32;
                    let head = [&kind.to_le_bytes()[..], &(*count as u64).to_le_bytes()];
                    (ARRAY, [&head.concat(), &file[range.clone()]].concat())
                }
            };
            (name.to_owned(), number, value)
        });
        let tensors = gguf.tensors().iter().zip(entries).map(|(info, entry)| {
            let bytes = file[entry.range].to_vec();
            (
                info.name.clone(),
                info.dimensions.clone(),
                info.format,
                bytes,
            )
        });
        Self {
            keys: keys.collect(),
            tensors: tensors.collect(),
        }
    }

    fn key(mut self, name: &str, number: u32, value: &[u8]) -> Self {
        self.keys.retain(|(known, ..)| known != name);
        self.keys.push((name.to_owned(), number, value.to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.keys.len() + self.tensors.len();
        self.keys.retain(|(known, ..)| known != name);
        self.tensors.retain(|(known, ..)| known != name);
        assert_eq!(self.keys.len() + self.tensors.len(), before - 1, "{name}");
        self
    }

    fn renamed(mut self, from: &str, to: &str) -> Self {
        for (name, ..) in &mut self.tensors {
            *name = name.replace(from, to);
        }
        self
    }

    fn bytes(&self) -> Bytes {
        let name = |name: &str| [&(name.len() as u64).to_le_bytes(), name.as_bytes()].concat();
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        for (key, number, value) in &self.keys {
            file.extend(name(key));
            file.extend(number.to_le_bytes());
            file.extend(value);
        }
        let mut data = Vec::new();
        for (tensor, sizes, number, bytes) in &self.tensors {
            file.extend(name(tensor));
            file.extend((sizes.len() as u32).to_le_bytes());
            file.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
            file.extend(number.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        file.into()
    }
}

fn language() -> Parts {
    Parts::of(LANGUAGE)
}

fn projector() -> Parts {
    Parts::of(PROJECTOR)
}

fn open(language: &Parts, projector: &Parts) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_gguf(language.bytes(), Some(projector.bytes()))
}

fn message(language: &Parts, projector: &Parts) -> String {
    let error = open(language, projector).expect_err("a wrong pair was accepted");
    let source = std::error::Error::source(&error);
    format!(
        "{error}: {}",
        source.map(ToString::to_string).unwrap_or_default()
    )
}

fn report(language: &Parts, projector: &Parts) -> Report {
    match open(language, projector) {
        Err(CheckpointError::Tensors { report, .. }) => report,
        other => panic!("expected a report, found {other:?}"),
    }
}

#[test]
fn absent_keys_mean_what_they_mean_to_llama_cpp() {
    let config = open(&language(), &projector()).unwrap().config;
    let language = &config.language;
    assert_eq!(
        (
            language.kv_heads,
            language.head_dim,
            language.vocab,
            language.rope_theta
        ),
        (1, 2, 6, 10000.0)
    );
    assert_eq!((language.bos, language.eos, language.tied), (1, 2, false));
    assert_eq!(config.vision.activation, Activation::QuickGelu);
    let gelu = projector().key("clip.use_gelu", BOOL, &[1]);
    let config = open(&self::language(), &gelu).unwrap().config;
    assert_eq!(config.vision.activation, Activation::Gelu);
}

#[test]
fn whole_numbers_may_have_any_width() {
    let narrow = language().key("llama.block_count", U8, &[1]).key(
        "llama.feed_forward_length",
        I64,
        &32_i64.to_le_bytes(),
    );
    assert_eq!(open(&narrow, &projector()).unwrap().config.language.ffn, 32);
}

#[test]
fn a_head_that_is_absent_is_the_embedding() {
    let checkpoint = open(&language().without("output.weight"), &projector()).unwrap();
    assert!(checkpoint.config.language.tied);
    let data = |name: &str| checkpoint.tensors.get(name).unwrap().data();
    assert_eq!(
        data("language.lm_head.weight"),
        data("language.embed_tokens.weight")
    );
}

#[test]
fn feed_forward_layers_are_told_by_their_shape() {
    // The other naming: `ffn_up` is the first layer.
    let renamed = projector()
        .renamed("ffn_up", "ffn_x")
        .renamed("ffn_down", "ffn_up")
        .renamed("ffn_x", "ffn_down");
    for tower in [projector(), renamed] {
        let checkpoint = open(&language(), &tower).unwrap();
        let layer = checkpoint.tensors.scope("vision.encoder.layers.0.mlp");
        assert_eq!(layer.shape("fc1.weight").unwrap(), [1, 2]);
        assert_eq!(layer.shape("fc1.bias").unwrap(), [1]);
        assert_eq!(layer.shape("fc2.weight").unwrap(), [2, 1]);
    }
}

#[test]
fn a_feature_layer_says_how_many_blocks_run() {
    let list = |layers: &[i32]| {
        let head = [
            &5_u32.to_le_bytes()[..],
            &(layers.len() as u64).to_le_bytes(),
        ]
        .concat();
        let values: Vec<u8> = layers
            .iter()
            .flat_map(|layer| layer.to_le_bytes())
            .collect();
        projector().key("clip.vision.feature_layer", ARRAY, &[head, values].concat())
    };
    let run = |tower: &Parts| {
        open(&language(), tower)
            .unwrap()
            .config
            .vision
            .blocks_to_run
    };
    assert_eq!(run(&projector()), 1, "all blocks of the file");
    // What is not run may be there.
    assert_eq!(run(&list(&[0])), 0);
    assert_eq!(run(&list(&[0, 1])), 1);
    for wrong in [&[2][..], &[-1], &[]] {
        let found = message(&language(), &list(wrong));
        assert!(found.contains("clip.vision.feature_layer"), "{found}");
    }
}

#[test]
fn a_file_with_all_of_clips_blocks_runs_all_but_the_last() {
    let u32s = |parts: Parts, values: [(&str, u32); 4]| {
        let set = |parts: Parts, (name, value): (&str, u32)| {
            parts.key(&format!("clip.vision.{name}"), U32, &value.to_le_bytes())
        };
        values.into_iter().fold(parts, set)
    };
    for (blocks, expected) in [(24, 23), (23, 23), (22, 22)] {
        let tower = u32s(
            projector(),
            [
                ("embedding_length", 1024),
                ("block_count", blocks),
                ("image_size", 336),
                ("patch_size", 14),
            ],
        );
        // The tensors are still those of the small tower, so the keys are asked alone.
        let (model, tower) = (language().bytes(), tower.bytes());
        let file = |bytes: Bytes| GgufFile::new(Path::new("test"), bytes).unwrap();
        let (model, tower) = (file(model), file(tower));
        let config = Config::from_pair(
            &Keys::of_pair("language", &model.bytes, &model.header),
            &Keys::of_pair("tower", &tower.bytes, &tower.header),
        );
        let config = config.unwrap();
        assert_eq!(config.vision.blocks_to_run, expected, "of {blocks}");
    }
}

#[test]
fn everything_that_does_not_fit_is_one_report_in_the_files_names() {
    let mut model = language().without("blk.0.attn_q.weight");
    model
        .tensors
        .push(("rope_freqs.weight".to_owned(), vec![1], 0, vec![0; 4]));
    let mut tower = projector().without("v.blk.0.ln1.bias");
    for (name, sizes, ..) in &mut tower.tensors {
        if name == "v.blk.0.attn_k.weight" {
            *sizes = vec![4, 1];
        }
    }
    let report = report(&model, &tower);
    let missing: Vec<_> = report
        .missing
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(missing, ["blk.0.attn_q.weight", "v.blk.0.ln1.bias"]);
    assert_eq!(report.unexpected[0].0, "rope_freqs.weight");
    assert_eq!(report.misshaped[0].name, "v.blk.0.attn_k.weight");
    assert_eq!(
        (report.unexpected.len(), report.misshaped.len()),
        (1, 1),
        "{report}"
    );
}

#[test]
fn what_would_be_computed_wrongly_is_refused_by_its_key() {
    let linear = [&6_u64.to_le_bytes()[..], b"linear"].concat();
    let yarn = [&4_u64.to_le_bytes()[..], b"yarn"].concat();
    let plain = language().key("llama.rope.scaling.type", 8, &linear).key(
        "llama.rope.scaling.factor",
        6,
        &1_f32.to_le_bytes(),
    );
    open(&plain, &projector()).expect("positions that are stretched by one");
    for (model, tower, expected) in [
        (
            plain.key("llama.rope.scaling.factor", 6, &2_f32.to_le_bytes()),
            projector(),
            "llama.rope.scaling.factor",
        ),
        (
            language().key("llama.rope.scaling.type", 8, &yarn),
            projector(),
            "llama.rope.scaling.type",
        ),
        (
            language().key("llama.rope.dimension_count", U32, &[1, 0, 0, 0]),
            projector(),
            "partial rotary",
        ),
        (
            language(),
            projector().key("clip.projector_type", 8, &yarn),
            "clip.projector_type",
        ),
        (
            language(),
            projector().key("clip.use_silu", BOOL, &[1]),
            "clip.use_silu",
        ),
        (
            language(),
            projector().without("clip.vision.image_mean"),
            "clip.vision.image_mean",
        ),
        (
            language().without("llama.context_length"),
            projector(),
            "llama.context_length: expected a whole number, found no such key",
        ),
        (
            language().key("split.count", 2, &[2, 0]),
            projector(),
            "one of 2 parts",
        ),
    ] {
        let found = message(&model, &tower);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn the_projector_beside_a_model_is_found_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let model = put("model.gguf", LANGUAGE);
    let open = |path: &Path, mmproj: Option<&Path>| {
        let options = OpenOptions {
            mmproj: mmproj.map(Path::to_owned),
            ..OpenOptions::default()
        };
        Checkpoint::open(path, &options)
    };
    let none = open(&model, None).unwrap_err().to_string();
    assert!(
        none.contains("found none") && none.contains("--mmproj"),
        "{none}"
    );
    let first = put("mmproj-a.gguf", PROJECTOR);
    assert_eq!(
        open(&model, None).unwrap().files,
        [model.clone(), first.clone()]
    );
    let second = put("mmproj-b.GGUF", PROJECTOR);
    let two = open(&model, None).unwrap_err().to_string();
    assert!(
        two.contains("mmproj-a.gguf") && two.contains("mmproj-b.GGUF"),
        "{two}"
    );
    assert_eq!(open(&model, Some(&second)).unwrap().files[1], second);

    let as_model = open(&first, None);
    assert!(matches!(
        as_model,
        Err(CheckpointError::ProjectorAsModel { .. })
    ));
    let no_projector = open(&model, Some(&model));
    assert!(matches!(
        no_projector,
        Err(CheckpointError::NoProjector { .. })
    ));
    let whole = put("whole", WHOLE);
    assert_eq!(
        open(&whole, None).unwrap().files,
        std::slice::from_ref(&whole)
    );
    let meaningless = open(&whole, Some(&first));
    assert!(matches!(
        meaningless,
        Err(CheckpointError::Meaningless { .. })
    ));
    let of_a_folder = open(folder.path(), Some(&first));
    assert!(matches!(
        of_a_folder,
        Err(CheckpointError::Meaningless { .. })
    ));
    let gpt2 = [&4_u64.to_le_bytes()[..], b"gpt2"].concat();
    let other = put(
        "other.gguf",
        &language().key("general.architecture", 8, &gpt2).bytes(),
    );
    let other = open(&other, None).unwrap_err().to_string();
    assert!(other.contains("\"gpt2\""), "{other}");
}

#[test]
fn a_projector_file_need_not_name_its_architecture() {
    let tower = projector().without("general.architecture");
    open(&language(), &tower).expect("a pair");
}
