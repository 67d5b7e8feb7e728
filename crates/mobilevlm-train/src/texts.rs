//! The texts of a data set alone: what a tokenizer is made of, and a language model learns from.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm_data::world::{World, WorldError, WorldOptions};
use mobilevlm_data::{DataError, IMAGE_MARK, IndexPlace, RowError, Rows};

use crate::recipe::DataSource;

/// The longest line of a file of texts, in bytes.
const LONGEST_LINE: u64 = 1 << 24;

/// Why texts could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextsError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is no text.
    #[error("{}:{line}: expected a line of UTF-8 of at most {LONGEST_LINE} bytes, found {found}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is there.
        found: &'static str,
    },
    /// The data set cannot be opened.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row of the data set cannot be read.
    #[error("{}: row {row}: {source}", file.display())]
    Row {
        /// The file.
        file: PathBuf,
        /// The row, from 0.
        row: usize,
        /// Why.
        source: RowError,
    },
    /// The world cannot be made.
    #[error(transparent)]
    World(#[from] WorldError),
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextsRead {
    /// Texts that were given.
    pub texts: u64,
    /// Rows that could not be read, and were left out.
    pub left_out: u64,
}

/// Gives every text of `source` to `each`, in order: a line of a file; all questions and answers
/// of a conversation, a line each, without the marks of pictures. Pictures are neither read nor
/// drawn.
///
/// `each` may end it by [`ControlFlow::Break`].
///
/// # Errors
/// [`TextsError`]; `Stopped` if `each` ended it. A row of a LLaVA file that is broken is left out
/// and counted.
pub fn for_each_text(
    source: &DataSource,
    each: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<TextsRead, TextsError> {
    let mut read = TextsRead::default();
    let mut give = |text: &str| {
        read.texts += 1;
        match each(text) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TextsError::Stopped),
        }
    };
    let mut left_out = 0;
    match source {
        DataSource::Texts(files) => {
            for file in files {
                lines(file, &mut give)?;
            }
        }
        DataSource::Llava { data_path, .. } => {
            let go_on = &mut |_, _| ControlFlow::Continue(());
            let rows = Rows::open(data_path, &IndexPlace::Beside, go_on)?;
            for row in 0..rows.len() {
                match rows.read(row) {
                    Ok(sample) => {
                        let said = sample.conversations.iter();
                        let said = said.map(|message| message.value.replace(IMAGE_MARK, ""));
                        give(&joined(said))?;
                    }
                    Err(RowError::Broken { .. }) => left_out += 1,
                    Err(source) => {
                        let file = data_path.clone();
                        return Err(TextsError::Row { file, row, source });
                    }
                }
            }
        }
        DataSource::World(data) => {
            let world = World::new(data.options(WorldOptions::default().size))?;
            for index in 0..data.count {
                let exchanges = data.sample(&world, index).exchanges.into_iter();
                give(&joined(
                    exchanges.flat_map(|one| [one.question, one.answer]),
                ))?;
            }
        }
    }
    read.left_out = left_out;
    Ok(read)
}

/// What was said, a line each.
pub(crate) fn joined(said: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = said.map(|text| text.trim().to_owned()).collect();
    lines.join("\n")
}

/// Every line of a file that is not empty.
fn lines(
    path: &Path,
    give: &mut dyn FnMut(&str) -> Result<(), TextsError>,
) -> Result<(), TextsError> {
    let failed = |source| TextsError::Read {
        file: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let taken = (&mut file)
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut bytes);
        if taken.map_err(failed)? == 0 {
            break;
        }
        let wrong = |found| TextsError::Line {
            file: path.to_owned(),
            line,
            found,
        };
        if bytes.len() as u64 > LONGEST_LINE {
            return Err(wrong("a longer one"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("other bytes"))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.is_empty() {
            give(text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::WorldData;

    fn texts(source: &DataSource) -> Result<(Vec<String>, TextsRead), TextsError> {
        let mut all = Vec::new();
        let read = for_each_text(source, &mut |text| {
            all.push(text.to_owned());
            ControlFlow::Continue(())
        })?;
        Ok((all, read))
    }

    #[test]
    fn files_are_read_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.txt"), folder.path().join("b.txt"));
        std::fs::write(&a, "one\r\n\n  two \n").unwrap();
        std::fs::write(&b, "three").unwrap();
        let (all, read) = texts(&DataSource::Texts(vec![a.clone(), b])).unwrap();
        assert_eq!(all, ["one", "  two ", "three"]);
        assert_eq!(
            read,
            TextsRead {
                texts: 3,
                left_out: 0
            }
        );
        std::fs::write(&a, b"good\n\xff\n").unwrap();
        let message = texts(&DataSource::Texts(vec![a])).unwrap_err().to_string();
        assert!(
            message.contains("a.txt:2: expected a line of UTF-8"),
            "{message}"
        );
        let absent = folder.path().join("absent.txt");
        assert!(
            texts(&DataSource::Texts(vec![absent]))
                .unwrap_err()
                .to_string()
                .contains("absent.txt")
        );
    }

    #[test]
    fn long_lines_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long.txt");
        std::fs::write(&file, vec![b'a'; LONGEST_LINE as usize + 1]).unwrap();
        let message = texts(&DataSource::Texts(vec![file]))
            .unwrap_err()
            .to_string();
        assert!(message.contains("long.txt:1"), "{message}");
    }

    #[test]
    fn conversations_lose_their_marks() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.json");
        let row = r#"{"image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]}"#;
        std::fs::write(&file, format!("[{row}, {{\"conversations\": 7}}]")).unwrap();
        let source = DataSource::Llava {
            data_path: file,
            image_folders: Vec::new(),
        };
        let (all, read) = texts(&source).unwrap();
        assert_eq!(all, ["What?\nA cat."]);
        assert_eq!(read.left_out, 1);
    }

    #[test]
    fn the_world_speaks_and_can_be_stopped() {
        let kinds = vec![(mobilevlm_data::world::Kind::Counting, 1.0)];
        let source = DataSource::World(WorldData {
            seed: 1,
            count: 20,
            kinds,
            most_turns: 5,
            most_questions: 1,
            turns_apart: false,
            most_objects: None,
            eval_count: 0,
        });
        let (all, read) = texts(&source).unwrap();
        assert_eq!(read.texts, 20);
        assert!(
            all.iter().all(|text| text.starts_with("How many")),
            "{all:?}"
        );
        let mut seen = 0;
        let stopped = for_each_text(&source, &mut |_| {
            seen += 1;
            if seen == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(TextsError::Stopped)));
        assert_eq!(seen, 3);
    }
}
