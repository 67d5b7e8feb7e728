//! Hub ids: `org/name[@revision]`.

use std::fmt;
use std::str::FromStr;

use super::HubError;

/// The name of a model on the hub, with the revision that is meant.
///
/// ```
/// use mobilevlm::hub::ModelId;
///
/// let id: ModelId = "mtgv/MobileVLM_V2-1.7B@main".parse()?;
/// assert_eq!((id.name(), id.revision()), ("mtgv/MobileVLM_V2-1.7B", "main"));
/// # Ok::<(), mobilevlm::hub::HubError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    name: String,
    revision: String,
}

impl ModelId {
    /// The revision that is meant when none is given.
    pub const DEFAULT_REVISION: &'static str = "main";

    /// `org/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A branch, a tag or a commit; `main` if none was given.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl FromStr for ModelId {
    type Err = HubError;

    fn from_str(text: &str) -> Result<ModelId, HubError> {
        let wrong = |reason| HubError::Id {
            id: text.to_owned(),
            reason,
        };
        let (name, revision) = text
            .split_once('@')
            .unwrap_or((text, Self::DEFAULT_REVISION));
        let (org, model) = name.split_once('/').ok_or(wrong("it has no `/`"))?;
        if !is_plain_name(org) || !is_plain_name(model) {
            return Err(wrong(
                "both parts consist of letters, digits, `.`, `_` and `-`",
            ));
        }
        // The cache writes `/` as `--`, so a name with `--` could be mistaken for another one.
        if name.contains("--") {
            return Err(wrong("`--` cannot be part of a name"));
        }
        if revision.is_empty() || !revision.split('/').all(is_plain_name) {
            return Err(wrong(
                "the revision after `@` is not a branch, a tag or a commit",
            ));
        }
        Ok(ModelId {
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.revision == Self::DEFAULT_REVISION {
            Ok(())
        } else {
            write!(f, "@{}", self.revision)
        }
    }
}

/// Whether `name` can be one component of a path on every system, and means nothing else there.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_typed() {
        for (text, name, revision) in [
            ("mtgv/MobileVLM_V2-1.7B", "mtgv/MobileVLM_V2-1.7B", "main"),
            ("a/b@v1.0", "a/b", "v1.0"),
            ("a/b@refs/pr/3", "a/b", "refs/pr/3"),
        ] {
            let id: ModelId = text.parse().unwrap();
            assert_eq!((id.name(), id.revision()), (name, revision), "{text}");
        }
    }

    #[test]
    fn what_could_leave_the_cache_is_no_id() {
        for text in [
            "",
            "model",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "a/.b",
            "a\\b/c",
            "a/b@",
            "a/b@../../x",
            "a/b@x/../y",
            "a/b@/x",
            "a--b/c",
            "a/b c",
            "a/b\n",
            "~/b",
            "-a/b",
            "a/b@-x",
            "ä/b",
        ] {
            assert!(
                text.parse::<ModelId>().is_err(),
                "{text:?} was taken for an id"
            );
        }
    }
}
