//! Which pieces may be. Source: `TrainerInterface::IsValidSentencePiece` of SentencePiece, with
//! LLaMA's settings.

use super::SPACE;

/// Whether `text` may be one piece: spaces only in front unless there is nothing else, digits
/// alone, letters of one script, and letters never with signs.
pub(super) fn is_valid(text: &str, longest: usize) -> bool {
    let length = text.chars().count();
    if length > longest {
        return false;
    }
    let only_spaces = text.chars().all(|c| c == SPACE);
    let mut before = None;
    for (place, c) in text.chars().enumerate() {
        if c == SPACE {
            if place > 0 && !only_spaces {
                return false;
            }
            continue;
        }
        if c.is_ascii_digit() && length > 1 {
            return false;
        }
        let script = script(c).or(before);
        if before.is_some() && script != before {
            return false;
        }
        before = script;
    }
    true
}

/// Scripts as far as they are told apart: SentencePiece has all of Unicode's, these are those of
/// most texts. Letters of any other script count as one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Signs, digits, punctuation.
    Common,
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Devanagari,
    Thai,
    Hangul,
    /// Han with both Kana, as SentencePiece joins them.
    Han,
    Other,
}

/// The script of a character; nothing for marks that take their letter's.
fn script(c: char) -> Option<Script> {
    Some(match c {
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => return None,
        // The prolonged sound mark is Common in Unicode, and Han to SentencePiece.
        '\u{30fc}' => Script::Han,
        'ª' | 'º' => Script::Latin,
        _ if !c.is_alphabetic() => Script::Common,
        '\u{0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{ff21}'..='\u{ff5a}' => Script::Latin,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{590}'..='\u{5ff}' => Script::Hebrew,
        '\u{600}'..='\u{77f}' => Script::Arabic,
        '\u{900}'..='\u{97f}' => Script::Devanagari,
        '\u{e00}'..='\u{e7f}' => Script::Thai,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => {
            Script::Hangul
        }
        '\u{3005}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Script::Han,
        _ => Script::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_those_of_the_library() {
        for (text, valid) in [
            ("▁the", true),
            ("▁▁▁", true),
            ("▁▁a", false),
            ("a▁b", false),
            ("a▁", false),
            ("7", true),
            ("▁7", false),
            ("17", false),
            ("naïve", true),
            ("e\u{301}a", true),
            ("don't", false),
            ("...", true),
            ("aя", false),
            ("ラーメン", true),
            ("日本のラ", true),
            ("日a", false),
            ("한국", true),
            ("abcdefghijklmnop", true),
            ("abcdefghijklmnopq", false),
        ] {
            assert_eq!(is_valid(text, 16), valid, "{text}");
        }
    }
}
