//! Paths chosen by patterns, which are written as lines of a `.gitignore` file.
//!
//! Invariant: a pattern without a fault can be used. `postq.pattern_fault` knows the same grammar.

use std::{ffi::OsStr, iter::Peekable, os::unix::ffi::OsStrExt, path::Path, str::Chars};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use thiserror::Error;

use crate::{select::Choice, spec::name_fault};

/// The longest pattern, in bytes, where nobody says otherwise.
const MAX_BYTES: usize = 4096;

/// Some patterns; of two that match a path the later one counts.
#[derive(Clone, Debug)]
pub struct Patterns(Gitignore);

/// It cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the pattern `{pattern}` {fault}")]
pub struct BadPattern {
    /// As written.
    pub pattern: String,
    /// What is wrong with it.
    pub fault: String,
}

impl Patterns {
    /// Of these lines.
    pub fn new(lines: &[String]) -> Result<Self, BadPattern> {
        let mut builder = GitignoreBuilder::new("");
        for line in lines {
            let bad = |fault| BadPattern { pattern: line.clone(), fault };
            match pattern_fault(line, MAX_BYTES) {
                Some(fault) => return Err(bad(fault)),
                None => builder.add_line(None, line).map_err(|error| bad(error.to_string()))?,
            };
        }
        let bad = |error: ignore::Error| BadPattern {
            pattern: lines.join(" "),
            fault: error.to_string(),
        };
        builder.build().map(Self).map_err(bad)
    }

    /// What they say of this path, which is relative to the root: chosen, or taken back by a `!`.
    pub fn judge(&self, path: &[u8], is_folder: bool) -> Option<bool> {
        match self.0.matched(Path::new(OsStr::from_bytes(path)), is_folder) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        }
    }

    /// What becomes of a write where only what they choose, and what is below it, is kept.
    pub fn choose(&self, path: &[u8], is_folder: bool, is_above_kept: bool) -> Choice {
        match self.judge(path, is_folder) {
            Some(true) => Choice::Keep,
            Some(false) => Choice::Undo,
            None if is_above_kept => Choice::Keep,
            None => Choice::Below,
        }
    }
}

/// What is wrong with a pattern, if anything is.
pub fn pattern_fault(pattern: &str, max_bytes: usize) -> Option<String> {
    if let Some(fault) = name_fault("pattern", pattern, max_bytes) {
        return Some(fault);
    }
    let fault = if pattern.starts_with('#') {
        "is a comment; write \\# for a name that begins so"
    } else if pattern.ends_with(char::is_whitespace) {
        "ends in a space, which would not count; write [ ] for a name that ends so"
    } else if pattern.strip_prefix('!').unwrap_or(pattern).chars().all(|c| c == '/') {
        "names nothing; write it as a line of .gitignore, or remove it"
    } else if pattern.contains("\\/") || !is_glob(pattern) {
        "is no pattern: a \\, [ or { in it is not followed by what it needs; write \\[ for the character itself"
    } else {
        return None;
    };
    Some(fault.to_owned())
}

/// Whether all is closed that is opened: `\x`, `[a-z]`, `{a,b}` (and none within another).
fn is_glob(pattern: &str) -> bool {
    let (mut chars, mut in_braces) = (pattern.chars().peekable(), false);
    while let Some(c) = chars.next() {
        let is_good = match c {
            '\\' => chars.next().is_some(),
            '[' => is_class(&mut chars),
            '{' | '}' => {
                in_braces = !in_braces;
                in_braces == (c == '{')
            }
            _ => true,
        };
        if !is_good {
            return false;
        }
    }
    !in_braces
}

/// Whether a class is closed and its ranges go upwards; its `[` has been read.
fn is_class(chars: &mut Peekable<Chars<'_>>) -> bool {
    chars.next_if(|c| matches!(c, '!' | '^'));
    let (mut is_first, mut low) = (true, None);
    while let Some(c) = chars.next() {
        match c {
            ']' if !is_first => return true,
            // At the end it is one of the characters.
            '-' if !is_first => {
                let high = chars.next_if(|c| *c != ']');
                if high.is_some_and(|high| high == '-' || low.take().is_none_or(|low| low > high)) {
                    return false;
                }
            }
            c => low = Some(c),
        }
        is_first = false;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn they_mean_what_they_mean_in_a_gitignore_file() {
        let lines = ["target/", "*.log", "!keep.log", "/top", "*.{csv,json}", "[a-c]x", "\\#y"];
        let patterns = Patterns::new(&lines.map(str::to_owned)).unwrap();
        for (path, is_folder, wanted) in [
            ("target", true, Some(true)),
            ("a/target", true, Some(true)),
            ("target", false, None),
            ("a/b.log", false, Some(true)),
            ("a/keep.log", false, Some(false)),
            ("top", false, Some(true)),
            ("a/top", false, None),
            ("a/b.json", false, Some(true)),
            ("bx", false, Some(true)),
            ("dx", false, None),
            ("#y", false, Some(true)),
        ] {
            assert_eq!(patterns.judge(path.as_bytes(), is_folder), wanted, "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for bad in [
            "",
            "!",
            "/",
            "!//",
            "#x",
            "a ",
            "a\u{2003}",
            "a\nb",
            "a\\",
            "a\\/b",
            "[",
            "[]",
            "[!]",
            "[a",
            "[z-a]",
            "[a-c-e]",
            "[---]",
            "{",
            "a}",
            "{a,{b}}",
            "{a[}",
            "x\\\\/",
        ] {
            assert!(pattern_fault(bad, 99).is_some(), "{bad:?}");
            assert!(Patterns::new(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
        for good in [
            "a", " a", "!a", "a/", "/a", "**", "a/**/b", "[]a]", "[!]a]", "[-]", "[--a]", "[a-]",
            "[é-ü]", "{a,b[}]}", "]", ",", "\\{", "a\\\\b", "?", "!#",
        ] {
            assert_eq!(pattern_fault(good, 99), None, "{good:?}");
            assert!(Patterns::new(&[good.to_owned()]).is_ok(), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_without_a_fault_can_be_used(pattern in "[]a-c\\[{}\\\\,!^*?/# -]{0,12}") {
            if pattern_fault(&pattern, 99).is_none() {
                prop_assert!(Patterns::new(std::slice::from_ref(&pattern)).is_ok(), "{}", pattern);
            }
        }
    }
}
