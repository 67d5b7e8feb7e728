//! Several data sets as one, with a manifest that says what of which is in it.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::file::{DataError, IndexPlace, Rows, replace_file};
use crate::sampler::Shuffle;

/// What a mix is made of: a file in `recipes/`, for instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixRecipe {
    /// What it is called.
    pub name: String,
    /// For people: where the figures are from, what is not certain.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Decides which rows of a set are taken where not all are.
    #[serde(default)]
    pub seed: u64,
    /// The sets, in the order in which they are written.
    pub sets: Vec<MixSet>,
}

/// One set of a mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixSet {
    /// What it is called.
    pub name: String,
    /// Its LLaVA file, below the root.
    pub file: PathBuf,
    /// Put before the names of its pictures; the folder below the root of the pictures that they
    /// are expected in.
    #[serde(default)]
    pub folder: String,
    /// Where to get it.
    #[serde(default)]
    pub source: String,
    /// For people: how many rows it is said to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_rows: Option<u64>,
    /// So many times its rows: 1 takes all, 0.5 half of them, 2 each twice. Not with `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// So many rows, again and again where it has fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MixManifest {
    /// The recipe's name.
    pub name: String,
    /// The recipe's seed.
    pub seed: u64,
    /// Rows of the mix.
    pub rows: u64,
    /// Of the file that was written.
    pub sha256: String,
    /// What it holds of each set.
    pub sets: Vec<MixedSet>,
}

/// What a mix holds of one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MixedSet {
    /// What it is called.
    pub name: String,
    /// Its file, below the root.
    pub file: PathBuf,
    /// Of its file.
    pub sha256: String,
    /// Put before the names of its pictures.
    pub folder: String,
    /// Rows it has.
    pub rows: u64,
    /// Rows taken of it, repetitions counted.
    pub taken: u64,
    /// Rows left out since they are no samples.
    pub broken: u64,
}

/// Why a mix cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MixError {
    /// The recipe is no recipe.
    #[error("the recipe: {0}")]
    Recipe(#[source] serde_json::Error),
    /// A set that takes nobody knows how many rows.
    #[error("set {name:?}: {wrong}")]
    Set {
        /// Which.
        name: String,
        /// What was expected and found.
        wrong: String,
    },
    /// Sets that are not there.
    #[error("not there, below {}:{list}", root.display())]
    Missing {
        /// The root of the files.
        root: PathBuf,
        /// A line for each, with where to get it.
        list: String,
    },
    /// A file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl MixRecipe {
    /// Reads a recipe and checks what it says of each set.
    ///
    /// # Errors
    /// [`MixError::Recipe`] with line and column; [`MixError::Set`].
    pub fn parse(text: &[u8]) -> Result<MixRecipe, MixError> {
        let recipe: MixRecipe = serde_json::from_slice(text).map_err(MixError::Recipe)?;
        for set in &recipe.sets {
            let wrong = |wrong: String| MixError::Set {
                name: set.name.clone(),
                wrong,
            };
            match (set.weight, set.count) {
                (Some(_), Some(_)) => {
                    return Err(wrong("expected weight or count, found both".to_owned()));
                }
                (Some(weight), None) if !(0.0..=1000.0).contains(&weight) => {
                    return Err(wrong(format!("weight {weight}; expected 0 to 1000")));
                }
                _ => {}
            }
        }
        Ok(recipe)
    }

    /// Writes the mix as one JSON array to `output`, whole or not at all. Rows keep their order;
    /// a sampler shuffles them. Of each set rows are held as eight bytes.
    ///
    /// `on_progress` is told how many of how many rows are written and says whether to go on.
    ///
    /// # Errors
    /// [`MixError::Missing`] with all sets that are not below `root`; [`MixError::Data`] if a file
    /// cannot be read or written, or if it is to stop.
    pub fn write(
        &self,
        root: &Path,
        output: &Path,
        place: &IndexPlace,
        on_progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<MixManifest, MixError> {
        self.check_files(root)?;
        let mut sets = Vec::new();
        for set in &self.sets {
            let path = root.join(&set.file);
            let rows = Rows::open(&path, place, &mut |_, _| on_progress(0, 0))?;
            let taken = set.taken(rows.len() as u64);
            sets.push((set, rows, taken));
        }
        let total = sets.iter().map(|(_, _, taken)| taken).sum();
        let mut manifest = MixManifest {
            name: self.name.clone(),
            seed: self.seed,
            rows: 0,
            sha256: String::new(),
            sets: Vec::new(),
        };
        let mut stopped = false;
        let written = replace_file(output, |file| {
            let mut out = Hashing {
                file,
                digest: Sha256::new(),
            };
            out.write_all(b"[")?;
            for (number, (set, rows, taken)) in sets.iter().enumerate() {
                let times = self.times(number, rows.len(), *taken);
                let mut mixed = MixedSet {
                    name: set.name.clone(),
                    file: set.file.clone(),
                    sha256: sha256(rows.path())?,
                    folder: set.folder.clone(),
                    rows: rows.len() as u64,
                    taken: 0,
                    broken: 0,
                };
                for (row, &times) in times.iter().enumerate().filter(|(_, times)| **times > 0) {
                    let Some(text) = set.row(rows, row) else {
                        mixed.broken += 1;
                        continue;
                    };
                    for _ in 0..times {
                        let comma: &[u8] = if manifest.rows > 0 { b",\n" } else { b"\n" };
                        out.write_all(comma)?;
                        out.write_all(&text)?;
                        manifest.rows += 1;
                        mixed.taken += 1;
                    }
                    if row % 1024 == 0 && on_progress(manifest.rows, total).is_break() {
                        stopped = true;
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                }
                manifest.sets.push(mixed);
            }
            out.write_all(b"\n]\n")?;
            manifest.sha256 = hex(&out.digest.finalize());
            Ok(())
        });
        match written {
            _ if stopped => Err(DataError::Stopped.into()),
            Ok(()) => Ok(manifest),
            Err(error) => Err(DataError::file(output, "written")(error).into()),
        }
    }

    fn check_files(&self, root: &Path) -> Result<(), MixError> {
        let missing = self
            .sets
            .iter()
            .filter(|set| !root.join(&set.file).is_file());
        let line = |set: &MixSet| {
            let from = match set.source.as_str() {
                "" => String::new(),
                source => format!(" ({source})"),
            };
            format!("\n  {}: {}{from}", set.name, set.file.display())
        };
        let list: String = missing.map(line).collect();
        match list.is_empty() {
            true => Ok(()),
            false => Err(MixError::Missing {
                root: root.to_owned(),
                list,
            }),
        }
    }

    /// How often each row of a set is taken: all equally often, and a random part once more.
    fn times(&self, number: usize, rows: usize, taken: u64) -> Vec<u32> {
        if rows == 0 {
            return Vec::new();
        }
        let whole = u32::try_from(taken / rows as u64).unwrap_or(u32::MAX);
        let mut times = vec![whole; rows];
        let rest = (taken % rows as u64) as usize;
        if rest > 0 {
            let order = Shuffle::new(self.seed, number as u64).permutation(rows);
            for &row in &order[..rest] {
                times[row] = times[row].saturating_add(1);
            }
        }
        times
    }
}

impl MixSet {
    /// Rows to take of `rows`.
    fn taken(&self, rows: u64) -> u64 {
        match self.count {
            Some(count) => count,
            None => (self.weight.unwrap_or(1.0) * rows as f64).round() as u64,
        }
    }

    /// The row's text with its picture in the set's folder; `None` if it is no sample.
    fn row(&self, rows: &Rows, row: usize) -> Option<Vec<u8>> {
        rows.read(row).ok()?;
        let (_, text) = rows.read_bytes(row).ok()?;
        if self.folder.is_empty() {
            return Some(text);
        }
        let mut value: Value = serde_json::from_slice(&text).ok()?;
        if let Some(Value::String(image)) = value.get_mut("image") {
            *image = format!("{}/{image}", self.folder.trim_end_matches('/'));
        }
        serde_json::to_vec(&value).ok()
    }
}

/// Hashes what it passes on.
struct Hashing<'a> {
    file: &'a mut dyn Write,
    digest: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
