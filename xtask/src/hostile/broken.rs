//! Parsers with one fault each, which a run must report. Each does harm on few inputs only, and
//! accepts everything else; their samples are configurations.

use std::hint::black_box;

use super::generated::JSON;
use super::parsers::Parser;

/// One parser per fault.
pub(super) fn parsers() -> [Parser; 5] {
    let broken = |name, parse| {
        Parser::new(name, parse)
            .samples("config-json")
            .generated(JSON)
    };
    [
        broken("broken-panics", panics),
        broken("broken-allocates", allocates),
        broken("broken-loops", loops),
        broken("broken-recurses", recurses),
        broken("broken-prints", prints),
    ]
}

/// Takes for granted that there is a first byte.
fn panics(file: &[u8]) -> Result<(), String> {
    black_box(file[0]);
    Ok(())
}

/// Believes a length: 128 MiB where the second byte's highest bit is set.
fn allocates(file: &[u8]) -> Result<(), String> {
    let length = usize::from(file.get(1).copied().unwrap_or(0) & 0x80) << 20;
    black_box(Vec::<u8>::with_capacity(length));
    Ok(())
}

/// Steps by what the file says, which may be nothing.
fn loops(file: &[u8]) -> Result<(), String> {
    let mut at = 0;
    while at < file.len() {
        at += usize::from(black_box(file[at]));
    }
    Ok(())
}

/// Calls itself for each bracket.
fn recurses(file: &[u8]) -> Result<(), String> {
    fn depth(rest: &[u8]) -> usize {
        match rest {
            [b'[', inner @ ..] => {
                let inner = depth(inner);
                // By reference, so that the compiler cannot make a loop of it.
                *black_box(&inner) + 1
            }
            _ => 0,
        }
    }
    black_box(depth(file));
    Ok(())
}

/// Repeats in its message what the file holds.
fn prints(file: &[u8]) -> Result<(), String> {
    match file.iter().position(|&byte| byte == 0x1b) {
        Some(at) => Err(String::from_utf8_lossy(&file[at..]).into_owned()),
        None => Ok(()),
    }
}
