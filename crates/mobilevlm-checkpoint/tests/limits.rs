//! What parsers may allocate: the length of their input and 16 MiB.
//!
//! The inputs here are the worst that the formats allow: as many of the smallest things that can
//! be said, each of which takes more room in memory than in the file.

use std::path::Path;

use mobilevlm_checkpoint::{
    Bytes, Checkpoint, Config, ConfigFiles, OpenOptions, gguf, parse_index, safetensors, torch,
};
use mobilevlm_testing::alloc::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ALLOWANCE: u64 = 16 << 20;

fn check<R>(name: &str, input: &[u8], parse: impl Fn(&[u8]) -> R) -> R {
    assert!(alloc::installed());
    let (result, usage) = alloc::measure(|| parse(input));
    let limit = input.len() as u64 + ALLOWANCE;
    assert!(
        usage.peak <= limit,
        "{name}: {} bytes held, {limit} allowed",
        usage.peak
    );
    result
}

fn safetensors_of(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

#[test]
fn safetensors_headers_stay_within_their_limit() {
    let entries: Vec<_> = (0..65_535)
        .map(|i| format!(r#""{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let file = safetensors_of(&format!("{{{}}}", entries.join(",")));
    assert_eq!(
        check("many tensors", &file, |file| safetensors::parse(file)
            .unwrap()
            .len()),
        65_535
    );
    let metadata = format!(r#"{{"__metadata__":{}}}"#, "[".repeat(4_000_000));
    assert!(check("deep metadata", &safetensors_of(&metadata), |file| {
        safetensors::parse(file).is_err()
    }));
    let shape = format!(
        r#"{{"a":{{"dtype":"U8","shape":[{}0]}}}}"#,
        "0,".repeat(2_000_000)
    );
    assert!(check("a long shape", &safetensors_of(&shape), |file| {
        safetensors::parse(file).is_err()
    }));
    let name = format!(r#"{{"{}":{{"dtype":"U8"}}}}"#, "\\n".repeat(2_000_000));
    assert!(check("a long name", &safetensors_of(&name), |file| {
        safetensors::parse(file).is_err()
    }));
}

/// A torch file of the older format, whose state dictionary this program makes.
fn legacy(program: &[u8]) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(b"}(X\x0d\0\0\0little_endian\x88u.");
    file.extend(program);
    file
}

#[test]
fn pickles_stay_within_their_limit() {
    let memo: Vec<u8> = (0..1_000_000_u32)
        .flat_map(|key| [&b"r"[..], &key.to_le_bytes()].concat())
        .collect();
    let programs: [(&str, Vec<u8>); 7] = [
        (
            "tuples of one",
            [b"N".to_vec(), b"\x85".repeat(1_000_000)].concat(),
        ),
        ("empty lists", b"]0".repeat(1_000_000)),
        (
            "long tuples",
            b"(NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNt0".repeat(100_000),
        ),
        ("short texts", b"U\x000".repeat(1_000_000)),
        (
            "a list of a million",
            [b"]".to_vec(), b"Na".repeat(1_000_000)].concat(),
        ),
        ("memorised numbers", [b"N".to_vec(), memo].concat()),
        (
            "one long text",
            [&b"X\0\0\0\x02"[..], &[b'a'; 32 << 20]].concat(),
        ),
    ];
    for (name, program) in programs {
        assert!(
            check(name, &legacy(&program), |file| torch::parse(file).is_err()),
            "{name}"
        );
    }
}

#[test]
fn archives_stay_within_their_limit() {
    // Records of 46 bytes and a short name, all of the one entry that there is.
    let mut file = b"PK\x03\x04".to_vec();
    file.resize(31, 0);
    let start = file.len() as u32;
    let count = 60_000_u32;
    for i in 0..count {
        let name = format!("{i:04x}");
        let mut record = b"PK\x01\x02".to_vec();
        record.resize(46, 0);
        record[28] = name.len() as u8;
        record.extend(name.bytes());
        file.extend(record);
    }
    let size = file.len() as u32 - start;
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((count as u16).to_le_bytes());
    file.extend((count as u16).to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    let message = check("many entries", &file, |file| {
        torch::parse(file).unwrap_err().to_string()
    });
    assert!(message.contains("no entry \"data.pkl\""), "{message}");
}

#[test]
fn gguf_headers_stay_within_their_limit() {
    let key = |name: u32| {
        [
            &4_u64.to_le_bytes()[..],
            &name.to_le_bytes(),
            &0_u32.to_le_bytes(),
            &[0],
        ]
        .concat()
    };
    let tensor = |name: u32| {
        [
            &4_u64.to_le_bytes()[..],
            &name.to_le_bytes(),
            &0_u32.to_le_bytes(),
            &0_u32.to_le_bytes(),
            &[0; 8],
        ]
        .concat()
    };
    // Names of four bytes that are UTF-8, all different.
    let names = || {
        (0..65_536_u32).map(|i| {
            0x2020_2020 + (i & 15) + ((i >> 4 & 15) << 8) + ((i >> 8 & 15) << 16) + (i >> 12 << 24)
        })
    };
    let count = 65_536_u64.to_le_bytes();
    let mut file = [&b"GGUF\x03\0\0\0"[..], &count, &count].concat();
    file.extend(names().flat_map(key));
    file.extend(names().flat_map(tensor));
    file.resize(file.len().next_multiple_of(32), 0);
    let tensors = check("keys and tensors", &file, |file| {
        gguf::parse(file).unwrap().tensors().len()
    });
    assert_eq!(tensors, 65_536);
}

#[test]
fn a_vocabulary_of_the_most_pieces_stays_within_its_limit() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let key = |name: &str, value: Vec<u8>| [text(name), value].concat();
    let count = 1_u64 << 18;
    let array = |kind: u32, values: Vec<u8>| {
        [
            &9_u32.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &count.to_le_bytes(),
            &values,
        ]
        .concat()
    };
    let mut file = [
        &b"GGUF\x03\0\0\0"[..],
        &0_u64.to_le_bytes(),
        &4_u64.to_le_bytes(),
    ]
    .concat();
    file.extend(key(
        "tokenizer.ggml.model",
        [&8_u32.to_le_bytes()[..], &text("llama")].concat(),
    ));
    file.extend(key(
        "tokenizer.ggml.tokens",
        array(8, text("a").repeat(1 << 18)),
    ));
    file.extend(key("tokenizer.ggml.scores", array(6, vec![0; 4 << 18])));
    file.extend(key(
        "tokenizer.ggml.token_type",
        array(5, 1_i32.to_le_bytes().repeat(1 << 18)),
    ));
    let pieces = check("pieces", &file, |file| {
        gguf::pieces(file, &gguf::parse(file).unwrap())
            .unwrap()
            .len()
    });
    assert_eq!(pieces, 1 << 18);
}

#[test]
fn json_stays_within_its_limit() {
    let parse = |text: &[u8]| {
        Config::from_json(&ConfigFiles {
            config: text,
            ..ConfigFiles::default()
        })
        .is_err()
    };
    let numbers = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(131_000));
    let keys: Vec<_> = (0..20_000).map(|i| format!(r#""{i:x}":[[]]"#)).collect();
    for text in [numbers, format!("{{{}}}", keys.join(","))] {
        assert!(check("a configuration", text.as_bytes(), parse));
    }
    let map: Vec<_> = (0..300_000).map(|i| format!(r#""{i:x}":"a""#)).collect();
    let index = format!(r#"{{"weight_map":{{{}}}}}"#, map.join(","));
    assert_eq!(
        check("an index", index.as_bytes(), |text| parse_index(text)
            .unwrap()
            .len()),
        1
    );
}

/// The longest report: a configuration of the most layers, and weights of hardly any.
#[test]
fn a_report_stays_within_its_limit() {
    let micro = mobilevlm_testing::micro_golden("checkpoint");
    let text = std::fs::read_to_string(micro.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["num_hidden_layers"] = 1024.into();
    let text = std::fs::read_to_string(micro.join("vision_config.json")).unwrap();
    config["vision_config"] = serde_json::from_str(&text).unwrap();
    config["vision_config"]["num_hidden_layers"] = 1024.into();

    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("model.safetensors");
    std::fs::copy(micro.join("model.safetensors"), &weights).unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let file = std::fs::read(weights).unwrap();
    let open = |_: &[u8]| {
        Checkpoint::open(folder.path(), &OpenOptions::default())
            .unwrap_err()
            .to_string()
    };
    let report = check("a report", &file, open);
    // Of the tower one block in 1024 is not read.
    let missing = (1024 - 2) * 9 + (1023 - 3) * 16;
    assert!(
        report.contains(&format!("{missing} tensors missing")),
        "{}",
        &report[..200]
    );
}

/// The projector's file of a tiny pair.
const PROJECTOR: &[u8] = include_bytes!("../../../attacks/seeds/gguf/projector.gguf");

#[test]
fn gguf_tensors_stay_within_their_limit() {
    let count = 60_000_u32;
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend(u64::from(count).to_le_bytes());
    file.extend(1_u64.to_le_bytes());
    // general.alignment = 1, so that each tensor needs one byte.
    file.extend(17_u64.to_le_bytes());
    file.extend(b"general.alignment\x04\0\0\0\x01\0\0\0");
    for i in 0..count {
        let name = format!("{i:x}");
        file.extend((name.len() as u64).to_le_bytes());
        file.extend(name.as_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
        file.extend(24_u32.to_le_bytes()); // I8
        file.extend(u64::from(i).to_le_bytes());
    }
    file.resize(file.len() + count as usize, 0);
    let listed = check("many tensors", &file, |file| {
        let header = gguf::parse(file).unwrap();
        header.entries(file.len()).unwrap().len()
    });
    assert_eq!(listed, count as usize);
}

/// Every file of the corpus, whoever wrote it and for whatever format, given to every parser.
#[test]
fn hostile_files_of_the_corpus_stay_within_their_limit() {
    let mut files = 0;
    let mut folders = vec![mobilevlm_testing::workspace().join("attacks")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                check_all(&path);
                files += 1;
            }
        }
    }
    assert!(files > 50, "{files} files in attacks/");
}

fn check_all(path: &Path) {
    let (name, file) = (path.display().to_string(), std::fs::read(path).unwrap());
    for entry in check(&name, &file, |file| {
        safetensors::parse(file).unwrap_or_default()
    }) {
        assert!(file.get(entry.range).is_some(), "{name}");
    }
    for entry in check(&name, &file, |file| torch::parse(file).unwrap_or_default()) {
        assert!(file.get(entry.range).is_some(), "{name}");
    }
    if let Ok(header) = check(&name, &file, gguf::parse) {
        let _ = check(&name, &file, |file| gguf::pieces(file, &header));
        let _ = check(&name, &file, |file| header.entries(file.len()));
        let _ = check(&name, &file, |file| {
            let projector = Bytes::from_static(PROJECTOR);
            Checkpoint::from_gguf(Bytes::copy_from_slice(file), Some(projector))
        });
    }
    let _ = check(&name, &file, |text| {
        Config::from_json(&ConfigFiles {
            config: text,
            ..ConfigFiles::default()
        })
    });
    let _ = check(&name, &file, parse_index);
}
