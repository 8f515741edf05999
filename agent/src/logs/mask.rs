//! Keeps secrets out of what a task gives away: its output, its JSON, its reason.
//!
//! Invariant: a secret that comes in pieces, however cut, is masked as if it came in one.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

/// What stands in the place of a secret.
const MASKED: &[u8] = b"***";
/// Lines of a secret that are shorter are no secrets by themselves, in bytes.
const SHORTEST_LINE: usize = 4;

/// The secrets of one attempt. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Option<Arc<Known>>);

struct Known {
    all: Vec<Vec<u8>>,
    search: AhoCorasick,
    longest: usize,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.all.len())
    }
}

impl Secrets {
    /// Those values, and the lines of those that have several.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for value in values {
            let lines = value.lines().filter(|line| line.len() >= SHORTEST_LINE);
            let whole = Some(value).filter(|value| !value.is_empty());
            all.extend(whole.into_iter().chain(lines).map(|text| text.as_bytes().to_vec()));
        }
        all.sort();
        all.dedup();
        let longest = all.iter().map(Vec::len).max().unwrap_or(0);
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&all);
        let search = search.expect("invariant: the values fit into an environment");
        Self((longest > 0).then(|| Arc::new(Known { all, search, longest })))
    }

    /// A text that is there whole.
    pub(crate) fn mask(&self, text: &str) -> String {
        match &self.0 {
            None => text.to_owned(),
            Some(known) => {
                let masked = known.mask(text.as_bytes());
                String::from_utf8_lossy(&masked).into_owned()
            }
        }
    }

    /// All texts of a JSON document.
    pub(crate) fn mask_json(&self, value: Value) -> Value {
        if self.0.is_none() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.mask(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(fields) => {
                let mask = |(key, field): (String, Value)| (self.mask(&key), self.mask_json(field));
                Value::Object(fields.into_iter().map(mask).collect())
            }
            // A secret may be a number.
            Value::Number(number) => {
                let text = number.to_string();
                match self.mask(&text) {
                    masked if masked == text => Value::Number(number),
                    masked => Value::String(masked),
                }
            }
            other => other,
        }
    }
}

impl Known {
    fn mask(&self, text: &[u8]) -> Vec<u8> {
        let replacements = vec![MASKED; self.all.len()];
        self.search.replace_all_bytes(text, &replacements)
    }

    /// From where on the end of `text` may be the beginning of a secret.
    fn open_from(&self, text: &[u8], from: usize) -> usize {
        let first = from.max(text.len().saturating_sub(self.longest - 1));
        let is_open = |&at: &usize| {
            let end = &text[at..];
            self.all.iter().any(|secret| secret.len() > end.len() && secret.starts_with(end))
        };
        (first..text.len()).find(is_open).unwrap_or(text.len())
    }
}

/// One stream of output on its way.
#[derive(Debug, Default)]
pub(super) struct Mask {
    secrets: Secrets,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl Mask {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone(), held: Vec::new() }
    }

    /// More output; what of it may be told now. None: all of it as it is.
    pub(super) fn push(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let known = self.secrets.0.as_ref()?;
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(data);
        let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
        for found in known.search.find_iter(&text) {
            if known.open_from(&text, at) <= found.start() {
                break;
            }
            out.extend_from_slice(&text[at..found.start()]);
            out.extend_from_slice(MASKED);
            at = found.end();
        }
        let open = known.open_from(&text, at);
        out.extend_from_slice(&text[at..open]);
        self.held = text.split_off(open);
        Some(out)
    }

    /// What was held, when nothing more comes.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        match &self.secrets.0 {
            Some(known) => known.mask(&held),
            None => held,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(secrets: &[&str], pieces: &[&str]) -> String {
        let mut mask = Mask::new(&Secrets::new(secrets.iter().copied()));
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(mask.push(piece.as_bytes()).unwrap_or_else(|| piece.as_bytes().to_vec()));
        }
        out.extend(mask.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_masked_however_it_is_cut() {
        let secrets = ["s3cret", "s3cret-longer", "aab", "multi\nline"];
        let text = "x s3cret y s3cret-longer z aaab multi\nline s3cre end line multi s3cret-";
        let wanted = "x *** y *** z a*** *** s3cre end *** *** ***-";
        for size in 1..=text.len() {
            let pieces: Vec<&str> = text
                .as_bytes()
                .chunks(size)
                .map(|piece| std::str::from_utf8(piece).unwrap())
                .collect();
            assert_eq!(masked(&secrets, &pieces), wanted, "in pieces of {size}");
        }
    }

    #[test]
    fn without_secrets_nothing_is_held_or_changed() {
        assert_eq!(masked(&[], &["a", "b"]), "ab");
        assert_eq!(masked(&[""], &["a", "b"]), "ab");
        assert_eq!(Mask::new(&Secrets::default()).push(b"x"), None);
    }

    #[test]
    fn texts_and_json_are_masked_whole() {
        let secrets = Secrets::new(["hidden", "1234"]);
        assert_eq!(secrets.mask("a hidden b"), "a *** b");
        let json = json!({"hidden": ["xhidden", 12345, true, null]});
        assert_eq!(secrets.mask_json(json), json!({"***": ["x***", "***5", true, null]}));
        assert!(!format!("{secrets:?}").contains("hidden"));
    }
}
