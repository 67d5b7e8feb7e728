//! Which option a text names.
//!
//! Official: `can_infer` of OpenCompass's `eval_mmbench.py`.

use mobilevlm_data::python;

/// What stands before and after a letter, in the order in which it is looked for.
const FORMS: [(&str, &str); 13] = [
    ("", ""),
    ("", "."),
    ("", ","),
    ("", ":"),
    ("", ")"),
    ("", ")."),
    ("(", ")"),
    ("(", ")."),
    (":", ""),
    (":", ","),
    (":", "."),
    (":", ")"),
    (":", ")."),
];

/// The letter that a text names: by a word that is one, else by the text of one option.
///
/// `options`: those that the question has, by letter; A to E are looked for whatever they are.
pub(super) fn option_named(text: &str, options: &[(char, String)]) -> Option<char> {
    letter(text).or_else(|| option(text, options))
}

fn letter(text: &str) -> Option<char> {
    let words: Vec<&str> = python::split(text).collect();
    for (before, after) in FORMS {
        let stands = |letter: &char| words.contains(&format!("{before}{letter}{after}").as_str());
        let mut found = ('A'..='E').filter(stands);
        if let (Some(only), None) = (found.next(), found.next()) {
            // "A" is an article in most texts.
            if (before, after) == ("", "") && only == 'A' && words.len() > 3 {
                continue;
            }
            return Some(only);
        }
    }
    None
}

fn option(text: &str, options: &[(char, String)]) -> Option<char> {
    let text = text.to_lowercase();
    let mut found = options
        .iter()
        .filter(|(_, option)| text.contains(&option.to_lowercase()));
    match (found.next(), found.next()) {
        (Some((letter, _)), None) => Some(*letter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_name_the_options_that_the_script_finds() {
        for case in parse_cases("mmbench") {
            let text = case[0].as_str().unwrap();
            let options = case[1].as_object().unwrap().iter();
            let options: Vec<(char, String)> = options
                .map(|(letter, option)| {
                    let letter = letter.chars().next().unwrap();
                    (letter, option.as_str().unwrap().to_owned())
                })
                .collect();
            let named = option_named(text, &options).map(String::from);
            assert_eq!(serde_json::json!(named), case[2], "{text:?}");
        }
    }
}
