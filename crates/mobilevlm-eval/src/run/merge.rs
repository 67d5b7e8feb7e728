//! The parts of a shared run as one run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mobilevlm_data::replace_file;

use super::record::Record;
use super::shard::Shard;
use super::{ANSWERS_FILE, RunError, SHARDS};
use crate::benchmarks::BENCHMARKS;

/// A benchmark whose parts have become one.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The benchmark.
    pub task: String,
    /// Where its answers are now.
    pub folder: PathBuf,
    /// The record of the whole.
    pub record: Record,
    /// How many parts there were.
    pub parts: usize,
    /// How many answers there are.
    pub answers: usize,
}

/// A part of a benchmark.
struct Part {
    folder: PathBuf,
    record: Record,
}

/// Puts the parts of all benchmarks in `runs` together, in `out`: the files are then those of a run
/// that was never shared. Nothing is written unless all parts of all benchmarks are there, each
/// once, finished, and of one model and data set.
///
/// `runs`: folders of runs that were shared, on one machine or on several.
///
/// # Errors
/// [`RunError::Shards`] names the parts that are missing, doubled, unfinished or of another run;
/// [`RunError::Changed`] if `out` has answers of another run.
pub fn merge(runs: &[PathBuf], out: &Path) -> Result<Vec<Merged>, RunError> {
    // In the order of the paper's table.
    let place = |task: &str| BENCHMARKS.iter().position(|one| one.name() == task);
    let mut tasks: BTreeMap<(Option<usize>, String), Vec<Part>> = BTreeMap::new();
    for run in runs {
        for part in parts(run)? {
            let task = part.record.task.clone();
            tasks.entry((place(&task), task)).or_default().push(part);
        }
    }
    if tasks.is_empty() {
        return Err(RunError::Shards {
            folder: runs.first().map_or(out, PathBuf::as_path).to_owned(),
            wrong: format!(
                "expected parts of a shared run, in folders such as {SHARDS}/1-of-3/gqa, found none"
            ),
        });
    }
    // A part that lacks a whole benchmark has not come to it yet.
    let wholes = tasks
        .into_iter()
        .map(|((_, task), parts)| {
            whole(out, parts).map_err(|wrong| RunError::Shards {
                folder: out.to_owned(),
                wrong: format!("{task}: {wrong}"),
            })
        })
        .collect::<Result<Vec<Vec<Part>>, RunError>>()?;
    let merged = wholes.iter().map(|parts| join(parts, out));
    let joined = merged.collect::<Result<Vec<(Merged, Vec<u8>)>, RunError>>()?;
    joined
        .into_iter()
        .map(|(merged, content)| {
            write(&merged, &content)?;
            Ok(merged)
        })
        .collect()
}

/// The parts that lie in a run's folder.
fn parts(run: &Path) -> Result<Vec<Part>, RunError> {
    let mut parts = Vec::new();
    let shards = run.join(SHARDS);
    for shard in folders(if shards.is_dir() { &shards } else { run })? {
        let name = shard.file_name().unwrap_or_default().to_string_lossy();
        if Shard::from_folder(&name).is_none() {
            continue;
        }
        for folder in folders(&shard)? {
            if let Some(record) = Record::read(&folder)? {
                parts.push(Part { folder, record });
            }
        }
    }
    Ok(parts)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let failed = |error| RunError::file(folder, "read", error);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// The parts in order, once it is certain that they make a whole.
fn whole(out: &Path, parts: Vec<Part>) -> Result<Vec<Part>, String> {
    let mut by_shard: BTreeMap<Shard, Part> = BTreeMap::new();
    for part in parts {
        let Some(shard) = part.record.part() else {
            let folder = part.folder.display();
            return Err(format!("{folder} holds no part, but a whole run"));
        };
        if let Some(other) = by_shard.get(&shard) {
            return Err(format!(
                "part {shard} is there twice, in {} and {}: remove one of them",
                other.folder.display(),
                part.folder.display()
            ));
        }
        by_shard.insert(shard, part);
    }
    let counts: BTreeSet<usize> = by_shard.keys().map(|shard| shard.count()).collect();
    let count = match counts.iter().collect::<Vec<_>>()[..] {
        [&count] => count,
        _ => {
            let names: Vec<String> = by_shard.keys().map(Shard::to_string).collect();
            return Err(format!(
                "parts of different wholes: {}: remove those that do not belong",
                names.join(", ")
            ));
        }
    };
    let missing: Vec<String> = (1..=count)
        .filter_map(|index| Shard::new(index, count))
        .filter(|shard| !by_shard.contains_key(shard))
        .map(|shard| shard.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "missing: {}; expected in {}",
            missing.join(", "),
            out.join(SHARDS).display()
        ));
    }
    let parts: Vec<Part> = by_shard.into_values().collect();
    for part in &parts[1..] {
        let differences = parts[0].record.differences(&part.record);
        if !differences.is_empty() {
            return Err(format!(
                "{} and {} are not of one run:\n  {}",
                parts[0].folder.display(),
                part.folder.display(),
                differences.join("\n  ")
            ));
        }
    }
    Ok(parts)
}

/// The answers of the parts, one after the other.
fn join(parts: &[Part], out: &Path) -> Result<(Merged, Vec<u8>), RunError> {
    let record = Record {
        shard: None,
        ..parts[0].record.clone()
    };
    let questions = record.data.questions - record.data.left_out;
    let mut content = Vec::new();
    for part in parts {
        let path = part.folder.join(ANSWERS_FILE);
        let lines = fs::read(&path).map_err(|error| RunError::file(&path, "read", error))?;
        let found = lines.iter().filter(|byte| **byte == b'\n').count();
        let shard = part.record.part();
        let expected = shard.map_or(0, |shard| shard.range(questions).len());
        if found != expected || !(lines.is_empty() || lines.ends_with(b"\n")) {
            let shard = shard.map(|shard| shard.to_string()).unwrap_or_default();
            return Err(RunError::Shards {
                folder: part.folder.clone(),
                wrong: format!(
                    "part {shard} is not finished: expected {expected} answers, found {found}; \
                     run it again, and it goes on where it was"
                ),
            });
        }
        content.extend(lines);
    }
    let folder = out.join(&record.task);
    if let Some(there) = Record::read(&folder)? {
        there.demand_equal(&record, &folder)?;
    }
    let merged = Merged {
        task: record.task.clone(),
        folder,
        record,
        parts: parts.len(),
        answers: questions,
    };
    Ok((merged, content))
}

fn write(merged: &Merged, content: &[u8]) -> Result<(), RunError> {
    let folder = &merged.folder;
    fs::create_dir_all(folder).map_err(|error| RunError::file(folder, "made", error))?;
    merged.record.write(folder)?;
    let path = folder.join(ANSWERS_FILE);
    replace_file(&path, |out: &mut dyn Write| out.write_all(content))
        .map_err(|error| RunError::file(&path, "written", error))
}
