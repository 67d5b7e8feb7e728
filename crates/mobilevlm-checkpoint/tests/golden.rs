//! Opens the recorded checkpoints and compares what is read with the reference.

use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{
    Access, Aspect, Checkpoint, Config, Dtype, LdpV2, OpenOptions, Projector, TokenizerSource,
    expected_tensors,
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
                Some(TokenizerSource::SentencePiece(_))
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
