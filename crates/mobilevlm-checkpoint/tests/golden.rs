//! Opens the recorded checkpoints and compares what is read with the reference.

use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{
    Access, Aspect, Bytes, Checkpoint, Config, Dtype, Inspection, LdpV2, OpenOptions, PieceKind,
    Projector, Tensor, TokenizerSource, Vocabulary, expected_tensors, gguf, safetensors,
};
use mobilevlm_testing::{micro_golden, shared_golden};

/// What README.md of the golden data says of one checkpoint.
struct Case {
    name: &'static str,
    projector: Projector,
    dtype: Dtype,
    image: usize,
    /// Hidden, heads, layers.
    vision: [usize; 3],
    /// Hidden, heads, key-value heads, head size, feed-forward size, layers, vocabulary.
    language: [usize; 7],
    aspect: Aspect,
    theta: f32,
    files: usize,
}

const LDPV2: Projector = Projector::LdpNetV2(LdpV2::PoolPeg);

const MICRO: Case = Case {
    name: "micro",
    projector: LDPV2,
    dtype: Dtype::F16,
    image: 168,
    vision: [32, 2, 3],
    language: [48, 2, 2, 24, 96, 2, 384],
    aspect: Aspect::Pad,
    theta: 1e4,
    files: 1,
};

const CASES: [Case; 5] = [
    Case {
        name: "v2-ldpv2",
        image: 336,
        vision: [256, 4, 4],
        language: [256, 4, 4, 64, 768, 3, 1024],
        ..MICRO
    },
    Case {
        name: "v1-ldp",
        projector: Projector::LdpNet,
        dtype: Dtype::F32,
        image: 336,
        vision: [64, 2, 3],
        language: [160, 2, 2, 80, 288, 2, 1024],
        files: 2,
        ..MICRO
    },
    Case {
        name: "llava-mlp2x",
        projector: Projector::Mlp { depth: 2 },
        dtype: Dtype::BF16,
        image: 336,
        vision: [128, 2, 4],
        language: [128, 2, 2, 64, 320, 3, 1024],
        files: 2,
        ..MICRO
    },
    Case {
        name: "v2-ldpv2-224",
        image: 224,
        vision: [128, 2, 3],
        language: [128, 2, 2, 64, 320, 3, 1024],
        ..MICRO
    },
    Case {
        name: "gqa-linear",
        projector: Projector::Linear,
        image: 224,
        vision: [128, 2, 3],
        language: [512, 4, 2, 128, 256, 2, 384],
        aspect: Aspect::Square,
        theta: 1e6,
        files: 3,
        ..MICRO
    },
];

fn check(case: &Case, path: &Path) {
    for access in [Access::Map, Access::Read] {
        let options = OpenOptions {
            access,
            ..OpenOptions::default()
        };
        let checkpoint = Checkpoint::open(path, &options).unwrap_or_else(|error| {
            panic!(
                "{}: {error} ({:?})",
                case.name,
                std::error::Error::source(&error)
            );
        });
        check_config(case, &checkpoint.config);
        assert_eq!(checkpoint.files.len(), case.files, "{}", case.name);
        assert!(
            matches!(
                checkpoint.tokenizer,
                Some(TokenizerSource::SentencePiece { legacy: true, .. })
            ),
            "{}",
            case.name
        );
        let expected = expected_tensors(&checkpoint.config);
        assert_eq!(checkpoint.tensors.len(), expected.len(), "{}", case.name);
        for (name, shape) in &expected {
            let tensor = checkpoint.tensors.get(name).unwrap();
            assert_eq!(
                (tensor.shape(), tensor.dtype()),
                (&shape[..], case.dtype),
                "{}: {name}",
                case.name
            );
        }
    }
}

fn check_config(case: &Case, config: &Config) {
    let (vision, language) = (&config.vision, &config.language);
    assert_eq!(config.projector, case.projector, "{}", case.name);
    assert_eq!(
        [vision.hidden, vision.heads, vision.layers],
        case.vision,
        "{}",
        case.name
    );
    assert_eq!(
        vision.blocks_to_run,
        vision.layers - 1,
        "{}: select layer -2",
        case.name
    );
    assert_eq!(
        (vision.image_size, vision.patch_size),
        (case.image, 14),
        "{}",
        case.name
    );
    assert_eq!(config.preprocess.image_size, case.image, "{}", case.name);
    assert_eq!(config.preprocess.aspect, case.aspect, "{}", case.name);
    let sizes = [
        language.hidden,
        language.heads,
        language.kv_heads,
        language.head_dim,
        language.ffn,
        language.layers,
        language.vocab,
    ];
    assert_eq!(sizes, case.language, "{}", case.name);
    assert_eq!(
        (language.rms_eps, language.rope_theta),
        (1e-6, case.theta),
        "{}",
        case.name
    );
    assert_eq!(
        (language.context, language.tied, language.bos, language.eos),
        (2048, false, 1, 2),
        "{}",
        case.name
    );
}

fn shared(name: &str, test: &str) -> Option<PathBuf> {
    shared_golden(&format!("model/{name}/checkpoint"), test)
}

#[test]
fn the_micro_checkpoint_opens() {
    check(&MICRO, &micro_golden("checkpoint"));
    check(&MICRO, &micro_golden("checkpoint/model.safetensors"));
}

#[test]
fn every_recorded_checkpoint_opens() {
    for case in &CASES {
        if let Some(path) = shared(case.name, "every_recorded_checkpoint_opens") {
            check(case, &path);
        }
    }
}

/// The linear projector of `gqa-linear`, from three torch archives: what the reference recorded
/// behind it is what it makes of what the reference recorded before it.
#[test]
fn weights_from_torch_archives_give_the_recorded_embeddings() {
    let test = "weights_from_torch_archives_give_the_recorded_embeddings";
    let Some(path) = shared("gqa-linear", test) else {
        return;
    };
    let checkpoint = Checkpoint::open(&path, &OpenOptions::default()).unwrap();
    let (width, hidden) = (
        checkpoint.config.vision.hidden,
        checkpoint.config.language.hidden,
    );
    let scope = checkpoint.tensors.scope("projector");
    let (weight, bias) = (
        scope.matrix("weight", hidden, width).unwrap(),
        scope.vector("bias", hidden).unwrap(),
    );

    let reference = std::fs::read(path.with_file_name("reference.safetensors")).unwrap();
    let entries = safetensors::parse(&reference).unwrap();
    let numbers = |name: &str| -> Vec<f32> {
        let entry = entries.iter().find(|entry| entry.name == name).unwrap();
        let data = Bytes::copy_from_slice(&reference[entry.range.clone()]);
        Tensor::new(entry.dtype, entry.shape.clone(), data)
            .unwrap()
            .to_f32()
            .unwrap()
    };
    let (features, embeds) = (
        numbers("one-picture.0.vision_features"),
        numbers("one-picture.0.image_embeds"),
    );
    assert_eq!(embeds.len(), features.len() / width * hidden);
    let mut row = vec![0.0; width];
    let mut worst = 0.0_f64;
    for output in 0..hidden {
        weight.row(output, &mut row);
        for (patch, feature) in features.chunks_exact(width).enumerate() {
            let product = |(&w, &x): (&f32, &f32)| f64::from(w) * f64::from(x);
            let sum: f64 =
                row.iter().zip(feature).map(product).sum::<f64>() + f64::from(bias[output]);
            worst = worst.max((sum - f64::from(embeds[patch * hidden + output])).abs());
        }
    }
    // 128 additions in float32 of values around one.
    assert!(worst < 1e-5, "largest difference {worst}");
}

#[test]
fn weights_are_those_that_the_reference_crate_reads() {
    let path = micro_golden("checkpoint");
    let checkpoint = Checkpoint::open(&path, &OpenOptions::default()).unwrap();
    let file = std::fs::read(path.join("model.safetensors")).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(&file).unwrap();
    for (name, tensor) in checkpoint.tensors.iter() {
        let (part, rest) = name.split_once('.').unwrap();
        let stored = match part {
            "vision" => format!("model.vision_tower.vision_tower.vision_model.{rest}"),
            "projector" => format!("model.mm_projector.{rest}"),
            _ if rest == "lm_head.weight" => rest.to_owned(),
            _ => format!("model.{rest}"),
        };
        assert_eq!(
            tensor.data(),
            theirs.tensor(&stored).unwrap().data(),
            "{name}"
        );
    }
}

#[test]
fn an_inspection_sums_up_the_parts() {
    let inspection = Inspection::new(&micro_golden("checkpoint"), &OpenOptions::default());
    assert!(inspection.problems.is_empty(), "{:?}", inspection.problems);
    let parts: Vec<_> = inspection
        .parts
        .iter()
        .map(|part| (part.name, part.tensors, part.parameters))
        .collect();
    // By hand from the sizes: 2 of 3 blocks of the tower run; ldpnetv2 has 2 linears and a
    // depthwise convolution.
    let tower = 32 + 32 * 3 * 14 * 14 + 145 * 32 + 2 * 32;
    let block = 4 * (32 * 32 + 32) + 4 * 32 + (64 * 32 + 64) + (32 * 64 + 32);
    let projector = (48 * 32 + 48) + (48 * 48 + 48) + (48 * 9 + 48);
    let layer = 4 * 48 * 48 + 3 * 48 * 96 + 2 * 48;
    let language = 2 * 384 * 48 + 2 * layer + 48;
    assert_eq!(
        parts,
        [
            ("vision", 5 + 2 * 16, tower + 2 * block),
            ("projector", 6, projector),
            ("language", 3 + 2 * 9, language)
        ]
    );
    assert!(
        inspection
            .parts
            .iter()
            .all(|part| part.dtypes == [Dtype::F16] && part.bytes == 2 * part.parameters)
    );
}

#[test]
fn the_vocabulary_of_a_gguf_file_spells_the_recorded_texts() {
    let test = "the_vocabulary_of_a_gguf_file_spells_the_recorded_texts";
    let Some(folder) = shared_golden("tokenizer", test) else {
        return;
    };
    let Ok(TokenizerSource::Pieces(Vocabulary { pieces, .. })) =
        TokenizerSource::open(&folder.join("llama-spm.gguf"), Access::Map)
    else {
        panic!("no vocabulary")
    };
    assert_eq!(pieces.len(), 32000);
    let cases: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("cases-llama.json")).unwrap()).unwrap();
    let mut compared = 0;
    for case in cases["texts"].as_array().unwrap() {
        let ids = case["ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| &pieces[id.as_u64().unwrap() as usize]);
        let ids: Vec<_> = ids.collect();
        if ids.iter().any(|piece| piece.kind != PieceKind::Normal) {
            continue;
        }
        let spelt: String = ids.iter().map(|piece| piece.text.as_str()).collect();
        let spelt = spelt.replace('▁', " ");
        assert_eq!(
            spelt.strip_prefix(' ').unwrap_or(&spelt),
            case["decoded"].as_str().unwrap()
        );
        compared += 1;
    }
    assert!(compared > 100, "{compared} texts compared");
    let model = TokenizerSource::open(&folder.join("tokenizer.model"), Access::Map);
    assert!(matches!(model, Ok(TokenizerSource::SentencePiece { .. })));
}

#[test]
fn the_recorded_gguf_files_list_their_keys_and_tensors() {
    let Some(folder) = shared_golden(
        "gguf",
        "the_recorded_gguf_files_list_their_keys_and_tensors",
    ) else {
        return;
    };
    // README.md there: 3 layers of 9 tensors, embedding, norm and head.
    for (name, tensors) in [("v2-ldpv2-f16.gguf", 30), ("v2-ldpv2-q4_k_m.gguf", 30)] {
        let file = std::fs::read(folder.join(name)).unwrap();
        let gguf = gguf::parse(&file).unwrap();
        assert_eq!(gguf.tensors().len(), tensors, "{name}");
        assert_eq!(
            gguf.get("llama.embedding_length"),
            Some(&gguf::Value::Whole(256)),
            "{name}"
        );
        let embedding = gguf
            .tensors()
            .iter()
            .find(|info| info.name == "token_embd.weight")
            .unwrap();
        assert_eq!(embedding.dimensions, [256, 1024], "{name}: fastest first");
        assert_eq!(gguf::pieces(&file, &gguf).unwrap().len(), 1024, "{name}");
    }
}
