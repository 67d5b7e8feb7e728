//! A model from nothing: tokenizer, tower, language model, both stages; each task starts from the
//! folders of those before it.

use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm::{Chat, GenerateOptions, Model, OpenOptions, Picture, RgbImage};
use mobilevlm_train::recipe::Recipe;
use mobilevlm_train::run::{Metrics, Record};
use mobilevlm_train::{Outcome, tokenizer};

use crate::toy::run;

const TOKENIZER: &str = r#"
task = "tokenizer"
[tokenizer]
vocab_size = 400
character_coverage = 1.0
[world]
count = 300
"#;

const CLIP: &str = r#"
task = "clip"
[vision]
image_size = 48
patch_size = 4
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
[text]
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
projection_dim = 16
[tokenizer]
from = "HOME/tokenizer/model"
[data]
model_max_length = 48
[world]
count = 320
kinds = ["caption"]
[train]
clip_loss = "softmax"
learning_rate = 3e-3
per_device_train_batch_size = 16
"#;

const LM: &str = r#"
task = "lm"
[language]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 64
[tokenizer]
from = "HOME/tokenizer/model"
[data]
packing = true
model_max_length = 128
[world]
count = 320
[train]
learning_rate = 5e-3
per_device_train_batch_size = 16
"#;

const STAGE1: &str = r#"
task = "stage1"
[vision]
from = "HOME/clip/model"
select_layer = -1
[projector]
type = "ldpnetv2"
[language]
from = "HOME/lm/model"
[data]
model_max_length = 128
[world]
count = 32
kinds = ["caption"]
[train]
per_device_train_batch_size = 8
"#;

const STAGE2: &str = r#"
task = "stage2"
[model]
from = "HOME/stage1/model"
[vision]
select_layer = -1
[data]
model_max_length = 512
image_aspect_ratio = "square"
[world]
count = 32
kinds = ["existence", "text"]
[train]
per_device_train_batch_size = 8
"#;

fn recipe(home: &Path, name: &str, text: &str) -> Recipe {
    let text = text.replace("HOME", &home.display().to_string());
    let set = [format!("output_dir={}", home.join(name).display())];
    Recipe::parse(&home.join(format!("{name}.toml")), &text, &set).unwrap()
}

/// The mean loss of the first and of the last five steps.
fn losses(folder: &Path) -> (f64, f64) {
    let records = Metrics::read(&folder.join("metrics.jsonl")).unwrap();
    let losses: Vec<f64> = records
        .iter()
        .filter_map(|record| match record {
            Record::Step(step) => step.loss,
            _ => None,
        })
        .collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    (mean(&losses[..5]), mean(&losses[losses.len() - 5..]))
}

#[test]
fn a_model_from_nothing_answers_through_the_engine() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    tokenizer::make(&recipe(home, "tokenizer", TOKENIZER), &|| false).unwrap();
    for (name, text) in [("clip", CLIP), ("lm", LM)] {
        let outcome = run(&recipe(home, name, text), false, None).unwrap();
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        let (first, last) = losses(&home.join(name));
        assert!(last < 0.95 * first, "{name}: from {first} to {last}");
    }
    // A language model goes on from its folder, with conversations: its first loss is no
    // beginner's, which is ln 400 = 6.0.
    let text = LM
        .replace("[language]\nhidden_size = 32\nnum_hidden_layers = 2\nnum_attention_heads = 2\nintermediate_size = 64\n", "[language]\nfrom = \"HOME/lm/model\"\n")
        .replace("packing = true", "packing = true\ntemplate = \"v1\"")
        .replace("model_max_length = 128", "model_max_length = 512")
        .replace("count = 320", "count = 160");
    run(&recipe(home, "chat", &text), false, None).unwrap();
    let (first, _) = losses(&home.join("chat"));
    assert!(first < 5.5, "{first}");

    let mut folder = None;
    for (name, text) in [("stage1", STAGE1), ("stage2", STAGE2)] {
        let outcome = run(&recipe(home, name, text), false, None).unwrap();
        let Outcome::Finished { model, .. } = outcome else {
            panic!("{outcome:?}");
        };
        folder = Some(model);
    }
    let model = Model::open(&folder.unwrap(), &OpenOptions::default()).unwrap();
    let picture = Picture::from_image(RgbImage::filled(48, 48, [200, 30, 30]));
    let options = GenerateOptions {
        max_new_tokens: 8,
        ..GenerateOptions::default()
    };
    let mut silent = |_: &str| ControlFlow::Continue(());
    let answer = Chat::new(&model).ask(&[picture], "Is it red?", &options, &mut silent);
    let answer = answer.unwrap();
    assert_eq!(answer.image_tokens, 144);
    assert!(!answer.ids.is_empty());
}
