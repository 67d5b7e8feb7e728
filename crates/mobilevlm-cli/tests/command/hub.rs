//! Models by hub id, from a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::{Done, Mobilevlm, golden};

/// Serves the micro checkpoint as `org/micro`, and returns its address.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let mut words = first.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let body = answer(path);
            let status = if body.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let body = body.unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // A client that goes away is no failure of the server.
            let _ = stream.write_all(head.as_bytes());
            if method == "GET" {
                let _ = stream.write_all(&body);
            }
        }
    });
    address
}

fn answer(path: &str) -> Option<Vec<u8>> {
    const FILES: [&str; 4] = [
        "config.json",
        "vision_config.json",
        "tokenizer.model",
        "model.safetensors",
    ];
    if path == "/api/models/org/micro/revision/main" {
        let siblings: Vec<_> = FILES
            .iter()
            .map(|file| serde_json::json!({"rfilename": file}))
            .collect();
        return Some(
            serde_json::json!({"sha": "c0ffee", "siblings": siblings})
                .to_string()
                .into_bytes(),
        );
    }
    let file = path.strip_prefix("/org/micro/resolve/c0ffee/")?;
    FILES
        .contains(&file)
        .then(|| std::fs::read(golden(&format!("checkpoint/{file}"))).unwrap())
}

#[test]
fn a_model_by_hub_id_is_fetched_once_and_then_the_only_one() {
    let endpoint = serve();
    let command = Mobilevlm::new();
    let run = |arguments: &[&str], endpoint: &str| {
        Done::new(
            command
                .command()
                .args(arguments)
                .env("HF_ENDPOINT", endpoint)
                .output()
                .unwrap(),
        )
    };
    let picture = golden("images/a.png");
    let question = ["ask", &picture, "What is this?", "--max-new-tokens", "4"];
    let with_model = [&question[..], &["-m", "org/micro"]].concat();
    let first = run(&with_model, &endpoint).expect(0);
    let local = command
        .run(&[&question[..], &["-m", &golden("checkpoint")]].concat())
        .expect(0);
    assert_eq!(first.out, local.out);
    assert_eq!(first.err, "", "progress belongs on a terminal only");
    // From now on nothing is asked of anybody.
    let nowhere = "http://127.0.0.1:1";
    assert_eq!(run(&with_model, nowhere).expect(0).out, local.out);
    assert_eq!(run(&question, nowhere).expect(0).out, local.out);
    let doctor = run(&["doctor", "--json"], nowhere).expect(0).json();
    assert_eq!(doctor["models"]["models"][0]["name"], "org/micro");
    // Asking for the newest state needs the server.
    let done = run(&["pull", "org/micro"], nowhere).expect(1);
    assert!(done.err.contains(nowhere), "{}", done.err);
    let pulled = run(&["pull", "org/micro"], &endpoint).expect(0).out;
    assert!(
        pulled
            .trim()
            .ends_with("models--org--micro/snapshots/c0ffee"),
        "{pulled}"
    );
}

#[test]
fn verify_never_uses_the_network() {
    let endpoint = serve();
    let command = Mobilevlm::new();
    let set = golden("");
    let arguments = ["verify", "-m", "org/micro", "--golden", &set];
    let run = || {
        Done::new(
            command
                .command()
                .args(arguments)
                .env("HF_ENDPOINT", &endpoint)
                .output()
                .unwrap(),
        )
    };
    run().expect(1);
    let mut pull = command.command();
    Done::new(
        pull.args(["pull", "org/micro"])
            .env("HF_ENDPOINT", &endpoint)
            .output()
            .unwrap(),
    )
    .expect(0);
    run().expect(0);
}

#[test]
fn a_model_that_is_not_there_says_what_to_do() {
    let endpoint = serve();
    let command = Mobilevlm::new();
    let mut pull = command.command();
    let done = Done::new(
        pull.args(["pull", "org/other"])
            .env("HF_ENDPOINT", &endpoint)
            .output()
            .unwrap(),
    )
    .expect(1);
    assert!(
        done.err.contains("404") && done.err.contains("spelling"),
        "{}",
        done.err
    );
}
