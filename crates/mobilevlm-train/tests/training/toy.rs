//! A model, a data set and recipes that take seconds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{Bytes, safetensors};
use mobilevlm_data::world::png;
use mobilevlm_processor::RgbImage;
use mobilevlm_train::recipe::Recipe;
use mobilevlm_train::run::{Event, read_events};
use mobilevlm_train::{Outcome, TrainError, TrainEvent, TrainOptions, train};
use serde_json::{Value, json};

/// Colours and what they are called.
pub(crate) const COLOURS: [(&str, [u8; 3]); 4] = [
    ("red", [220, 30, 30]),
    ("green", [30, 200, 40]),
    ("blue", [20, 40, 220]),
    ("white", [250, 250, 250]),
];

/// A folder with a data set, and the runs in it.
pub(crate) struct Toy {
    pub(crate) home: tempfile::TempDir,
}

impl Toy {
    /// Twelve samples, two of them without a picture.
    pub(crate) fn new() -> Toy {
        let mut rows = Vec::new();
        for (place, (name, _)) in COLOURS.iter().cycle().take(10).enumerate() {
            let more = "please ".repeat(place % 3);
            rows.push(talk(
                Some(&format!("{name}.png")),
                &format!("<image>\n{more}colour?"),
                name,
            ));
        }
        rows.push(talk(None, "what is one and one?", "two"));
        rows.push(talk(None, "what is the colour of snow?", "white"));
        Toy::with_rows(&rows)
    }

    /// These rows; pictures of the colours are there.
    pub(crate) fn with_rows(rows: &[Value]) -> Toy {
        let home = tempfile::tempdir().unwrap();
        for (name, colour) in COLOURS {
            let picture = RgbImage::filled(16, 16, colour);
            fs::write(home.path().join(format!("{name}.png")), png(&picture)).unwrap();
        }
        let text = serde_json::to_string(rows).unwrap();
        fs::write(home.path().join("samples.json"), text).unwrap();
        Toy { home }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    /// The recipe of a run in the folder `run`, with `set` on top.
    pub(crate) fn recipe(&self, run: &str, set: &[&str]) -> Recipe {
        let path = self.path("recipe.toml");
        let tokenizer = mobilevlm_testing::micro_golden("checkpoint");
        let text = format!(
            r#"
task = "vlm"
output_dir = {run:?}
seed = 7
[vision]
image_size = 16
patch_size = 8
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
[projector]
type = "mlp2x_gelu"
[language]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 64
[tokenizer]
from = {tokenizer:?}
[data]
data_path = {data:?}
template = "v1"
model_max_length = 512
[train]
learning_rate = 1e-3
mm_projector_lr = 2e-3
weight_decay = 0.01
per_device_train_batch_size = 2
gradient_accumulation_steps = 2
max_steps = 6
[run]
save_steps = 2
threads = 2
"#,
            run = self.path(run),
            data = self.path("samples.json"),
        );
        fs::write(&path, text).unwrap();
        let set: Vec<String> = set.iter().map(|&set| set.to_owned()).collect();
        Recipe::read(&path, &set).unwrap()
    }
}

/// A row of a data set.
pub(crate) fn talk(image: Option<&str>, question: &str, answer: &str) -> Value {
    let conversations = json!([
        {"from": "human", "value": question},
        {"from": "gpt", "value": answer},
    ]);
    match image {
        Some(image) => json!({"id": "a", "image": image, "conversations": conversations}),
        None => json!({"id": "a", "conversations": conversations}),
    }
}

/// Trains; `stop_after` asks to stop after that step.
pub(crate) fn run(
    recipe: &Recipe,
    resume: bool,
    stop_after: Option<u64>,
) -> Result<Outcome, TrainError> {
    let step = std::sync::atomic::AtomicU64::new(0);
    let load = || step.load(std::sync::atomic::Ordering::SeqCst);
    train(
        recipe,
        TrainOptions {
            resume,
            stop: &|| stop_after.is_some_and(|last| load() >= last),
            observe: &mut |event| {
                if let TrainEvent::Step(record, _) = event {
                    step.store(record.step, std::sync::atomic::Ordering::SeqCst);
                }
            },
            evaluate: None,
        },
    )
}

/// The tensors of a folder of one file.
pub(crate) fn tensors(model: &Path) -> BTreeMap<String, Bytes> {
    let bytes = Bytes::from(fs::read(model.join("model.safetensors")).unwrap());
    let entries = safetensors::parse(&bytes).unwrap().into_iter();
    entries
        .map(|entry| (entry.name, bytes.slice(entry.range)))
        .collect()
}

/// Every file of a run that must be as in a run without interruption, with its bytes; of the
/// events, only what does not depend on the clock.
pub(crate) fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().into_string().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), &format!("{name}/"), files),
                false => {
                    files.insert(name, fs::read(entry.path()).unwrap());
                }
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(run, "", &mut files);
    files.remove("timings.jsonl");
    if files.contains_key("events.out.tfevents.run") {
        let mut events = read_events(&run.join("events.out.tfevents.run")).unwrap();
        for Event {
            wall_time, scalars, ..
        } in &mut events
        {
            *wall_time = 0.0;
            scalars.retain(|(tag, _)| !tag.starts_with("speed/"));
        }
        let text = format!("{events:?}").into_bytes();
        files.insert("events.out.tfevents.run".to_owned(), text);
    }
    files
}

/// Asserts that two runs left the same files, and says which differ.
pub(crate) fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    let names: Vec<&String> = found.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}
