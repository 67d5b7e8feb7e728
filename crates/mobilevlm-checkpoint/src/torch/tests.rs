//! Files are put together here byte by byte, so that each can be wrong in one way.

use super::*;

/// A pickle of a state dictionary, as Python writes it: `(name, storage type, key, numbers in the
/// storage, offset, sizes, strides)`.
struct TensorText<'a>(&'a str, &'a str, &'a str, u16, u16, &'a [u16], &'a [u16]);

fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn number(number: u16) -> Vec<u8> {
    [b"M", &number.to_le_bytes()[..]].concat()
}

fn numbers(list: &[u16]) -> Vec<u8> {
    [
        b"(".to_vec(),
        list.iter().flat_map(|&n| number(n)).collect(),
        b"t".to_vec(),
    ]
    .concat()
}

fn pickle(tensors: &[TensorText<'_>]) -> Vec<u8> {
    let mut program = b"\x80\x02}q\x00(".to_vec();
    for TensorText(name, kind, key, elements, offset, shape, strides) in tensors {
        program.extend(text(name));
        program.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        program.extend(text("storage"));
        program.extend(format!("ctorch\n{kind}\n").bytes());
        program.extend(text(key));
        program.extend(text("cpu"));
        program.extend(number(*elements));
        program.extend(b"tQ");
        program.extend(number(*offset));
        program.extend(numbers(shape));
        program.extend(numbers(strides));
        program.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    program.extend(b"u.");
    program
}

/// One entry of an archive.
struct Stored<'a> {
    name: &'a str,
    content: Vec<u8>,
    method: u16,
    flags: u16,
}

fn stored(name: &str, content: Vec<u8>) -> Stored<'_> {
    Stored {
        name,
        content,
        method: 0,
        flags: 0,
    }
}

/// An archive with 32-bit numbers, as `zipfile` writes it.
fn archive(entries: &[Stored<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for Stored {
        name,
        content,
        method,
        flags,
    } in entries
    {
        let offset = file.len() as u32;
        let length = (content.len() as u32).to_le_bytes();
        let mut common = vec![20, 0];
        common.extend(flags.to_le_bytes());
        common.extend(method.to_le_bytes());
        common.extend([0; 8]); // time, date and checksum, which are not read
        common.extend(length);
        common.extend(length);
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        file.extend([zip::LOCAL_SIGNATURE, &common, name.as_bytes(), content].concat());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.bytes());
    }
    let (start, size) = (file.len() as u32, directory.len() as u32);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((entries.len() as u16).to_le_bytes());
    file.extend((entries.len() as u16).to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// An archive of this pickle and one storage `0` of so many bytes.
fn torch_zip(pickle: Vec<u8>, storage: usize) -> Vec<u8> {
    archive(&[
        stored("m/data.pkl", pickle),
        stored("m/data/0", (0..storage).map(|i| i as u8).collect()),
    ])
}

/// The older format: the same, as a row of pickles.
fn torch_legacy(state: Vec<u8>, keys: &[&str], storages: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = legacy::MAGIC.to_vec();
    file.extend([&b"\x80\x02}("[..], &text("little_endian"), b"\x88u."].concat());
    file.extend(state);
    file.extend(b"\x80\x02](");
    file.extend(keys.iter().flat_map(|key| text(key)));
    file.extend(b"e.");
    for (count, numbers) in storages {
        file.extend(count.to_le_bytes());
        file.extend(numbers);
    }
    file
}

fn message(file: &[u8]) -> String {
    parse(file)
        .expect_err("a hostile file was accepted")
        .to_string()
}

const ONE: TensorText<'_> = TensorText("a", "HalfStorage", "0", 6, 0, &[2, 3], &[3, 1]);

#[test]
fn both_formats_give_the_same_tensors() {
    let tensors = [ONE, TensorText("b", "HalfStorage", "0", 6, 2, &[2], &[1])];
    let content: Vec<u8> = (0..12).collect();
    let zip = torch_zip(pickle(&tensors), 12);
    let legacy = torch_legacy(pickle(&tensors), &["0"], &[(6, content.clone())]);
    for file in [zip, legacy] {
        let entries = parse(&file).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].name.as_str(), entries[0].dtype),
            ("a", Dtype::F16)
        );
        assert_eq!(
            (&entries[0].shape[..], entries[0].strides.as_ref()),
            (&[2, 3][..], None)
        );
        assert_eq!(file[entries[0].range.clone()], content);
        assert_eq!(file[entries[1].range.clone()], content[4..8]);
    }
}

#[test]
fn an_ordered_dictionary_with_state_and_parameters_are_read() {
    // OrderedDict(); a = Parameter(tensor, True, OrderedDict()); then the state that torch adds.
    let plain = pickle(&[ONE]);
    let tensor = &plain[b"\x80\x02}q\x00(".len() + text("a").len()..plain.len() - 2];
    let mut program = b"\x80\x02ccollections\nOrderedDict\n)R".to_vec();
    program.extend(text("a"));
    program.extend(b"ctorch._utils\n_rebuild_parameter\n(");
    program.extend(tensor);
    program.extend(b"\x88ccollections\nOrderedDict\n)RtRs");
    program.extend(b"}");
    program.extend([text("_metadata"), b"}sb.".to_vec()].concat());
    let entries = parse(&torch_zip(program, 12)).unwrap();
    assert_eq!((entries.len(), entries[0].name.as_str()), (1, "a"));
}

#[test]
fn the_instructions_of_newer_protocols_are_read() {
    // SHORT_BINUNICODE, STACK_GLOBAL, MEMOIZE, FRAME, TUPLE2, LONG1: what protocol 4 uses.
    let short = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes()].concat();
    let global = |module: &str, name: &str| [short(module), short(name), vec![0x93, 0x94]].concat();
    let program = [
        b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(".to_vec(),
        short("a"),
        global("torch._utils", "_rebuild_tensor_v2"),
        b"((".to_vec(),
        short("storage"),
        global("torch", "BFloat16Storage"),
        short("0"),
        short("cpu"),
        b"\x8a\x01\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89".to_vec(),
        global("collections", "OrderedDict"),
        b")RtRu.".to_vec(),
    ]
    .concat();
    let entries = parse(&torch_zip(program, 12)).unwrap();
    assert_eq!(
        (entries[0].dtype, &entries[0].shape[..]),
        (Dtype::BF16, &[2, 3][..])
    );
}

#[test]
fn a_transposed_tensor_keeps_its_strides() {
    let file = torch_zip(
        pickle(&[TensorText("t", "HalfStorage", "0", 6, 0, &[3, 2], &[1, 3])]),
        12,
    );
    let entry = &parse(&file).unwrap()[0];
    assert_eq!(entry.strides.as_deref(), Some(&[1, 3][..]));
    let copy = row_major(&file[entry.range.clone()], &entry.shape, &[1, 3], 2);
    assert_eq!(copy, [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
}

#[test]
fn hostile_pickles_are_named() {
    let run = |program: &[u8]| message(&torch_zip(program.to_vec(), 12));
    let deep = b"(".repeat(20_000);
    let wide = b"N".repeat(20_000);
    // Memorises ever new numbers: 4 GB of them would fit the instruction.
    let memo: Vec<u8> = [
        b"N".to_vec(),
        (0..400_000_u32)
            .flat_map(|i| [&b"r"[..], &i.to_le_bytes()].concat())
            .collect(),
    ]
    .concat();
    let lists = b"]0".repeat(400_000);
    let tensors = |tensor| pickle(&[tensor]);
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("nothing", vec![], "1 bytes needed"),
        ("no value", b".".to_vec(), "too few"),
        (
            "os.system",
            b"cos\nsystem\n(X\x02\0\0\0lstR.".to_vec(),
            "\"os.system\" is not allowed",
        ),
        (
            "eval",
            b"c__builtin__\neval\n.".to_vec(),
            "\"__builtin__.eval\" is not allowed",
        ),
        (
            "a name that hides",
            b"ctorch._utils._rebuild_tensor_v2\nx\n.".to_vec(),
            "is not allowed",
        ),
        (
            "a name without end",
            [&b"c"[..], &[b'a'; 1000]].concat(),
            "at most 200 bytes",
        ),
        (
            "NEWOBJ",
            b"N\x81.".to_vec(),
            "instruction 0x81 is not allowed",
        ),
        (
            "EXT1",
            b"\x82\x01.".to_vec(),
            "instruction 0x82 is not allowed",
        ),
        (
            "INST",
            b"(ios\nsystem\n.".to_vec(),
            "instruction 0x69 is not allowed",
        ),
        ("OBJ", b"(o.".to_vec(), "instruction 0x6f is not allowed"),
        (
            "PERSID",
            b"P0\n.".to_vec(),
            "instruction 0x50 is not allowed",
        ),
        ("protocol 6", b"\x80\x06N.".to_vec(), "protocol up to 5"),
        ("deep nesting", deep, "marks of a pickle: more than 16384"),
        ("a high stack", wide, "stack: more than 16384"),
        ("a large memo", memo, "allocates: more than"),
        ("many lists", lists, "allocates: more than"),
        (
            "a long text",
            b"X\xff\xff\xff\xffabc".to_vec(),
            "4294967295 bytes needed",
        ),
        (
            "a longer text",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc".to_vec(),
            "bytes needed",
        ),
        ("not UTF-8", b"X\x01\0\0\0\xff.".to_vec(), "expected UTF-8"),
        (
            "a long number",
            b"\x8a\x09\0\0\0\0\0\0\0\0\0.".to_vec(),
            "at most 8 bytes",
        ),
        ("nothing memorised", b"h\x00.".to_vec(), "memorised"),
        ("group without mark", b"t.".to_vec(), "too few"),
        ("value below a mark", b"N(0.".to_vec(), "too few"),
        ("pair of one", b"}(Nu.".to_vec(), "a container"),
        (
            "append to a text",
            b"X\x01\0\0\0aNa.".to_vec(),
            "a container",
        ),
        (
            "call of a text",
            b"X\x01\0\0\0a)R.".to_vec(),
            "a function with its arguments",
        ),
        (
            "call of a type",
            b"ctorch\nFloatStorage\n)R.".to_vec(),
            "a function with its arguments",
        ),
        ("state of a tensor", b"NNb.".to_vec(), "set the state of"),
        (
            "a list",
            b"].".to_vec(),
            "expected a dictionary, found a list",
        ),
        (
            "no tensor",
            b"}X\x01\0\0\0aK\x01s.".to_vec(),
            "a tensor under \"a\"",
        ),
        ("key that is no text", b"}K\x01K\x01s.".to_vec(), "no text"),
        (
            "the tensor twice",
            pickle(&[ONE, ONE]),
            "\"a\" occurs twice",
        ),
        (
            "an unknown type",
            tensors(TensorText("a", "QInt8Storage", "0", 6, 0, &[6], &[1])),
            "torch.QInt8Storage",
        ),
        (
            "beyond the storage",
            tensors(TensorText("a", "HalfStorage", "0", 6, 1, &[6], &[1])),
            "does not fit",
        ),
        (
            "strides beyond",
            tensors(TensorText("a", "HalfStorage", "0", 6, 0, &[2, 3], &[4, 1])),
            "does not fit",
        ),
        (
            "strides missing",
            tensors(TensorText("a", "HalfStorage", "0", 6, 0, &[6], &[])),
            "does not fit",
        ),
        (
            "overflow",
            tensors(TensorText(
                "a",
                "HalfStorage",
                "0",
                6,
                0,
                &[65535, 65535, 65535, 65535, 65535],
                &[0; 5],
            )),
            "does not fit",
        ),
        (
            "an expanded tensor",
            tensors(TensorText("a", "HalfStorage", "0", 6, 0, &[60000], &[0])),
            "not in row-major order",
        ),
        (
            "nine sizes",
            tensors(TensorText("a", "HalfStorage", "0", 6, 0, &[1; 9], &[1; 9])),
            "more than 8",
        ),
        (
            "no such storage",
            tensors(TensorText("a", "HalfStorage", "7", 6, 0, &[6], &[1])),
            "no entry \"m/data/7\"",
        ),
        (
            "a storage that is short",
            tensors(TensorText("a", "HalfStorage", "0", 7, 0, &[6], &[1])),
            "12 bytes for 7",
        ),
    ];
    for (name, program, expected) in cases {
        let found = run(program);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn copies_of_one_storage_cannot_outgrow_the_file() {
    let names: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let tensors: Vec<_> = names
        .iter()
        .map(|name| TensorText(name, "DoubleStorage", "0", 1000, 0, &[500, 2], &[1, 500]))
        .collect();
    // One is fine; two hundred would take 1.6 MB out of a file of 50 kB.
    assert_eq!(
        parse(&torch_zip(pickle(&tensors[..1]), 8000))
            .unwrap()
            .len(),
        1
    );
    assert!(message(&torch_zip(pickle(&tensors), 8000)).contains("not in row-major order"));
}

#[test]
fn a_list_that_holds_itself_is_only_a_list() {
    // ] q0 h0 a: the list is put into itself; then the tuple of it, and so on.
    assert!(message(&torch_zip(b"]q\x00h\x00a.".to_vec(), 12)).contains("found a list"));
    assert!(
        message(&torch_zip(b"}q\x00X\x01\0\0\0ah\x00s.".to_vec(), 12))
            .contains("a tensor under \"a\"")
    );
}

#[test]
fn hostile_archives_are_named() {
    let good = torch_zip(pickle(&[ONE]), 12);
    let end = good.len() - 22;
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let directory = u32::from_le_bytes(good[end + 16..end + 20].try_into().unwrap()) as usize;
    let compressed = |method, flags| {
        archive(&[
            Stored {
                name: "m/data.pkl",
                content: pickle(&[ONE]),
                method,
                flags,
            },
            stored("m/data/0", vec![0; 12]),
        ])
    };
    let big = archive(&[
        stored("m/data.pkl", pickle(&[ONE])),
        stored("m/data/0", vec![0; 12]),
        stored("m/byteorder", b"big".to_vec()),
    ]);
    let cases: &[(&str, Vec<u8>, &str)] = &[
        (
            "no end",
            good[..end].to_vec(),
            "an end of the central directory",
        ),
        (
            "bytes behind the end",
            [&good[..], b"x"].concat(),
            "an end of the central directory",
        ),
        (
            "the directory elsewhere",
            changed(end + 16, &(directory as u32 - 1).to_le_bytes()),
            "a record of an entry",
        ),
        (
            "the directory outside",
            changed(end + 16, &u32::MAX.to_le_bytes()),
            "a directory before it",
        ),
        (
            "the directory too long",
            changed(end + 12, &u32::MAX.to_le_bytes()),
            "a directory before it",
        ),
        (
            "the directory too short",
            changed(end + 12, &60_u32.to_le_bytes()),
            "bytes needed",
        ),
        (
            "a wrong count",
            changed(end + 10, &[9, 0]),
            "2 instead of 9",
        ),
        (
            "an entry outside",
            changed(directory + 42, &u32::MAX.to_le_bytes()),
            "a 64-bit size or offset",
        ),
        (
            "an entry in the directory",
            changed(directory + 42, &(directory as u32).to_le_bytes()),
            "before the directory",
        ),
        (
            "an entry that is none",
            changed(directory + 42, &[1, 0, 0, 0]),
            "before the directory",
        ),
        (
            "an entry too long",
            changed(directory + 24, &[255, 255, 255, 0]),
            "before the directory",
        ),
        (
            "an endless name",
            changed(directory + 28, &[255, 255]),
            "bytes needed",
        ),
        ("deflated", compressed(8, 0), "compressed or encrypted"),
        ("encrypted", compressed(0, 1), "compressed or encrypted"),
        ("big-endian", big, "expected \"little\""),
        (
            "no pickle",
            archive(&[stored("m/data/0", vec![0; 12])]),
            "no entry \"data.pkl\"",
        ),
        (
            "two pickles",
            archive(&[
                stored("m/data.pkl", pickle(&[ONE])),
                stored("n/data.pkl", pickle(&[ONE])),
            ]),
            "\"data.pkl\" occurs twice",
        ),
        (
            "one name twice",
            archive(&[
                stored("m/data.pkl", pickle(&[ONE])),
                stored("m/data.pkl", pickle(&[ONE])),
            ]),
            "\"m/data.pkl\" occurs twice",
        ),
    ];
    for (name, file, expected) in cases {
        let found = message(file);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn a_bomb_of_overlapping_entries_is_only_ranges() {
    // A thousand entries that are all the same megabyte: nothing is unpacked, so nothing grows.
    let mut file = archive(&[
        stored("m/data.pkl", pickle(&[ONE])),
        stored("m/data/0", vec![0; 1 << 20]),
    ]);
    let end = file.split_off(file.len() - 22);
    let directory = u32::from_le_bytes(end[16..20].try_into().unwrap()) as usize;
    let record = file[directory + 46 + "m/data.pkl".len()..].to_vec();
    let mut count = 2_u16;
    for i in 0..1000 {
        let mut copy = record.clone();
        let name = format!("m/x/{i:04}");
        copy.splice(46.., name.bytes());
        copy[28] = name.len() as u8;
        file.extend(copy);
        count += 1;
    }
    let size = (file.len() - directory) as u32;
    file.extend(
        [
            &end[..8],
            &count.to_le_bytes(),
            &count.to_le_bytes(),
            &size.to_le_bytes(),
            &end[16..],
        ]
        .concat(),
    );
    assert_eq!(parse(&file).unwrap().len(), 1);
}

#[test]
fn hostile_legacy_files_are_named() {
    let state = pickle(&[ONE]);
    let content = || (6, vec![0; 12]);
    let good = torch_legacy(state.clone(), &["0"], &[content()]);
    assert_eq!(parse(&good).unwrap().len(), 1);
    let little = good.windows(2).position(|pair| pair == b"\x88u").unwrap();
    let mut big = good.clone();
    big[little] = 0x89;
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("big-endian", big, "little_endian: True"),
        (
            "storage cut short",
            good[..good.len() - 1].to_vec(),
            "12 bytes needed",
        ),
        (
            "no storage",
            torch_legacy(state.clone(), &["0"], &[]),
            "8 bytes needed",
        ),
        (
            "a key too many",
            torch_legacy(state.clone(), &["0", "1"], &[content()]),
            "no entry \"1\"",
        ),
        (
            "no key",
            torch_legacy(state.clone(), &[], &[]),
            "no entry \"0\"",
        ),
        (
            "a key twice",
            torch_legacy(state.clone(), &["0", "0"], &[content(), content()]),
            "\"0\" occurs twice",
        ),
        (
            "another count",
            torch_legacy(state, &["0"], &[(7, vec![0; 14])]),
            "7 instead of 6",
        ),
        (
            "a huge count",
            torch_legacy(b"\x80\x02}.".to_vec(), &["0"], &[(u64::MAX, vec![])]),
            "no entry \"0\"",
        ),
        (
            "two descriptions of one storage",
            torch_legacy(
                pickle(&[ONE, TensorText("b", "DoubleStorage", "0", 6, 0, &[6], &[1])]),
                &["0"],
                &[(6, vec![0; 48])],
            ),
            "no entry \"0\"",
        ),
    ];
    for (name, file, expected) in cases {
        let found = message(file);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn other_bytes_are_no_torch_file() {
    for bytes in [&b""[..], b"PK", b"\x80\x02", b"GGUF", b"\x1f\x8b"] {
        assert!(
            matches!(parse(bytes), Err(TorchError::Unknown)),
            "{bytes:?}"
        );
    }
}

#[test]
fn every_prefix_and_every_changed_byte_ends_in_a_result() {
    let tensors = [ONE, TensorText("b", "LongStorage", "1", 2, 0, &[2], &[1])];
    let zip = archive(&[
        stored("m/data.pkl", pickle(&tensors)),
        stored("m/data/0", vec![1; 12]),
        stored("m/data/1", vec![2; 16]),
    ]);
    let legacy = torch_legacy(
        pickle(&tensors),
        &["0", "1"],
        &[(6, vec![1; 12]), (2, vec![2; 16])],
    );
    for file in [zip, legacy] {
        assert_eq!(parse(&file).unwrap().len(), 2);
        for end in 0..file.len() {
            assert!(
                parse(&file[..end]).is_err(),
                "accepted {end} of {} bytes",
                file.len()
            );
        }
        for at in 0..file.len() {
            let values = [0, 255]
                .into_iter()
                .chain((0..8).map(|bit| file[at] ^ 1 << bit));
            for value in values {
                let mut changed = file.clone();
                changed[at] = value;
                // Whatever comes out lies in the file: that is what slicing shows.
                for entry in parse(&changed).unwrap_or_default() {
                    assert!(
                        changed.get(entry.range.clone()).is_some(),
                        "byte {at} = {value}: {entry:?}"
                    );
                }
            }
        }
    }
}
