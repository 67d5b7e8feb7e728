//! `compare`: nothing between a model and itself, something between different ones, and words for
//! what cannot be compared.

use std::fs;

use crate::{Mobilevlm, copy_of_golden, golden, keys, path};

#[test]
fn a_model_is_no_way_from_itself() {
    let model = golden("checkpoint");
    let images = golden("images");
    let done = Mobilevlm::new()
        .run(&[
            "compare", &model, &model, "--images", &images, "--limit", "5", "--json",
        ])
        .expect(0);
    let json = done.json();
    for (key, value) in [
        ("cosine_mean", 1.0),
        ("cosine_least", 1.0),
        ("divergence_mean", 0.0),
        ("divergence_p95", 0.0),
        ("divergence_worst", 0.0),
        ("agreement", 1.0),
        ("answers", 5.0),
        ("pictures_skipped", 0.0),
    ] {
        assert_eq!(json[key].as_f64(), Some(value), "{key}: {json}");
    }
    assert!(json["tokens"].as_u64() > Some(5));
    assert_eq!(json["a"], {
        let mut b = json["b"].clone();
        b["load_ms"] = json["a"]["load_ms"].clone();
        b
    });
    assert!(json["a"]["bytes"].as_u64() > Some(10_000));
    assert_eq!(
        keys(&json),
        [
            "a",
            "agreement",
            "answers",
            "arithmetic",
            "b",
            "cosine_least",
            "cosine_mean",
            "divergence_mean",
            "divergence_p95",
            "divergence_worst",
            "kernels",
            "pictures",
            "pictures_skipped",
            "threads",
            "tokens",
        ]
    );
}

#[test]
fn a_changed_weight_is_some_way() {
    let set = copy_of_golden();
    let file = set.path().join("checkpoint/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..data]).unwrap();
    let head = header["lm_head.weight"]["data_offsets"][0]
        .as_u64()
        .unwrap() as usize;
    // The signs of sixteen float16 numbers of the head, which pictures do not meet.
    for number in 0..16 {
        bytes[data + head + 2 * number + 1] ^= 0x80;
    }
    fs::write(&file, bytes).unwrap();
    let changed = path(&set.path().join("checkpoint"));
    let done = Mobilevlm::new()
        .run(&[
            "compare",
            &golden("checkpoint"),
            &changed,
            "--limit",
            "4",
            "--json",
        ])
        .expect(0);
    let json = done.json();
    let number = |key: &str| json[key].as_f64().unwrap();
    assert_eq!(number("cosine_least"), 1.0, "{json}");
    assert!(number("divergence_mean") > 1e-9, "{json}");
    assert!(
        number("divergence_worst") >= number("divergence_p95"),
        "{json}"
    );
    assert!(
        number("divergence_p95") >= number("divergence_mean") / 20.0,
        "{json}"
    );
    let table = Mobilevlm::new()
        .run(&["compare", &golden("checkpoint"), &changed, "--limit", "4"])
        .expect(0)
        .out;
    assert!(
        table.contains("3 pictures, 4 answers of A") && table.contains("mean 1.000000"),
        "{table}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let command = Mobilevlm::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        path(&file)
    };
    let (empty, binary, long) = (
        file("empty.txt", b" \n\n"),
        file("binary.txt", b"What?\n\xff\xfe"),
        file("long.txt", &[b'a'; (1 << 20) + 1]),
    );
    let no_pictures = path(folder.path());
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("a.png"), "no picture").unwrap();
    let broken = path(broken.path());
    let model = golden("checkpoint");
    let other = golden("relatives/ldpv2-no-pool/checkpoint");
    let nowhere = path(&folder.path().join("nowhere"));

    for (arguments, code, expected) in [
        (&[&model as &str][..], 2, "<B>"),
        (&[&model, &model, "--limit", "0"], 2, "--limit"),
        (
            &[&model, &model, "--max-new-tokens", "0"],
            2,
            "--max-new-tokens",
        ),
        (&[&model, &nowhere], 1, "nowhere"),
        (
            &[&model, &other],
            1,
            "the models cannot be compared: one has",
        ),
        (&[&model, &model, "--prompts", &empty], 1, "found none"),
        (&[&model, &model, "--prompts", &binary], 1, "not UTF-8"),
        (&[&model, &model, "--prompts", &long], 1, "more than 1 MiB"),
        (
            &[&model, &model, "--prompts", &nowhere],
            1,
            "cannot be read",
        ),
        (&[&model, &model, "--images", &nowhere], 1, "cannot be read"),
        (
            &[&model, &model, "--images", &no_pictures],
            1,
            "expected pictures",
        ),
        (
            &[&model, &model, "--images", &broken],
            1,
            "no picture could be read",
        ),
        (&[&model, &model, "--kernels", "none"], 1, "none"),
    ] {
        let all: Vec<&str> = ["compare"].iter().chain(arguments).copied().collect();
        let done = command.run(&all).expect(code);
        assert!(done.err.contains(expected), "{arguments:?}: {}", done.err);
        assert_eq!(done.out, "", "{arguments:?}");
    }
}

#[test]
fn a_broken_picture_is_told_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("images/a.png"), folder.path().join("b.png")).unwrap();
    fs::write(folder.path().join("a.png"), "no picture").unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    let (model, images) = (golden("checkpoint"), path(folder.path()));
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "What is this?\n\n  Is it red?  \n").unwrap();
    let done = Mobilevlm::new()
        .run(&[
            "compare",
            &model,
            &model,
            "--images",
            &images,
            "--prompts",
            &path(&prompts),
            "--max-new-tokens",
            "2",
            "--json",
        ])
        .expect(0);
    let json = done.json();
    assert_eq!(json["pictures"], 1);
    assert_eq!(json["pictures_skipped"], 1);
    assert_eq!(json["answers"], 2);
    assert_eq!(json["tokens"], 4);
    assert!(done.err.contains("a.png"), "{}", done.err);
}

#[test]
fn eight_bits_are_a_little_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder.path().join("eight.gguf"));
    let (model, images) = (golden("checkpoint"), golden("images"));
    let command = Mobilevlm::new();
    let formats = [
        "--language",
        "q8_0",
        "--vision",
        "q8_0",
        "--projector",
        "q8_0",
    ];
    let mut convert = vec!["convert", &model, "-o", &file];
    convert.extend(formats);
    command.run(&convert).expect(0);
    for arithmetic in ["f32", "fast"] {
        let json = command
            .run(&[
                "compare",
                &model,
                &file,
                "--images",
                &images,
                "--limit",
                "4",
                "--arithmetic",
                arithmetic,
                "--json",
            ])
            .expect(0)
            .json();
        let number = |key: &str| json[key].as_f64().unwrap();
        assert!(number("cosine_least") < 1.0, "{json}");
        assert!(number("cosine_least") > 0.999, "{json}");
        assert!(number("divergence_mean") > 0.0, "{json}");
        assert!(number("divergence_worst") < 0.1, "{json}");
        assert!(number("agreement") > 0.9, "{json}");
        assert!(json["b"]["bytes"].as_u64() < json["a"]["bytes"].as_u64());
        // And nothing to itself, in either arithmetic.
        let itself = command
            .run(&[
                "compare",
                &file,
                &file,
                "--limit",
                "2",
                "--arithmetic",
                arithmetic,
                "--json",
            ])
            .expect(0)
            .json();
        assert_eq!(itself["divergence_worst"], 0.0, "{itself}");
        assert_eq!(itself["cosine_least"], 1.0, "{itself}");
    }
}
