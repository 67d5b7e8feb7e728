//! The benchmarks: how each asks and how it is scored. One file each, and one line in
//! [`BENCHMARKS`].

mod gqa;
mod mmbench;
mod mme;
mod pope;
mod sqa;
mod textvqa;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::align::Alignment;
use crate::answers::{Answers, Id};
use crate::error::BenchmarkError;
use crate::figures::Figures;
use crate::files::{demand, task_folder};

/// All benchmarks, in the order of the paper's table.
pub const BENCHMARKS: &[&dyn Benchmark] = &[
    &gqa::Gqa,
    &sqa::Sqa,
    &textvqa::TextVqa,
    &pope::Pope,
    &mme::Mme,
    &mmbench::MmBench,
];

/// Upstream's archive of questions, labels and scripts.
const BENCHMARK_DATA: &str =
    "https://github.com/Meituan-AutoML/MobileVLM/releases/download/v0.1/benchmark_data.zip";

/// The wish that LLaVA adds to questions with a short answer.
const SHORT: &str = "Answer the question using a single word or phrase.";

/// The wish that LLaVA adds to questions with options.
const LETTER: &str = "Answer with the option's letter from the given choices directly.";

/// A benchmark: where its questions are and what its official scripts make of answers.
///
/// All methods take the benchmark's own folder, laid out as upstream's
/// `data/benchmark_data/NAME`.
pub trait Benchmark: Sync {
    /// The name on the command line and of the folder.
    fn name(&self) -> &'static str;

    /// The figure that stands in the paper's table: its path in [`Score::figures`], and by what it
    /// is multiplied.
    fn paper_table_figure(&self) -> (&'static str, f64);

    /// Digits after the point when figures are shown, as the official script has it.
    fn decimals(&self) -> usize {
        2
    }

    /// The files that questions and scores need.
    fn files(&self) -> Vec<Source>;

    /// The folder of the pictures and where to get them; `None` if the questions' file holds them.
    fn pictures(&self) -> Option<Source>;

    /// The questions in the order in which upstream asks them. Pictures are not looked for.
    ///
    /// # Errors
    /// [`BenchmarkError`] names the file and line that is not as it should be.
    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError>;

    /// The official figures.
    ///
    /// # Errors
    /// [`BenchmarkError`] where the official script stops too, and for files that are not as they
    /// should be.
    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError>;
}

/// A file or folder of a benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its place below the benchmark's folder.
    pub path: &'static str,
    /// Where upstream says to get it.
    pub from: &'static str,
    /// Whether nothing at all can be done without it; else a part can be scored.
    pub is_needed: bool,
}

impl Source {
    /// What nothing can be done without.
    pub const fn needed(path: &'static str, from: &'static str) -> Source {
        Source {
            path,
            from,
            is_needed: true,
        }
    }

    /// What a part of the benchmark can be scored without.
    pub const fn part(path: &'static str, from: &'static str) -> Source {
        Source {
            path,
            from,
            is_needed: false,
        }
    }
}

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

/// What a benchmark scores.
pub struct Asked<'a> {
    /// The benchmark's folder.
    pub folder: &'a Path,
    /// All its questions.
    pub questions: &'a [Question],
    /// The recorded answers.
    pub answers: &'a Answers,
    /// Which answer belongs to which question.
    pub alignment: &'a Alignment,
    /// Whether to score what is there instead of refusing what is incomplete.
    pub partial: bool,
}

/// What a benchmark makes of answers.
#[derive(Default)]
pub struct Scored {
    /// The official figures, under the names that `docs/evaluation.md` explains.
    pub figures: Figures,
    /// What was made of each answer.
    pub items: Vec<Item>,
    /// The items with all that the benchmark knows of them, in JSON.
    pub listing: Vec<Value>,
    /// What several items come to together, in JSON: MMBench's questions, of all their rotations.
    pub questions: Vec<Value>,
    /// What the official script does with this file that one would not expect.
    pub notes: Vec<String>,
}

/// What was made of one answer.
#[derive(Clone, Debug)]
pub struct Item {
    /// The answer's line, from 1; `None` where there is none.
    pub line: Option<usize>,
    /// The question's index, from 0; `None` for answers that count without being to one.
    pub question: Option<usize>,
    /// The answer as it is compared.
    pub said: String,
    /// What it is compared with.
    pub gold: String,
    /// From 0 to 1.
    pub score: f64,
    /// Whether it counts in the figure of the paper's table.
    pub counts: bool,
    /// What it is summed with: POPE's split, MME's task, MMBench's question; empty elsewhere.
    pub group: String,
}

/// A benchmark's score.
#[derive(Clone, Debug)]
pub struct Score {
    /// All figures.
    pub figures: Figures,
    /// The one that stands in the paper's table; `None` if it is undefined.
    pub paper_table_figure: Option<f64>,
    /// What was made of each answer.
    pub items: Vec<Item>,
    /// The items with all that the benchmark knows of them, in JSON.
    pub listing: Value,
    /// What is wrong with the answers file, and what the official script makes of that.
    pub notes: Vec<String>,
    /// Present if the figures are those of a part of the benchmark.
    pub partial: Option<Partial>,
}

/// How much of a benchmark was scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Partial {
    /// Questions with an answer.
    pub answered: usize,
    /// All questions.
    pub questions: usize,
}

/// The benchmark of this name.
pub fn benchmark(name: &str) -> Option<&'static dyn Benchmark> {
    BENCHMARKS.iter().copied().find(|one| one.name() == name)
}

/// The questions of a benchmark in `data`, which is its own folder or the one above it. With
/// `partial`, files that a part can be scored without may be missing.
///
/// # Errors
/// [`BenchmarkError::Missing`] names all files that are not there, pictures aside; others name the
/// line that is not as it should be.
pub fn questions(
    benchmark: &dyn Benchmark,
    data: &Path,
    partial: bool,
) -> Result<Vec<Question>, BenchmarkError> {
    let folder = task_folder(benchmark, data);
    let mut files = benchmark.files();
    files.retain(|file| file.is_needed || !partial);
    demand(&folder, &files)?;
    let questions = benchmark.questions(&folder)?;
    match questions.is_empty() {
        true => Err(BenchmarkError::content(
            &folder,
            "no questions in its files",
        )),
        false => Ok(questions),
    }
}

/// Scores answers as the benchmark's official scripts do. With `partial` what is there is scored
/// where they would stop.
///
/// # Errors
/// As [`questions`], and where the official script stops; each with file and line.
pub fn score(
    benchmark: &dyn Benchmark,
    data: &Path,
    answers: &Answers,
    partial: bool,
) -> Result<Score, BenchmarkError> {
    let questions = questions(benchmark, data, partial)?;
    let alignment = Alignment::new(&questions, answers);
    let folder = task_folder(benchmark, data);
    if alignment.is_foreign() {
        let first = &answers.all[0];
        let name = benchmark.name();
        let wrong = format!(
            "{} is no question of {name}, nor is any other line's",
            first.id
        );
        return Err(answers.wrong(first, wrong));
    }
    let scored = benchmark.score(&Asked {
        folder: &folder,
        questions: &questions,
        answers,
        alignment: &alignment,
        partial,
    })?;
    let (path, factor) = benchmark.paper_table_figure();
    let mut notes = alignment.notes(&questions, answers);
    notes.extend(scored.notes);
    Ok(Score {
        paper_table_figure: scored.figures.number(path).map(|figure| factor * figure),
        figures: scored.figures,
        items: scored.items,
        listing: match scored.questions.is_empty() {
            true => Value::Array(scored.listing),
            false => json!({"rows": scored.listing, "questions": scored.questions}),
        },
        notes,
        partial: (partial && !alignment.missing.is_empty()).then(|| Partial {
            answered: questions.len() - alignment.missing.len(),
            questions: questions.len(),
        }),
    })
}

/// A line of the question files that LLaVA's `model_vqa_loader.py` reads.
#[derive(serde::Deserialize)]
struct LoaderLine {
    question_id: Id,
    image: String,
    text: String,
}

/// The questions of a file that `model_vqa_loader.py` reads, with pictures below `pictures`.
fn loader_questions(path: &Path, pictures: &str) -> Result<Vec<Question>, BenchmarkError> {
    let lines = crate::files::json_lines::<LoaderLine>(path)?;
    let question = |(_, line): (usize, LoaderLine)| Question {
        id: line.question_id,
        prompt: line.text.clone(),
        text: line.text,
        picture: Some(PictureSource::File(format!("{pictures}/{}", line.image))),
        crop: Crop::Model,
        max_new_tokens: 128,
        choices: None,
    };
    Ok(lines.into_iter().map(question).collect())
}
