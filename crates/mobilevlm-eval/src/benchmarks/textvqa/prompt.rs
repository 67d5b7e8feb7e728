//! The question that a prompt asks.

/// The question in a prompt; `None` where the official script stops.
pub(super) fn question_in(prompt: &str) -> Option<&str> {
    let lines: Vec<&str> = prompt.split('\n').collect();
    if prompt.starts_with("OCR tokens: ") {
        let (_, rest) = prompt.split_once("Question: ")?;
        rest.split_once(" Short answer:")
            .map(|(question, _)| question)
    } else if prompt.contains("Reference OCR token: ") && lines.len() == 3 {
        let first = usize::from(prompt.starts_with("Reference OCR token:"));
        Some(lines[first])
    } else {
        (lines.len() == 2).then(|| lines[0])
    }
}

#[cfg(test)]
mod tests {
    use super::question_in;

    #[test]
    fn the_question_is_found_in_all_three_kinds_of_prompt() {
        for (prompt, question) in [
            (
                "What?\nReference OCR token: A, B\nAnswer shortly.",
                Some("What?"),
            ),
            (
                "Reference OCR token: A\nWhat?\nAnswer shortly.",
                Some("What?"),
            ),
            ("What?\nAnswer shortly.", Some("What?")),
            (
                "OCR tokens: A\nB. Question: What\nis it? Short answer: x",
                Some("What\nis it?"),
            ),
            ("OCR tokens: A\nWhat?", None),
            ("What?", None),
            ("What?\nReference OCR token: A\nB\nAnswer shortly.", None),
        ] {
            assert_eq!(question_in(prompt), question, "{prompt:?}");
        }
    }
}
