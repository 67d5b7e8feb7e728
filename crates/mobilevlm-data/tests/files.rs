//! Data sets on disk: rows, indices, pictures in folders and shards, and everything that can be
//! wrong with them.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm_data::{
    Checker, DataError, IndexPlace, LabelOptions, Labeller, PictureError, Pictures, Problem,
    Report, RowError, Rows, TrainTemplate, check,
};
use mobilevlm_processor::{Limits, Tokenizer};
use mobilevlm_testing::micro_golden;

fn open(path: &Path, place: &IndexPlace) -> Result<Rows, DataError> {
    Rows::open(path, place, &mut |_, _| ControlFlow::Continue(()))
}

fn labeller(template: TrainTemplate, model_max_length: usize) -> Labeller {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer.model");
    let tokenizer = Tokenizer::from_sentencepiece(&fs::read(path).unwrap()).unwrap();
    let options = LabelOptions {
        model_max_length,
        ..LabelOptions::new(template)
    };
    Labeller::new(tokenizer, options)
}

const PNG: &str = "images/a.png";

/// A member of a tar file, with its header as GNU tar writes it.
fn member(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar  \0");
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut member = [&header, content].concat();
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

#[test]
fn an_index_is_used_until_the_data_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    let index = folder.path().join("data.json.index");
    let row = r#"{"id": 1, "conversations": [{"from": "human", "value": "a b"}]}"#;
    fs::write(&path, format!("[{row}, 7]")).unwrap();
    let rows = open(&path, &IndexPlace::Beside).unwrap();
    assert_eq!(rows.modality_lengths(), [-2, 0]);
    assert_eq!(rows.read(0).unwrap().conversations[0].value, "a b");
    assert!(matches!(rows.read(1), Err(RowError::Broken { .. })));
    assert!(matches!(rows.read(2), Err(RowError::Beyond { .. })));

    // Read back, every damage noticed.
    let whole = fs::read(&index).unwrap();
    let mut looked = false;
    let again = Rows::open(&path, &IndexPlace::Beside, &mut |_, _| {
        looked = true;
        ControlFlow::Break(())
    });
    assert_eq!(again.unwrap().modality_lengths(), [-2, 0]);
    assert!(!looked);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&index, &damaged[..]).unwrap();
        assert_eq!(open(&path, &IndexPlace::Beside).unwrap().len(), 2);
        assert_eq!(fs::read(&index).unwrap(), whole, "byte {at}");
        fs::write(&index, &whole[..at]).unwrap();
        assert_eq!(open(&path, &IndexPlace::Beside).unwrap().len(), 2);
    }

    fs::write(&path, format!("{row}\n{row}\n\n{row}")).unwrap();
    let rows = open(&path, &IndexPlace::Beside).unwrap();
    assert_eq!(rows.modality_lengths(), [-2, -2, -2]);
    assert_eq!(rows.read(2).unwrap(), rows.read(0).unwrap());

    let cache = folder.path().join("cache/indices");
    fs::remove_file(&index).unwrap();
    open(&path, &IndexPlace::Folder(cache.clone())).unwrap();
    assert!(!index.exists());
    assert_eq!(fs::read_dir(cache).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_no_list_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    for content in ["", "  ", "[{}", "[{\"a", "[}]", "[] 1"] {
        fs::write(&path, content).unwrap();
        let error = open(&path, &IndexPlace::Nowhere).unwrap_err();
        assert!(matches!(error, DataError::Json { .. }), "{content}");
    }
    let error = open(&folder.path().join("none"), &IndexPlace::Nowhere).unwrap_err();
    assert!(matches!(error, DataError::File { .. }));
}

#[test]
fn pictures_are_found_in_folders_and_shards_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    let png = fs::read(micro_golden(PNG)).unwrap();
    fs::write(root.join("sub/in.png"), &png).unwrap();
    fs::write(folder.path().join("out.png"), &png).unwrap();
    let long = format!("{}/long.png", "d".repeat(120));
    let pax = format!("path=pax/{long}\n");
    let pax = format!("{} {pax}", pax.len() + 4);
    let shard = folder.path().join("shard.tar");
    let content = [
        member("./first.png", b'0', &png),
        member("folder/", b'5', b""),
        member("././@LongLink", b'L', format!("{long}\0").as_bytes()),
        member("cut", b'0', &png),
        member("PaxHeaders/x", b'x', pax.as_bytes()),
        member("cut", b'0', &png),
        member("first.png", b'0', b"the later one counts"),
        vec![0; 1024],
    ];
    fs::write(&shard, content.concat()).unwrap();
    let sources = [root.clone(), shard.clone()];
    let pictures = Pictures::open(&sources, Limits::default()).unwrap();
    for name in ["sub/in.png", "./sub//in.png", &long, &format!("pax/{long}")] {
        assert_eq!(pictures.read(name).unwrap(), png, "{name}");
        assert!(pictures.decode(name).is_ok());
    }
    assert_eq!(pictures.read("first.png").unwrap(), b"the later one counts");
    let broken = pictures.decode("first.png").unwrap_err();
    assert!(matches!(broken, PictureError::Broken { .. }), "{broken}");
    for name in ["sub", "nothing.png", "sub/in.png/x", "folder", "cut"] {
        let error = pictures.read(name).unwrap_err();
        assert!(matches!(error, PictureError::Missing { .. }), "{error}");
    }
    let absolute = folder.path().join("out.png");
    let outside = [
        "../out.png",
        "sub/../../out.png",
        absolute.to_str().unwrap(),
        "..\\out.png",
        "C:/out.png",
        "a\0b",
        "",
        ".",
    ];
    for name in outside {
        let error = pictures.read(name).unwrap_err();
        assert!(matches!(error, PictureError::Outside { .. }), "{error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path(), root.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("sub"), root.join("inside")).unwrap();
        let error = pictures.read("link/out.png").unwrap_err();
        assert!(matches!(error, PictureError::Outside { .. }), "{error}");
        assert_eq!(pictures.read("inside/in.png").unwrap(), png);
    }
    let small = Limits {
        bytes: png.len() - 1,
        ..Limits::default()
    };
    let error = Pictures::open(&[root], small).unwrap().read("sub/in.png");
    assert!(matches!(error, Err(PictureError::Broken { .. })));

    // Every cut and every changed header byte: an error or fewer pictures, never a panic.
    let whole = content.concat();
    for at in (0..whole.len()).step_by(61) {
        fs::write(&shard, &whole[..at]).unwrap();
        let _ = Pictures::open(std::slice::from_ref(&shard), Limits::default());
        let mut damaged = whole.clone();
        damaged[at] ^= 0x80;
        fs::write(&shard, &damaged).unwrap();
        let _ = Pictures::open(std::slice::from_ref(&shard), Limits::default());
    }
}

/// One row for each kind of problem, and what it is.
fn every_kind() -> Vec<(Option<Problem>, String)> {
    let row = |image: &str, messages: &[(&str, &str)]| {
        let messages: Vec<_> = messages
            .iter()
            .map(|(from, value)| serde_json::json!({"from": from, "value": value}))
            .collect();
        match image {
            "" => serde_json::json!({"conversations": messages}),
            image => serde_json::json!({"image": image, "conversations": messages}),
        }
        .to_string()
    };
    let ask = ("human", "<image>\nWhat?");
    let say = ("gpt", "A cat.");
    let long = "word ".repeat(400);
    vec![
        (None, row("a.png", &[ask, say])),
        (None, row("", &[("human", "What?"), say])),
        (
            Some(Problem::BrokenRow),
            "{\"conversations\": 7}".to_owned(),
        ),
        (
            Some(Problem::BrokenRow),
            "{\"image\": [\"a\"], \"conversations\": []}".to_owned(),
        ),
        (Some(Problem::OutsideRoot), row("../a.png", &[ask, say])),
        (Some(Problem::MissingPicture), row("b.png", &[ask, say])),
        (Some(Problem::BrokenPicture), row("broken.png", &[ask, say])),
        (
            Some(Problem::Refused),
            row("a.png", &[("system", "x"), ask, say]),
        ),
        (Some(Problem::Refused), row("a.png", &[ask, ask])),
        (Some(Problem::Refused), row("", &[])),
        (
            Some(Problem::SeveralMarks),
            row("a.png", &[ask, say, ask, say]),
        ),
        (
            Some(Problem::Masked),
            row("a.png", &[("human", "<image>\n</s>?"), say]),
        ),
        (
            Some(Problem::Masked),
            row("a.png", &[ask, say, ("human", "And?")]),
        ),
        (
            Some(Problem::Unsupervised),
            row("a.png", &[("human", &format!("<image>\n{long}")), say]),
        ),
        (Some(Problem::EmptyTurn), row("a.png", &[ask, ("gpt", " ")])),
        (
            Some(Problem::Unmarked),
            row("a.png", &[("human", "What?"), say]),
        ),
        (Some(Problem::NoPicture), row("", &[ask, say])),
        (
            Some(Problem::TooLong),
            row("", &[("human", "What?"), ("gpt", &long)]),
        ),
    ]
}

#[test]
fn every_kind_of_problem_is_found_and_the_report_can_be_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    let kinds = every_kind();
    // Often enough for several chunks and for more examples than are kept.
    let lines: Vec<&str> = kinds.iter().map(|(_, row)| row.as_str()).collect();
    let lines = lines.join("\n") + "\n";
    fs::write(&path, lines.repeat(12)).unwrap();
    fs::copy(micro_golden(PNG), folder.path().join("a.png")).unwrap();
    fs::write(folder.path().join("broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();

    let rows = open(&path, &IndexPlace::Nowhere).unwrap();
    let pictures = Pictures::open(&[folder.path().to_owned()], Limits::default()).unwrap();
    let labeller = labeller(TrainTemplate::V1, 512);
    let checker = Checker {
        rows: &rows,
        pictures: Some(&pictures),
        decode: true,
        template: TrainTemplate::V1,
        labeller: Some(&labeller),
    };
    for (row, (expected, text)) in kinds.iter().enumerate() {
        let examined = checker.examine(row);
        let found: Vec<Problem> = examined.findings.iter().map(|f| f.problem).collect();
        match expected {
            None => assert_eq!(found, [], "{text}"),
            Some(problem) => assert!(found.contains(problem), "{text}: {found:?}"),
        }
        let is_left_out = found.iter().any(|problem| problem.is_left_out());
        assert_eq!(checker.load(row).is_err(), is_left_out, "{text}: {found:?}");
        let should_be = expected.is_some_and(Problem::is_left_out);
        assert_eq!(is_left_out, should_be, "{text}: {found:?}");
    }

    let run = |report: &mut Report, threads, stop_at: u64| {
        check(
            &checker,
            report,
            threads,
            &mut |report: &Report| match report.checked >= stop_at {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            },
        )
    };
    let mut whole = Report::default();
    assert!(run(&mut whole, 1, u64::MAX).is_continue());
    assert_eq!(whole.rows, 12 * kinds.len() as u64);
    assert_eq!(whole.checked, whole.rows);
    let fine = kinds
        .iter()
        .filter(|(problem, _)| !problem.is_some_and(Problem::is_left_out));
    assert_eq!(whole.trainable, 12 * fine.count() as u64);
    assert_eq!(whole.problems[&Problem::BrokenRow].rows, 24);
    assert_eq!(whole.problems[&Problem::BrokenRow].first.len(), 10);
    assert_eq!(whole.problems[&Problem::BrokenRow].first[0].row, 2);

    // Stopped, written, read and continued, with another number of threads.
    let mut half = Report::default();
    assert!(run(&mut half, 2, 100).is_break());
    assert!(half.checked >= 100 && half.checked < half.rows);
    let text = serde_json::to_string(&half).unwrap();
    let mut half: Report = serde_json::from_str(&text).unwrap();
    assert!(run(&mut half, 3, u64::MAX).is_continue());
    assert_eq!(half, whole);
}

#[test]
fn without_a_tokenizer_conversations_are_looked_at_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    let lines: Vec<String> = every_kind().into_iter().map(|(_, row)| row).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    let rows = open(&path, &IndexPlace::Nowhere).unwrap();
    let checker = Checker {
        rows: &rows,
        pictures: None,
        decode: false,
        template: TrainTemplate::V1,
        labeller: None,
    };
    let mut report = Report::default();
    let done = check(&checker, &mut report, 2, &mut |_| ControlFlow::Continue(()));
    assert!(done.is_continue());
    let found: Vec<Problem> = report.problems.keys().copied().collect();
    let expected = [
        Problem::BrokenRow,
        Problem::Refused,
        Problem::EmptyTurn,
        Problem::Unmarked,
        Problem::NoPicture,
    ];
    assert_eq!(found, expected);
    assert!(checker.load(0).is_err());
    let plain = Checker {
        template: TrainTemplate::Plain,
        ..checker
    };
    assert!(plain.examine(0).findings.is_empty());
    assert_eq!(plain.examine(1).findings[0].problem, Problem::Refused);
}

/// A PathBuf keeps a list of sources one type on every system.
#[test]
fn a_source_that_is_neither_folder_nor_shard_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("a.tar");
    fs::write(&file, [7; 2048]).unwrap();
    let error = Pictures::open(&[file], Limits::default()).unwrap_err();
    assert!(matches!(error, DataError::Tar { offset: 0, .. }), "{error}");
    let missing = folder.path().join("none");
    let error = Pictures::open(&[missing], Limits::default()).unwrap_err();
    assert!(matches!(error, DataError::File { .. }), "{error}");
}
