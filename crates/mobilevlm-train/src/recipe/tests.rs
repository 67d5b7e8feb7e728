use std::path::Path;

use super::keys::{Absent, KEYS};
use super::*;

const STAGE1: &str = r#"task = "stage1"
output_dir = "out"

[vision]
from = "clip"

[projector]
type = "ldpnetv2"

[language]
from = "llama"

[data]
data_path = "data/train.json"
"#;

const LM: &str = r#"task = "lm"
output_dir = "out"
tokenizer.from = "tokenizer"
language = { hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 2, intermediate_size = 128 }
train.learning_rate = 1e-3
train.per_device_train_batch_size = 4
world.count = 100
"#;

const CLIP: &str = r#"task = "clip"
output_dir = "out"
tokenizer.from = "tokenizer"
vision = { image_size = 96, patch_size = 8, hidden_size = 64, num_hidden_layers = 3, num_attention_heads = 2, intermediate_size = 128 }
text = { hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 2, intermediate_size = 128, projection_dim = 32 }
train.learning_rate = 1e-3
train.per_device_train_batch_size = 4
world.count = 100
"#;

const TOKENIZER: &str = r#"task = "tokenizer"
output_dir = "out"
tokenizer.vocab_size = 1000
world.count = 100
"#;

fn parse(text: &str, set: &[&str]) -> Result<Recipe, RecipeError> {
    let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse(Path::new("r.toml"), text, &set)
}

fn mistake(text: &str, set: &[&str]) -> String {
    parse(text, set).expect_err("a mistake").to_string()
}

/// A right recipe of a task.
fn example(task: Task) -> String {
    match task {
        Task::Stage1 => STAGE1.to_owned(),
        Task::Stage2 => STAGE1.replace("stage1", "stage2"),
        Task::Vlm => STAGE1.replace("stage1", "vlm").replace(
            "[data]\n",
            "[train]\nlearning_rate = 1e-4\nper_device_train_batch_size = 2\n[data]\ntemplate = \"v1\"\n",
        ),
        Task::Clip => CLIP.to_owned(),
        Task::Lm => LM.to_owned(),
        Task::Tokenizer => TOKENIZER.to_owned(),
    }
}

#[test]
fn defaults_are_those_of_the_stage() {
    let one = parse(STAGE1, &[]).unwrap();
    assert_eq!(one.train.learning_rate, 2e-5);
    assert_eq!(one.train.projector_rate, Some(1e-3));
    assert_eq!(one.data.template, Template::Labels(TrainTemplate::Plain));
    assert_eq!(
        (one.data.aspect, one.data.grouping),
        (Aspect::Square, Grouping::None)
    );
    assert_eq!(one.train.batch_size, 32);
    let two = parse(&example(Task::Stage2), &[]).unwrap();
    assert_eq!(
        (two.train.learning_rate, two.train.projector_rate),
        (4e-5, None)
    );
    assert_eq!(two.data.template, Template::Labels(TrainTemplate::V1));
    assert_eq!(
        (two.data.aspect, two.data.grouping),
        (Aspect::Pad, Grouping::Modality)
    );
    assert_eq!(two.train.batch_size, 16);
    for recipe in [&one, &two] {
        assert_eq!(recipe.train.betas, (0.9, 0.999));
        assert_eq!(
            (recipe.train.epsilon, recipe.train.weight_decay),
            (1e-8, 0.0)
        );
        assert_eq!(recipe.train.max_grad_norm, Some(1.0));
        assert_eq!(recipe.train.warmup_ratio, 0.03);
        assert_eq!(recipe.upstream, Upstream::default());
        assert_eq!(recipe.start.tokenizer, Some("llama".into()));
        assert_eq!(recipe.start.select_layer, -2);
    }
}

/// Every key is read: a value of a type that no key takes is refused, by its name and line.
#[test]
fn every_key_is_checked() {
    for key in KEYS {
        for task in key.tasks {
            let set = format!("{}=1979-05-27", key.name);
            let message = mistake(&example(*task), &[&set]);
            let expected = format!("--set {set}: {}: expected {}", key.name, key.takes);
            assert!(message.starts_with(&expected), "{task:?}: {message}");
        }
        for task in Task::ALL.iter().filter(|task| !key.tasks.contains(task)) {
            let value = right_value(key.name);
            let message = mistake(&example(*task), &[&format!("{}={value}", key.name)]);
            assert!(
                message.contains("has no such key"),
                "{}: {task:?}: {message}",
                key.name
            );
        }
    }
}

/// A value that the key takes.
fn right_value(name: &str) -> &'static str {
    use super::keys::Takes::*;
    match super::keys::Key::named(name).map(|key| key.takes).unwrap() {
        Whole(..) if name == "tokenizer.vocab_size" => "300",
        Whole(..) => "8",
        Signed(..) => "-1",
        Number(..) => "0.5",
        Flag | FlagOrLora => "true",
        Text | Texts => "x",
        OneOf(words) => words[0],
        Kinds => "[\"caption\"]",
    }
}

/// Every default is a value that its key takes.
#[test]
fn defaults_are_right() {
    for key in KEYS {
        for task in key.tasks {
            if let Some(text) = key.default(*task) {
                let value = toml::de::DeValue::parse(text).expect(key.name);
                assert!(key.takes.accepts(value.get_ref()), "{}: {text}", key.name);
            }
        }
        if let Absent::ByTask(values) = key.absent {
            assert!(
                values.iter().all(|(task, _)| key.tasks.contains(task)),
                "{}",
                key.name
            );
        }
    }
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let line = |n: usize, with: &str| {
        let mut lines: Vec<&str> = STAGE1.lines().collect();
        lines[n - 1] = with;
        lines.join("\n")
    };
    for (text, expected) in [
        (
            line(2, "output_dri = \"out\""),
            "r.toml:2: no recipe has the key \"output_dri\"; the nearest is \"output_dir\"",
        ),
        (
            line(2, "output_dir = 7"),
            "r.toml:2: output_dir: expected a text, found 7",
        ),
        (
            line(2, "output_dir = \"out\"\nlearning_rate = 1"),
            "r.toml:3: no recipe has the key \"learning_rate\"; the nearest is \"train.learning_rate\"",
        ),
        (
            line(1, "task = \"stage3\""),
            "r.toml:1: task: expected one of \"stage1\", \"stage2\", \"vlm\", \"clip\", \"lm\", \"tokenizer\", found \"stage3\"",
        ),
        (
            line(8, "type = \"ldpnet3\""),
            "r.toml:8: projector.type: expected linear, mlpNx_gelu (N from 1 to 64), ldpnet or ldpnetv2",
        ),
        (
            line(12, "[date]"),
            "r.toml:12: no recipe has the key \"date\"",
        ),
        (line(5, "from = [1"), "r.toml:"),
        (
            line(2, "output_dir = \"out\"\n\"train.learning_rate\" = 1e-4"),
            "r.toml:3: no recipe has the key",
        ),
        (
            format!("{STAGE1}\n[train]\nlearning_rate = \"fast\""),
            "r.toml:17: train.learning_rate: expected a number above 0, at most 1, found \"fast\"",
        ),
        (
            format!("{STAGE1}\n[train]\nlearning_rate = -1e-5"),
            "r.toml:17: train.learning_rate: expected a number above 0, at most 1, found -1e-5",
        ),
        (
            format!("{STAGE1}\n[train]\nlearning_rate = nan"),
            "r.toml:17: train.learning_rate: expected a number above 0, at most 1, found nan",
        ),
        (
            format!("{STAGE1}\n[train]\nlora_r = 8"),
            "r.toml:17: train.lora_r: there are no adapters; expected train.language = \"lora\"",
        ),
        (
            format!("{STAGE1}\n[world]\ncount = 8"),
            "r.toml:14: data.data_path: data comes from one of",
        ),
        (
            format!("{STAGE1}\n[world]"),
            "r.toml:14: data.data_path: data comes from one of",
        ),
        (
            format!("{STAGE1}\n[train]\nmax_steps = 5\nnum_train_epochs = 1"),
            "r.toml:17: train.max_steps: train.num_train_epochs says when the run ends",
        ),
        (
            format!("{STAGE1}\n[train]\nprojector = false\nlanguage = false"),
            "r.toml:17: train.projector: nothing learns",
        ),
        (
            format!("{STAGE1}\n[run]\neval_steps = 5"),
            "r.toml:17: run.eval_steps: nothing is there to evaluate on",
        ),
        (
            format!("{STAGE1}\n[run]\nfeature_cache = \"f\"\n[train]\nvision = true"),
            "r.toml:17: run.feature_cache: features of a tower that learns",
        ),
        (
            line(14, ""),
            "r.toml: data.data_path is missing: expected a text",
        ),
        (line(11, "[language]\nhidden_size = 4"), "r.toml:"),
        (
            line(10, "").replace("from = \"llama\"", ""),
            "r.toml: language.from is missing: expected a folder, here or as model.from, or language.hidden_size",
        ),
    ] {
        let message = mistake(&text, &[]);
        assert!(
            message.starts_with(expected),
            "{message}\n  is not\n{expected}"
        );
    }
}

#[test]
fn sizes_must_fit_each_other() {
    for (set, expected) in [
        (
            "vision.patch_size=7",
            "7 does not divide vision.image_size = 96",
        ),
        (
            "vision.num_attention_heads=3",
            "3 does not divide vision.hidden_size = 64",
        ),
        (
            "text.num_attention_heads=3",
            "3 does not divide text.hidden_size = 64",
        ),
        (
            "vision.from=clip",
            "vision.from says where the part comes from",
        ),
    ] {
        let message = mistake(CLIP, &[set]);
        assert!(message.contains(expected), "{message}");
    }
    for (set, expected) in [
        (
            "language.num_attention_heads=3",
            "3 does not divide language.hidden_size = 64",
        ),
        (
            "language.num_attention_heads=64",
            "heads of width 1 cannot be rotated",
        ),
        (
            "language.num_key_value_heads=3",
            "3 does not divide language.num_attention_heads = 2",
        ),
        ("data.template=plain", "there are no pictures here"),
    ] {
        let message = mistake(LM, &[set]);
        assert!(message.contains(expected), "{message}");
    }
    let vlm = example(Task::Vlm).replace(
        "[vision]\nfrom = \"clip\"",
        "[vision]\nimage_size = 96\npatch_size = 8\nhidden_size = 64\nnum_hidden_layers = 3\nnum_attention_heads = 2\nintermediate_size = 128",
    );
    assert!(parse(&vlm, &["vision.select_layer=3"]).is_ok());
    assert!(parse(&vlm, &["vision.select_layer=-4"]).is_ok());
    for layer in ["4", "-5"] {
        let message = mistake(&vlm, &[&format!("vision.select_layer={layer}")]);
        assert!(
            message.contains("has the hidden states 0 to 3, or -4 to -1"),
            "{message}"
        );
    }
}

#[test]
fn set_lays_over_the_file() {
    let recipe = parse(
        STAGE1,
        &["train.learning_rate=1e-4", "output_dir=runs/a b", "seed=7"],
    )
    .unwrap();
    assert_eq!(recipe.train.learning_rate, 1e-4);
    assert_eq!(
        (recipe.output_dir.to_str(), recipe.seed),
        (Some("runs/a b"), 7)
    );
    let world = [
        "data.data_path=",
        "world.count=5",
        "world.kinds={ caption = 3, counting = 1 }",
    ];
    let recipe = parse(STAGE1, &world).unwrap();
    let DataSource::World(world) = recipe.data.source else {
        panic!("{:?}", recipe.data)
    };
    assert_eq!((world.count, world.kinds.len()), (5, 2));
    assert!(world.kinds.contains(&(Kind::Caption, 3.0)));
    let back = parse(LM, &["world=", "data.texts=[\"a.txt\", \"b.txt\"]"]).unwrap();
    assert_eq!(
        back.data.source,
        DataSource::Texts(vec!["a.txt".into(), "b.txt".into()])
    );
    assert!(mistake(STAGE1, &["seed"]).contains("expected KEY=VALUE"));
    assert!(mistake(STAGE1, &["=5"]).contains("expected KEY=VALUE"));
    assert!(mistake(STAGE1, &["sede=5"]).contains("the nearest is \"seed\""));
    assert!(
        mistake(STAGE1, &["world.kinds=[\"caption\", \"caption\"]"]).contains("kinds of the world")
    );
}

#[test]
fn the_resolved_recipe_is_the_same_recipe() {
    for task in Task::ALL {
        let set = ["seed=3", "output_dir=it's \"here\""];
        let recipe = parse(&example(task), &set).unwrap();
        let again =
            parse(&recipe.resolved, &[]).unwrap_or_else(|e| panic!("{e}\n{}", recipe.resolved));
        assert_eq!(again, recipe, "{}", recipe.resolved);
    }
}

#[test]
fn adapters_have_upstreams_figures() {
    let recipe = parse(&example(Task::Stage2), &["train.language=lora"]).unwrap();
    let expected = Lora {
        rank: 128,
        alpha: 256.0,
        dropout: 0.05,
        merge: true,
    };
    assert_eq!(recipe.train.language, Learns::Adapters(expected));
}

#[test]
fn long_files_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.toml");
    std::fs::write(&file, "#".repeat(2 << 20)).unwrap();
    let message = Recipe::read(&file, &[]).unwrap_err().to_string();
    assert!(message.contains("a recipe has at most"), "{message}");
    let absent = folder.path().join("absent.toml");
    assert!(matches!(
        Recipe::read(&absent, &[]),
        Err(RecipeError::Read { .. })
    ));
}

/// The page lists the keys that the code has, as the code describes them.
#[test]
fn the_page_is_the_list_of_keys() {
    let page = mobilevlm_testing::workspace().join("docs/recipes.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (begin, end) = ("<!-- keys -->\n", "<!-- end of keys -->\n");
    let (before, rest) = text
        .split_once(begin)
        .expect("a mark where the table begins");
    let (table, after) = rest.split_once(end).expect("a mark where it ends");
    if std::env::var_os("MOBILEVLM_WRITE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}{begin}{}{end}{after}", key_table())).unwrap();
        return;
    }
    assert!(
        table == key_table(),
        "docs/recipes.md is not what recipe/keys.rs says: run \
         MOBILEVLM_WRITE_DOCS=1 cargo test -p mobilevlm-train the_page_is_the_list_of_keys"
    );
}
