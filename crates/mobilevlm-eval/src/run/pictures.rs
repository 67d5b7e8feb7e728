//! The pictures of a run: decoded ahead on their own threads, encoded once, kept until their last
//! question.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mobilevlm::{EncodedPicture, Limits, Model, Picture};
use mobilevlm_processor::{Aspect, Preprocessor};

use super::decode::decode;
use crate::benchmarks::{Crop, PictureSource};

/// Threads that read, decode and resize: a picture takes milliseconds, a question a multiple.
const THREADS: usize = 2;

/// Pictures that wait decoded (336 x 336 pixels are 340 KB), beside those in the threads' hands.
const AHEAD: usize = 32;

/// Embeds of pictures that are kept for later questions: all of GQA (398 pictures) and POPE (500)
/// for V2-7B, at 144 x 4096 x 4 bytes each. Beyond it, those that are needed last go first.
const KEPT_BYTES: usize = 2 << 30;

/// A picture and what is done to it.
type Wanted<'q> = (&'q PictureSource, Crop);

/// Reads pictures and makes of them what the tower takes.
#[derive(Clone)]
struct Reader<'q> {
    /// The benchmark's folder.
    folder: &'q Path,
    preprocessor: Preprocessor,
}

impl Reader<'_> {
    /// Reads, decodes, resizes and crops one picture.
    fn prepare(&self, (source, crop): Wanted<'_>) -> Prepared {
        let bytes = picture_bytes(source, self.folder)?;
        let image = decode(&bytes).map_err(|error| error.to_string())?;
        let preprocessor = Preprocessor {
            aspect: match crop {
                Crop::Model => self.preprocessor.aspect,
                Crop::Centre => Aspect::Square,
            },
            ..self.preprocessor.clone()
        };
        Ok(Picture::from_prepared(preprocessor.prepare(&image)))
    }
}

/// The bytes of a picture's file, which lies below a benchmark's `folder`.
///
/// # Errors
/// What is wrong with the file or the base64 text.
pub fn picture_bytes(source: &PictureSource, folder: &Path) -> Result<Vec<u8>, String> {
    match source {
        PictureSource::File(path) => read(&folder.join(path)),
        PictureSource::Base64(text) => from_base64(text),
    }
}

/// The bytes of a file, and one more than a picture may have where it is longer.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = Limits::default().bytes as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// Python's `b64decode` passes over what is no digit; line breaks are all that occurs.
fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    STANDARD
        .decode(digits)
        .map_err(|error| format!("expected a picture in base64: {error}"))
}

/// What became of a picture: decoded, resized and cropped, or why it could not be.
type Prepared = Result<Picture, String>;

/// The pictures of the questions that are still to be asked, each by a number.
pub(crate) struct Album<'q> {
    wanted: Vec<Wanted<'q>>,
    /// For each question the number of its picture.
    of_question: Vec<Option<usize>>,
    /// For each picture the questions about it that are still to come, the next one last.
    questions: Vec<Vec<usize>>,
    kept: HashMap<usize, EncodedPicture>,
    kept_bytes: usize,
    most_bytes: usize,
    reader: Reader<'q>,
}

impl<'q> Album<'q> {
    /// The pictures of questions, which are asked in this order.
    pub(crate) fn new(
        model: &Model,
        folder: &'q Path,
        questions: impl Iterator<Item = Option<Wanted<'q>>>,
    ) -> Album<'q> {
        let mut numbers: HashMap<(&PictureSource, bool), usize> = HashMap::new();
        let mut album = Album {
            wanted: Vec::new(),
            of_question: Vec::new(),
            questions: Vec::new(),
            kept: HashMap::new(),
            kept_bytes: 0,
            most_bytes: KEPT_BYTES,
            reader: Reader {
                folder,
                preprocessor: model.preprocessor().clone(),
            },
        };
        for (question, wanted) in questions.enumerate() {
            let number = wanted.map(|wanted| {
                let (source, crop) = wanted;
                *numbers
                    .entry((source, crop == Crop::Centre))
                    .or_insert_with(|| {
                        album.wanted.push(wanted);
                        album.questions.push(Vec::new());
                        album.wanted.len() - 1
                    })
            });
            album.of_question.push(number);
            if let Some(number) = number {
                album.questions[number].push(question);
            }
        }
        album.questions.iter_mut().for_each(|all| all.reverse());
        album
    }

    /// The number of a question's picture.
    pub(crate) fn of_question(&self, question: usize) -> Option<usize> {
        self.of_question[question]
    }

    /// The embeds of a question's picture, which must be asked for in the order of the questions.
    ///
    /// # Errors
    /// What is wrong with the picture.
    pub(crate) fn encoded(
        &mut self,
        model: &Model,
        ahead: &mut Ahead,
        question: usize,
    ) -> Result<Option<EncodedPicture>, String> {
        let Some(number) = self.of_question[question] else {
            return Ok(None);
        };
        while self.questions[number]
            .pop_if(|next| *next <= question)
            .is_some()
        {}
        let encoded = match self.kept.remove(&number) {
            Some(encoded) => {
                self.kept_bytes -= bytes(&encoded);
                encoded
            }
            None => {
                let picture = match ahead.take(number) {
                    Some(prepared) => prepared?,
                    // It was kept, and had to go.
                    None => self.reader.prepare(self.wanted[number])?,
                };
                model.encode(&picture).map_err(|error| error.to_string())?
            }
        };
        if !self.questions[number].is_empty() {
            self.keep(number, encoded.clone());
        }
        Ok(Some(encoded))
    }

    fn keep(&mut self, number: usize, encoded: EncodedPicture) {
        self.kept_bytes += bytes(&encoded);
        self.kept.insert(number, encoded);
        while self.kept_bytes > self.most_bytes {
            let next = |number: &usize| self.questions[*number].last().copied();
            let Some(last) = self.kept.keys().copied().max_by_key(next) else {
                break;
            };
            if let Some(encoded) = self.kept.remove(&last) {
                self.kept_bytes -= bytes(&encoded);
            }
        }
    }

    /// Starts to decode the pictures in the order in which they are needed.
    pub(crate) fn start<'scope, 'env>(&self, scope: &'scope Scope<'scope, 'env>) -> Ahead
    where
        'q: 'scope,
    {
        let (send, receive) = sync_channel(AHEAD);
        let shared = Arc::new((self.wanted.clone(), AtomicUsize::new(0)));
        for _ in 0..THREADS {
            let (send, reader, shared) = (send.clone(), self.reader.clone(), shared.clone());
            scope.spawn(move || decode_ahead(&shared.0, &shared.1, &reader, &send));
        }
        Ahead {
            receive,
            waiting: HashMap::new(),
            taken: vec![false; self.wanted.len()],
        }
    }
}

fn bytes(encoded: &EncodedPicture) -> usize {
    size_of_val(encoded.embeds())
}

/// Takes one picture after the other until none is left or nobody wants more.
fn decode_ahead(
    wanted: &[Wanted<'_>],
    next: &AtomicUsize,
    reader: &Reader<'_>,
    send: &SyncSender<(usize, Prepared)>,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(wanted) = wanted.get(number) else {
            return;
        };
        if send.send((number, reader.prepare(*wanted))).is_err() {
            return;
        }
    }
}

/// Pictures on their way.
pub(crate) struct Ahead {
    receive: Receiver<(usize, Prepared)>,
    /// Arrived before they were needed.
    waiting: HashMap<usize, Prepared>,
    taken: Vec<bool>,
}

impl Ahead {
    /// Waits for a picture; `None` if it was taken before.
    fn take(&mut self, number: usize) -> Option<Prepared> {
        if std::mem::replace(&mut self.taken[number], true) {
            return None;
        }
        loop {
            if let Some(prepared) = self.waiting.remove(&number) {
                return Some(prepared);
            }
            // The threads end early only when this end of the channel is gone.
            let (arrived, prepared) = self.receive.recv().ok()?;
            self.waiting.insert(arrived, prepared);
        }
    }
}
