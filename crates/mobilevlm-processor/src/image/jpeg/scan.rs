//! From coded bits to coefficients: sequential and progressive scans.
//!
//! Upstream: `jdhuff.c` and `jdphuff.c`, except that codes and counts which libjpeg only warns
//! about are errors here.

use super::super::{Format, ImageError};
use super::bits::Bits;
use super::frame::{Component, Frame};
use super::header::{Code, Reader, Scan, Selected, ZIGZAG, no_frame};
use super::huffman::Table;
use super::{idct, malformed};

/// Why a block could not be read: no code word, or a run beyond the block's end.
struct Broken;

impl Reader<'_> {
    /// Reads the scan whose header was just read.
    pub(super) fn read_scan(&mut self, scan: &Scan) -> Result<(), ImageError> {
        let mut frame = self.frame.take().ok_or_else(no_frame)?;
        let read = self.read_into(&mut frame, scan);
        self.frame = Some(frame);
        read
    }

    fn read_into(&mut self, frame: &mut Frame, scan: &Scan) -> Result<(), ImageError> {
        let mut coders = Vec::with_capacity(scan.components.len());
        for selected in &scan.components {
            coders.push(self.coder(frame, scan, selected)?);
        }
        let (across, down) = match coders.as_slice() {
            // A scan of one component holds its blocks row by row, and none that only fill MCUs.
            [one] => {
                let component = &frame.components[one.index];
                (component.blocks_across, component.blocks_down)
            }
            _ => (frame.mcus_across, frame.mcus_down),
        };
        let mut pass = Pass {
            frame,
            scan,
            coders,
            bits: Bits::new(self.bytes, self.position),
            end_of_band: 0,
        };
        let mut until_restart = self.restart_interval;
        for row in 0..down {
            for column in 0..across {
                if self.restart_interval > 0 {
                    if until_restart == 0 {
                        pass.restart(self.bytes)?;
                        until_restart = self.restart_interval;
                    }
                    until_restart -= 1;
                }
                let read = pass.mcu(column, row);
                let position = pass.bits.position();
                if pass.bits.overrun() && position + 1 >= self.bytes.len() {
                    return Err(self.truncated("a scan"));
                }
                if pass.bits.overrun() || read.is_err() {
                    return Err(malformed(format!(
                        "offset {position}: expected the coefficients of MCU ({column}, {row}) of \
                         {across}x{down}, found no code word"
                    )));
                }
            }
        }
        self.position = pass.bits.position();
        Ok(())
    }

    /// Makes a component of the scan ready to be written, and builds its tables.
    fn coder(
        &self,
        frame: &mut Frame,
        scan: &Scan,
        selected: &Selected,
    ) -> Result<Coder, ImageError> {
        let progressive = frame.progressive;
        let component = &mut frame.components[selected.index];
        if component.is_begun() && !progressive {
            return Err(malformed(format!(
                "expected one scan of component {}, found two",
                component.id
            )));
        }
        if !component.is_begun() {
            // The table counts that stands when the component's first scan begins.
            let table = self.quantisation.get(component.table).copied().flatten();
            component.quantisation = Some(table.ok_or_else(|| {
                malformed(format!(
                    "expected quantisation table {}, found none",
                    component.table
                ))
            })?);
            if progressive {
                component.allocate_coefficients();
            } else {
                component.allocate_plane();
            }
        }
        let dc = scan.first == 0 && !scan.refines;
        let ac = scan.last > 0;
        let table = |codes: &[Option<Code>], name, number: usize| {
            Code::table(codes.get(number).and_then(Option::as_ref), name, number)
        };
        Ok(Coder {
            index: selected.index,
            dc: dc.then(|| table(&self.dc, "DC", selected.dc)).transpose()?,
            ac: ac.then(|| table(&self.ac, "AC", selected.ac)).transpose()?,
            predicted: 0,
        })
    }
}

/// A component's codes, where the scan needs them, and its running DC value.
struct Coder {
    index: usize,
    dc: Option<Table>,
    ac: Option<Table>,
    predicted: i32,
}

/// A scan on its way through the picture.
struct Pass<'a> {
    frame: &'a mut Frame,
    scan: &'a Scan,
    coders: Vec<Coder>,
    bits: Bits<'a>,
    /// Blocks, from the next on, that hold nothing new in this band.
    end_of_band: u32,
}

impl<'a> Pass<'a> {
    /// Steps over the restart marker that must come next.
    fn restart(&mut self, bytes: &'a [u8]) -> Result<(), ImageError> {
        let at = self.bits.position();
        let rest = bytes.get(at..).unwrap_or_default();
        // Bytes that no code needed may lie in front of it, as in libjpeg.
        let marker = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        match marker.map(|marker| (at + marker, rest[marker + 1])) {
            Some((marker, 0xd0..=0xd7)) => {
                self.bits = Bits::new(bytes, marker + 2);
                self.coders.iter_mut().for_each(|coder| coder.predicted = 0);
                self.end_of_band = 0;
                Ok(())
            }
            Some((marker, other)) => Err(malformed(format!(
                "offset {marker}: expected a restart marker, found {other:#04x}"
            ))),
            None => Err(ImageError::Truncated {
                format: Format::Jpeg,
                length: bytes.len(),
                part: "a scan",
            }),
        }
    }

    /// Reads one MCU: a block, or the blocks of every component that cover the same area.
    fn mcu(&mut self, column: usize, row: usize) -> Result<(), Broken> {
        let alone = self.coders.len() == 1;
        for coder in &mut self.coders {
            let component = &mut self.frame.components[coder.index];
            let (h, v) = if alone {
                (1, 1)
            } else {
                (component.h, component.v)
            };
            for y in 0..v {
                for x in 0..h {
                    let index = (row * v + y) * component.stride + column * h + x;
                    if self.frame.progressive {
                        let at = index * 64;
                        let Some(block) = component.coefficients[at..].first_chunk_mut() else {
                            return Err(Broken);
                        };
                        progressive(
                            self.scan,
                            coder,
                            &mut self.bits,
                            &mut self.end_of_band,
                            block,
                        )?;
                    } else {
                        sequential(coder, &mut self.bits, component, index)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads all coefficients of a block and writes its samples.
#[inline]
fn sequential(
    coder: &mut Coder,
    bits: &mut Bits<'_>,
    component: &mut Component,
    index: usize,
) -> Result<(), Broken> {
    let (Some(dc), Some(ac), Some(quantisation)) = (&coder.dc, &coder.ac, &component.quantisation)
    else {
        return Err(Broken);
    };
    let mut block = [0; 64];
    coder.predicted = coder.predicted.wrapping_add(difference(bits, dc)?);
    block[0] = coder.predicted as i16;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(ac).ok_or(Broken)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (run, size) {
            (15, 0) => at += 16,
            (_, 0) => break,
            _ => {
                let place = ZIGZAG.get(at + run).ok_or(Broken)?;
                block[usize::from(*place)] = bits.take_signed(size) as i16;
                at += run + 1;
            }
        }
    }
    let samples = idct::block(&block, quantisation);
    component.put(index, &samples);
    Ok(())
}

/// Adds what a progressive scan says of a block.
fn progressive(
    scan: &Scan,
    coder: &mut Coder,
    bits: &mut Bits<'_>,
    end_of_band: &mut u32,
    block: &mut [i16; 64],
) -> Result<(), Broken> {
    match (&coder.dc, &coder.ac) {
        (Some(dc), _) => {
            coder.predicted = coder.predicted.wrapping_add(difference(bits, dc)?);
            block[0] = (coder.predicted << scan.low) as i16;
            Ok(())
        }
        (None, None) => {
            block[0] |= (bits.take(1) as i16) << scan.low;
            Ok(())
        }
        (None, Some(ac)) if scan.refines => refine_band(scan, ac, bits, end_of_band, block),
        (None, Some(ac)) => first_band(scan, ac, bits, end_of_band, block),
    }
}

/// The difference to the DC value before.
#[inline]
fn difference(bits: &mut Bits<'_>, dc: &Table) -> Result<i32, Broken> {
    match bits.symbol(dc) {
        Some(size @ 0..=15) => Ok(bits.take_signed(u32::from(size))),
        _ => Err(Broken),
    }
}

/// The highest bits of a band of AC coefficients.
fn first_band(
    scan: &Scan,
    ac: &Table,
    bits: &mut Bits<'_>,
    end_of_band: &mut u32,
    block: &mut [i16; 64],
) -> Result<(), Broken> {
    if *end_of_band > 0 {
        *end_of_band -= 1;
        return Ok(());
    }
    let mut at = scan.first;
    while at <= scan.last {
        let symbol = bits.symbol(ac).ok_or(Broken)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (run, size) {
            (15, 0) => at += 16,
            (run, 0) => {
                *end_of_band = blocks_without(bits, run as u32) - 1;
                break;
            }
            _ => {
                let place = ZIGZAG.get(at + run).ok_or(Broken)?;
                block[usize::from(*place)] = (bits.take_signed(size) << scan.low) as i16;
                at += run + 1;
            }
        }
    }
    Ok(())
}

/// One more bit of a band: of coefficients that are known, and of some that were zero.
fn refine_band(
    scan: &Scan,
    ac: &Table,
    bits: &mut Bits<'_>,
    end_of_band: &mut u32,
    block: &mut [i16; 64],
) -> Result<(), Broken> {
    let one = 1_i16 << scan.low;
    let mut at = scan.first;
    while *end_of_band == 0 && at <= scan.last {
        let symbol = bits.symbol(ac).ok_or(Broken)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        let new = match (zeros, size) {
            (15, 0) => 0,
            (run, 0) => {
                *end_of_band = blocks_without(bits, u32::from(run));
                break;
            }
            _ if bits.take(1) == 1 => one,
            _ => -one,
        };
        // On to the place behind `zeros` zeros; what lies between is refined.
        while at <= scan.last {
            let value = &mut block[usize::from(ZIGZAG[at])];
            if *value != 0 {
                refine(value, one, bits);
            } else if zeros == 0 {
                *value = new;
                break;
            } else {
                zeros -= 1;
            }
            at += 1;
        }
        if at > scan.last && new != 0 {
            return Err(Broken);
        }
        at += 1;
    }
    if *end_of_band > 0 {
        for &place in ZIGZAG.iter().take(scan.last + 1).skip(at) {
            let value = &mut block[usize::from(place)];
            if *value != 0 {
                refine(value, one, bits);
            }
        }
        *end_of_band -= 1;
    }
    Ok(())
}

/// Reads the next lower bit of a coefficient that is not zero.
#[inline]
fn refine(value: &mut i16, one: i16, bits: &mut Bits<'_>) {
    if bits.take(1) == 1 && *value & one == 0 {
        *value = value.wrapping_add(if *value >= 0 { one } else { -one });
    }
}

/// How many blocks, this one included, have nothing more in the band.
fn blocks_without(bits: &mut Bits<'_>, exponent: u32) -> u32 {
    (1 << exponent) + bits.take(exponent) as u32
}
