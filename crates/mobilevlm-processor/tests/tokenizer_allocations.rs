//! What the tokenizer allocates: nothing while decoding, little for a hostile file.

use std::fs;

use mobilevlm_processor::Tokenizer;
use mobilevlm_testing::alloc::{self, Counting};
use mobilevlm_testing::micro_golden;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn micro_file() -> Vec<u8> {
    fs::read(micro_golden("checkpoint/tokenizer.model")).expect("readable")
}

#[test]
fn streaming_allocates_nothing_while_the_text_fits() {
    assert!(alloc::installed());
    let tokenizer = Tokenizer::from_sentencepiece(&micro_file()).expect("a vocabulary");
    let ids = tokenizer.encode("Two dogs, deux chiens, zwei große Hunde 🐕 and \u{fffd}");
    let mut stream = tokenizer.decode_stream();
    let mut text = String::with_capacity(200);
    let ((), usage) = alloc::measure(|| {
        for &id in &ids {
            stream.push_into(id, &mut text);
        }
        stream.push_into(255, &mut text);
        stream.finish_into(&mut text);
    });
    assert!(text.contains("große Hunde 🐕"));
    assert_eq!(usage.count, 0);
}

/// Opens `file`; what opens must also encode and decode. Ends in a result, and takes no more
/// memory than the file and 16 MiB.
fn check(file: &[u8], what: &str) {
    let ((), usage) = alloc::measure(|| match Tokenizer::from_sentencepiece(file) {
        Ok(tokenizer) => {
            let ids = tokenizer.encode("A text </s> with é and <0x0A>\n");
            assert!(!tokenizer.decode(&ids, false).is_empty(), "{what}");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{what}"),
    });
    let most = file.len() as u64 + (16 << 20);
    assert!(
        usage.peak <= most,
        "{what}: {} bytes held, {most} allowed",
        usage.peak
    );
}

#[test]
fn every_prefix_ends_in_a_result() {
    let file = micro_file();
    for length in 0..file.len() {
        check(&file[..length], &format!("first {length} bytes"));
    }
}

#[test]
fn every_changed_byte_ends_in_a_result() {
    let file = micro_file();
    // The first pieces, and the settings with the last pieces; what lies between is alike.
    let places = (0..600).chain(file.len() - 600..file.len());
    for at in places {
        let mut changed = file.clone();
        let values = [0, 255]
            .into_iter()
            .chain((0..8).map(|bit| file[at] ^ 1 << bit));
        for value in values {
            changed[at] = value;
            check(&changed, &format!("byte {at} set to {value}"));
        }
    }
}

#[test]
fn many_tiny_pieces_stay_within_the_limit() {
    let mut file = Vec::new();
    for id in 0..700_000_u32 {
        let text = format!("{id:x}");
        file.extend([0x0a, text.len() as u8 + 2, 0x0a, text.len() as u8]);
        file.extend(text.bytes());
    }
    check(&file, "700,000 pieces");
}
