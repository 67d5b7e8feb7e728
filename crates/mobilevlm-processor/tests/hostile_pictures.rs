//! Damaged pictures end in a message or a result, within what a picture may cost.

use std::path::Path;

use mobilevlm_processor::{Exif, ImageError, Limits, decode};
use mobilevlm_testing::alloc::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One of each format and of each way through its decoder.
const PICTURES: [&str; 12] = [
    "420.jpg",
    "422-progressive.jpg",
    "cmyk.jpg",
    "restart.jpg",
    "0-16-1.png",
    "3-4-0.png",
    "8.bmp",
    "rle4.bmp",
    "offset.gif",
    "interlaced.gif",
    "frames.webp",
    "exif-8.webp",
];

fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    std::fs::read(folder.join(name)).unwrap()
}

/// Decodes with small limits, so that the allowance is known whatever the header declares.
fn check(name: &str, what: &str, bytes: &[u8]) -> Result<(), ImageError> {
    let limits = Limits {
        pixels: 1 << 20,
        ..Limits::default()
    };
    let (decoded, usage) = alloc::measure(|| decode(bytes, &limits, Exif::Apply));
    let allowed = (bytes.len() + (16 << 20) + 16 * limits.pixels) as u64;
    assert!(
        usage.peak <= allowed,
        "{name}, {what}: {} bytes",
        usage.peak
    );
    decoded.map(drop)
}

#[test]
fn every_prefix_ends_in_a_message() {
    assert!(alloc::installed());
    for name in PICTURES {
        let bytes = read(name);
        // Behind the last pixel lie end markers, padding and other frames, which may be absent.
        let needed = match name.rsplit_once('.').unwrap().1 {
            "jpg" => bytes.len(),
            "png" => bytes.len() - 16,
            "bmp" => bytes.len() - 4,
            "webp" if name.starts_with("exif") => bytes.len() - 60,
            _ => bytes.len() / 4,
        };
        for length in 0..needed {
            let found = check(name, "prefix", &bytes[..length]);
            assert!(found.is_err(), "{name}: accepted with {length} bytes");
        }
        check(name, "whole", &bytes).unwrap();
    }
}

#[test]
fn every_changed_byte_ends_in_a_message_or_a_picture() {
    for name in PICTURES {
        let bytes = read(name);
        for at in 0..bytes.len().min(700) {
            let flips = (0..8).map(|bit| bytes[at] ^ (1 << bit));
            for value in flips.chain([0, 255]) {
                let mut changed = bytes.clone();
                changed[at] = value;
                // Either is right: what counts is that it returns.
                let _ = check(name, &format!("byte {at} = {value}"), &changed);
            }
        }
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let mut arithmetic = read("420.jpg");
    let frame = arithmetic.windows(2).position(|pair| pair == [0xff, 0xc0]);
    arithmetic[frame.unwrap() + 1] = 0xc9;
    let error = check("420.jpg", "arithmetic", &arithmetic).unwrap_err();
    assert!(error.to_string().contains("arithmetic coding"), "{error}");

    let mut scans = read("422-progressive.jpg");
    let scan = scans
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    let next = 2 + scans[scan + 2..]
        .windows(2)
        .position(|pair| pair == [0xff, 0xc4])
        .unwrap();
    let copy = scans[scan..scan + next].repeat(300);
    scans.splice(scan..scan, copy);
    let error = check("422-progressive.jpg", "scans", &scans).unwrap_err();
    assert!(error.to_string().contains("256 scans"), "{error}");
}

#[test]
fn a_declared_size_beyond_the_limits_allocates_nothing() {
    let mut bomb = read("3-4-0.png");
    bomb[16..24].copy_from_slice(&[0, 0, 0x1f, 0x40, 0, 0, 0x1f, 0x40]); // 8000x8000
    let (decoded, usage) = alloc::measure(|| decode(&bomb, &Limits::default(), Exif::Apply));
    assert!(matches!(decoded, Err(ImageError::TooFewBytes { .. })));
    assert!(usage.peak < 1000, "{} bytes", usage.peak);
}
