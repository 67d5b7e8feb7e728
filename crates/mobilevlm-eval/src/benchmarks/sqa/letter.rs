//! The option that an answer names.

use std::sync::LazyLock;

use regex::Regex;

/// The letters of options.
pub(super) const LETTERS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// The letter that an answer names, or `FAILED`.
pub(super) fn letter(text: &str) -> &str {
    static SENTENCE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("The answer is ([A-Z]).").expect("a valid expression"));
    if LETTERS.contains(&text) {
        return text;
    }
    if let Some((letter, rest)) = text.split_at_checked(1)
        && LETTERS.contains(&letter)
        && rest.starts_with(". ")
    {
        return letter;
    }
    let mut found = SENTENCE.captures_iter(text);
    match (found.next(), found.next()) {
        (Some(only), None) => only.get(1).map_or("FAILED", |letter| letter.as_str()),
        _ => "FAILED",
    }
}

/// The option of a letter, from 0; `None` if there is none.
pub(super) fn index(letter: &str, choices: usize) -> Option<usize> {
    LETTERS.iter().take(choices).position(|one| *one == letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_name_the_letters_that_the_script_finds() {
        for case in parse_cases("sqa") {
            let text = case[0].as_str().unwrap();
            let choices = case[1].as_u64().unwrap() as usize;
            let letter = letter(text);
            assert_eq!(letter, case[2], "{text:?}");
            let index = index(letter, choices).map_or(-1, |index| index as i64);
            assert_eq!(index, case[3].as_i64().unwrap(), "{text:?}");
        }
    }
}
