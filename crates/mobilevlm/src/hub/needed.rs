//! Which files of a repository a model needs.

use std::collections::BTreeSet;

use super::HubError;

/// Small files that are taken where they exist.
const SMALL: [&str; 6] = [
    "config.json",
    "tokenizer.model",
    "vision_config.json",
    "preprocessor_config.json",
    "generation_config.json",
    "tokenizer_config.json",
];

/// Ways to store weights, the preferred one first: the index of several files and the name of a
/// single one. Safetensors come first because reading them needs no interpreter.
const WEIGHTS: [(&str, &str); 2] = [
    ("model.safetensors.index.json", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
];

/// What is to be fetched from a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) small: Vec<String>,
    pub(super) weights: Weights,
}

/// How the weights are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// In one file.
    Single(String),
    /// In the files that this index names.
    Indexed(String),
}

/// Chooses among `files`, the names in the repository `id`.
pub(super) fn choose(id: &str, files: &[String], with_tokenizer: bool) -> Result<Needed, HubError> {
    let has = |name: &str| files.iter().any(|file| file == name);
    let missing = |missing| HubError::NotAModel {
        id: id.to_owned(),
        missing,
        found: some_of(files),
    };
    if !has("config.json") {
        return Err(missing("config.json"));
    }
    if with_tokenizer && !has("tokenizer.model") {
        return Err(missing("tokenizer.model"));
    }
    let weights = WEIGHTS
        .iter()
        .find_map(|(index, single)| match (has(index), has(single)) {
            (true, _) => Some(Weights::Indexed((*index).to_owned())),
            (_, true) => Some(Weights::Single((*single).to_owned())),
            _ => None,
        });
    let weights = weights.ok_or_else(|| missing("model.safetensors or pytorch_model.bin"))?;
    let small = SMALL
        .iter()
        .filter(|name| has(name))
        .map(|name| (*name).to_owned())
        .collect();
    Ok(Needed { small, weights })
}

/// The files that the text of a weight index names, each once.
pub(super) fn indexed(url: &str, index: &[u8]) -> Result<BTreeSet<String>, HubError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let wrong = |found: String| HubError::Answer {
        url: url.to_owned(),
        expected: "an index with the file of each tensor in `weight_map`",
        found,
    };
    let index: Index = serde_json::from_slice(index).map_err(|error| wrong(error.to_string()))?;
    let files: BTreeSet<String> = index.weight_map.into_values().collect();
    match files.iter().find(|file| !super::id::is_plain_name(file)) {
        Some(file) => Err(wrong(format!("the file name `{file}`"))),
        None if files.is_empty() => Err(wrong("no tensor".to_owned())),
        None => Ok(files),
    }
}

fn some_of(files: &[String]) -> String {
    match files {
        [] => "nothing".to_owned(),
        _ => {
            let first: Vec<&str> = files.iter().take(8).map(String::as_str).collect();
            let rest = if files.len() > first.len() {
                ", …"
            } else {
                ""
            };
            format!("{}{rest}", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: &[&str]) -> Result<Needed, HubError> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        choose("a/b", &files, true)
    }

    #[test]
    fn safetensors_are_preferred_and_the_rest_left() {
        let needed = chosen(&[
            ".gitattributes",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "pytorch_model.bin",
            "tokenizer.model",
            "vision_config.json",
            "training_args.bin",
        ])
        .unwrap();
        assert_eq!(
            needed.small,
            ["config.json", "tokenizer.model", "vision_config.json"]
        );
        assert_eq!(
            needed.weights,
            Weights::Single("model.safetensors".to_owned())
        );
    }

    #[test]
    fn an_index_is_preferred_to_a_single_file_of_its_kind() {
        let needed = chosen(&[
            "config.json",
            "tokenizer.model",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
        ]);
        assert_eq!(
            needed.unwrap().weights,
            Weights::Indexed("pytorch_model.bin.index.json".to_owned())
        );
        let needed = chosen(&[
            "config.json",
            "tokenizer.model",
            "model.safetensors",
            "pytorch_model.bin.index.json",
        ]);
        assert_eq!(
            needed.unwrap().weights,
            Weights::Single("model.safetensors".to_owned())
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (files, part) in [
            (&["README.md"][..], "config.json"),
            (&["config.json", "model.safetensors"], "tokenizer.model"),
            (
                &["config.json", "tokenizer.model", "a.gguf"],
                "model.safetensors",
            ),
        ] {
            let message = chosen(files).unwrap_err().to_string();
            assert!(message.contains(&format!("no {part}")), "{message}");
            assert!(message.contains(files[0]), "{message}");
        }
    }

    #[test]
    fn an_index_cannot_name_a_file_elsewhere() {
        let good = br#"{"weight_map": {"a": "m-2.bin", "b": "m-1.bin", "c": "m-2.bin"}}"#;
        let files: Vec<String> = indexed("u", good).unwrap().into_iter().collect();
        assert_eq!(files, ["m-1.bin", "m-2.bin"]);
        for bad in [
            &br#"{"weight_map": {"a": "../m.bin"}}"#[..],
            br#"{"weight_map": {"a": "/etc/passwd"}}"#,
            br#"{"weight_map": {"a": "x\\y"}}"#,
            br#"{"weight_map": {}}"#,
            br#"{}"#,
            b"",
        ] {
            assert!(matches!(indexed("u", bad), Err(HubError::Answer { .. })));
        }
    }
}
