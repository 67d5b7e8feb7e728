//! A recipe's file and `--set` as checked values that know where they stand.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, number, whole};
use super::{At, RecipeError, Task};

/// One key of the file or of `--set`.
struct Given<'a> {
    key: String,
    value: DeValue<'a>,
    /// The value as it was written.
    text: String,
    at: At,
}

/// A recipe whose every value has the type and range that its key asks for.
pub(super) struct Source<'a> {
    file: PathBuf,
    task: Task,
    given: Vec<Given<'a>>,
    /// Sections whose heading is there, even without a key.
    sections: Vec<(String, At)>,
}

/// What a value can be read as. [`Takes`](super::keys::Takes) has said that it can.
pub(super) trait FromValue: Sized {
    fn from_value(value: &DeValue<'_>) -> Option<Self>;
}

impl<'a> Source<'a> {
    /// Reads the text of `file`, lays `set` (`key=value`) over it, and checks each value.
    pub(super) fn parse(
        file: &Path,
        text: &'a str,
        set: &'a [String],
    ) -> Result<Source<'a>, RecipeError> {
        let line = |offset: usize| At::Line {
            file: file.to_owned(),
            line: 1 + text.as_bytes()[..offset.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count(),
        };
        let table = DeTable::parse(text).map_err(|error| RecipeError::Syntax {
            at: line(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut source = Source {
            file: file.to_owned(),
            task: Task::Vlm,
            given: Vec::new(),
            sections: Vec::new(),
        };
        source.flatten("", table.into_inner(), text, &line);
        // Tables come in the order of their names; mistakes are told from the top.
        source.given.sort_by_key(|given| match given.at {
            At::Line { line, .. } => line,
            At::Set(_) | At::File(_) => 0,
        });
        for typed in set {
            source.set(typed)?;
        }
        for (section, at) in &source.sections {
            let prefix = format!("{section}.");
            if !KEYS.iter().any(|key| key.name.starts_with(&prefix)) {
                return Err(unknown(section, at));
            }
        }
        source.check()?;
        Ok(source)
    }

    /// Collects the leaves of a table under their whole paths.
    fn flatten(
        &mut self,
        prefix: &str,
        table: DeTable<'a>,
        text: &str,
        line: &dyn Fn(usize) -> At,
    ) {
        for (name, value) in table {
            // A dot in a quoted name parts nothing: no recipe has such a key.
            let own = match name.get_ref().contains('.') {
                true => format!("{:?}", name.get_ref()),
                false => name.get_ref().to_string(),
            };
            let path = match prefix {
                "" => own,
                _ => format!("{prefix}.{own}"),
            };
            let at = line(name.span().start);
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(inner) if Key::named(&path).is_none() => {
                    self.sections.push((path.clone(), at));
                    self.flatten(&path, inner, text, line);
                }
                value => self.given.push(Given {
                    key: path,
                    value,
                    text: text.get(span).unwrap_or_default().to_owned(),
                    at,
                }),
            }
        }
    }

    /// Lays one `key=value` over what is there. Without a value, the key or section is taken away.
    fn set(&mut self, typed: &'a str) -> Result<(), RecipeError> {
        let (key, text) = typed
            .split_once('=')
            .map(|(key, text)| (key.trim(), text.trim()))
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| RecipeError::Set {
                typed: typed.to_owned(),
            })?;
        let at = At::Set(typed.to_owned());
        let section = format!("{key}.");
        if Key::named(key).is_none() && !(text.is_empty() && is_section(&section)) {
            return Err(unknown(key, &at));
        }
        self.given.retain(|given| given.key != key);
        if text.is_empty() {
            self.given.retain(|given| !given.key.starts_with(&section));
            self.sections.retain(|(name, _)| name != key);
            return Ok(());
        }
        // A path needs no quotes on a command line.
        let (value, text) = match DeValue::parse(text) {
            Ok(value) => (value.into_inner(), text.to_owned()),
            Err(_) => (
                DeValue::String(text.into()),
                toml::Value::String(text.to_owned()).to_string(),
            ),
        };
        self.given.push(Given {
            key: key.to_owned(),
            value,
            text,
            at,
        });
        Ok(())
    }

    /// Checks every value alone, the task first.
    fn check(&mut self) -> Result<(), RecipeError> {
        let task = self.given.iter().find(|given| given.key == "task");
        if let Some(task) = task {
            let named = task.value.as_str().and_then(Task::named);
            self.task = named.ok_or_else(|| self.wrong("task"))?;
        } else {
            return Err(self.missing("task"));
        }
        for given in &self.given {
            let key = Key::named(&given.key).ok_or_else(|| unknown(&given.key, &given.at))?;
            if !key.takes.accepts(&given.value) {
                return Err(self.wrong(key.name));
            }
            if !key.tasks.contains(&self.task) {
                let of: Vec<_> = key.tasks.iter().map(|task| task.name()).collect();
                let why = format!(
                    "the task {} has no such key; {} have",
                    self.task.name(),
                    of.join(", ")
                );
                return Err(self.contradiction(key.name, why));
            }
        }
        Ok(())
    }

    /// The task.
    pub(super) fn task(&self) -> Task {
        self.task
    }

    /// The recipe's file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the recipe itself has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given.iter().any(|given| given.key == key)
    }

    /// Whether the recipe has the section, or a key of it.
    pub(super) fn has_section(&self, section: &str) -> bool {
        let prefix = format!("{section}.");
        self.sections.iter().any(|(name, _)| name == section)
            || self
                .given
                .iter()
                .any(|given| given.key.starts_with(&prefix))
    }

    /// The key's value, given or by default.
    pub(super) fn maybe<T: FromValue>(&self, key: &'static str) -> Result<Option<T>, RecipeError> {
        let known = known(key);
        let given = self.given.iter().find(|given| given.key == key);
        let value = match (given, known.default(self.task)) {
            (Some(given), _) => T::from_value(&given.value),
            (None, Some(text)) => match DeValue::parse(text) {
                Ok(value) => T::from_value(value.get_ref()),
                Err(_) => None,
            },
            (None, None) => return Ok(None),
        };
        value.map(Some).ok_or_else(|| self.wrong(key))
    }

    /// The value of a key that must be there or has a default.
    pub(super) fn get<T: FromValue>(&self, key: &'static str) -> Result<T, RecipeError> {
        self.maybe(key)?.ok_or_else(|| self.missing(key))
    }

    /// A key is not there, and should be.
    pub(super) fn missing(&self, key: &str) -> RecipeError {
        RecipeError::Missing {
            at: At::File(self.file.clone()),
            key: key.to_owned(),
            expected: known(key).takes.to_string(),
        }
    }

    /// A part of the model comes from nowhere.
    pub(super) fn missing_part(&self, own: &str, sizes: &[&str]) -> RecipeError {
        RecipeError::Missing {
            at: At::File(self.file.clone()),
            key: own.to_owned(),
            expected: format!(
                "a folder, here or as model.from, or {} and what goes with it, to start from nothing",
                sizes.first().unwrap_or(&own)
            ),
        }
    }

    /// A value is not what its key takes.
    fn wrong(&self, key: &str) -> RecipeError {
        let given = self.given.iter().find(|given| given.key == key);
        RecipeError::Value {
            at: self.at(key),
            key: key.to_owned(),
            expected: known(key).takes.to_string(),
            found: given
                .map(|given| shown(&given.value, &given.text))
                .unwrap_or_default(),
        }
    }

    /// A value is right alone and wrong beside the others.
    pub(super) fn contradiction(&self, key: &str, why: impl Into<String>) -> RecipeError {
        RecipeError::Contradiction {
            at: self.at(key),
            key: key.to_owned(),
            why: why.into(),
        }
    }

    /// Where the key stands.
    fn at(&self, key: &str) -> At {
        let given = self.given.iter().find(|given| given.key == key);
        let section = self
            .sections
            .iter()
            .find(|(name, _)| key.split('.').next() == Some(name));
        given
            .map(|given| given.at.clone())
            .or_else(|| section.map(|(_, at)| at.clone()))
            .unwrap_or_else(|| At::File(self.file.clone()))
    }

    /// The whole recipe as TOML with every default written out; reading it gives the same recipe.
    pub(super) fn resolved(&self) -> String {
        let mut text = String::new();
        let mut open = "";
        for key in KEYS.iter().filter(|key| key.tasks.contains(&self.task)) {
            let given = self.given.iter().find(|given| given.key == key.name);
            let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
            // A default of a section that is not there would make it.
            if given.is_none() && section == "world" && !self.has_section("world") {
                continue;
            }
            let Some(value) = given.map_or(key.default(self.task), |given| Some(&given.text))
            else {
                continue;
            };
            if section != open {
                text.push_str(&format!("\n[{section}]\n"));
                open = section;
            }
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }
}

/// A key of the list. One that is not there is a mistake of ours, which every test meets.
fn known(key: &str) -> &'static Key {
    Key::named(key).unwrap_or_else(|| unreachable!("recipe/keys.rs lacks {key}"))
}

fn is_section(prefix: &str) -> bool {
    KEYS.iter().any(|key| key.name.starts_with(prefix))
}

fn unknown(key: &str, at: &At) -> RecipeError {
    RecipeError::Unknown {
        at: at.clone(),
        key: key.to_owned(),
        nearest: Key::nearest(key),
    }
}

/// A value for a message, cut where it is long.
fn shown(value: &DeValue<'_>, text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    match value {
        DeValue::Table(_) if short.is_empty() => "a section".to_owned(),
        _ => short,
    }
}

impl FromValue for u64 {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        whole(value)?.try_into().ok()
    }
}

impl FromValue for usize {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        whole(value)?.try_into().ok()
    }
}

impl FromValue for i32 {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        whole(value)?.try_into().ok()
    }
}

impl FromValue for f64 {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        number(value)
    }
}

impl FromValue for bool {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl FromValue for String {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(PathBuf::from)
    }
}

impl FromValue for Vec<PathBuf> {
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        match value.as_array() {
            Some(list) => list
                .iter()
                .map(|one| PathBuf::from_value(one.get_ref()))
                .collect(),
            None => PathBuf::from_value(value).map(|path| vec![path]),
        }
    }
}
