use bytes::Bytes;

use super::*;

/// A file of this header and so many bytes behind it.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

fn message(file: &[u8]) -> String {
    let error = parse(file).expect_err("a hostile file was accepted");
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn what_is_written_is_read_by_this_and_by_the_reference_crate() {
    let data: Bytes = (0..24).collect::<Vec<u8>>().into();
    let first = Tensor::new(Dtype::F16, vec![2, 3], data.slice(..12)).unwrap();
    let second = Tensor::new(Dtype::U8, vec![12], data.slice(12..)).unwrap();
    let empty = Tensor::new(Dtype::F32, vec![0, 4], Bytes::new()).unwrap();
    let mut file = Vec::new();
    write(
        &mut file,
        [("b", &first), ("empty", &empty), ("a", &second)],
    )
    .unwrap();

    let entries = parse(&file).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        let view = theirs.tensor(&entry.name).unwrap();
        assert_eq!(entry.shape, view.shape());
        assert_eq!(&file[entry.range.clone()], view.data());
        assert_eq!(entry.dtype.name(), format!("{:?}", view.dtype()));
    }
    let b = entries.iter().find(|entry| entry.name == "b").unwrap();
    assert_eq!(file[b.range.clone()], data[..12]);
}

#[test]
fn a_name_cannot_be_written_twice() {
    let tensor = Tensor::new(Dtype::U8, vec![1], Bytes::from_static(&[0])).unwrap();
    let error = write(&mut Vec::new(), [("a", &tensor), ("a", &tensor)]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn hostile_headers_are_named() {
    let one = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let two = |second: &str| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},"b":{{"dtype":"F32","shape":[1],"data_offsets":{second}}}}}"#
        )
    };
    let deep = format!(r#"{{"__metadata__":{}"#, "[".repeat(100_000));
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("empty", vec![], "needs 8 bytes, the file has 0"),
        (
            "length only",
            vec![2, 0, 0, 0, 0, 0, 0, 0],
            "needs 10 bytes, the file has 8",
        ),
        ("huge header", vec![255; 16], "the file has 16"),
        ("no JSON", file("hello", 0), "expected value"),
        ("not UTF-8", file("{\"\u{1}\":0}", 0), "control character"),
        ("a list", file("[]", 0), "an object that describes tensors"),
        ("JSON that goes on", file("{}{}", 0), "trailing characters"),
        ("deep nesting", file(&deep, 0), "EOF while parsing"),
        (
            "trailing bytes",
            file(&one("[1]", "[0,4]"), 5),
            "the file at 5",
        ),
        (
            "missing bytes",
            file(&one("[1]", "[0,4]"), 3),
            "the file at 3",
        ),
        (
            "overlap",
            file(&two("[4,8]"), 8),
            "expected to begin at byte 8",
        ),
        (
            "gap",
            file(&two("[12,16]"), 16),
            "expected to begin at byte 8",
        ),
        (
            "hole in front",
            file(&one("[1]", "[4,8]"), 8),
            "expected to begin at byte 0",
        ),
        (
            "wrong size",
            file(&one("[2]", "[0,4]"), 4),
            "does not fill bytes 0..4",
        ),
        (
            "backwards",
            file(&one("[1]", "[4,0]"), 4),
            "does not fill bytes 4..0",
        ),
        (
            "overflow",
            file(&one("[4294967296,4294967296,16]", "[0,4]"), 4),
            "does not fill",
        ),
        (
            "number beyond 64 bits",
            file(&one("[1]", "[0,99999999999999999999]"), 4),
            "floating point `1e+20`",
        ),
        ("negative", file(&one("[-1]", "[0,4]"), 4), "invalid value"),
        (
            "nine sizes",
            file(&one("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4),
            "more than 8 sizes",
        ),
        (
            "one offset",
            file(&one("[1]", "[0]"), 4),
            "array of length 2",
        ),
        (
            "unknown type",
            file(r#"{"a":{"dtype":"F7","shape":[],"data_offsets":[0,4]}}"#, 4),
            "F7",
        ),
        (
            "no shape",
            file(r#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, 4),
            "shape",
        ),
        (
            "no type",
            file(r#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4),
            "dtype",
        ),
        (
            "unknown field",
            file(r#"{"a":{"dtypo":"F32"}}"#, 4),
            "dtypo",
        ),
        (
            "field twice",
            file(
                r#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4,
            ),
            "dtype occurs twice",
        ),
        (
            "name twice",
            file(
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
                2,
            ),
            "\"a\" occurs twice",
        ),
    ];
    for (name, file, expected) in cases {
        let found = message(file);
        assert!(found.contains(expected), "{name}: {found}");
    }
}

#[test]
fn a_header_that_is_not_utf8_is_refused() {
    let mut bytes = file(
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        1,
    );
    bytes[10] = 0xff;
    assert!(message(&bytes).contains("unicode"), "{}", message(&bytes));
}

#[test]
fn a_header_beyond_the_limit_is_refused_before_it_is_copied() {
    let bytes = file(&" ".repeat(HEADER_LIMIT + 1), 0);
    assert!(matches!(
        parse(&bytes),
        Err(SafetensorsError::HeaderLimit { .. })
    ));
}

#[test]
fn more_tensors_than_the_limit_are_refused() {
    let entries: Vec<String> = (0..=TENSOR_LIMIT)
        .map(|i| format!(r#""{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    assert!(
        header.len() < HEADER_LIMIT,
        "the header's length must not be what is refused"
    );
    let found = message(&file(&header, 0));
    assert!(found.contains("more than 65536 tensors"), "{found}");
}

#[test]
fn tensors_may_lie_at_odd_addresses() {
    let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[],"data_offsets":[1,5]}}"#;
    let bytes = file(header, 5);
    let entries = parse(&bytes).unwrap();
    assert_eq!(entries[1].range, bytes.len() - 4..bytes.len());
}

proptest::proptest! {
    #[test]
    fn any_inventory_comes_back(
        shapes in proptest::collection::btree_map(".{0,12}", proptest::collection::vec(0_usize..4, 0..4), 0..8),
    ) {
        let tensors: Vec<(String, Tensor)> = shapes
            .into_iter()
            .filter(|(name, _)| name != "__metadata__")
            .map(|(name, shape)| {
                let bytes = 2 * shape.iter().product::<usize>();
                let data: Vec<u8> = (0..bytes).map(|i| (i * 7 + name.len()) as u8).collect();
                (name, Tensor::new(Dtype::BF16, shape, data.into()).unwrap())
            })
            .collect();
        let mut file = Vec::new();
        write(&mut file, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
        let entries = parse(&file).unwrap();
        assert_eq!(entries.len(), tensors.len());
        for (name, tensor) in &tensors {
            let entry = entries.iter().find(|entry| entry.name == *name).unwrap();
            assert_eq!((entry.dtype, &entry.shape[..]), (tensor.dtype(), tensor.shape()));
            assert_eq!(&file[entry.range.clone()], tensor.data());
        }
    }
}
