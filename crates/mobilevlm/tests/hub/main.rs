//! The hub against a server that drops, truncates, redirects, throttles and lies.

mod server;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mobilevlm::hub::{Event, Hub, HubError, ModelId, Origin, Patience, Settings, Token};
use server::{COMMIT, Request, Server, Trick};

const ID: &str = "org/name";
const WEIGHTS: &str = "org/name/model.safetensors";

/// A server with a model, and a hub that uses it with an empty cache.
struct Scene {
    server: Server,
    folder: tempfile::TempDir,
    weights: Vec<u8>,
}

impl Scene {
    fn new() -> Scene {
        let server = Server::start();
        // Longer than the buffers on the way, and no two parts alike.
        let weights: Vec<u8> = (0..400_000u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        server.add("org/name/README.md", b"not needed");
        server.add("org/name/config.json", b"{\"model_type\": \"mobilevlm\"}");
        server.add("org/name/tokenizer.model", b"pieces");
        server.add(WEIGHTS, &weights);
        server.add("org/name/pytorch_model.bin", b"not needed either");
        Scene {
            server,
            folder: tempfile::tempdir().unwrap(),
            weights,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            cache: self.folder.path().to_owned(),
            endpoint: self.server.address.clone(),
            token: Some(Token::new("secret")),
            offline: false,
            patience: Patience {
                tries: 4,
                pause: Duration::from_millis(5),
                longest_pause: Duration::from_millis(50),
                stall: Duration::from_millis(600),
            },
        }
    }

    fn hub(&self) -> Hub {
        Hub::new(self.settings()).unwrap()
    }

    fn pull(&self) -> Result<PathBuf, HubError> {
        self.hub().pull(&id(ID), &mut go_on)
    }

    /// Pulls with these tricks on the weights, and demands that the file is right in the end.
    fn pull_despite(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.server.trick(WEIGHTS, tricks);
        let path = self.pull().unwrap();
        self.assert_whole(&path);
    }

    fn assert_whole(&self, snapshot: &Path) {
        assert!(
            fs::read(snapshot.join("model.safetensors")).unwrap() == self.weights,
            "the weights differ"
        );
        assert_eq!(
            fs::read(snapshot.join("tokenizer.model")).unwrap(),
            b"pieces"
        );
        assert_eq!(self.incomplete(), Vec::<String>::new());
    }

    /// Pulls in vain, and demands that nothing in the cache looks like a model afterwards.
    fn pull_in_vain(&self, tricks: impl IntoIterator<Item = Trick>) -> HubError {
        self.server.trick(WEIGHTS, tricks);
        let error = self.pull().unwrap_err();
        assert_eq!(self.hub().cache().find(&id(ID)), None);
        assert!(self.hub().cache().models().is_empty());
        error
    }

    fn incomplete(&self) -> Vec<String> {
        let blobs = fs::read_dir(self.folder.path().join("models--org--name/blobs")).unwrap();
        let names = blobs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".incomplete")).collect()
    }
}

fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

fn go_on(_: &Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn ranges(requests: &[Request]) -> Vec<Option<&str>> {
    requests
        .iter()
        .map(|request| request.header("range"))
        .collect()
}

#[test]
fn a_model_arrives_in_hugging_faces_layout() {
    let scene = Scene::new();
    let path = scene.pull().unwrap();
    scene.assert_whole(&path);
    let repository = scene.folder.path().join("models--org--name");
    assert_eq!(path, repository.join("snapshots").join(COMMIT));
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    let mut names: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["config.json", "model.safetensors", "tokenizer.model"]
    );
    #[cfg(unix)]
    assert!(
        fs::read_link(path.join("config.json"))
            .unwrap()
            .starts_with("../../blobs")
    );
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let scene = Scene::new();
    let first = scene.hub().resolve(ID, &mut go_on).unwrap();
    assert_eq!(first.origin, Origin::Downloaded(id(ID)));
    let requests = scene.server.requests("").len();
    let second = scene.hub().resolve(ID, &mut go_on).unwrap();
    assert_eq!(
        (second.path, second.origin),
        (first.path, Origin::Cache(id(ID)))
    );
    assert_eq!(
        scene.server.requests("").len(),
        requests,
        "resolving what is here used the network"
    );
    scene.pull().unwrap();
    assert_eq!(
        scene.server.gets("resolve").len(),
        3,
        "a file was fetched twice"
    );
}

#[test]
fn a_folder_or_file_is_taken_as_it_is() {
    let scene = Scene::new();
    let folder = scene.folder.path().join("my-model");
    fs::create_dir(&folder).unwrap();
    let found = scene
        .hub()
        .resolve(folder.to_str().unwrap(), &mut go_on)
        .unwrap();
    assert_eq!((found.path, found.origin), (folder, Origin::Path));
    let missing = scene.hub().resolve("./no/such/model", &mut go_on);
    assert!(
        matches!(missing, Err(HubError::NoSuchPath { .. })),
        "{missing:?}"
    );
    assert_eq!(scene.server.requests("").len(), 0);
}

#[test]
fn a_dropped_connection_is_continued_where_it_broke() {
    let scene = Scene::new();
    scene.pull_despite([Trick::Drop(500_000), Trick::Drop(0), Trick::Drop(300_000)]);
    let gets = scene.server.gets("model.safetensors");
    assert_eq!(ranges(&gets)[0], None);
    assert_eq!(gets.len(), 4);
    // A system may deliver fewer bytes than were sent before the reset, never more.
    let starts: Vec<usize> = ranges(&gets)[1..]
        .iter()
        .map(|range| {
            range
                .unwrap()
                .trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse()
                .unwrap()
        })
        .collect();
    assert!(
        starts[0] > 0 && starts[0] <= 500_000 && starts[0] == starts[1] && starts[2] > starts[1],
        "{starts:?}"
    );
}

#[test]
fn an_interrupted_run_is_continued_by_the_next() {
    let scene = Scene::new();
    let stopped = scene.hub().pull(&id(ID), &mut |event| match event {
        Event::Progress(progress)
            if progress.file == "model.safetensors" && progress.file_bytes > 0 =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(HubError::Cancelled)), "{stopped:?}");
    assert_eq!(scene.incomplete().len(), 1);
    assert_eq!(scene.hub().cache().find(&id(ID)), None);
    scene.pull_despite([]);
    let gets = scene.server.gets("model.safetensors");
    assert!(
        gets.len() == 2 && gets[1].header("range").is_some(),
        "{gets:?}"
    );
}

#[test]
fn bytes_of_an_earlier_run_that_are_wrong_are_fetched_again() {
    let scene = Scene::new();
    let stopped = scene.hub().pull(&id(ID), &mut |event| match event {
        Event::Progress(progress) if progress.file_bytes > 100_000 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(stopped.is_err());
    let partial = scene
        .folder
        .path()
        .join("models--org--name/blobs")
        .join(&scene.incomplete()[0]);
    let mut bytes = fs::read(&partial).unwrap();
    bytes[5] ^= 1;
    fs::write(&partial, bytes).unwrap();
    scene.pull_despite([]);
    assert_eq!(
        scene
            .server
            .gets("model.safetensors")
            .last()
            .unwrap()
            .header("range"),
        None
    );
}

#[test]
fn an_earlier_run_that_left_too_much_is_begun_again() {
    let scene = Scene::new();
    scene.pull().unwrap();
    let blob = fs::canonicalize(
        scene
            .hub()
            .cache()
            .find(&id(ID))
            .unwrap()
            .join("model.safetensors"),
    )
    .unwrap();
    let mut bytes = fs::read(&blob).unwrap();
    bytes.extend_from_slice(b"more");
    fs::write(blob.with_extension("incomplete"), bytes).unwrap();
    fs::remove_file(&blob).unwrap();
    scene.pull_despite([]);
}

#[test]
fn a_server_that_ignores_ranges_starts_the_file_again() {
    let scene = Scene::new();
    scene.pull_despite([Trick::Drop(500_000), Trick::IgnoreRange]);
}

#[test]
fn another_part_than_asked_for_is_refused() {
    let scene = Scene::new();
    let error = scene.pull_in_vain([Trick::Drop(500_000), Trick::WrongRange]);
    assert!(
        error
            .to_string()
            .contains("the part of the file that was asked for"),
        "{error}"
    );
}

#[test]
fn a_length_that_is_too_long_or_too_short_is_noticed() {
    for lie in [
        Trick::ClaimMore(1000),
        Trick::ClaimLess(1000),
        Trick::Overrun,
    ] {
        // Once is bad luck, always is an error.
        let scene = Scene::new();
        scene.pull_despite([lie.clone()]);
        let scene = Scene::new();
        let error = scene.pull_in_vain(std::iter::repeat_n(lie.clone(), 20));
        let HubError::Length {
            expected, found, ..
        } = error
        else {
            panic!("{lie:?}: {error:?}")
        };
        assert!(
            expected == scene.weights.len() as u64 && found != expected,
            "{lie:?}: {expected} {found}"
        );
    }
}

#[test]
fn damage_is_noticed_by_the_hash() {
    let scene = Scene::new();
    let error = scene.pull_in_vain([Trick::Flip]);
    assert!(matches!(error, HubError::Hash { .. }), "{error:?}");
    // What was damaged is thrown away, so trying again helps.
    scene.pull_despite([]);
}

#[test]
fn damage_after_a_drop_is_noticed_too() {
    let scene = Scene::new();
    let error = scene.pull_in_vain([Trick::Drop(500_000), Trick::Flip]);
    assert!(matches!(error, HubError::Hash { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_not_what_its_hash_says_never_gets_its_name() {
    let scene = Scene::new();
    let claimed = "ab".repeat(32);
    scene.server.claim_hash(WEIGHTS, &claimed);
    let error = scene.pull_in_vain([]);
    assert!(error.to_string().contains(&claimed), "{error}");
    assert!(
        !scene
            .folder
            .path()
            .join("models--org--name/blobs")
            .join(claimed)
            .exists()
    );
}

#[test]
fn a_file_that_changes_in_between_is_fetched_as_it_is_now() {
    let mut scene = Scene::new();
    let new: Vec<u8> = scene.weights.iter().map(|byte| byte ^ 0x55).collect();
    scene
        .server
        .trick(WEIGHTS, [Trick::Drop(500_000), Trick::Become(new.clone())]);
    let path = scene.pull().unwrap();
    scene.weights = new;
    assert!(
        fs::read(path.join("model.safetensors")).unwrap() == scene.weights,
        "old and new were mixed"
    );
}

#[test]
fn a_file_that_never_stops_changing_is_an_error() {
    let scene = Scene::new();
    let contents = (0..20u8).map(|i| Trick::Become(vec![i; 1000 + i as usize]));
    let error = scene.pull_in_vain(contents);
    assert!(matches!(error, HubError::Changed { .. }), "{error:?}");
}

#[test]
fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let scene = Scene::new();
    // Each pause is shorter than the patience, all together are longer.
    let start = Instant::now();
    scene.pull_despite([Trick::Throttle(Duration::from_millis(150))]);
    assert!(start.elapsed() > Duration::from_millis(1000));
    assert_eq!(scene.server.gets("model.safetensors").len(), 1);

    let scene = Scene::new();
    let start = Instant::now();
    scene.pull_despite([Trick::Stall(500_000)]);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "a silent connection was kept for {:?}",
        start.elapsed()
    );
    assert_eq!(scene.server.gets("model.safetensors").len(), 2);
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let scene = Scene::new();
    let storage = Server::start();
    storage.add(&format!("storage/{WEIGHTS}"), b"");
    storage.add(WEIGHTS, &scene.weights);
    let elsewhere = format!("{}/storage", storage.address);
    scene.pull_despite([
        Trick::Redirect(elsewhere.clone()),
        Trick::Redirect(elsewhere),
    ]);
    let there = storage.requests("model.safetensors");
    assert_eq!(there.len(), 1);
    assert!(
        there[0].header("authorization").is_none(),
        "the token left the hub: {there:?}"
    );
    for request in scene.server.requests("") {
        assert_eq!(
            request.header("authorization"),
            Some("Bearer secret"),
            "{request:?}"
        );
    }
}

#[test]
fn a_download_behind_a_redirection_is_continued_there() {
    let scene = Scene::new();
    let storage = Server::start();
    storage.add(WEIGHTS, &scene.weights);
    storage.trick(WEIGHTS, [Trick::Drop(500_000)]);
    let elsewhere = format!("{}/storage", storage.address);
    scene.pull_despite([
        Trick::Redirect(elsewhere.clone()),
        Trick::Redirect(elsewhere),
    ]);
    let there = storage.gets("model.safetensors");
    assert!(
        there.len() == 2 && there[1].header("range").is_some(),
        "{there:?}"
    );
}

#[test]
fn a_renamed_repository_is_followed_with_the_token() {
    let scene = Scene::new();
    let renamed = format!("{}/moved", scene.server.address);
    scene.server.trick(
        WEIGHTS,
        [Trick::Redirect(renamed.clone()), Trick::Redirect(renamed)],
    );
    scene
        .server
        .add("moved/org/name/model.safetensors", &scene.weights);
    let path = scene.pull().unwrap();
    scene.assert_whole(&path);
    let there = scene.server.requests("/moved/");
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].header("authorization"), Some("Bearer secret"));
}

#[test]
fn redirections_have_an_end() {
    let scene = Scene::new();
    let itself = format!(
        "{}/org/name/resolve/{COMMIT}/model.safetensors?",
        scene.server.address
    );
    let error = scene.pull_in_vain(std::iter::repeat_n(Trick::Redirect(itself), 20));
    assert!(error.to_string().contains("and on and on"), "{error}");
}

#[test]
fn a_redirection_to_another_kind_of_address_is_refused() {
    let scene = Scene::new();
    let error = scene.pull_in_vain([Trick::Redirect("file:///etc".to_owned())]);
    assert!(matches!(error, HubError::Redirect { .. }), "{error:?}");
}

#[test]
fn refusals_say_what_to_do_and_are_not_repeated() {
    for (status, part) in [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "spelling")] {
        let scene = Scene::new();
        scene.server.trick_list([Trick::Status(status, "")]);
        let message = scene.pull().unwrap_err().to_string();
        assert!(
            message.contains(part) && message.contains(&status.to_string()),
            "{message}"
        );
        assert_eq!(scene.server.requests("").len(), 1, "{status} was repeated");
    }
}

#[test]
fn a_busy_server_is_asked_again_as_often_as_patience_says() {
    for status in [429, 500, 502, 503] {
        let scene = Scene::new();
        scene.server.trick_list([
            Trick::Status(status, ""),
            Trick::Status(status, "Retry-After: 3600\r\n"),
        ]);
        scene.pull_despite([Trick::Status(status, ""), Trick::Status(status, "")]);

        let scene = Scene::new();
        let error = scene.pull_in_vain(std::iter::repeat_n(Trick::Status(status, ""), 20));
        assert!(
            matches!(error, HubError::Status { status: found, .. } if found == status),
            "{error:?}"
        );
        assert_eq!(scene.server.gets("model.safetensors").len(), 4);
    }
}

#[test]
fn no_server_is_an_error_that_names_it() {
    let scene = Scene::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = Settings {
        endpoint: format!("http://{nobody}"),
        ..scene.settings()
    };
    let error = Hub::new(settings)
        .unwrap()
        .pull(&id(ID), &mut go_on)
        .unwrap_err();
    assert!(matches!(error, HubError::Connection { .. }), "{error:?}");
    assert!(error.to_string().contains(&nobody.to_string()), "{error}");
}

#[test]
fn offline_uses_what_is_here_and_asks_nobody() {
    let scene = Scene::new();
    let offline = || {
        Hub::new(Settings {
            offline: true,
            ..scene.settings()
        })
        .unwrap()
    };
    let error = offline().resolve(ID, &mut go_on).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "{error:?}");
    assert_eq!(scene.server.requests("").len(), 0);
    let path = scene.pull().unwrap();
    assert_eq!(offline().resolve(ID, &mut go_on).unwrap().path, path);
}

#[test]
fn a_mirror_that_knows_no_head_is_asked_in_full() {
    let scene = Scene::new();
    scene.server.forbid_head();
    scene.pull_despite([]);
}

#[test]
fn a_repository_without_a_model_says_what_it_has() {
    let scene = Scene::new();
    scene.server.add("org/empty/README.md", b"nothing here");
    let message = scene
        .hub()
        .pull(&id("org/empty"), &mut go_on)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("config.json") && message.contains("README.md"),
        "{message}"
    );
}

#[test]
fn an_index_brings_the_files_that_it_names() {
    let scene = Scene::new();
    for (name, content) in [
        ("config.json", &b"{}"[..]),
        ("tokenizer.model", b"t"),
        (
            "pytorch_model.bin.index.json",
            br#"{"weight_map": {"a": "p-1.bin", "b": "p-2.bin"}}"#,
        ),
        ("p-1.bin", b"first"),
        ("p-2.bin", b"second"),
        ("p-3.bin", b"of something else"),
    ] {
        scene.server.add(&format!("org/sharded/{name}"), content);
    }
    let path = scene.hub().pull(&id("org/sharded"), &mut go_on).unwrap();
    assert_eq!(fs::read(path.join("p-2.bin")).unwrap(), b"second");
    assert!(!path.join("p-3.bin").exists());
    assert_eq!(scene.hub().cache().find(&id("org/sharded")), Some(path));
}

/// A safetensors file with the language model's head and nothing else.
fn weights_without_tower() -> Vec<u8> {
    let header = br#"{"lm_head.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat()
}

#[test]
fn a_model_without_a_tower_brings_the_one_that_it_names() {
    let scene = Scene::new();
    for (name, content) in [
        (
            "v1/model/config.json",
            &br#"{"model_type": "mobilevlm", "mm_vision_tower": "clip/tower"}"#[..],
        ),
        ("v1/model/tokenizer.model", b"t"),
        ("v1/model/model.safetensors", &weights_without_tower()),
        ("clip/tower/config.json", b"{}"),
        ("clip/tower/preprocessor_config.json", b"{}"),
        ("clip/tower/pytorch_model.bin", b"tower"),
    ] {
        scene.server.add(name, content);
    }
    let model = scene.hub().pull(&id("v1/model"), &mut go_on).unwrap();
    let tower = scene.hub().cached_tower(&model).unwrap();
    assert_eq!(fs::read(tower.join("pytorch_model.bin")).unwrap(), b"tower");
    assert!(tower.join("preprocessor_config.json").exists());
    // The tower is no model to talk to.
    let models: Vec<String> = scene
        .hub()
        .cache()
        .models()
        .iter()
        .map(|model| model.id.to_string())
        .collect();
    assert_eq!(models, ["v1/model"]);

    // A run that stopped between the two is completed by the next.
    fs::remove_dir_all(scene.folder.path().join("models--clip--tower")).unwrap();
    scene.hub().resolve("v1/model", &mut go_on).unwrap();
    assert_eq!(scene.hub().cached_tower(&model), Some(tower));
}

#[test]
fn a_model_with_its_tower_inside_brings_no_other() {
    let scene = Scene::new();
    let golden = mobilevlm_testing::micro_golden("checkpoint");
    for name in [
        "config.json",
        "vision_config.json",
        "tokenizer.model",
        "model.safetensors",
    ] {
        scene.server.add(
            &format!("v2/model/{name}"),
            &fs::read(golden.join(name)).unwrap(),
        );
    }
    let config = fs::read_to_string(golden.join("config.json")).unwrap();
    assert!(
        config.contains("mm_vision_tower"),
        "this set cannot show anything"
    );
    let model = scene.hub().pull(&id("v2/model"), &mut go_on).unwrap();
    assert_eq!(scene.hub().cached_tower(&model), None);
    assert!(
        scene
            .server
            .requests("")
            .iter()
            .all(|request| request.path.contains("v2/model"))
    );
}

#[test]
fn progress_ends_at_the_total() {
    let scene = Scene::new();
    let (mut total, mut last) = (0, 0);
    scene
        .hub()
        .pull(&id(ID), &mut |event| {
            match event {
                Event::Starts { total: bytes, .. } => total = *bytes,
                Event::Progress(progress) => {
                    assert!(progress.bytes >= last, "progress went back");
                    last = progress.bytes;
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(total > scene.weights.len() as u64);
    assert_eq!(last, total);
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let scene = Scene::new();
    scene
        .server
        .trick(WEIGHTS, [Trick::Throttle(Duration::from_millis(60))]);
    std::thread::scope(|scope| {
        let both = [scope.spawn(|| scene.pull()), scope.spawn(|| scene.pull())];
        for pull in both {
            scene.assert_whole(&pull.join().unwrap().unwrap());
        }
    });
    assert_eq!(scene.server.gets("model.safetensors").len(), 1);
}
