//! The corpus in `attacks/`, file by file.

use super::parsers;
use super::worker::try_input;

#[test]
fn every_attack_ends_in_a_message_or_a_result() {
    let mut failures = Vec::new();
    for parser in parsers::all() {
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
