//! Requests to the hub: redirects, the token, and what the answers' headers say.

use std::io::Read;
use std::time::Duration;

use ureq::http::Uri;

use super::HubError;
use super::settings::{Patience, Token};

/// Follows at most this many redirections; the hub needs one, a renamed repository two.
const MAX_REDIRECTS: usize = 5;

/// A repository with a million files has a list of about this many bytes.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Speaks to one endpoint, and to the hosts that it redirects to.
pub(super) struct Http {
    agent: ureq::Agent,
    endpoint: String,
    origin: Origin,
    token: Option<Token>,
    patience: Patience,
}

/// Scheme, host and port: what a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

/// A successful answer: its headers, with the body still to be read.
pub(super) struct Reply {
    /// Which bytes follow: `Some((first, total))` for a part (206), `None` for the whole file.
    pub(super) part: Option<(u64, Option<u64>)>,
    /// The length of the body that follows, where the server says it.
    pub(super) length: Option<u64>,
    /// The identity of the file's content.
    pub(super) etag: Option<Etag>,
    /// The length of the whole file, as the hub itself states it before it redirects.
    pub(super) linked_size: Option<u64>,
    pub(super) body: Box<dyn Read>,
}

/// The identity of a file's content, as the server names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Etag {
    /// Without quotes and without the mark of weak ones.
    pub(super) text: String,
    /// Whether `If-Range` may ask for it: a strong one of the very host that sends the bytes.
    pub(super) usable_in_if_range: bool,
}

impl Http {
    pub(super) fn new(
        endpoint: &str,
        token: Option<Token>,
        patience: Patience,
    ) -> Result<Http, HubError> {
        let origin = endpoint
            .parse::<Uri>()
            .ok()
            .and_then(|uri| Origin::of(&uri));
        let origin = origin.ok_or_else(|| HubError::Endpoint {
            endpoint: endpoint.to_owned(),
        })?;
        let config = ureq::Agent::config_builder()
            .user_agent(concat!("mobilevlm/", env!("CARGO_PKG_VERSION")))
            // Byte ranges and lengths are those of the file, not of a compressed stream.
            .accept_encoding("identity")
            .http_status_as_error(false)
            // Followed here: the headers of the first answer are needed, and the token must stay.
            .max_redirects(0)
            .timeout_connect(Some(patience.stall))
            .timeout_recv_response(Some(patience.stall))
            .timeout_per_read(Some(patience.stall));
        // A proxy of the environment is for the outside; a server on this machine is not there.
        let config = if origin.is_this_machine() {
            config.proxy(None)
        } else {
            config
        };
        Ok(Http {
            agent: config.build().into(),
            endpoint: endpoint.to_owned(),
            origin,
            token,
            patience,
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The address of `path`, which begins with `/`, on the endpoint.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    /// Gets and parses a JSON document.
    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
        expected: &'static str,
    ) -> Result<T, HubError> {
        self.patience.retry(|| {
            let reply = self.get(url, None)?;
            let mut text = Vec::new();
            reply
                .body
                .take(MAX_JSON_BYTES)
                .read_to_end(&mut text)
                .map_err(|e| broken(url, e))?;
            serde_json::from_slice(&text).map_err(|error| HubError::Answer {
                url: shown(url),
                expected,
                found: error.to_string(),
            })
        })
    }

    /// Asks for the headers alone. The body is empty.
    ///
    /// A redirection that already carries the file's identity is not followed: the storage behind
    /// it accepts only the request that it was signed for.
    pub(super) fn head(&self, url: &str) -> Result<Reply, HubError> {
        self.patience.retry(|| self.request("HEAD", url, &[]))
    }

    /// Asks for the file, or for its bytes from `first` on if the content is still `if_range`.
    /// One try; the caller knows what it has received and asks again for the rest.
    pub(super) fn get(
        &self,
        url: &str,
        part: Option<(u64, Option<&Etag>)>,
    ) -> Result<Reply, HubError> {
        let mut headers = Vec::new();
        if let Some((first, etag)) = part {
            headers.push(("range", format!("bytes={first}-")));
            if let Some(etag) = etag.filter(|etag| etag.usable_in_if_range) {
                headers.push(("if-range", format!("\"{}\"", etag.text)));
            }
        }
        self.request("GET", url, &headers)
    }

    fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, String)],
    ) -> Result<Reply, HubError> {
        let mut at = url.to_owned();
        let mut linked_etag = None;
        let mut linked_size = None;
        for _ in 0..=MAX_REDIRECTS {
            let uri: Uri = at.parse().map_err(|_| HubError::Redirect {
                url: shown(url),
                location: shown(&at),
                reason: "which is no address",
            })?;
            let here = Origin::of(&uri).ok_or_else(|| HubError::Redirect {
                url: shown(url),
                location: shown(&at),
                reason: "which is neither http:// nor https://",
            })?;
            if self.origin.https && !here.https {
                return Err(HubError::Redirect {
                    url: shown(url),
                    location: shown(&at),
                    reason: "away from an encrypted connection",
                });
            }
            let token = self.token.as_ref().filter(|_| here == self.origin);
            let mut request = if method == "HEAD" {
                self.agent.head(&at)
            } else {
                self.agent.get(&at)
            };
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if let Some(Token(token)) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| HubError::Connection {
                url: shown(&at),
                doing: "no answer",
                source: error.into(),
            })?;
            let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::trim);
            let number = |name: &str| header(name)?.parse::<u64>().ok();
            if linked_etag.is_none() {
                linked_etag = header("x-linked-etag").and_then(parse_etag);
                linked_size = number("x-linked-size");
            }
            let status = response.status().as_u16();
            match status {
                200 | 206 => {}
                301 | 302 | 303 | 307 | 308 if method == "HEAD" && linked_etag.is_some() => {}
                301 | 302 | 303 | 307 | 308 => {
                    let location = header("location").unwrap_or_default();
                    at = resolve(&uri, location).ok_or_else(|| HubError::Redirect {
                        url: shown(&at),
                        location: location.to_owned(),
                        reason: "which is no address",
                    })?;
                    continue;
                }
                401 | 403 => {
                    return Err(HubError::Refused {
                        url: shown(&at),
                        status,
                        with_token: token.is_some(),
                    });
                }
                404 | 410 => {
                    return Err(HubError::NotFound {
                        url: shown(&at),
                        status,
                    });
                }
                _ => {
                    let retry_after = number("retry-after").map(Duration::from_secs);
                    return Err(HubError::Status {
                        url: shown(&at),
                        status,
                        retry_after,
                    });
                }
            }
            let part = match (status, header("content-range")) {
                (206, Some(range)) => {
                    Some(parse_content_range(range).ok_or_else(|| HubError::Answer {
                        url: shown(&at),
                        expected: "a Content-Range like `bytes 5-9/10`",
                        found: format!("`{range}`"),
                    })?)
                }
                (206, None) => {
                    return Err(HubError::Answer {
                        url: shown(&at),
                        expected: "a Content-Range with the part of a file (HTTP 206)",
                        found: "none".to_owned(),
                    });
                }
                _ => None,
            };
            let own = header("etag").and_then(parse_etag);
            let etag = match linked_etag {
                Some((text, _)) => Some(Etag {
                    text,
                    usable_in_if_range: false,
                }),
                None => own.map(|(text, strong)| Etag {
                    text,
                    usable_in_if_range: strong,
                }),
            };
            // The length of a redirection's own page says nothing about the file.
            let length = if status < 300 {
                number("content-length")
            } else {
                None
            };
            let body = Box::new(response.into_body().into_reader());
            return Ok(Reply {
                part,
                length,
                etag,
                linked_size,
                body,
            });
        }
        Err(HubError::Redirect {
            url: shown(url),
            location: shown(&at),
            reason: "and on and on",
        })
    }
}

/// The connection broke while a body was read.
pub(super) fn broken(url: &str, source: std::io::Error) -> HubError {
    HubError::Connection {
        url: shown(url),
        doing: "the connection broke off",
        source: Box::new(source),
    }
}

/// An address as it may be shown: what follows `?` is long and can be a signature.
pub(super) fn shown(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

impl Patience {
    /// Runs `attempt` until it succeeds, fails for good, or the tries are used up.
    pub(super) fn retry<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            match attempt() {
                Err(error) if error.is_passing() && failures + 1 < self.tries => {
                    failures += 1;
                    std::thread::sleep(self.pause_after(failures, &error));
                }
                result => return result,
            }
        }
    }

    /// How long to wait after the `failures`-th try in a row that brought nothing; 0 for one that
    /// brought something before it failed.
    pub(super) fn pause_after(&self, failures: u32, error: &HubError) -> Duration {
        let own = match failures {
            0 => self.pause / 4,
            _ => self.pause.saturating_mul(1 << (failures - 1).min(16)),
        };
        let asked = match error {
            HubError::Status {
                retry_after: Some(asked),
                ..
            } => *asked,
            _ => Duration::ZERO,
        };
        own.max(asked).min(self.longest_pause)
    }
}

impl Origin {
    fn of(uri: &Uri) -> Option<Origin> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let host = uri
            .host()
            .filter(|host| !host.is_empty())?
            .to_ascii_lowercase();
        Some(Origin { https, host, port })
    }

    fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host == "[::1]" || self.host.starts_with("127.")
    }
}

/// Where `location` leads from `base`.
fn resolve(base: &Uri, location: &str) -> Option<String> {
    if location.is_empty() {
        return None;
    }
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    // A fragment is for browsers; the request must not carry it.
    let location = location.split('#').next()?;
    Some(if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    })
}

/// The text of an etag, and whether it is a strong one.
fn parse_etag(header: &str) -> Option<(String, bool)> {
    let strong = !header.starts_with("W/");
    let text = header.trim_start_matches("W/").trim_matches('"');
    (!text.is_empty()).then(|| (text.to_owned(), strong))
}

/// First byte and total length of `bytes 5-9/10` or `bytes 5-9/*`.
fn parse_content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header
        .trim()
        .strip_prefix("bytes")?
        .trim()
        .split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (
        first.trim().parse::<u64>().ok()?,
        last.trim().parse::<u64>().ok()?,
    );
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_against_the_page_they_come_from() {
        let base: Uri = "http://a.b:8080/x/y?z=1".parse().unwrap();
        for (location, expected) in [
            ("https://c.d/e", "https://c.d/e"),
            ("//c.d/e", "http://c.d/e"),
            ("/e?f", "http://a.b:8080/e?f"),
            ("e", "http://a.b:8080/x/e"),
            ("/e#f", "http://a.b:8080/e"),
        ] {
            assert_eq!(resolve(&base, location).as_deref(), Some(expected));
        }
        assert_eq!(resolve(&base, ""), None);
    }

    #[test]
    fn content_ranges_are_read_or_refused() {
        for (header, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("bytes 5-99999999999999999999/*", None),
        ] {
            assert_eq!(parse_content_range(header), expected, "{header}");
        }
    }

    #[test]
    fn etags_lose_quotes_and_weakness() {
        assert_eq!(parse_etag("\"abc\""), Some(("abc".to_owned(), true)));
        assert_eq!(parse_etag("W/\"abc\""), Some(("abc".to_owned(), false)));
        assert_eq!(parse_etag("\"\""), None);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| Origin::of(&text.parse().unwrap());
        assert_eq!(origin("https://a.b/c"), origin("https://A.b:443"));
        for other in [
            "http://a.b",
            "https://a.b:444",
            "https://c.a.b",
            "https://a.b.c",
        ] {
            assert_ne!(origin("https://a.b"), origin(other), "{other}");
        }
        assert_eq!(origin("ftp://a.b"), None);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_respect_the_server() {
        let patience = Patience {
            tries: 9,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(6),
            stall: Duration::from_secs(1),
        };
        let status = |seconds: Option<u64>| HubError::Status {
            url: String::new(),
            status: 429,
            retry_after: seconds.map(Duration::from_secs),
        };
        let seconds = |failures, asked| patience.pause_after(failures, &status(asked)).as_secs();
        assert_eq!(
            [1, 2, 3, 4, 60].map(|failures| seconds(failures, None)),
            [1, 2, 4, 6, 6]
        );
        assert_eq!(
            patience.pause_after(0, &status(None)),
            Duration::from_millis(250)
        );
        assert_eq!(seconds(1, Some(5)), 5);
        assert_eq!(seconds(1, Some(3600)), 6);
    }
}
