//! Inputs that are too large to keep in `attacks/`: nesting and length without end.

/// A large input and how it is made.
pub(super) struct Generated {
    pub(super) name: &'static str,
    pub(super) make: fn() -> Vec<u8>,
}

/// For every parser of JSON.
#[cfg(feature = "broken-parser")]
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
