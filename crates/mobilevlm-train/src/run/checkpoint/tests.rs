use std::collections::BTreeMap;
use std::process::Command;

use mobilevlm_checkpoint::{Bytes, Dtype};

use super::*;

type State = BTreeMap<String, u64>;

fn keep(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn state(step: u64) -> State {
    State::from([("step".to_owned(), step)])
}

fn weights(step: u64) -> Inventory {
    let mut weights = Inventory::default();
    let data: Vec<u8> = (0..6)
        .flat_map(|i| (step as f32 + i as f32).to_le_bytes())
        .collect();
    let tensor = Tensor::new(Dtype::F32, vec![2, 3], Bytes::from(data)).unwrap();
    weights.insert("projector.mlp.weight".to_owned(), tensor);
    weights
}

fn save(checkpoints: &Checkpoints, step: u64) -> Result<PathBuf, RunError> {
    checkpoints.save(step, |writer| {
        writer.tensors("weights.safetensors", &weights(step))?;
        writer.json("state.json", &state(step))
    })
}

#[test]
fn what_is_saved_is_found_again_and_the_oldest_go() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("checkpoints");
    let checkpoints = Checkpoints::open(&folder, keep(2)).unwrap();
    assert!(checkpoints.newest().unwrap().0.is_none());
    for step in [2, 4, 6] {
        save(&checkpoints, step).unwrap();
    }
    assert_eq!(checkpoints.steps().unwrap(), [4, 6]);
    let (saved, damaged) = checkpoints.newest().unwrap();
    let saved = saved.unwrap();
    assert!(damaged.is_empty());
    assert_eq!(saved.step(), 6);
    assert_eq!(saved.json::<State>("state.json").unwrap(), state(6));
    let tensors = saved.tensors("weights.safetensors").unwrap();
    let tensor = tensors.get("projector.mlp.weight").unwrap();
    assert_eq!(tensor.shape(), [2, 3]);
    assert_eq!(tensor.to_f32().unwrap(), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    // Equal states give equal files: that is how runs are compared.
    let other = Checkpoints::open(&home.path().join("other"), keep(1)).unwrap();
    let other = save(&other, 6).unwrap();
    for name in [MANIFEST, "state.json", "weights.safetensors"] {
        let (one, two) = (saved.path().join(name), other.join(name));
        assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap(), "{name}");
    }
}

#[test]
fn every_damage_is_named_and_passed_over() {
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damages: [Damage<'_>; 6] = [
        ("expected SHA-256", &|path| {
            let path = path.join("weights.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
        }),
        ("bytes, found", &|path| {
            fs::write(path.join("state.json"), b"{").unwrap();
        }),
        ("state.json: cannot be read", &|path| {
            fs::remove_file(path.join("state.json")).unwrap();
        }),
        ("manifest.json: cannot be read", &|path| {
            fs::remove_file(path.join(MANIFEST)).unwrap();
        }),
        ("manifest.json: EOF", &|path| {
            fs::write(path.join(MANIFEST), b"").unwrap();
        }),
        ("plain file names", &|path| {
            let text = fs::read_to_string(path.join(MANIFEST)).unwrap();
            let text = text.replace("\"state.json\"", "\"../step-00000001/state.json\"");
            fs::write(path.join(MANIFEST), text).unwrap();
        }),
    ];
    for (expected, damage) in damages {
        let home = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(home.path(), keep(3)).unwrap();
        for step in 1..=3 {
            save(&checkpoints, step).unwrap();
        }
        damage(&checkpoints.path_of(3));
        let (saved, damaged) = checkpoints.newest().unwrap();
        assert_eq!(saved.unwrap().step(), 2, "{expected}");
        assert_eq!(damaged.len(), 1);
        assert_eq!(damaged[0].path, checkpoints.path_of(3));
        let error = damaged[0].error.to_string();
        assert!(error.contains(expected), "{error}");
        // The run that went on from step 2 writes step 3 again.
        save(&checkpoints, 3).unwrap();
        assert!(checkpoints.newest().unwrap().1.is_empty());
    }
}

#[test]
fn a_damaged_one_that_is_newer_does_not_crowd_out_intact_ones() {
    let home = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(home.path(), keep(1)).unwrap();
    save(&checkpoints, 10).unwrap();
    fs::write(checkpoints.path_of(10).join("state.json"), b"").unwrap();
    save(&checkpoints, 8).unwrap();
    assert_eq!(checkpoints.newest().unwrap().0.unwrap().step(), 8);
}

#[test]
fn an_error_leaves_earlier_checkpoints_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(home.path(), keep(1)).unwrap();
    save(&checkpoints, 1).unwrap();
    let error = checkpoints.save(2, |writer| {
        writer.json("state.json", &state(2))?;
        writer.file("weights.safetensors", |out| {
            out.write_all(&[0; 4096])?;
            Err(io::ErrorKind::StorageFull.into())
        })
    });
    let error = error.unwrap_err();
    assert!(error.to_string().contains("weights.safetensors"), "{error}");
    assert_eq!(names(home.path()).unwrap(), ["step-00000001"]);
    assert_eq!(checkpoints.newest().unwrap().0.unwrap().step(), 1);
}

#[test]
fn what_a_kill_left_unfinished_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(home.path(), keep(2)).unwrap();
    save(&checkpoints, 1).unwrap();
    let unfinished = home.path().join(format!("{UNFINISHED}00000002"));
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("weights.safetensors"), [0; 100]).unwrap();
    let checkpoints = Checkpoints::open(home.path(), keep(2)).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(checkpoints.steps().unwrap(), [1]);
}

/// What `a_full_disk_leaves_the_last_checkpoint_intact` runs in a process of its own.
#[test]
#[ignore = "run by another test, in a process with a limit"]
fn fill_the_disk() {
    let folder = std::env::var_os("MOBILEVLM_FILL").unwrap();
    let checkpoints = Checkpoints::open(Path::new(&folder), keep(1)).unwrap();
    save(&checkpoints, 1).unwrap();
    let error = checkpoints.save(2, |writer| {
        writer.json("state.json", &state(2))?;
        // More than the limit, and more than the buffer.
        writer.file("weights.safetensors", |out| out.write_all(&[7; 4 << 20]))
    });
    assert!(error.is_err(), "the limit does not hold");
    println!("the disk is full: {}", error.unwrap_err());
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_checkpoint_intact() {
    let home = tempfile::tempdir().unwrap();
    // Files of at most some hundred blocks; without the signal, writing more is an error.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(
            concat!(module_path!(), "::fill_the_disk")
                .split_once("::")
                .unwrap()
                .1,
        )
        .env("MOBILEVLM_FILL", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the disk is full"), "{said}");
    let checkpoints = Checkpoints::open(home.path(), keep(1)).unwrap();
    let (saved, damaged) = checkpoints.newest().unwrap();
    assert_eq!(
        saved.unwrap().json::<State>("state.json").unwrap(),
        state(1)
    );
    assert!(damaged.is_empty());
    assert_eq!(names(home.path()).unwrap(), ["step-00000001"]);
}
