//! Inputs that are too large to keep in `attacks/`: nesting and length without end.

/// A large input and how it is made.
pub(super) struct Generated {
    pub(super) name: &'static str,
    pub(super) make: fn() -> Vec<u8>,
}

/// For every parser of JSON.
pub(super) const JSON: &[Generated] = &[
    Generated {
        name: "100,000 open brackets",
        make: || vec![b'['; 100_000],
    },
    Generated {
        name: "100,000 open objects",
        make: || b"{\"a\":".repeat(100_000),
    },
    Generated {
        name: "1 MB of spaces",
        make: || vec![b' '; 1_000_000],
    },
    Generated {
        name: "a number of 100,000 digits",
        make: || [b"{\"hidden_size\":".as_slice(), &vec![b'9'; 100_000]].concat(),
    },
];

/// For the reader of SentencePiece models.
pub(super) const PROTOBUF: &[Generated] = &[
    Generated {
        name: "100,000 open groups",
        make: || vec![0x0b; 100_000],
    },
    Generated {
        name: "300,000 empty pieces",
        make: || b"\x0a\x00".repeat(300_000),
    },
    Generated {
        name: "1 MB of zeros",
        make: || vec![0; 1_000_000],
    },
    Generated {
        name: "500,000 numbers",
        make: || b"\x08\x01".repeat(500_000),
    },
];

/// For the tokenizer.
pub(super) const TEXT: &[Generated] = &[
    Generated {
        name: "one letter 100,000 times",
        make: || vec![b'a'; 100_000],
    },
    Generated {
        name: "100,000 spaces",
        make: || vec![b' '; 100_000],
    },
    Generated {
        name: "20,000 pictures",
        make: || b"<image>".repeat(20_000),
    },
    Generated {
        name: "30,000 control tokens",
        make: || b"</s>".repeat(30_000),
    },
    Generated {
        name: "100,000 bytes without a character",
        make: || vec![0xff; 100_000],
    },
    Generated {
        name: "100,000 letters that join",
        make: || b"the th he in er".repeat(6_667),
    },
];

/// For the reader of safetensors: JSON behind a length.
pub(super) const SAFETENSORS: &[Generated] = &[
    Generated {
        name: "100,000 open brackets",
        make: || header(&[b"{\"a\":".as_slice(), &vec![b'['; 100_000]].concat()),
    },
    Generated {
        name: "100,000 open objects",
        make: || header(&b"{\"a\":".repeat(100_000)),
    },
    Generated {
        name: "20,000 empty tensors",
        make: many_tensors,
    },
    Generated {
        name: "1 MB of spaces",
        make: || header(&vec![b' '; 1_000_000]),
    },
];

fn header(json: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json].concat()
}

fn many_tensors() -> Vec<u8> {
    let tensors: Vec<_> = (0..20_000)
        .map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    header(format!("{{{}}}", tensors.join(",")).as_bytes())
}

/// For the reader of pickles, in the format before ZIP, where they lie bare.
pub(super) const TORCH_LEGACY: &[Generated] = &[
    Generated {
        name: "1,000,000 nested tuples",
        make: || legacy(&[b")".as_slice(), &vec![0x85; 1_000_000], b"."].concat()),
    },
    Generated {
        name: "1,000,000 nested lists",
        make: || legacy(&[vec![b']'; 1_000_000], vec![b'a'; 999_999], b".".to_vec()].concat()),
    },
    Generated {
        name: "1,000,000 open marks",
        make: || legacy(&vec![b'('; 1_000_000]),
    },
    Generated {
        name: "1,000,000 numbers",
        make: || legacy(&b"K\x07".repeat(1_000_000)),
    },
    Generated {
        name: "1,000,000 empty dictionaries",
        make: || legacy(&vec![b'}'; 1_000_000]),
    },
    Generated {
        name: "300,000 memo entries",
        make: || legacy(&memo(300_000)),
    },
    Generated {
        name: "one text of 1 MB taken from the memo 200,000 times",
        make: || {
            let text = [
                b"X\x40\x42\x0f\x00".as_slice(),
                &vec![b'a'; 1_000_000],
                b"q\x00",
            ]
            .concat();
            legacy(&[text, b"h\x00".repeat(200_000), b".".to_vec()].concat())
        },
    },
];

/// The beginning of a legacy file, with `pickle` where the tensors are listed.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let version = b"\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}.";
    [magic.as_slice(), version, system, b"\x80\x02", pickle].concat()
}

fn memo(entries: u32) -> Vec<u8> {
    (0..entries)
        .flat_map(|i| [b"Nr".as_slice(), &i.to_le_bytes()].concat())
        .collect()
}

/// For the reader of GGUF.
pub(super) const GGUF: &[Generated] = &[
    Generated {
        name: "60,000 keys",
        make: || keys(60_000, |i| format!("{i}").into_bytes(), &[0, 0, 0, 0, 7]),
    },
    Generated {
        name: "100,000 nested arrays",
        make: || {
            keys(
                1,
                |_| b"k".to_vec(),
                &[
                    [9, 0, 0, 0].as_slice(),
                    &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].repeat(100_000),
                ]
                .concat(),
            )
        },
    },
    Generated {
        name: "an array of 100,000 empty texts",
        make: || {
            let start = [9, 0, 0, 0, 8, 0, 0, 0].as_slice();
            keys(
                1,
                |_| b"tokenizer.ggml.tokens".to_vec(),
                &[start, &100_000_u64.to_le_bytes(), &[0; 800_000]].concat(),
            )
        },
    },
];

/// A file of keys, each followed by the same type and value.
fn keys(count: u64, name: impl Fn(u64) -> Vec<u8>, value: &[u8]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(count.to_le_bytes());
    for i in 0..count {
        let name = name(i);
        file.extend((name.len() as u64).to_le_bytes());
        file.extend(name);
        file.extend(value);
    }
    file
}
