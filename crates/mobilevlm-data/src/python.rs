//! Python's idea of white space, which upstream's `strip` and `split` follow.

/// `str.isspace` of one character: Unicode's white space and the four separators U+001C to U+001F,
/// which Rust leaves out.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `text.strip()`
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `len(text.split())`
pub(crate) fn count_words(text: &str) -> usize {
    text.split(is_space).filter(|word| !word.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_space_and_zero_width_is_not() {
        assert_eq!(strip("\u{1c} \u{3000}a\u{200b}\u{85}\u{1f}"), "a\u{200b}");
        assert_eq!(count_words(" a\u{1e}b \n c\u{200b}d"), 3);
        assert_eq!(count_words(" \u{a0}"), 0);
    }
}
