//! The recipes of `recipes/train/`: complete, right, and with upstream's figures.

use std::collections::BTreeMap;
use std::path::Path;

use mobilevlm_checkpoint::{Aspect, Config, ConfigFiles, LdpV2, Projector};
use mobilevlm_data::{Grouping, TrainTemplate};
use mobilevlm_train::recipe::{
    DataSource, From, Learns, Length, Lora, Memory, Precision, Recipe, Schedule, Template, Upstream,
};

fn recipe(name: &str, set: &[&str]) -> Recipe {
    let file = mobilevlm_testing::workspace().join(format!("recipes/train/{name}.toml"));
    let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
    Recipe::read(&file, &set).unwrap()
}

fn names() -> Vec<String> {
    let folder = mobilevlm_testing::workspace().join("recipes/train");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = files
        .filter(|file| !file.is_dir())
        .map(|file| {
            assert_eq!(
                file.extension(),
                Some("toml".as_ref()),
                "{}",
                file.display()
            );
            file.file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn all_can_be_read() {
    let names = names();
    assert_eq!(names.len(), 20, "{names:?}");
    let mut outputs = BTreeMap::new();
    for name in &names {
        let recipe = recipe(name, &[]);
        let again = Recipe::parse(&recipe.file, &recipe.resolved, &[]).unwrap();
        assert_eq!(again, recipe, "{name}");
        assert_eq!(recipe.upstream, Upstream::default(), "{name}");
        if let Some(other) = outputs.insert(recipe.output_dir.clone(), name) {
            panic!("{other} and {name} write the same folder");
        }
    }
}

/// Whatever is cut off or overwritten, the answer is a recipe or an error with the file's name.
#[test]
fn damaged_recipes_are_errors() {
    let (mut whole, mut refused) = (0, 0);
    for name in ["v2-7b-lora", "toy-2-clip", "toy-3-lm", "toy-1-tokenizer"] {
        let recipe = recipe(name, &[]);
        let text = std::fs::read_to_string(&recipe.file).unwrap();
        let prefixes = (0..text.len())
            .step_by(3)
            .filter(|n| text.is_char_boundary(*n))
            .map(|n| text[..n].to_owned());
        let overwritten = (0..text.len()).step_by(3).filter_map(|n| {
            let mut bytes = text.clone().into_bytes();
            bytes[n] = b"0\"[]{}=.,\n#-"[n / 3 % 12];
            String::from_utf8(bytes).ok()
        });
        for damaged in prefixes.chain(overwritten) {
            match Recipe::parse(Path::new("damaged.toml"), &damaged, &[]) {
                Ok(recipe) => {
                    let again = Recipe::parse(&recipe.file, &recipe.resolved, &[]);
                    assert_eq!(again.unwrap(), recipe);
                    whole += 1;
                }
                Err(error) => {
                    assert!(error.to_string().starts_with("damaged.toml"), "{error}");
                    refused += 1;
                }
            }
        }
    }
    // Comments and figures may change; most of the rest may not.
    assert!(whole > 100 && refused > 1000, "{whole} {refused}");
}

/// `cargo xtask ablation` lays variants and folders over them.
#[test]
fn the_recipes_of_the_ablation_take_every_variant() {
    for name in ["1-tokenizer", "2-shapes", "3-start"] {
        recipe(&format!("ablation/{name}"), &[]);
    }
    let stage1 = |set: &[&str]| recipe("ablation/4-stage1", set).start.projector;
    let v1 = stage1(&["projector.type=\"ldpnet\"", "train.language=false"]);
    assert_eq!(v1, Some(From::Nothing(Projector::LdpNet)));
    for (name, variant) in [
        ("pool+peg", LdpV2::PoolPeg),
        ("no-pool", LdpV2::NoPool),
        ("pool", LdpV2::Pool),
        ("pool+positions", LdpV2::PoolPositions),
    ] {
        let found = stage1(&[&format!("projector.variant=\"{name}\"")]);
        let expected = Projector::LdpNetV2(variant);
        assert_eq!(found, Some(From::Nothing(expected)), "{name}");
    }
    let stage2 = recipe("ablation/5-stage2", &["seed=2", "model.from='elsewhere'"]);
    assert_eq!(folder(&stage2.start.language), Some(Path::new("elsewhere")));
    assert_eq!(stage2.train.length, Length::Epochs(1.0));
}

/// Each recipe of a chain starts from what the ones before it leave.
#[test]
fn chains_are_chains() {
    let toy: Vec<String> = names()
        .into_iter()
        .filter(|name| name.starts_with("toy-"))
        .collect();
    assert_eq!(toy.len(), 5);
    chain(&toy.iter().map(String::as_str).collect::<Vec<_>>());
    chain(&[
        "../demo/1-tokenizer",
        "../demo/2-shapes",
        "../demo/3-lookup",
        "../demo/4-lists",
        "../demo/5-world",
        "../demo/6-finish",
    ]);
    chain(&[
        "ablation/1-tokenizer",
        "ablation/2-shapes",
        "ablation/3-start",
    ]);
}

fn chain(names: &[&str]) {
    let mut left: Vec<std::path::PathBuf> = Vec::new();
    for name in names {
        let recipe = recipe(name, &[]);
        assert!(matches!(recipe.data.source, DataSource::World(_)), "{name}");
        let start = &recipe.start;
        let mut folders: Vec<&Path> = Vec::new();
        folders.extend(start.tokenizer.as_deref());
        folders.extend(folder(&start.vision));
        folders.extend(folder(&start.projector));
        folders.extend(folder(&start.language));
        for needed in folders {
            assert!(
                left.iter().any(|made| made == needed),
                "{name}: {}",
                needed.display()
            );
        }
        left.push(recipe.output_dir.join("model"));
    }
}

fn folder<T>(part: &Option<From<T>>) -> Option<&Path> {
    match part {
        Some(From::Folder(folder)) => Some(folder),
        _ => None,
    }
}

/// A column of the table at the end of the training references' README.
struct Column {
    template: TrainTemplate,
    learns: Learns,
    /// `None`: a folder's.
    projector: Option<Projector>,
    /// Of the projector; `None`: the language model's.
    projector_rate: Option<f64>,
    rate: f64,
    batch: usize,
    aspect: Aspect,
    grouping: Grouping,
    file: &'static str,
}

fn column(name: &str) -> Column {
    let v1 = name.starts_with("v1-");
    let small = name.contains("-1.7b-");
    let stage1 = name.ends_with("-stage1");
    let adapters = Lora {
        rank: 128,
        alpha: 256.0,
        dropout: 0.05,
        merge: true,
    };
    let new = if v1 {
        Projector::LdpNet
    } else {
        Projector::LdpNetV2(LdpV2::PoolPeg)
    };
    let stage1_file = match v1 {
        true => "blip_laion_cc_sbu_558k.json",
        false => "share-captioner_coco_lcs_sam_1246k_1107.json",
    };
    let stage2_file = if v1 {
        "llava_v1_5_mix665k.json"
    } else {
        "MobileVLM_V2_FT_Mix2M.json"
    };
    let lora = name.ends_with("-lora");
    Column {
        template: if stage1 {
            TrainTemplate::Plain
        } else {
            TrainTemplate::V1
        },
        learns: match (lora, stage1 && v1) {
            (true, _) => Learns::Adapters(adapters),
            (false, true) => Learns::Nothing,
            (false, false) => Learns::All,
        },
        projector: stage1.then_some(new),
        projector_rate: (stage1 && !v1).then_some(1e-3),
        rate: match (v1, stage1, lora) {
            (true, true, _) => 1e-3,
            (false, true, _) => 2e-5,
            (false, false, false) => 4e-5,
            (false, false, true) => 2e-4,
            (true, false, false) => {
                if small {
                    2e-5
                } else {
                    4e-5
                }
            }
            (true, false, true) => {
                if small {
                    1e-4
                } else {
                    2e-4
                }
            }
        },
        batch: if stage1 { 32 } else { 16 },
        aspect: if stage1 { Aspect::Square } else { Aspect::Pad },
        grouping: if stage1 {
            Grouping::None
        } else {
            Grouping::Modality
        },
        file: if stage1 { stage1_file } else { stage2_file },
    }
}

#[test]
fn figures_are_those_of_the_table() {
    let mut compared = 0;
    for name in names().iter().filter(|name| !name.starts_with("toy-")) {
        let recipe = recipe(name, &[]);
        let expected = column(name);
        let train = &recipe.train;
        assert_eq!(
            recipe.data.template,
            Template::Labels(expected.template),
            "{name}"
        );
        assert_eq!(train.language, expected.learns, "{name}");
        assert!(train.projector && !train.vision, "{name}");
        let new = match recipe.start.projector {
            Some(From::Nothing(projector)) => Some(projector),
            _ => None,
        };
        assert_eq!(new, expected.projector, "{name}");
        assert_eq!(train.projector_rate, expected.projector_rate, "{name}");
        assert_eq!(train.learning_rate, expected.rate, "{name}");
        assert_eq!(train.batch_size, expected.batch, "{name}");
        assert_eq!(
            train.batch_size * train.accumulation * recipe.run.replicas,
            8 * expected.batch
        );
        assert_eq!(recipe.data.aspect, expected.aspect, "{name}");
        assert_eq!(recipe.data.grouping, expected.grouping, "{name}");
        let DataSource::Llava { data_path, .. } = &recipe.data.source else {
            panic!("{name}")
        };
        assert_eq!(
            data_path.file_name(),
            Some(expected.file.as_ref()),
            "{name}"
        );
        // The same in all columns.
        assert_eq!(train.betas, (0.9, 0.999));
        assert_eq!(
            (train.epsilon, train.weight_decay, train.warmup_ratio),
            (1e-8, 0.0, 0.03)
        );
        assert_eq!(
            (train.schedule, train.length),
            (Schedule::Cosine, Length::Epochs(1.0))
        );
        assert_eq!(train.max_grad_norm, Some(1.0));
        assert_eq!(
            (recipe.data.model_max_length, recipe.start.select_layer),
            (2048, -2)
        );
        assert_eq!(recipe.run.precision, Precision::Bf16);
        assert!(recipe.run.gradient_checkpointing && !recipe.data.packing);
        compared += 1;
    }
    assert_eq!(compared, 15);
}

/// The configuration of a released model, as far as memory depends on it.
fn config(hidden: usize, layers: usize, heads: usize, ffn: usize) -> Config {
    let text = format!(
        r#"{{"architectures": ["MobileLlamaForCausalLM"], "model_type": "mobilevlm",
        "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": {hidden}, "num_hidden_layers": {layers}, "num_attention_heads": {heads},
        "num_key_value_heads": {heads}, "intermediate_size": {ffn}, "vocab_size": 32000,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "tie_word_embeddings": false,
        "mm_hidden_size": 1024, "mm_projector_type": "ldpnetv2", "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336", "vision_tower_type": "clip"}}"#
    );
    let files = ConfigFiles {
        config: text.as_bytes(),
        vision: None,
        preprocessor: None,
    };
    Config::from_json(&files).unwrap()
}

/// Sums made by hand from the papers' sizes.
#[test]
fn memory_is_the_sum_by_hand() {
    // CLIP ViT-L/14 at 336 pixels without its last block and the norm after it: class and 577
    // positions, patches, the norm before; then 23 blocks of 4 × (1024² + 1024), 2 × 1024 × 4096
    // + 4096 + 1024, and two norms.
    const VISION: u64 = 1024 + 577 * 1024 + 3 * 14 * 14 * 1024 + 2 * 1024 + 23 * 12_596_224;
    // Two linear layers and a depthwise 3×3.
    let ldpv2 = |d: u64| (1024 * d + d) + (d * d + d) + (9 * d + d);
    // MobileLLaMA 1.4B: embedding and head of 32,000 × 2,048, 24 blocks, the last norm.
    const SMALL: u64 = 131_072_000 + 24 * 51_384_320 + 2048;
    // LLaMA 7B: the well-known 6,738,415,616.
    const LARGE: u64 = 6_738_415_616;

    let recipe_1 = recipe("v2-1.7b-stage1", &[]);
    let memory = Memory::needed(&recipe_1, &config(2048, 24, 16, 5632));
    assert_eq!(memory.weights, 4 * (VISION + ldpv2(2048) + SMALL));
    assert_eq!(memory.working_copies, 2 * (ldpv2(2048) + SMALL));
    assert_eq!(memory.gradients, 4 * (ldpv2(2048) + SMALL));
    assert_eq!(memory.moments, 8 * (ldpv2(2048) + SMALL));
    // 32 rows of 2048 + 143 places. Checkpointing keeps 24 inputs of blocks, and one block.
    let places = 32 * 2191u64;
    assert_eq!(memory.logits, 8 * places * 32_000);
    let block = 2 * places * (10 * 2048 + 3 * 5632) + 8 * 32 * 16 * 2191 * 2191;
    assert_eq!(memory.activations, 2 * places * 2048 * 24 + block);
    let all = recipe("v2-1.7b-stage1", &["run.gradient_checkpointing=false"]);
    let kept = Memory::needed(&all, &config(2048, 24, 16, 5632));
    // Inputs are part of a block.
    assert_eq!(kept.activations, 24 * block);
    assert!(
        memory.check(&recipe_1, 80_000_000_000).unwrap().is_none(),
        "{memory}"
    );

    let large = config(4096, 32, 32, 11008);
    let full = recipe("v2-7b-stage2", &[]);
    let memory = Memory::needed(&full, &large);
    assert_eq!(memory.moments, 8 * (LARGE + ldpv2(4096)));
    let error = memory
        .check(&full, full.run.device_memory.unwrap())
        .unwrap_err();
    let fixed = 18 * (LARGE + ldpv2(4096)) + 4 * VISION;
    assert_eq!(memory.fixed(), fixed);
    let message = error.to_string();
    let figure = format!(
        "alone need {:.1} GB, and a device has 80.0 GB",
        fixed as f64 / 1e9
    );
    assert!(message.contains(&figure), "{message}");
    assert!(message.contains("--set train.language=lora"), "{message}");

    let lora = recipe("v2-7b-stage2", &["train.language=lora"]);
    let memory = Memory::needed(&lora, &large);
    // r 128: 4 × (4096 + 4096) and 3 × (4096 + 11008) in 32 blocks.
    assert_eq!(memory.gradients, 4 * (319_815_680 + ldpv2(4096)));
    assert!(memory.check(&lora, 80_000_000_000).is_ok(), "{memory}");
    let frozen = recipe("v1-1.7b-stage1", &[]);
    let memory = Memory::needed(&frozen, &config(2048, 24, 16, 5632));
    assert_eq!(memory.gradients, 4 * ldpv2(2048));
}

/// On the CPU replicas share weights and moments, and each has its gradients.
#[test]
fn replicas_of_a_cpu_share() {
    let set = |n: &'static str| ["run.device=cpu", "run.precision=f32", n];
    let one = recipe("v2-1.7b-stage2", &set("run.replicas=1"));
    let two = recipe("v2-1.7b-stage2", &set("run.replicas=2"));
    let config = config(2048, 24, 16, 5632);
    let (one, two) = (Memory::needed(&one, &config), Memory::needed(&two, &config));
    assert_eq!((one.working_copies, two.working_copies), (0, 0));
    assert_eq!((two.weights, two.moments), (one.weights, one.moments));
    assert_eq!(two.gradients, 2 * one.gradients);
    assert_eq!(
        (two.activations, two.logits),
        (2 * one.activations, 2 * one.logits)
    );
}
