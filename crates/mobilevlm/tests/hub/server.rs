//! A hub on this machine that behaves, or misbehaves in ways that a test asks for.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What is done instead of answering one request properly.
#[derive(Clone, Debug)]
pub(crate) enum Trick {
    /// The connection closes after this many bytes of the body.
    Drop(usize),
    /// This status, with further header lines.
    Status(u16, &'static str),
    /// The whole file, although a part was asked for.
    IgnoreRange,
    /// A part, although from another place than asked for.
    WrongRange,
    /// The announced length is this much larger, and nothing follows.
    ClaimMore(usize),
    /// The announced length is this much smaller, and so is the body.
    ClaimLess(usize),
    /// A body without announced length that goes on after the file.
    Overrun,
    /// One bit is wrong.
    Flip,
    /// Small pieces with pauses.
    Throttle(Duration),
    /// Silence after this many bytes.
    Stall(usize),
    /// The file is another one from now on.
    Become(Vec<u8>),
    /// Redirects to this address with the file's path behind it.
    Redirect(String),
    /// Answers as if all were well.
    Behave,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }
}

struct Stored {
    content: Vec<u8>,
    /// Large files have a SHA-256 and are announced by `X-Linked-…`.
    large: bool,
    /// For the next GET requests, one each.
    tricks: VecDeque<Trick>,
    /// The hash that is announced instead of the right one.
    claimed_hash: Option<String>,
}

struct State {
    files: BTreeMap<String, Stored>,
    list_tricks: VecDeque<Trick>,
    head_allowed: bool,
    requests: Vec<Request>,
}

/// Runs until the process ends; each test has its own.
pub(crate) struct Server {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            files: BTreeMap::new(),
            list_tricks: VecDeque::new(),
            head_allowed: true,
            requests: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that goes away is no failure of the server.
                std::thread::spawn(move || answer(stream, &state).ok());
            }
        });
        Server { address, state }
    }

    /// Adds a file `org/name/file`. Files of weights are large.
    pub(crate) fn add(&self, path: &str, content: &[u8]) {
        let large = path.ends_with(".safetensors") || path.ends_with(".bin");
        let file = Stored {
            content: content.to_vec(),
            large,
            tricks: VecDeque::new(),
            claimed_hash: None,
        };
        self.state
            .lock()
            .unwrap()
            .files
            .insert(path.to_owned(), file);
    }

    /// What the next GET requests for this file meet.
    pub(crate) fn trick(&self, path: &str, tricks: impl IntoIterator<Item = Trick>) {
        self.state
            .lock()
            .unwrap()
            .files
            .get_mut(path)
            .unwrap()
            .tricks
            .extend(tricks);
    }

    /// What the next requests for a list of files meet.
    pub(crate) fn trick_list(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.state.lock().unwrap().list_tricks.extend(tricks);
    }

    pub(crate) fn claim_hash(&self, path: &str, hash: &str) {
        self.state
            .lock()
            .unwrap()
            .files
            .get_mut(path)
            .unwrap()
            .claimed_hash = Some(hash.to_owned());
    }

    pub(crate) fn forbid_head(&self) {
        self.state.lock().unwrap().head_allowed = false;
    }

    /// All requests so far whose path contains `part`.
    pub(crate) fn requests(&self, part: &str) -> Vec<Request> {
        let state = self.state.lock().unwrap();
        state
            .requests
            .iter()
            .filter(|request| request.path.contains(part))
            .cloned()
            .collect()
    }

    /// The GET requests so far for a file.
    pub(crate) fn gets(&self, part: &str) -> Vec<Request> {
        self.requests(part)
            .into_iter()
            .filter(|request| request.method == "GET")
            .collect()
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim().split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => break,
            }
        }
        let request = Request {
            method,
            path,
            headers,
        };
        state.lock().unwrap().requests.push(request.clone());
        if request.path.starts_with("/api/models/") {
            list(&request, state, &mut out)?;
        } else {
            file(&request, state, &mut out)?;
        }
    }
}

fn list(request: &Request, state: &Mutex<State>, out: &mut TcpStream) -> std::io::Result<()> {
    let trick = state
        .lock()
        .unwrap()
        .list_tricks
        .pop_front()
        .unwrap_or(Trick::Behave);
    if let Trick::Status(status, lines) = trick {
        return write!(
            out,
            "HTTP/1.1 {status} Trick\r\n{lines}Content-Length: 0\r\n\r\n"
        );
    }
    let id = request
        .path
        .trim_start_matches("/api/models/")
        .split("/revision/")
        .next()
        .unwrap()
        .to_owned();
    let siblings: Vec<serde_json::Value> = state
        .lock()
        .unwrap()
        .files
        .keys()
        .filter_map(|path| path.strip_prefix(&format!("{id}/")))
        .map(|name| serde_json::json!({ "rfilename": name }))
        .collect();
    if siblings.is_empty() {
        return write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    }
    let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Answers `/org/name/resolve/COMMIT/file`, and `/storage/org/name/file` as the host behind a
/// redirection does: without the hub's own headers.
fn file(request: &Request, state: &Mutex<State>, out: &mut TcpStream) -> std::io::Result<()> {
    let is_storage = request.path.starts_with("/storage/");
    let path = request.path.split('?').next().unwrap_or_default();
    let path = path.trim_start_matches("/storage").trim_start_matches('/');
    let path = path.replace(&format!("/resolve/{COMMIT}/"), "/");
    let (content, large, trick, hash) = {
        let mut state = state.lock().unwrap();
        if request.method == "HEAD" && !state.head_allowed {
            return write!(out, "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n");
        }
        let Some(file) = state.files.get_mut(&path) else {
            return write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let trick = if request.method == "GET" {
            file.tricks.pop_front()
        } else {
            None
        };
        if let Some(Trick::Become(content)) = &trick {
            file.content = content.clone();
        }
        let right: String = Sha256::digest(&file.content)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let hash = file.claimed_hash.clone().unwrap_or(right);
        (
            file.content.clone(),
            file.large,
            trick.unwrap_or(Trick::Behave),
            hash,
        )
    };
    // A small file's etag is something of 40 digits; a large one's is its SHA-256.
    let identity = match (is_storage, large) {
        (true, _) => "ETag: \"of-the-storage\"\r\n".to_owned(),
        (false, true) => format!(
            "X-Linked-Etag: \"{hash}\"\r\nX-Linked-Size: {}\r\n",
            content.len()
        ),
        (false, false) => format!("ETag: \"{}\"\r\n", &hash[..40]),
    };
    match &trick {
        Trick::Status(status, lines) => {
            return write!(
                out,
                "HTTP/1.1 {status} Trick\r\n{lines}Content-Length: 0\r\n\r\n"
            );
        }
        Trick::Redirect(to) => {
            return write!(
                out,
                "HTTP/1.1 302 Found\r\n{identity}Location: {to}/{path}\r\nContent-Length: 0\r\n\r\n"
            );
        }
        _ => {}
    }
    let asked = request.header("range").and_then(|range| {
        range
            .trim_start_matches("bytes=")
            .trim_end_matches('-')
            .parse::<usize>()
            .ok()
    });
    let asked = asked.filter(|_| !matches!(trick, Trick::IgnoreRange));
    let mut first = asked.unwrap_or(0);
    if first >= content.len() && first > 0 {
        return write!(
            out,
            "HTTP/1.1 416 Range\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\n\r\n",
            content.len()
        );
    }
    if matches!(trick, Trick::WrongRange) {
        first = first.saturating_sub(7);
    }
    let mut body = content[first..].to_vec();
    let mut length = body.len();
    match trick {
        Trick::Flip => *body.last_mut().unwrap() ^= 1,
        Trick::ClaimMore(more) => length += more,
        Trick::ClaimLess(less) => {
            length -= less;
            body.truncate(length);
        }
        _ => {}
    }
    match asked {
        Some(_) => write!(
            out,
            "HTTP/1.1 206 Part\r\n{identity}Content-Range: bytes {first}-{}/{}\r\n",
            first + length - 1,
            first + length
        )?,
        None => write!(out, "HTTP/1.1 200 OK\r\n{identity}")?,
    }
    if matches!(trick, Trick::Overrun) {
        body.extend_from_slice(&[b'!'; 100_000]);
        write!(out, "Connection: close\r\n\r\n")?;
    } else {
        write!(out, "Content-Length: {length}\r\n\r\n")?;
    }
    if request.method == "HEAD" {
        return Ok(());
    }
    match trick {
        Trick::Drop(after) => {
            out.write_all(&body[..after.min(body.len())])?;
            out.shutdown(Shutdown::Both)
        }
        Trick::Stall(after) => {
            out.write_all(&body[..after.min(body.len())])?;
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        Trick::Throttle(pause) => {
            for piece in body.chunks(body.len() / 8 + 1) {
                out.write_all(piece)?;
                out.flush()?;
                std::thread::sleep(pause);
            }
            Ok(())
        }
        Trick::ClaimMore(_) | Trick::Overrun => {
            out.write_all(&body)?;
            out.shutdown(Shutdown::Both)
        }
        _ => out.write_all(&body),
    }
}
