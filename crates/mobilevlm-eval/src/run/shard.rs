//! Parts of an evaluation that many machines share.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Part `index` of `count` of a benchmark's questions, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Part `index` of `count`, or `None` unless `1 <= index <= count`.
    pub fn new(index: usize, count: usize) -> Option<Shard> {
        (1..=count)
            .contains(&index)
            .then_some(Shard { index, count })
    }

    /// Which part, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// Of how many.
    pub fn count(self) -> usize {
        self.count
    }

    /// The part's questions of `lines`, counted from 0.
    ///
    /// Parts have `ceil(lines / count)` questions, as upstream's have; where that leaves nothing
    /// for the last ones, they are empty (upstream fails).
    pub fn range(self, lines: usize) -> Range<usize> {
        let chunk = lines.div_ceil(self.count);
        let start = chunk.saturating_mul(self.index - 1).min(lines);
        start..start.saturating_add(chunk).min(lines)
    }

    /// The name of the part's folder: `2-of-3`.
    pub(crate) fn folder(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// The part that a folder of this name holds.
    pub(crate) fn from_folder(name: &str) -> Option<Shard> {
        let (index, count) = name.split_once("-of-")?;
        let shard = Shard::new(index.parse().ok()?, count.parse().ok()?)?;
        (shard.folder() == name).then_some(shard)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What was asked for: `I/N`, or `/N` where a scheduler knows I.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// `I/N`
    Part(Shard),
    /// `/N`
    Of(usize),
}

impl FromStr for ShardChoice {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<ShardChoice, ShardError> {
        let wrong = || ShardError::Spelling(text.to_owned());
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let count: usize = count.parse().map_err(|_| wrong())?;
        if index.is_empty() {
            return match count {
                0 => Err(wrong()),
                _ => Ok(ShardChoice::Of(count)),
            };
        }
        let index = index.parse().map_err(|_| wrong())?;
        Shard::new(index, count)
            .map(ShardChoice::Part)
            .ok_or_else(wrong)
    }
}

/// Why it is not clear which part is meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A text that names no part.
    #[error("expected a part such as 2/8 (from 1/8 to 8/8), or /8 under a scheduler, found {0:?}")]
    Spelling(String),
    /// `/N` outside of a scheduler.
    #[error(
        "--shard /{0} leaves the part to a scheduler, but neither SLURM_ARRAY_TASK_ID nor \
         JOB_COMPLETION_INDEX is set: say which part, such as --shard 1/{0}"
    )]
    NoScheduler(usize),
    /// The number of parts is not known.
    #[error(
        "JOB_COMPLETION_INDEX says that this is one of several jobs, but not of how many: say it \
         with --shard /N (the job's `completions`), or --shard 1/1 for all questions"
    )]
    NoCount,
    /// A scheduler's variable does not say what it should.
    #[error("{name}: expected {expected}, found {found:?}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it should be.
        expected: String,
        /// What it is; empty where it is not set.
        found: String,
    },
}

/// Which part this process has, and who said so: `choice`, else the variables of a Slurm array or
/// of a Kubernetes indexed job, which `variable` looks up. `None` means all questions.
///
/// # Errors
/// [`ShardError`] if a scheduler is there but does not say enough.
pub fn shard(
    choice: Option<ShardChoice>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(Shard, &'static str)>, ShardError> {
    let count = match choice {
        Some(ShardChoice::Part(shard)) => return Ok(Some((shard, "--shard"))),
        Some(ShardChoice::Of(count)) => Some(count),
        None => None,
    };
    let number = |name: &'static str| -> Result<usize, ShardError> {
        let found = variable(name).unwrap_or_default();
        found.parse().map_err(|_| ShardError::Variable {
            name,
            expected: "a number".to_owned(),
            found,
        })
    };
    let part = |name: &'static str, least: usize, count: usize| {
        let id = number(name)?;
        let index = id.checked_sub(least).and_then(|index| index.checked_add(1));
        let shard = index.and_then(|index| Shard::new(index, count));
        shard
            .map(|shard| Some((shard, name)))
            .ok_or_else(|| ShardError::Variable {
                name,
                expected: format!(
                    "one of {count} numbers without gaps, from {least} to {}",
                    (least + count).saturating_sub(1)
                ),
                found: id.to_string(),
            })
    };
    const SLURM: &str = "SLURM_ARRAY_TASK_ID";
    const KUBERNETES: &str = "JOB_COMPLETION_INDEX";
    if variable(SLURM).is_some() {
        let least = number("SLURM_ARRAY_TASK_MIN")?;
        let count = match count {
            Some(count) => count,
            None => number("SLURM_ARRAY_TASK_COUNT")?,
        };
        return part(SLURM, least, count);
    }
    if variable(KUBERNETES).is_some() {
        return part(KUBERNETES, 0, count.ok_or(ShardError::NoCount)?);
    }
    match count {
        Some(count) => Err(ShardError::NoScheduler(count)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_upstreams_chunks_and_the_last_ones_may_be_empty() {
        let ranges = |lines, count| -> Vec<Range<usize>> {
            (1..=count)
                .map(|index| Shard::new(index, count).unwrap().range(lines))
                .collect()
        };
        assert_eq!(ranges(7, 3), [0..3, 3..6, 6..7]);
        assert_eq!(ranges(0, 2), [0..0, 0..0]);
        // Upstream's chunk 25 of 25 does not exist here: 24 chunks of 3 are enough for 70 lines.
        let ranges = ranges(70, 25);
        assert_eq!(ranges[22..], [66..69, 69..70, 70..70]);
        let huge = Shard::new(usize::MAX, usize::MAX).unwrap();
        assert_eq!(huge.range(5), 5..5);
    }

    #[test]
    fn a_part_is_spelled_from_one() {
        let part = |text: &str| text.parse::<ShardChoice>();
        assert_eq!(
            part("2/3"),
            Ok(ShardChoice::Part(Shard::new(2, 3).unwrap()))
        );
        assert_eq!(part("/3"), Ok(ShardChoice::Of(3)));
        for wrong in ["", "3", "0/3", "4/3", "/0", "/", "1/", "a/3", "-1/3"] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
        let shard = Shard::new(2, 3).unwrap();
        assert_eq!(Shard::from_folder(&shard.folder()), Some(shard));
        assert_eq!(Shard::from_folder("02-of-3"), None);
        assert_eq!(Shard::from_folder("4-of-3"), None);
    }

    #[test]
    fn schedulers_say_which_part() {
        let resolve = |choice: &str, variables: &[(&str, &str)]| {
            let choice = (!choice.is_empty()).then(|| choice.parse().unwrap());
            let variable = |name: &str| {
                let mut all = variables.iter();
                let found = all.find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            shard(choice, &variable)
                .map(|found| found.map(|(shard, _)| shard.to_string()))
                .map_err(|error| error.to_string())
        };
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "12"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(resolve("", &[]), Ok(None));
        assert_eq!(resolve("", &slurm), some("3/4"));
        assert_eq!(resolve("/8", &slurm), some("3/8"));
        assert_eq!(resolve("1/1", &slurm), some("1/1"));
        let pod = [("JOB_COMPLETION_INDEX", "4")];
        assert_eq!(resolve("/5", &pod), some("5/5"));
        for (choice, variables, part) in [
            ("", &pod[..], "--shard /N"),
            ("/4", &pod, "from 0 to 3"),
            ("/4", &[], "--shard 1/4"),
            ("/2", &slurm, "SLURM_ARRAY_TASK_ID"),
            ("", &slurm[..1], "SLURM_ARRAY_TASK_MIN"),
            ("", &[("SLURM_ARRAY_TASK_ID", "x"), slurm[1], slurm[2]], "x"),
        ] {
            let error = resolve(choice, variables).unwrap_err();
            assert!(error.contains(part), "{choice} {variables:?}: {error}");
        }
    }
}
