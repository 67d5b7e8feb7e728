/// The text of an answer as it grows, with what may be the beginning of a stop string held back.
pub(crate) struct StopText {
    text: String,
    /// Bytes of `text` already handed out. No stop string begins before this.
    sent: usize,
    stops: Vec<String>,
    stopped: bool,
}

impl StopText {
    /// `capacity`: bytes that the text may take without allocating.
    pub(crate) fn new(stops: Vec<String>, capacity: usize) -> StopText {
        StopText {
            text: String::with_capacity(capacity),
            sent: 0,
            stops,
            stopped: false,
        }
    }

    /// Appends `more` and returns what can be shown now. At the first stop string the text ends
    /// before it, and [`StopText::stopped`] holds.
    pub(crate) fn push(&mut self, more: &str) -> &str {
        self.text.push_str(more);
        let unsent = &self.text[self.sent..];
        let stop = self
            .stops
            .iter()
            .filter_map(|stop| unsent.find(stop.as_str()))
            .min();
        if let Some(stop) = stop {
            self.text.truncate(self.sent + stop);
            self.stopped = true;
            return self.flush();
        }
        let held = self
            .stops
            .iter()
            .map(|stop| held(unsent, stop))
            .max()
            .unwrap_or(0);
        self.send(self.text.len() - held)
    }

    /// The rest that was held back: no more text comes.
    pub(crate) fn flush(&mut self) -> &str {
        self.send(self.text.len())
    }

    /// Whether a stop string was found.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// All that was handed out.
    pub(crate) fn into_shown(mut self) -> String {
        self.text.truncate(self.sent);
        self.text
    }

    fn send(&mut self, end: usize) -> &str {
        let start = std::mem::replace(&mut self.sent, end);
        &self.text[start..end]
    }
}

/// Length of the longest end of `text` that is a beginning of `stop`, but not all of it.
fn held(text: &str, stop: &str) -> usize {
    let beginnings = stop.char_indices().map(|(end, _)| &stop[..end]).rev();
    beginnings
        .map(str::len)
        .find(|&len| text.ends_with(&stop[..len]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::StopText;

    fn streamed(stops: &[&str], parts: &[&str]) -> (Vec<String>, String, bool) {
        let stops = stops.iter().map(|stop| stop.to_string()).collect();
        let mut text = StopText::new(stops, 0);
        let mut shown = Vec::new();
        for part in parts {
            shown.push(text.push(part).to_owned());
            if text.stopped() {
                break;
            }
        }
        shown.push(text.flush().to_owned());
        let stopped = text.stopped();
        (shown, text.into_shown(), stopped)
    }

    #[test]
    fn a_stop_string_in_pieces_is_never_shown() {
        let (shown, text, stopped) = streamed(&["END."], &["one E", "N", "D", ". two"]);
        assert_eq!(shown, ["one ", "", "", "", ""]);
        assert_eq!(text, "one ");
        assert!(stopped);
    }

    #[test]
    fn a_beginning_that_goes_on_otherwise_is_shown_later() {
        let (shown, text, stopped) = streamed(&["END."], &["one E", "N", "E", "ND!"]);
        assert_eq!(shown, ["one ", "", "EN", "END!", ""]);
        assert_eq!(text, "one ENEND!");
        assert!(!stopped);
    }

    #[test]
    fn what_is_held_at_the_end_is_shown() {
        let (shown, text, stopped) = streamed(&["END."], &["the END"]);
        assert_eq!(shown, ["the ", "END"]);
        assert_eq!(text, "the END");
        assert!(!stopped);
    }

    #[test]
    fn the_earliest_of_several_counts() {
        let (shown, text, _) = streamed(&["é!", "b"], &["aé", "xbé!"]);
        assert_eq!(shown, ["a", "éx", ""]);
        assert_eq!(text, "aéx");
    }

    #[test]
    fn every_split_of_a_text_ends_at_the_same_place() {
        let whole = "aabaabaaab";
        for split in 0..=whole.len() {
            let (first, second) = whole.split_at(split);
            let (shown, text, stopped) = streamed(&["aaa", "abab"], &[first, second]);
            assert_eq!(text, "aabaab", "split at {split}");
            assert_eq!(shown.concat(), text, "split at {split}");
            assert!(stopped);
        }
    }
}
