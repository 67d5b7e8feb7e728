//! Python's idea of white space, which upstream's `strip` and `split` follow.

/// `str.isspace` of one character: Unicode's white space and the four separators U+001C to U+001F,
/// which Rust leaves out.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `text.strip()`
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text.split()`: the words, none of them empty.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_space_and_zero_width_is_not() {
        assert_eq!(strip("\u{1c} \u{3000}a\u{200b}\u{85}\u{1f}"), "a\u{200b}");
        let words: Vec<&str> = split(" a\u{1e}b \n c\u{200b}d").collect();
        assert_eq!(words, ["a", "b", "c\u{200b}d"]);
        assert_eq!(split(" \u{a0}").count(), 0);
    }
}
