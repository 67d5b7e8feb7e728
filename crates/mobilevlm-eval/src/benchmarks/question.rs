//! What is asked.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::answers::Id;

/// A question of a benchmark.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its id. MME has each id twice.
    pub id: Id,
    /// The question as it is written to the answers file.
    pub prompt: String,
    /// What the user says, after the picture.
    pub text: String,
    /// The picture; `None` where the question is text alone.
    pub picture: Option<PictureSource>,
    /// What becomes of a picture that is no square.
    pub crop: Crop,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// MMBench's options, which its answers file repeats.
    pub choices: Option<Choices>,
}

/// Where a question's picture is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PictureSource {
    /// A file, by its path below the benchmark's folder, with `/` between the parts.
    File(String),
    /// The file's bytes in base64.
    Base64(Arc<str>),
}

impl PictureSource {
    /// What the picture is called: the path, or `base64:` and the first 16 hexadecimal digits of the
    /// SHA-256 of the base64 text.
    pub fn name(&self) -> String {
        match self {
            PictureSource::File(path) => path.clone(),
            PictureSource::Base64(text) => {
                let hash = Sha256::digest(text.as_bytes());
                let digits = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
                format!("base64:{}", digits.collect::<String>())
            }
        }
    }
}

/// What becomes of a picture that is no square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crop {
    /// As the model's configuration says: padded to a square in the released ones.
    Model,
    /// The shortest side is resized to the tower's size, the middle is cut out.
    Centre,
}

/// The options of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Their texts, from A.
    pub options: Vec<String>,
}

impl Choices {
    /// Their letters.
    pub fn letters(&self) -> Vec<String> {
        ('A'..).take(self.options.len()).map(String::from).collect()
    }
}
