//! Finds the rows of a data set without understanding them.
//!
//! A file that begins with `[` is one JSON array; any other has a row on each line. Inside an
//! array a row ends at a comma outside strings and brackets, so a row that is no JSON costs that
//! row, unless its brackets or quotes do not match.

use std::io::{self, BufRead};

/// The longest row that is taken into memory.
pub(super) const LONGEST_ROW: usize = 16 << 20;

/// Why the rows cannot be found.
#[derive(Debug)]
pub(super) enum ScanError {
    Read(io::Error),
    Wrong { offset: u64, wrong: String },
    Stopped,
}

/// Calls `on_row(offset, bytes)` for every row; it returns whether to go on.
pub(super) fn scan(
    reader: &mut impl BufRead,
    on_row: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> Result<(), ScanError> {
    let mut scanner = Scanner {
        state: State::Start,
        offset: 0,
        start: 0,
        row: Vec::new(),
        on_row,
    };
    loop {
        let bytes = reader.fill_buf().map_err(ScanError::Read)?;
        if bytes.is_empty() {
            return scanner.end();
        }
        for &byte in bytes {
            scanner.byte(byte)?;
            scanner.offset += 1;
        }
        let read = bytes.len();
        reader.consume(read);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space and a byte order mark so far.
    Start,
    Line,
    Array {
        depth: usize,
        in_string: bool,
        escaped: bool,
        /// Whether a row came before this one.
        follows: bool,
    },
    AfterArray,
}

struct Scanner<'a> {
    state: State,
    offset: u64,
    start: u64,
    row: Vec<u8>,
    on_row: &'a mut dyn FnMut(u64, &[u8]) -> bool,
}

impl Scanner<'_> {
    fn byte(&mut self, byte: u8) -> Result<(), ScanError> {
        match self.state {
            State::Start => match byte {
                b'[' => {
                    self.state = State::Array {
                        depth: 0,
                        in_string: false,
                        escaped: false,
                        follows: false,
                    };
                    Ok(())
                }
                b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => Ok(()),
                _ => {
                    self.state = State::Line;
                    self.push(byte)
                }
            },
            State::Line if byte == b'\n' => self.row(),
            State::Line => self.push(byte),
            State::Array {
                depth,
                in_string,
                escaped,
                follows,
            } => self.array(byte, depth, in_string, escaped, follows),
            State::AfterArray if byte.is_ascii_whitespace() => Ok(()),
            State::AfterArray => self.wrong("more text after the end of the array"),
        }
    }

    fn array(
        &mut self,
        byte: u8,
        depth: usize,
        in_string: bool,
        escaped: bool,
        follows: bool,
    ) -> Result<(), ScanError> {
        let mut next = (depth, in_string, false, follows);
        match byte {
            _ if escaped => {}
            b'\\' if in_string => next.2 = true,
            b'"' => next.1 = !in_string,
            _ if in_string => {}
            b'{' | b'[' => next.0 += 1,
            b']' if depth == 0 => {
                // `[]` has no rows.
                if follows || !self.row.trim_ascii().is_empty() {
                    self.row_whatever()?;
                }
                self.state = State::AfterArray;
                return Ok(());
            }
            b'}' if depth == 0 => {
                return self.wrong("a bracket is closed that was not opened");
            }
            b'}' | b']' => next.0 -= 1,
            b',' if depth == 0 => {
                self.row_whatever()?;
                self.state = State::Array {
                    depth,
                    in_string,
                    escaped: false,
                    follows: true,
                };
                return Ok(());
            }
            _ => {}
        }
        self.state = State::Array {
            depth: next.0,
            in_string: next.1,
            escaped: next.2,
            follows: next.3,
        };
        self.push(byte)
    }

    fn push(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.row.is_empty() {
            if byte.is_ascii_whitespace() {
                return Ok(());
            }
            self.start = self.offset;
        }
        if self.row.len() >= LONGEST_ROW {
            return Err(ScanError::Wrong {
                offset: self.start,
                wrong: format!("a row of more than {LONGEST_ROW} bytes; expected a conversation"),
            });
        }
        self.row.push(byte);
        Ok(())
    }

    /// The row, if there is one: empty lines are none.
    fn row(&mut self) -> Result<(), ScanError> {
        match self.row.trim_ascii().is_empty() {
            true => Ok(()),
            false => self.row_whatever(),
        }
    }

    fn row_whatever(&mut self) -> Result<(), ScanError> {
        if self.row.is_empty() {
            self.start = self.offset;
        }
        let go_on = (self.on_row)(self.start, self.row.trim_ascii_end());
        self.row.clear();
        if go_on {
            Ok(())
        } else {
            Err(ScanError::Stopped)
        }
    }

    fn end(&mut self) -> Result<(), ScanError> {
        match self.state {
            State::Start => self.wrong("the file is empty; expected a JSON array or JSON lines"),
            State::Line => self.row(),
            State::Array { .. } => {
                let start = self.start;
                self.wrong(&format!(
                    "the file ends inside the array; its last row begins at byte {start} \
                     (a download that is not complete, or a quote that is not closed)"
                ))
            }
            State::AfterArray => Ok(()),
        }
    }

    fn wrong(&self, wrong: &str) -> Result<(), ScanError> {
        Err(ScanError::Wrong {
            offset: self.offset,
            wrong: wrong.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<(u64, String)>, String> {
        let mut rows = Vec::new();
        // A small buffer, so that rows lie across its ends.
        let mut reader = io::BufReader::with_capacity(3, text.as_bytes());
        let done = scan(&mut reader, &mut |offset, row| {
            rows.push((offset, String::from_utf8_lossy(row).into_owned()));
            true
        });
        match done {
            Ok(()) => Ok(rows),
            Err(ScanError::Wrong { offset, wrong }) => Err(format!("{offset}: {wrong}")),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn arrays_and_lines_have_rows() {
        let array = " [ {\"a\": \"],\\\"}\"} , [1,2] ,, 3\n]\n";
        let expected = [
            (3, "{\"a\": \"],\\\"}\"}".to_owned()),
            (20, "[1,2]".to_owned()),
            (27, String::new()),
            (29, "3".to_owned()),
        ];
        assert_eq!(rows(array).unwrap(), expected);
        let lines = "\u{feff}{\"a\":1}\r\n\n  nonsense \n{}";
        let expected = [
            (3, "{\"a\":1}".to_owned()),
            (15, "nonsense".to_owned()),
            (25, "{}".to_owned()),
        ];
        assert_eq!(rows(lines).unwrap(), expected);
        assert_eq!(rows("[]").unwrap(), []);
    }

    #[test]
    fn half_files_are_refused_with_their_place() {
        assert!(rows("").unwrap_err().contains("empty"));
        assert!(rows("[{},{\"a").unwrap_err().contains("byte 4"));
        assert!(rows("[{}]x").unwrap_err().starts_with("4: more text"));
        assert!(rows("[}]").unwrap_err().contains("not opened"));
    }
}
