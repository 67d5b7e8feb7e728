//! The corpus in `attacks/`, file by file.

use std::collections::BTreeSet;
use std::path::Path;

use super::parsers;
use super::worker::try_input;
use crate::steps::workspace;

#[test]
fn every_attack_ends_in_a_message_or_a_result() {
    let mut failures = Vec::new();
    for parser in parsers::ours() {
        let seeds = parser.seeds().unwrap();
        assert!(!seeds.is_empty(), "{} has no samples", parser.name);
        let attacks = parser.attacks().unwrap();
        let files = seeds
            .iter()
            .map(|file| (file, true))
            .chain(attacks.iter().map(|file| (file, false)));
        for ((name, content), is_seed) in files {
            if let Some(problem) = try_input(&parser, content, is_seed).problem {
                failures.push(format!("{}/{name}: {problem:?}", parser.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
#[test]
fn every_file_of_the_corpus_has_a_parser_and_a_line_in_the_readme() {
    let root = workspace().join("attacks");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let listed: BTreeSet<String> = readme
        .split("\n## ")
        .flat_map(|section| {
            let (title, lines) = section.split_once('\n').unwrap_or_default();
            let found = title.starts_with("Found");
            lines.lines().filter_map(move |line| {
                let name = line.strip_prefix("| `")?.split('`').next()?;
                Some(if found {
                    name.to_owned()
                } else {
                    format!("{title}/{name}")
                })
            })
        })
        .collect();
    let parsers: BTreeSet<_> = parsers::ours().iter().map(|parser| parser.name).collect();
    let mut there = BTreeSet::new();
    for (folder, prefix) in [(root.clone(), ""), (root.join("seeds"), "seeds/")] {
        for parser in names(&folder, true)
            .into_iter()
            .filter(|name| name != "seeds")
        {
            assert!(
                parsers.contains(parser.as_str()),
                "no parser reads attacks/{prefix}{parser}"
            );
            there.extend(
                names(&folder.join(&parser), false)
                    .into_iter()
                    .map(|name| format!("{prefix}{parser}/{name}")),
            );
        }
    }
    assert_eq!(listed, there, "left: README, right: files");
}

fn names(folder: &Path, folders: bool) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_dir() == folders)
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}
