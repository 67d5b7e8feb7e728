//! What the environment says about the hub, read once.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `HF_HOME` | folder of everything | `$XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface` |
//! | `HF_HUB_CACHE` | folder of the models | `$HF_HOME/hub` |
//! | `HF_ENDPOINT` | server | `https://huggingface.co` |
//! | `HF_TOKEN` | token, for private and gated models | content of `$HF_HOME/token` |
//! | `HF_HUB_OFFLINE` | `1`: never use the network | off |

use std::path::PathBuf;
use std::time::Duration;

use super::HubError;

/// Where models are kept and which server has more of them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder with one `models--org--name` per model.
    pub cache: PathBuf,
    /// The server, without a final `/`: `https://huggingface.co`.
    pub endpoint: String,
    /// Sent to the endpoint and to no other host.
    pub token: Option<Token>,
    /// Whether the network is out of bounds.
    pub offline: bool,
    /// How long to wait and how often to try again.
    pub patience: Patience,
}

/// A secret: it has no way to be printed.
#[derive(Clone)]
pub struct Token(pub(super) String);

impl Token {
    /// A token as the server gave it out.
    pub fn new(token: impl Into<String>) -> Token {
        Token(token.into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How long to wait for a server and how often to try again.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Tries of one request that bring nothing before it is given up.
    pub tries: u32,
    /// The pause after the first such try; it doubles with each one.
    pub pause: Duration,
    /// The longest pause, also where the server asks for a longer one (`Retry-After`).
    pub longest_pause: Duration,
    /// How long a connection may be silent before it counts as broken.
    pub stall: Duration,
}

impl Default for Patience {
    /// Five tries with pauses from half a second on, at most 30 seconds; 30 seconds of silence.
    fn default() -> Patience {
        Patience {
            tries: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            stall: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// What the environment says.
    ///
    /// # Errors
    /// [`HubError::NoHome`] if no variable says where the cache is and there is no home folder.
    pub fn from_env() -> Result<Settings, HubError> {
        Settings::from_variables(|name| std::env::var(name).ok(), std::env::home_dir())
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
    ) -> Result<Settings, HubError> {
        let set = |name: &str| {
            variable(name)
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
        };
        let path = |name: &str| set(name).map(|text| expand_home(&text, home.as_ref()));
        let hf_home = path("HF_HOME").or_else(|| {
            let caches =
                path("XDG_CACHE_HOME").or_else(|| home.as_ref().map(|home| home.join(".cache")));
            caches.map(|caches| caches.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE")
            .or_else(|| hf_home.as_ref().map(|home| home.join("hub")))
            .ok_or(HubError::NoHome)?;
        let token = set("HF_TOKEN").or_else(|| {
            let stored = std::fs::read_to_string(hf_home?.join("token")).ok()?;
            Some(stored.trim().to_owned()).filter(|token| !token.is_empty())
        });
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Ok(Settings {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.map(Token),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            patience: Patience::default(),
        })
    }
}

fn expand_home(path: &str, home: Option<&PathBuf>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(path),
    }
}

/// The values that Hugging Face's tools take for true.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], home: &str) -> Settings {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        Settings::from_variables(find, Some(PathBuf::from(home))).unwrap()
    }

    #[test]
    fn the_cache_is_where_hugging_face_has_it() {
        for (variables, cache) in [
            (&[][..], "/h/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/x")], "/hf/hub"),
            (&[("HF_HOME", "~/hf")], "/h/hf/hub"),
            (&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/hf")], "/c"),
            (&[("HF_HUB_CACHE", "")], "/h/.cache/huggingface/hub"),
        ] {
            assert_eq!(
                settings(variables, "/h").cache,
                PathBuf::from(cache),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn without_a_home_the_cache_must_be_named() {
        assert!(matches!(
            Settings::from_variables(|_| None, None),
            Err(HubError::NoHome)
        ));
    }

    #[test]
    fn a_token_comes_from_the_environment_or_the_file_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "from-file\n").unwrap();
        let hf_home = home.path().to_str().unwrap();
        let file = settings(&[("HF_HOME", hf_home)], "/h");
        assert_eq!(file.token.as_ref().unwrap().0, "from-file");
        assert!(!format!("{file:?}").contains("from-file"));
        let variable = settings(&[("HF_HOME", hf_home), ("HF_TOKEN", " from-env ")], "/h");
        assert_eq!(variable.token.unwrap().0, "from-env");
        assert!(settings(&[("HF_HOME", "/nowhere")], "/h").token.is_none());
    }

    #[test]
    fn offline_and_endpoint_are_read() {
        let it = settings(
            &[
                ("HF_HUB_OFFLINE", "true"),
                ("HF_ENDPOINT", "http://localhost:8080/"),
            ],
            "/h",
        );
        assert!(it.offline);
        assert_eq!(it.endpoint, "http://localhost:8080");
        assert!(!settings(&[("HF_HUB_OFFLINE", "0")], "/h").offline);
        assert_eq!(settings(&[], "/h").endpoint, "https://huggingface.co");
    }
}
