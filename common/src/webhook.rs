//! Where a webhook may lead, and when one that failed is tried again.
//!
//! An address is read as text, and what a parser could read in more than one way is none: a user before
//! the host, a fragment, backslashes, segments of dots. So one that begins with an allowed address leads
//! below that. The database has the same rules (`postq.webhook_faults`, `postq.check_webhook`).

use std::time::Duration;

use crate::{retry, spec::RetryPolicy};

/// Bytes of an address.
const URL: usize = 2048;
/// Characters of a secret's name.
const SECRET: usize = 100;
/// How often one is tried; with the pauses, that takes half a day.
const ATTEMPTS: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Whom a job's end is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// The name of what it is signed with; empty means [`Webhook::DEFAULT_SECRET`].
    pub secret: String,
}

impl Webhook {
    /// The secret of a webhook that names none.
    pub const DEFAULT_SECRET: &'static str = "default";

    /// The name of what it is signed with.
    pub fn secret(&self) -> &str {
        match self.secret.as_str() {
            "" => Self::DEFAULT_SECRET,
            name => name,
        }
    }
}

/// What is wrong with an address.
pub fn url_fault(url: &str) -> Option<String> {
    if url.len() > URL {
        return Some(format!("has {} bytes; it may have {URL}", url.len()));
    }
    let form = "is no address of a webhook; write https://HOST/PATH, the host in small letters and \
                without a user, a fragment or segments of dots";
    (!is_url(url)).then(|| form.to_owned())
}

/// What is wrong with the name of a secret; the empty one is the default.
pub fn secret_fault(name: &str) -> Option<String> {
    let is_name = name.len() <= SECRET
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    (!is_name)
        .then(|| "is not the name of a secret, which has letters, digits, _, . and -".to_owned())
}

/// Whether an address leads to an allowed one or below it; both are faultless.
pub fn is_allowed(url: &str, allowed: &str) -> bool {
    url.strip_prefix(allowed).is_some_and(|rest| {
        rest.is_empty() || allowed.ends_with('/') || rest.starts_with(['/', '?'])
    })
}

/// How long to wait after the `nth` try has failed, `chance` (0 to 1) deciding about a part of it; none:
/// it is given up.
pub fn pause(nth: u32, chance: f64) -> Option<Duration> {
    let policy = RetryPolicy {
        backoff: FIRST_PAUSE,
        max_backoff: LONGEST_PAUSE,
        factor: 2.0,
        jitter: 0.2,
        ..RetryPolicy::default()
    };
    (nth < ATTEMPTS).then(|| retry::delay(&policy, nth, chance))
}

fn is_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_path = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    let name = path.split('?').next().unwrap_or_default();
    is_authority(authority) && is_path && !name.split('/').any(is_dots)
}

fn is_authority(authority: &str) -> bool {
    let is_host = |host: &str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => {
            !address.is_empty()
                && address
                    .bytes()
                    .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f' | b':' | b'.'))
        }
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'z' | b'.' | b'-'))
        }
    };
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    is_host(authority)
        || authority.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port))
}

/// `.` or `..`, also where it is escaped.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_reading() {
        for good in [
            "https://hooks.example.com",
            "http://127.0.0.1:8080/a/b?c=%2e%2e/../d",
            "https://[::1]:9/x",
            "https://h/a..b/.c/~d;e@f",
        ] {
            assert_eq!(url_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "ftp://h/",
            "https://",
            "https:///x",
            "HTTPS://h",
            "https://H/x",
            "https://u@h/x",
            "https://h:/x",
            "https://h:123456/x",
            "https://h?x",
            "https://h#x",
            "https://h/a#b",
            "https://h/a\\b",
            "https://h/a b",
            "https://h/ä",
            "https://h/a/../b",
            "https://h/.",
            "https://h/%2E%2e/b",
            "https://h/.%2e?x",
            "https://[::1/x",
            "https://[]/x",
            "https://h%2f/x",
        ] {
            assert!(url_fault(bad).is_some(), "{bad}");
        }
        assert!(url_fault(&format!("https://h/{}", "x".repeat(2048))).is_some());
    }

    #[test]
    fn what_is_allowed_is_an_address_and_all_below_it() {
        for (url, allowed, wanted) in [
            ("https://h/x", "https://h", true),
            ("https://h", "https://h", true),
            ("https://h/x", "https://h/", true),
            ("https://h.evil/x", "https://h", false),
            ("https://h:8080/x", "https://h:80", false),
            ("https://h/hooks/a", "https://h/hooks", true),
            ("https://h/hooks?a", "https://h/hooks", true),
            ("https://h/hooksa", "https://h/hooks", false),
            ("http://h/x", "https://h", false),
            ("https://h", "https://h/", false),
        ] {
            assert_eq!(is_allowed(url, allowed), wanted, "{url} by {allowed}");
        }
    }

    #[test]
    fn secrets_have_names_that_stay_in_a_directory() {
        for good in ["", "default", "a.b-c_D9", "_x"] {
            assert_eq!(secret_fault(good), None, "{good}");
        }
        for bad in [".", "..", "../x", "a/b", "-x", "a b", "ä"] {
            assert!(secret_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn pauses_grow_to_an_hour_and_end() {
        let pauses: Vec<u64> = (1..20).map(|n| pause(n, 0.0).unwrap().as_secs()).collect();
        assert_eq!(pauses[..4], [5, 10, 20, 40]);
        assert_eq!(pauses[18], 3600);
        assert!(pause(2, 1.0).unwrap() >= Duration::from_secs(8));
        assert_eq!(pause(20, 0.0), None);
    }
}
