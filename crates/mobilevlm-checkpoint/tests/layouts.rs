//! Lays small checkpoints out in every way that is read, and in ways that are wrong.

use std::fs;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{
    Bytes, Checkpoint, CheckpointError, Config, ConfigFiles, Dtype, Inspection, Inventory, Layout,
    OpenOptions, Tensor, expected_tensors, write_safetensors,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sizes of a vision tower in which no two are equal.
fn vision() -> Value {
    json!({ "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 20, "num_hidden_layers": 3,
            "image_size": 28, "patch_size": 7, "model_type": "clip_vision_model" })
}

fn authors(changes: Value) -> Value {
    let mut config = json!({
        "architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava", "mm_vision_tower": "the/tower",
        "mm_projector_type": "mlp2x_gelu", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 40, "vision_config": vision()
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    config
}

fn llava_hf() -> Value {
    json!({
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "image_token_index": 39,
        "text_config": { "model_type": "llama", "hidden_size": 16, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 40 },
        "vision_config": vision()
    })
}

fn parse(config: &Value) -> Config {
    Config::from_json(&ConfigFiles {
        config: config.to_string().as_bytes(),
        ..ConfigFiles::default()
    })
    .unwrap()
}

/// A tensor whose numbers depend on its name, so that an exchange of two is seen.
fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let seed = name.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let count: usize = shape.iter().product();
    let bytes = (0..count as u32).flat_map(|i| ((seed % 1000 + i) as f32).to_le_bytes());
    Tensor::new(Dtype::F32, shape.to_vec(), bytes.collect::<Vec<_>>().into()).unwrap()
}

/// The tensors that a configuration asks for, under the names that `stored` makes of theirs.
fn tensors(config: &Value, stored: impl Fn(&str) -> Option<String>) -> Inventory {
    expected_tensors(&parse(config))
        .into_iter()
        .filter_map(|(name, shape)| Some((stored(&name)?, tensor(&name, &shape))))
        .collect()
}

fn authors_name(name: &str) -> Option<String> {
    let (part, rest) = name.split_once('.').unwrap();
    Some(match part {
        "vision" => format!("model.vision_tower.vision_tower.vision_model.{rest}"),
        "projector" => format!("model.mm_projector.{rest}"),
        _ if rest.starts_with("lm_head") => rest.to_owned(),
        _ => format!("model.{rest}"),
    })
}

fn folder(config: &Value, tensors: &Inventory) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    write_safetensors(&folder.path().join("model.safetensors"), tensors).unwrap();
    folder
}

fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(path, &OpenOptions::default())
}

/// The error with its causes, in one line.
fn message(path: &Path) -> String {
    message_with(path, &OpenOptions::default())
}

fn message_with(path: &Path, options: &OpenOptions) -> String {
    let error = Checkpoint::open(path, options).expect_err("a checkpoint that is wrong was opened");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn assert_whole(checkpoint: &Checkpoint) {
    for (name, shape) in expected_tensors(&checkpoint.config) {
        let found = checkpoint
            .tensors
            .get(&name)
            .unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(found.data(), tensor(&name, &shape).data(), "{name}");
    }
}

#[test]
fn the_authors_layout_is_read() {
    let config = authors(json!({}));
    let checkpoint = open(folder(&config, &tensors(&config, authors_name)).path()).unwrap();
    assert_eq!(checkpoint.config.layout, Layout::Authors);
    assert_whole(&checkpoint);
}

#[test]
fn both_spellings_of_the_llava_hf_layout_are_read() {
    let older = |name: &str| {
        let (part, rest) = name.split_once('.').unwrap();
        Some(match part {
            "vision" => format!("vision_tower.vision_model.{rest}"),
            "projector" => format!(
                "multi_modal_projector.{}",
                rest.replace("0.", "linear_1.").replace("2.", "linear_2.")
            ),
            _ if rest.starts_with("lm_head") => format!("language_model.{rest}"),
            _ => format!("language_model.model.{rest}"),
        })
    };
    let newer = |name: &str| {
        let (part, rest) = name.split_once('.').unwrap();
        Some(match part {
            "language" if rest.starts_with("lm_head") => rest.to_owned(),
            "language" => format!("model.language_model.{rest}"),
            _ => format!("model.{}", older(name)?),
        })
    };
    let config = llava_hf();
    for inventory in [tensors(&config, older), tensors(&config, newer)] {
        let checkpoint = open(folder(&config, &inventory).path()).unwrap();
        assert_eq!(checkpoint.config.layout, Layout::LlavaHf);
        assert_whole(&checkpoint);
    }
}

#[test]
fn a_model_in_several_files_is_read() {
    let config = authors(json!({}));
    let all = tensors(&config, authors_name);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut map = serde_json::Map::new();
    for shard in 0..3 {
        let file = format!("model-{shard}.safetensors");
        let part: Inventory = all
            .iter()
            .enumerate()
            .filter(|(place, _)| place % 3 == shard)
            .map(|(_, (name, tensor))| (name.to_owned(), tensor.clone()))
            .collect();
        map.extend(
            part.iter()
                .map(|(name, _)| (name.to_owned(), Value::from(file.clone()))),
        );
        write_safetensors(&folder.path().join(file), &part).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(
        &index,
        json!({ "metadata": {}, "weight_map": map }).to_string(),
    )
    .unwrap();
    let checkpoint = open(folder.path()).unwrap();
    assert_eq!(checkpoint.files.len(), 3);
    assert_whole(&checkpoint);

    fs::remove_file(folder.path().join("model-1.safetensors")).unwrap();
    assert!(message(folder.path()).contains("model-1.safetensors: cannot be read"));
    fs::write(&index, r#"{"weight_map": {"a": "../config.json"}}"#).unwrap();
    assert!(message(folder.path()).contains("no file of this folder"));
}

#[test]
fn a_tied_head_is_the_embedding() {
    let config = authors(json!({ "tie_word_embeddings": true }));
    let without_head = tensors(&config, |name| {
        authors_name(name).filter(|name| name != "lm_head.weight")
    });
    let checkpoint = open(folder(&config, &without_head).path()).unwrap();
    let data = |name: &str| checkpoint.tensors.get(name).unwrap().data().as_ptr();
    assert_eq!(
        data("language.lm_head.weight"),
        data("language.embed_tokens.weight")
    );
    let all = Inspection::new(
        folder(&config, &without_head).path(),
        &OpenOptions::default(),
    );
    assert_eq!(
        all.parts[2].tensors,
        1 + 2 * 9 + 1,
        "the head is not counted again"
    );
}

#[test]
fn one_message_lists_everything_that_does_not_fit() {
    let config = authors(json!({}));
    let mut inventory = tensors(&config, |name| {
        authors_name(name)
            .filter(|name| name != "model.norm.weight" && name != "model.mm_projector.2.bias")
    });
    inventory.insert("model.image_newline".into(), tensor("x", &[16]));
    inventory.insert(
        "model.layers.7.input_layernorm.weight".into(),
        tensor("x", &[16]),
    );
    inventory.insert("lm_head.weight".into(), tensor("x", &[41, 16]));
    let whole = Tensor::new(Dtype::I32, vec![16], Bytes::from_static(&[0; 64])).unwrap();
    inventory.insert("model.layers.0.input_layernorm.weight".into(), whole);
    // Never read, so they may be there.
    inventory.insert(
        "model.layers.0.self_attn.rotary_emb.inv_freq".into(),
        tensor("x", &[2]),
    );
    inventory.insert(
        "model.vision_tower.vision_tower.vision_model.post_layernorm.bias".into(),
        tensor("x", &[12]),
    );
    let unread = "model.vision_tower.vision_tower.vision_model.encoder.layers.2.mlp.fc1.bias";
    inventory.insert(unread.into(), tensor("x", &[20]));
    let folder = folder(&config, &inventory);
    let found = message(folder.path());
    let expected = [
        "2 tensors missing, 2 unexpected, 2 misshaped",
        "model.norm.weight: expected [16], found nothing",
        "model.mm_projector.2.bias: expected [16], found nothing",
        "model.image_newline: not expected, found in ",
        "model.layers.7.input_layernorm.weight: not expected, found in ",
        "lm_head.weight: expected weights [40, 16], found F32 [41, 16]",
        "model.layers.0.input_layernorm.weight: expected weights [16], found I32 [16]",
    ];
    for line in expected {
        assert!(found.contains(line), "{line} is not in {found}");
    }
    assert_eq!(found.lines().count(), 7, "{found}");
    let inspection = Inspection::new(folder.path(), &OpenOptions::default());
    assert_eq!(
        (
            inspection.problems.len(),
            inspection.problems[0].to_string()
        ),
        (1, found)
    );
    assert!(inspection.config.is_some());
}

/// A model without a tower, beside the folder of a CLIP tower at `place` in it.
fn with_tower(place: &str) -> (TempDir, PathBuf) {
    let config = authors(json!({ "vision_config": null, "mm_hidden_size": 12 }));
    let whole = authors(json!({}));
    let part = |wanted: &'static str| move |name: &str| name.starts_with(wanted).then_some(());
    let model = tensors(&whole, |name| {
        part("vision.")(name)
            .is_none()
            .then(|| authors_name(name))?
    });
    let mut tower = tensors(&whole, |name| {
        part("vision.")(name).map(|()| name.replacen("vision", "vision_model", 1))
    });
    for (ignored, shape) in [
        ("text_model.embeddings.position_ids", &[1, 4][..]),
        ("logit_scale", &[]),
    ] {
        tower.insert(ignored.into(), tensor("x", shape));
    }
    let root = tempfile::tempdir().unwrap();
    let (path, tower_path) = (
        root.path().join("model"),
        root.path().join("model").join(place),
    );
    fs::create_dir_all(&path).unwrap();
    fs::create_dir_all(&tower_path).unwrap();
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    write_safetensors(&path.join("model.safetensors"), &model).unwrap();
    let clip = json!({ "model_type": "clip", "vision_config": vision() });
    fs::write(tower_path.join("config.json"), clip.to_string()).unwrap();
    write_safetensors(&tower_path.join("model.safetensors"), &tower).unwrap();
    fs::write(
        tower_path.join("preprocessor_config.json"),
        r#"{"image_std": [1, 2, 3]}"#,
    )
    .unwrap();
    (root, path)
}

#[test]
fn a_tower_outside_is_found_where_it_is_looked_for() {
    for place in ["the/tower", "clip", "../clip"] {
        let (_root, path) = with_tower(place);
        let checkpoint = open(&path).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_whole(&checkpoint);
        assert_eq!(checkpoint.config.preprocess.std, [1.0, 2.0, 3.0], "{place}");
    }
    let (root, path) = with_tower("../elsewhere");
    let tower = root.path().join("elsewhere");
    let found = message(&path);
    for part in [
        "the vision tower the/tower",
        "model/the/tower",
        "model/clip",
        "model/../clip",
        "--vision-tower DIR",
    ] {
        assert!(found.contains(part), "{part} is not in {found}");
    }
    let named = OpenOptions {
        vision_tower: Some(tower.clone()),
        ..OpenOptions::default()
    };
    assert_whole(&Checkpoint::open(&path, &named).unwrap());
    let cached = OpenOptions {
        tower_cache: vec![root.path().join("nothing"), tower],
        ..OpenOptions::default()
    };
    assert_whole(&Checkpoint::open(&path, &cached).unwrap());
    let wrong = OpenOptions {
        vision_tower: Some(root.path().join("nothing")),
        ..cached
    };
    assert!(
        message_with(&path, &wrong).contains("nothing"),
        "a folder that was asked for is not passed over"
    );
}

#[test]
fn a_tower_outside_is_reported_under_its_own_names() {
    let (root, path) = with_tower("clip");
    let tower = path.join("clip/config.json");
    let text = fs::read_to_string(&tower).unwrap();
    fs::write(
        &tower,
        text.replace("\"intermediate_size\":20", "\"intermediate_size\":21"),
    )
    .unwrap();
    let found = message(&path);
    let line = "  vision_model.encoder.layers.1.mlp.fc2.weight: expected weights [12, 21], found F32 [12, 20]";
    assert!(found.contains(line), "{found}");
    fs::write(&tower, "[]").unwrap();
    let found = message(&path);
    assert!(
        found.contains("the tower's configuration: the file: expected an object"),
        "{found}"
    );
    drop(root);
}

#[test]
fn a_tower_that_is_asked_for_goes_before_the_one_inside() {
    let (_root, elsewhere) = with_tower("clip");
    let config = authors(json!({}));
    let mut inventory = tensors(&config, authors_name);
    let name = "model.vision_tower.vision_tower.vision_model.embeddings.class_embedding";
    inventory.insert(name.into(), tensor("fine-tuned", &[12]));
    let folder = folder(&config, &inventory);
    let embedding = |options: &OpenOptions| {
        let checkpoint = Checkpoint::open(folder.path(), options).unwrap();
        checkpoint
            .tensors
            .get("vision.embeddings.class_embedding")
            .unwrap()
            .data()
            .clone()
    };
    let inside = embedding(&OpenOptions::default());
    let outside = embedding(&OpenOptions {
        vision_tower: Some(elsewhere.join("clip")),
        ..OpenOptions::default()
    });
    assert_eq!(inside, tensor("fine-tuned", &[12]).data());
    assert_eq!(
        outside,
        tensor("vision.embeddings.class_embedding", &[12]).data()
    );
}

#[test]
fn folders_that_are_no_model_say_what_they_are() {
    let config = authors(json!({}));
    let empty = tempfile::tempdir().unwrap();
    assert!(message(empty.path()).contains("expected model.safetensors, pytorch_model.bin"));
    fs::write(empty.path().join("mm_projector.bin"), "").unwrap();
    assert!(message(empty.path()).contains("a projector without a language model"));
    fs::write(empty.path().join("adapter_config.json"), "{}").unwrap();
    assert!(message(empty.path()).contains("an adapter (LoRA)"));

    let projector = tensors(&config, |name| {
        authors_name(name).filter(|name| name.contains("mm_projector"))
    });
    assert!(
        message(folder(&config, &projector).path())
            .contains("a projector without a language model")
    );

    assert!(message(&empty.path().join("nowhere")).contains("cannot be read"));
    fs::write(empty.path().join("model.gguf"), "GGUF").unwrap();
    let cut = Checkpoint::open(&empty.path().join("model.gguf"), &OpenOptions::default());
    assert!(matches!(cut, Err(CheckpointError::Gguf { .. })), "{cut:?}");
}

#[test]
fn damaged_files_are_named_with_their_damage() {
    let config = authors(json!({}));
    let folder = folder(&config, &tensors(&config, authors_name));
    let weights = folder.path().join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() - 1]).unwrap();
    let found = message(folder.path());
    assert!(
        found.contains("model.safetensors") && found.contains("cut short"),
        "{found}"
    );
    fs::remove_file(&weights).unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), "not torch").unwrap();
    let found = message(folder.path());
    assert!(
        found.contains("pytorch_model.bin") && found.contains("torch.save"),
        "{found}"
    );
    fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    assert!(message(folder.path()).contains("torch.save"));
    fs::write(folder.path().join("config.json"), "{").unwrap();
    assert!(message(folder.path()).contains("not valid JSON"));
    fs::write(folder.path().join("config.json"), " ".repeat(1 << 20)).unwrap();
    assert!(message(folder.path()).contains("at most 262144 bytes, found 1048576"));
}

#[test]
fn doubles_are_read_as_singles() {
    let config = authors(json!({}));
    let mut inventory = tensors(&config, authors_name);
    let single = inventory
        .get("model.norm.weight")
        .unwrap()
        .to_f32()
        .unwrap();
    let double: Vec<u8> = single
        .iter()
        .flat_map(|&value| f64::from(value).to_le_bytes())
        .collect();
    inventory.insert(
        "model.norm.weight".into(),
        Tensor::new(Dtype::F64, vec![16], double.into()).unwrap(),
    );
    let projection = tensor("doubles", &[16, 16]).to_f32().unwrap();
    let double: Vec<u8> = projection
        .iter()
        .flat_map(|&value| f64::from(value).to_le_bytes())
        .collect();
    inventory.insert(
        "model.mm_projector.2.weight".into(),
        Tensor::new(Dtype::F64, vec![16, 16], double.into()).unwrap(),
    );
    let checkpoint = open(folder(&config, &inventory).path()).unwrap();
    assert_eq!(
        checkpoint
            .tensors
            .scope("language")
            .vector("norm.weight", 16)
            .unwrap(),
        single
    );
    let matrix = checkpoint
        .tensors
        .scope("projector")
        .matrix("2.weight", 16, 16)
        .unwrap();
    let mut row = [0.0; 16];
    matrix.row(3, &mut row);
    assert_eq!(row, projection[48..64]);
}
