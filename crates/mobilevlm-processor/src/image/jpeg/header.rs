//! Segments: everything in a JPEG file but the coded bits.

use super::super::{Format, ImageError, Limits};
use super::frame::{Declared, Frame};
use super::huffman::Table;
use super::{malformed, unsupported};

/// `ZIGZAG[i]`: where the coefficient that is stored as number `i` belongs in its block.
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Walks through a file and keeps what its segments define.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    limits: &'a Limits,
    pub(super) position: usize,
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Code>; 4],
    pub(super) ac: [Option<Code>; 4],
    /// MCUs between restart markers, or 0.
    pub(super) restart_interval: usize,
    /// Whether a JFIF marker was seen, and the transform that an Adobe marker names.
    pub(super) jfif: bool,
    pub(super) adobe: Option<u8>,
    pub(super) frame: Option<Frame>,
}

/// A Huffman code as stored. Tables are built when a scan begins, not for each definition.
pub(super) struct Code {
    counts: [u8; 16],
    symbols: Vec<u8>,
}

/// What comes next in the file.
pub(super) enum Next {
    /// The header of a scan; the reader stands at its first coded byte.
    Scan(Scan),
    /// The end marker.
    End,
}

/// The header of a scan.
pub(super) struct Scan {
    pub(super) components: Vec<Selected>,
    /// The coefficients that it holds, as stored, both included.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Whether earlier scans gave the higher bits, and the lowest bit that this one gives.
    pub(super) refines: bool,
    pub(super) low: u32,
}

/// A component of a scan, by its index in the frame, and the codes that it uses.
pub(super) struct Selected {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &'a Limits) -> Result<Reader<'a>, ImageError> {
        Ok(Reader {
            bytes,
            limits,
            position: 2,
            quantisation: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart_interval: 0,
            jfif: false,
            adobe: None,
            frame: None,
        })
    }

    pub(super) fn frame(&self) -> Result<&Frame, ImageError> {
        self.frame.as_ref().ok_or_else(no_frame)
    }

    pub(super) fn into_frame(self) -> Result<Frame, ImageError> {
        self.frame.ok_or_else(no_frame)
    }

    /// Reads segments up to the next scan or the end.
    pub(super) fn next(&mut self) -> Result<Next, ImageError> {
        loop {
            let at = self.position;
            match self.marker()? {
                0xd9 => return Ok(Next::End),
                // Markers without a body: restarts that belong to no scan.
                0x01 | 0xd0..=0xd7 => {}
                0xc0..=0xc2 => self.frame_header(at)?,
                0xc4 => self.huffman_codes(at)?,
                0xdb => self.quantisation_tables(at)?,
                0xdd => {
                    let body = self.body()?;
                    let &interval = body.first_chunk().ok_or_else(|| short("DRI", at))?;
                    self.restart_interval = usize::from(u16::from_be_bytes(interval));
                }
                0xda => return self.scan_header(at).map(Next::Scan),
                0xe0 => {
                    let body = self.body()?;
                    self.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0");
                }
                0xee => {
                    let body = self.body()?;
                    if body.len() >= 12 && body.starts_with(b"Adobe") {
                        self.adobe = Some(body[11]);
                    }
                }
                // Other application data, comments, and what only arithmetic coding needs.
                0xe1..=0xef | 0xfe | 0xdc | 0xcc => {
                    self.body()?;
                }
                0xc9 | 0xca | 0xcd | 0xce => {
                    return Err(unsupported("arithmetic coding".to_owned()));
                }
                0xc3 | 0xc7 | 0xcb | 0xcf => return Err(unsupported("lossless coding".to_owned())),
                0xc5 | 0xc6 => return Err(unsupported("hierarchical coding".to_owned())),
                other => {
                    return Err(malformed(format!(
                        "offset {at}: expected a segment, found marker {other:#04x}"
                    )));
                }
            }
        }
    }

    /// The next marker. Bytes before it that belong to nothing are skipped, as in libjpeg.
    fn marker(&mut self) -> Result<u8, ImageError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let found = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        let at = found.ok_or_else(|| self.truncated("the segments"))?;
        self.position += at + 2;
        Ok(rest[at + 1])
    }

    /// The body of a segment, whose length comes first.
    fn body(&mut self) -> Result<&'a [u8], ImageError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let &length = rest
            .first_chunk()
            .ok_or_else(|| self.truncated("a segment"))?;
        let length = usize::from(u16::from_be_bytes(length));
        if length < 2 {
            return Err(malformed(format!(
                "offset {}: expected a segment length of at least 2, found {length}",
                self.position
            )));
        }
        let body = rest
            .get(2..length)
            .ok_or_else(|| self.truncated("a segment"))?;
        self.position += length;
        Ok(body)
    }

    fn frame_header(&mut self, at: usize) -> Result<(), ImageError> {
        let progressive = self.bytes[self.position - 1] == 0xc2;
        let body = self.body()?;
        if self.frame.is_some() {
            return Err(malformed(format!(
                "offset {at}: expected one frame header, found two"
            )));
        }
        let [bits, h1, h0, w1, w0, count, rest @ ..] = body else {
            return Err(short("SOF", at));
        };
        if *bits != 8 {
            return Err(unsupported(format!("a depth of {bits} bits")));
        }
        let height = usize::from(u16::from_be_bytes([*h1, *h0]));
        let width = usize::from(u16::from_be_bytes([*w1, *w0]));
        self.limits
            .check_size(Format::Jpeg, width, height, self.bytes)?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(format!("a picture of {count} components")));
        }
        let declared: Vec<Declared> = rest
            .chunks_exact(3)
            .take(usize::from(*count))
            .map(|c| Declared {
                id: c[0],
                h: usize::from(c[1] >> 4),
                v: usize::from(c[1] & 15),
                table: usize::from(c[2]),
            })
            .collect();
        if declared.len() != usize::from(*count) {
            return Err(short("SOF", at));
        }
        let max = |side: fn(&Declared) -> usize| declared.iter().map(side).max().unwrap_or(1);
        let (max_h, max_v) = (max(|c| c.h), max(|c| c.v));
        for Declared { h, v, .. } in &declared {
            if !(1..=4).contains(h) || !(1..=4).contains(v) {
                return Err(malformed(format!(
                    "offset {at}: expected sampling factors of 1 to 4, found {h}x{v}"
                )));
            }
            if max_h % h != 0 || max_v % v != 0 {
                return Err(unsupported(format!(
                    "sampling of {h}x{v} beside {max_h}x{max_v}, which is no whole ratio"
                )));
            }
        }
        self.frame = Some(Frame::new(width, height, progressive, &declared));
        Ok(())
    }

    fn huffman_codes(&mut self, at: usize) -> Result<(), ImageError> {
        let mut rest = self.body()?;
        while let [kind, tail @ ..] = rest {
            let Some((&counts, tail)) = tail.split_first_chunk::<16>() else {
                return Err(short("DHT", at));
            };
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let Some((symbols, tail)) = tail.split_at_checked(total) else {
                return Err(short("DHT", at));
            };
            let place = match kind {
                0x00..=0x03 => &mut self.dc[usize::from(*kind)],
                0x10..=0x13 => &mut self.ac[usize::from(kind & 15)],
                _ => {
                    return Err(malformed(format!(
                        "offset {at}: expected Huffman table 0x00-0x03 or 0x10-0x13, found {kind:#04x}"
                    )));
                }
            };
            *place = Some(Code {
                counts,
                symbols: symbols.to_vec(),
            });
            rest = tail;
        }
        Ok(())
    }

    fn quantisation_tables(&mut self, at: usize) -> Result<(), ImageError> {
        let mut rest = self.body()?;
        while let [kind, tail @ ..] = rest {
            let (wide, number) = (kind >> 4, usize::from(kind & 15));
            let length = if wide == 0 { 64 } else { 128 };
            let Some(place) = self.quantisation.get_mut(number) else {
                return Err(malformed(format!(
                    "offset {at}: expected quantisation table 0-3, found {number}"
                )));
            };
            let Some((values, tail)) = tail.split_at_checked(length) else {
                return Err(short("DQT", at));
            };
            let mut table = [0; 64];
            for (stored, &natural) in ZIGZAG.iter().enumerate() {
                table[usize::from(natural)] = if wide == 0 {
                    u16::from(values[stored])
                } else {
                    u16::from_be_bytes([values[2 * stored], values[2 * stored + 1]])
                };
            }
            *place = Some(table);
            rest = tail;
        }
        Ok(())
    }

    fn scan_header(&mut self, at: usize) -> Result<Scan, ImageError> {
        let body = self.body()?;
        let frame = self.frame()?;
        let [count, rest @ ..] = body else {
            return Err(short("SOS", at));
        };
        let count = usize::from(*count);
        if !(1..=4).contains(&count) || rest.len() < 2 * count + 3 {
            return Err(malformed(format!(
                "offset {at}: expected a scan of 1 to 4 components, found {count} in {} bytes",
                body.len()
            )));
        }
        let mut components: Vec<Selected> = Vec::with_capacity(count);
        for selector in rest.chunks_exact(2).take(count) {
            let index = frame.components.iter().position(|c| c.id == selector[0]);
            let index = index.filter(|&index| components.iter().all(|c| c.index != index));
            let Some(index) = index else {
                return Err(malformed(format!(
                    "offset {at}: expected each component of the frame once, found {}",
                    selector[0]
                )));
            };
            components.push(Selected {
                index,
                dc: usize::from(selector[1] >> 4),
                ac: usize::from(selector[1] & 15),
            });
        }
        // An interleaved MCU holds at most ten blocks (standard, B.2.3).
        let blocks = components.iter().map(|c| &frame.components[c.index]);
        if count > 1 && blocks.map(|c| c.h * c.v).sum::<usize>() > 10 {
            return Err(malformed(format!(
                "offset {at}: expected at most 10 blocks in an MCU, found more"
            )));
        }
        let [first, last, bits] = [0, 1, 2].map(|i| usize::from(rest[2 * count + i]));
        let (high, low) = (bits >> 4, bits & 15);
        if !frame.progressive {
            // Sequential scans hold everything, whatever these fields say; libjpeg does not look.
            return Ok(Scan {
                components,
                first: 0,
                last: 63,
                refines: false,
                low: 0,
            });
        }
        let band = if first == 0 {
            last == 0
        } else {
            first <= last && last < 64 && count == 1
        };
        if !band || low > 13 || (high != 0 && high != low + 1) {
            return Err(malformed(format!(
                "offset {at}: expected a progressive scan of one band, found coefficients \
                 {first}-{last}, bits {high}-{low}, {count} components"
            )));
        }
        Ok(Scan {
            components,
            first,
            last,
            refines: high != 0,
            low: low as u32,
        })
    }

    pub(super) fn truncated(&self, part: &'static str) -> ImageError {
        ImageError::Truncated {
            format: Format::Jpeg,
            length: self.bytes.len(),
            part,
        }
    }
}

impl Code {
    /// The table of a code that was defined, and whose words fit.
    pub(super) fn table(
        code: Option<&Code>,
        name: &str,
        number: usize,
    ) -> Result<Table, ImageError> {
        code.and_then(|code| Table::new(&code.counts, &code.symbols))
            .ok_or_else(|| {
                malformed(format!(
                    "expected a sound Huffman table for {name} {number}, found none"
                ))
            })
    }
}

pub(super) fn no_frame() -> ImageError {
    malformed("expected a frame header before the first scan, found none".to_owned())
}

fn short(segment: &str, at: usize) -> ImageError {
    malformed(format!(
        "offset {at}: the {segment} segment is shorter than its contents"
    ))
}
