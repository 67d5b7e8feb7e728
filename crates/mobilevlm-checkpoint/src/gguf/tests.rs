//! Files are put together here byte by byte, so that each can be wrong in one way.

use super::*;
use crate::tokenizer::{PieceKind, Vocabulary};

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A key with a value of the type that `number` names.
fn key(name: &str, number: u32, value: &[u8]) -> Vec<u8> {
    [&text(name), &number.to_le_bytes()[..], value].concat()
}

fn array(number: u32, count: u64, values: &[u8]) -> Vec<u8> {
    [&number.to_le_bytes()[..], &count.to_le_bytes(), values].concat()
}

fn tensor(name: &str, dimensions: &[u64], offset: u64) -> Vec<u8> {
    let mut tensor = text(name);
    tensor.extend((dimensions.len() as u32).to_le_bytes());
    tensor.extend(dimensions.iter().flat_map(|size| size.to_le_bytes()));
    tensor.extend(1_u32.to_le_bytes());
    tensor.extend(offset.to_le_bytes());
    tensor
}

fn file(tensors: &[Vec<u8>], keys: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    file.extend(keys.concat());
    file.extend(tensors.concat());
    file
}

fn vocabulary() -> Vec<Vec<u8>> {
    let (scores, kinds) = ([0.0_f32, -1.5, -2.0], [2_i32, 1, 6]);
    vec![
        key("tokenizer.ggml.model", 8, &text("llama")),
        key(
            "tokenizer.ggml.tokens",
            9,
            &array(8, 3, &[text("<unk>"), text("▁a"), text("<0x0A>")].concat()),
        ),
        key(
            "tokenizer.ggml.scores",
            9,
            &array(6, 3, &scores.map(f32::to_le_bytes).concat()),
        ),
        key(
            "tokenizer.ggml.token_type",
            9,
            &array(5, 3, &kinds.map(i32::to_le_bytes).concat()),
        ),
    ]
}

fn message(file: &[u8]) -> String {
    parse(file)
        .expect_err("a hostile file was accepted")
        .to_string()
}

#[test]
fn keys_of_every_type_are_read() {
    let nested = array(9, 2, &[array(0, 1, &[7]), array(8, 1, &text("x"))].concat());
    let file = file(
        &[],
        &[
            key("u8", 0, &[200]),
            key("i8", 1, &[200]),
            key("u16", 2, &[1, 2]),
            key("i16", 3, &[255, 255]),
            key("u32", 4, &[1, 0, 0, 128]),
            key("i32", 5, &[1, 0, 0, 128]),
            key("f32", 6, &0.5_f32.to_le_bytes()),
            key("bool", 7, &[1]),
            key("text", 8, &text("hello")),
            key("array", 9, &array(2, 2, &[1, 0, 2, 0])),
            key("nested", 9, &nested),
            key("u64", 10, &u64::MAX.to_le_bytes()),
            key("i64", 11, &i64::MIN.to_le_bytes()),
            key("f64", 12, &(-2.0_f64).to_le_bytes()),
        ],
    );
    let gguf = parse(&file).unwrap();
    assert_eq!(gguf.keys().count(), 14);
    let whole = |name: &str| match gguf.get(name) {
        Some(&Value::Whole(number)) => number,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        [whole("u8"), whole("i8"), whole("u16"), whole("i16")],
        [200, -56, 513, -1]
    );
    assert_eq!(
        [whole("u32"), whole("i32")],
        [(1 << 31) + 1, -(1 << 31) + 1]
    );
    assert_eq!(
        [whole("u64"), whole("i64")],
        [u64::MAX.into(), i64::MIN.into()]
    );
    assert_eq!(gguf.get("f32"), Some(&Value::Real(0.5)));
    assert_eq!(gguf.get("f64"), Some(&Value::Real(-2.0)));
    assert_eq!(gguf.get("bool"), Some(&Value::Bool(true)));
    let Some(Value::Text(range)) = gguf.get("text") else {
        panic!("no text")
    };
    assert_eq!(&file[range.clone()], b"hello");
    let Some(Value::Array(Kind::U16, 2, range)) = gguf.get("array") else {
        panic!("no array")
    };
    assert_eq!(file[range.clone()], [1, 0, 2, 0]);
    assert!(matches!(
        gguf.get("nested"),
        Some(Value::Array(Kind::Array, 2, _))
    ));
}

#[test]
fn tensors_are_placed_behind_the_header_at_the_alignment() {
    let alignment = key("general.alignment", 4, &[64, 0, 0, 0]);
    for (keys, step) in [(vec![], 32), (vec![alignment], 64)] {
        let mut file = file(&[tensor("a", &[3, 2], 0), tensor("b", &[4], 96)], &keys);
        let base = (file.len() as u64).next_multiple_of(step);
        file.resize(base as usize + 200, 0);
        let gguf = parse(&file).unwrap();
        let places: Vec<_> = gguf
            .tensors()
            .iter()
            .map(|info| (info.name.as_str(), info.start))
            .collect();
        assert_eq!(places, [("a", base), ("b", base + 96)]);
        assert_eq!(
            (&gguf.tensors()[0].dimensions[..], gguf.tensors()[0].format),
            (&[3, 2][..], 1)
        );
    }
}

#[test]
fn a_vocabulary_is_read() {
    let file = file(&[], &vocabulary());
    let pieces = pieces(&file, &parse(&file).unwrap()).unwrap();
    let expected = [
        ("<unk>", 0.0, PieceKind::Unknown),
        ("▁a", -1.5, PieceKind::Normal),
        ("<0x0A>", -2.0, PieceKind::Byte),
    ];
    let found: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.text.as_str(), piece.score, piece.kind))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_a_file_says_beside_its_pieces_is_read() {
    let plain = file(&[], &vocabulary());
    let found = super::vocabulary(&plain, &parse(&plain).unwrap()).unwrap();
    let defaults = Vocabulary {
        pieces: found.pieces.clone(),
        byte_fallback: false,
        ..Vocabulary::default()
    };
    assert_eq!(
        found, defaults,
        "one byte piece of 256 is nothing to fall back to"
    );

    let mut keys = vocabulary();
    keys.extend([
        key("tokenizer.ggml.bos_token_id", 4, &[2, 0, 0, 0]),
        key("tokenizer.ggml.eos_token_id", 0, &[1]),
        key("tokenizer.ggml.add_space_prefix", 7, &[0]),
        key("mobilevlm.tokenizer.legacy", 7, &[0]),
        key("mobilevlm.tokenizer.byte_fallback", 7, &[1]),
        key("mobilevlm.tokenizer.unknown_surface", 8, &text("?")),
    ]);
    let all = file(&[], &keys);
    let found = super::vocabulary(&all, &parse(&all).unwrap()).unwrap();
    let expected = Vocabulary {
        pieces: found.pieces.clone(),
        bos: 2,
        eos: 1,
        add_space_prefix: false,
        legacy: false,
        byte_fallback: true,
        unknown_surface: "?".to_owned(),
    };
    assert_eq!(found, expected);

    for (name, number, value, expected) in [
        (
            "tokenizer.ggml.bos_token_id",
            0,
            vec![3],
            "the number of a piece, found Whole(3)",
        ),
        (
            "tokenizer.ggml.eos_token_id",
            8,
            text("</s>"),
            "the number of a piece, found a text",
        ),
        (
            "mobilevlm.tokenizer.legacy",
            0,
            vec![1],
            "true or false, found Whole(1)",
        ),
        (
            "mobilevlm.tokenizer.unknown_surface",
            7,
            vec![1],
            "a text, found Bool(true)",
        ),
    ] {
        let mut keys = vocabulary();
        keys.push(key(name, number, &value));
        let file = file(&[], &keys);
        let error = super::vocabulary(&file, &parse(&file).unwrap()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_vocabulary_that_is_not_whole_is_refused_by_its_key() {
    let cases: &[(usize, Vec<u8>, &str)] = &[
        (
            0,
            key("tokenizer.ggml.model", 8, &text("gpt2")),
            "tokenizer.ggml.model: expected \"llama\"",
        ),
        (
            0,
            key("x", 0, &[0]),
            "tokenizer.ggml.model: expected a text, found no such key",
        ),
        (
            1,
            key("x", 0, &[0]),
            "tokenizer.ggml.tokens: expected an array of texts, found no such key",
        ),
        (
            1,
            key("tokenizer.ggml.tokens", 9, &array(0, 1, &[0])),
            "found 1 values of U8",
        ),
        (
            1,
            key(
                "tokenizer.ggml.tokens",
                9,
                &array(
                    8,
                    3,
                    &[text("a"), text("b"), vec![1, 0, 0, 0, 0, 0, 0, 0, 255]].concat(),
                ),
            ),
            "expected UTF-8",
        ),
        (
            2,
            key("tokenizer.ggml.scores", 9, &array(6, 2, &[0; 8])),
            "2 instead of 3",
        ),
        (
            3,
            key("tokenizer.ggml.token_type", 9, &array(5, 3, &[0; 12])),
            "a number from 1 to 6, found 0",
        ),
        (
            3,
            key("x", 0, &[0]),
            "tokenizer.ggml.token_type: expected an array of I32",
        ),
    ];
    for (place, replacement, expected) in cases {
        let mut keys = vocabulary();
        keys[*place] = replacement.clone();
        let file = file(&[], &keys);
        let found = pieces(&file, &parse(&file).unwrap())
            .unwrap_err()
            .to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn hostile_headers_are_named() {
    let header = |version: u32, tensors: u64, keys: u64| {
        [
            &b"GGUF"[..],
            &version.to_le_bytes(),
            &tensors.to_le_bytes(),
            &keys.to_le_bytes(),
        ]
        .concat()
    };
    let huge = u64::MAX.to_le_bytes();
    let mut deep = Vec::new();
    for _ in 0..100_000 {
        deep.extend(9_u32.to_le_bytes());
        deep.extend(1_u64.to_le_bytes());
    }
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("nothing", vec![], "bytes needed"),
        (
            "other magic",
            b"GGML\x03\0\0\0".to_vec(),
            "a file that begins with",
        ),
        ("version 1", header(1, 0, 0), "version 0x1"),
        ("big-endian", header(3 << 24, 0, 0), "version 0x3000000"),
        (
            "too many tensors",
            header(3, u64::MAX, 0),
            "expected at most 0",
        ),
        ("too many keys", header(3, 0, 1), "expected at most 0"),
        (
            "a long name",
            file(&[], &[huge.to_vec(), vec![0; 20]]),
            "a name of at most 65535 bytes",
        ),
        (
            "a name that is no UTF-8",
            file(
                &[],
                &[[&[1, 0, 0, 0, 0, 0, 0, 0, 255][..], &[0; 8]].concat()],
            ),
            "expected UTF-8",
        ),
        (
            "an unknown type",
            file(&[], &[key("a", 13, &[0; 8])]),
            "expected a number below 13, found 13",
        ),
        (
            "a long text",
            file(&[], &[key("a", 8, &huge)]),
            "18446744073709551615 bytes needed",
        ),
        (
            "a long array",
            file(&[], &[key("a", 9, &array(4, u64::MAX, &[0; 8]))]),
            "bytes needed",
        ),
        (
            "an array that overflows",
            file(&[], &[key("a", 9, &array(10, 1 << 61, &[0; 8]))]),
            "bytes needed",
        ),
        (
            "an array of many texts",
            file(&[], &[key("a", 9, &array(8, u64::MAX, &[0; 80]))]),
            "bytes needed",
        ),
        (
            "deep arrays",
            file(&[], &[key("a", 9, &deep)]),
            "arrays 4 deep",
        ),
        (
            "a key twice",
            file(&[], &[key("a", 0, &[0]), key("a", 0, &[0])]),
            "\"a\" occurs twice",
        ),
        (
            "a tensor twice",
            file(&[tensor("a", &[1], 0), tensor("a", &[1], 0)], &[]),
            "occurs twice",
        ),
        (
            "five sizes",
            file(&[tensor("a", &[1; 5], 0)], &[]),
            "at most 4 sizes, found 5",
        ),
        (
            "a long tensor name",
            file(&[tensor(&"a".repeat(65), &[1], 0)], &[]),
            "a name of at most 64 bytes",
        ),
        (
            "a tensor outside",
            file(&[tensor("a", &[1], 4096)], &[]),
            "a place in the file",
        ),
        (
            "an offset that overflows",
            file(&[tensor("a", &[1], u64::MAX)], &[]),
            "a place in the file",
        ),
        (
            "no alignment",
            file(
                &[tensor("a", &[1], 0)],
                &[key("general.alignment", 4, &[0; 4])],
            ),
            "a power of two from 1",
        ),
        (
            "a text as alignment",
            file(&[], &[key("general.alignment", 8, &text("32"))]),
            "general.alignment",
        ),
    ];
    for (name, file, expected) in cases {
        let found = message(file);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn every_prefix_and_every_changed_byte_ends_in_a_result() {
    let mut bytes = file(&[tensor("a", &[2], 0)], &vocabulary());
    let header = bytes.len();
    bytes.resize(header.next_multiple_of(32) + 4, 1);
    for end in 0..header {
        assert!(
            parse(&bytes[..end]).is_err(),
            "accepted {end} of {header} bytes"
        );
    }
    for at in 0..header {
        for value in [0, 255]
            .into_iter()
            .chain((0..8).map(|bit| bytes[at] ^ 1 << bit))
        {
            let mut changed = bytes.clone();
            changed[at] = value;
            let Ok(gguf) = parse(&changed) else { continue };
            if let Ok(pieces) = pieces(&changed, &gguf) {
                assert_eq!(pieces.len(), 3, "byte {at} = {value}");
            }
            for (name, value) in gguf.keys() {
                if let Value::Text(range) | Value::Array(_, _, range) = value {
                    assert!(changed.get(range.clone()).is_some(), "{name}");
                }
            }
        }
    }
}

#[test]
fn tensors_lie_apart_in_the_file_at_their_alignment() {
    let place = |tensors: &[Vec<u8>], data: usize| {
        let mut file = file(tensors, &[]);
        file.resize(file.len().next_multiple_of(32) + data, 0);
        let gguf = parse(&file).expect("a header");
        gguf.entries(file.len()).map_err(|error| error.to_string())
    };
    // Numbers of two bytes, as `tensor` lists them.
    let fine = place(&[tensor("a", &[16, 1], 0), tensor("b", &[3, 2], 32)], 44).unwrap();
    assert_eq!(
        (fine[1].shape.as_slice(), fine[1].range.len()),
        (&[2, 3][..], 12)
    );
    let typed = |name: &str, dimensions: &[u64], number: u32| {
        let mut tensor = tensor(name, dimensions, 0);
        let at = tensor.len() - 12;
        tensor[at..at + 4].copy_from_slice(&number.to_le_bytes());
        tensor
    };
    let huge = 1 << 63;
    let cases: &[(&str, Vec<Vec<u8>>, &str)] = &[
        ("no size", vec![tensor("a", &[], 0)], "sizes of at least 1"),
        (
            "a zero",
            vec![tensor("a", &[4, 0], 0)],
            "sizes of at least 1",
        ),
        (
            "2^63 rows",
            vec![tensor("a", &[4, huge], 0)],
            "rows of whole",
        ),
        (
            "a byte too much",
            vec![tensor("a", &[33], 0)],
            "66 bytes from byte",
        ),
        (
            "not aligned",
            vec![tensor("a", &[1], 2)],
            "a multiple of 32 bytes",
        ),
        (
            "the same place",
            vec![tensor("a", &[1], 32), tensor("b", &[1], 32)],
            "bytes of its own",
        ),
        (
            "into the next",
            vec![tensor("b", &[1], 32), tensor("a", &[17], 0)],
            "bytes of its own",
        ),
        (
            "half a block",
            vec![typed("a", &[16], 8)],
            "whole q8_0 blocks of 32",
        ),
        (
            "blocks across rows",
            vec![typed("a", &[16, 2], 8)],
            "whole q8_0 blocks of 32",
        ),
        (
            "an unknown type",
            vec![typed("a", &[1], 23)],
            "found ggml's type 23",
        ),
    ];
    for (name, tensors, expected) in cases {
        let found = place(tensors, 64).expect_err(name);
        assert!(found.contains(expected), "{name}: {found}");
    }
}
