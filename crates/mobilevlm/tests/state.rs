//! The state of the system prompt from a file equals the state computed, to the last bit, and
//! whatever is wrong with the file is noticed.
#![cfg(unix)] // Elsewhere there are no such files: see `state/key.rs`.

mod common;

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use common::{Golden, kernels};
use mobilevlm::{Chat, Event, GenerateOptions, Kernels, Model, OpenOptions};

/// Ids and the bits of all logits, and how much of the prompt was not computed.
struct Trace {
    bits: Vec<u32>,
    cached: usize,
}

const QUESTION: &str = "What is in this picture?";

fn open(checkpoint: &Path, kernels: &'static Kernels, state_cache: Option<&Path>) -> Model {
    let options = OpenOptions {
        kernels: Some(kernels),
        threads: Some(2),
        state_cache: state_cache.map(Path::to_owned),
        ..OpenOptions::default()
    };
    Model::open(checkpoint, &options).unwrap()
}

fn trace(model: &Model) -> Trace {
    let options = GenerateOptions {
        max_new_tokens: 6,
        ..GenerateOptions::default()
    };
    let prompt = model.question(&[], QUESTION).unwrap();
    let mut bits = Vec::new();
    let answer = model
        .generate(prompt, &options, &mut |event| {
            if let Event::Token { id, logits } = event {
                bits.push(id);
                bits.extend(logits.iter().map(|logit| logit.to_bits()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    Trace {
        bits,
        cached: answer.cached_tokens,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    files
}

#[test]
fn the_next_process_reads_what_this_one_computed() {
    for golden in Golden::all("the_next_process_reads_what_this_one_computed") {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("below/states");
        for (number, kernels) in kernels().into_iter().enumerate() {
            let what = format!("{}, {}", golden.name, kernels.name());
            let expected = trace(&open(&golden.checkpoint, kernels, None));
            assert_eq!(expected.cached, 0);
            let first = trace(&open(&golden.checkpoint, kernels, Some(&folder)));
            assert_eq!(first.cached, 0, "{what}: another table's state was taken");
            assert_eq!(files(&folder).len(), number + 1, "{what}");
            let second = trace(&open(&golden.checkpoint, kernels, Some(&folder)));
            assert!(second.cached > 5, "{what}: {} positions", second.cached);
            assert!(first.bits == expected.bits, "{what}: written");
            assert!(second.bits == expected.bits, "{what}: read");
        }
    }
}

#[test]
fn a_damaged_file_is_noticed_and_made_anew() {
    let golden = Golden::micro();
    let kernels = Kernels::detect().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = || open(&golden.checkpoint, kernels, Some(folder.path()));
    let expected = trace(&model()).bits;
    let file = files(folder.path()).pop().unwrap();
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let end = good.len();
    let damages = [
        ("nothing", Vec::new()),
        ("its beginning", good[..end / 2].to_vec()),
        ("all but a byte", good[..end - 1].to_vec()),
        ("a byte more", [&good[..], b"x"].concat()),
        ("zeros", vec![0; end]),
        ("another magic", flipped(0)),
        ("another key", flipped(20)),
        ("other sizes", flipped(44)),
        ("another first number", flipped(56)),
        ("another number", flipped(end / 2)),
        ("another checksum", flipped(end - 1)),
    ];
    for (what, bytes) in damages {
        fs::write(&file, bytes).unwrap();
        let found = trace(&model());
        assert_eq!(found.cached, 0, "{what} was taken for a state");
        assert!(found.bits == expected, "{what}");
        assert!(fs::read(&file).unwrap() == good, "{what}: not made anew");
        assert!(trace(&model()).cached > 0, "{what}");
    }
    // Something that cannot be replaced: the answer comes all the same.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let found = trace(&model());
    assert_eq!(found.cached, 0);
    assert!(found.bits == expected);
    assert_eq!(files(folder.path()), [file], "something was left behind");
}

#[test]
fn the_state_of_another_model_is_foreign() {
    let kernels = Kernels::detect().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (micro, relatives) = (Golden::micro(), Golden::relatives());
    let checkpoints = relatives
        .iter()
        .chain([&micro])
        .map(|golden| &golden.checkpoint);
    let mut written = Vec::new();
    for checkpoint in checkpoints {
        assert_eq!(
            trace(&open(checkpoint, kernels, Some(folder.path()))).cached,
            0
        );
        let mut new = files(folder.path());
        new.retain(|file| !written.contains(file));
        assert_eq!(new.len(), 1, "{}", checkpoint.display());
        written.extend(new);
    }
    // Under a name that is not its own, too.
    let (own, others) = written.split_last().unwrap();
    for other in others {
        fs::copy(other, own).unwrap();
        let found = trace(&open(&micro.checkpoint, kernels, Some(folder.path())));
        assert_eq!(found.cached, 0, "{}", other.display());
    }
}

#[test]
fn a_changed_model_is_noticed_whatever_its_date_says() {
    let golden = Golden::micro();
    let kernels = Kernels::detect().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (states, copy) = (folder.path().join("states"), folder.path().join("model"));
    fs::create_dir(&copy).unwrap();
    for file in files(&golden.checkpoint) {
        if file.is_file() {
            fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
    }
    let settle = || thread::sleep(Duration::from_millis(2100));
    let model = || open(&copy, kernels, Some(&states));

    // It has just been written and might change again within the same tick of the clock.
    trace(&model());
    assert!(
        files(&states).is_empty(),
        "a file that may still change was trusted"
    );
    settle();
    let before = trace(&model());
    assert!(trace(&model()).cached > 0);

    let weights = files(&copy)
        .into_iter()
        .max_by_key(|file| fs::metadata(file).unwrap().len())
        .unwrap();
    let modified = fs::metadata(&weights).unwrap().modified().unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    // The last numbers of every tensor's first half stay; some others change.
    let range = bytes.len() / 3..bytes.len();
    bytes[range]
        .iter_mut()
        .step_by(64)
        .for_each(|byte| *byte ^= 1);
    fs::write(&weights, bytes).unwrap();
    File::open(&weights)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    settle();
    let after = trace(&model());
    assert_eq!(
        after.cached, 0,
        "the changed model's state was taken from the file"
    );
    assert!(after.bits != before.bits, "the change made no difference");
    assert!(trace(&model()).bits == after.bits);
}

#[test]
fn several_at_once_write_one_file() {
    let golden = Golden::micro();
    let kernels = Kernels::detect().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let expected = trace(&open(&golden.checkpoint, kernels, None)).bits;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Each with a model of its own, as processes have; some read what others wrote.
                for _ in 0..5 {
                    let model = open(&golden.checkpoint, kernels, Some(folder.path()));
                    assert!(trace(&model).bits == expected);
                }
            });
        }
    });
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn conversations_of_one_process_share_it() {
    let golden = Golden::micro();
    let model = golden.model();
    let options = GenerateOptions {
        max_new_tokens: 3,
        ..GenerateOptions::default()
    };
    // All stay alive, so that none goes on from what an ended one had read.
    let mut chats: Vec<Chat> = (0..3).map(|_| Chat::new(&model)).collect();
    let cached: Vec<usize> = chats
        .iter_mut()
        .zip(["One?", "And two?", "Or three?"])
        .map(|(chat, text)| {
            let answer = chat.ask(&[], text, &options, &mut |_| ControlFlow::Continue(()));
            answer.unwrap().cached_tokens
        })
        .collect();
    assert_eq!(cached[0], 0);
    assert!(cached[1] > 5 && cached[2] == cached[1], "{cached:?}");
}
