//! What text may hold, and how it is shown in a message.

use std::borrow::Cow;

/// Longest piece of a user's text that a message repeats, in characters.
const SHOWN_CHARS: usize = 80;

/// `text` as a message may repeat it: on one line and not too long.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_long = text.chars().nth(SHOWN_CHARS).is_some();
    if !is_long && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars().take(SHOWN_CHARS) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if is_long {
        out.push_str("...");
    }
    Cow::Owned(out)
}

/// What is wrong with `name` as the name of a `what`; an empty one is fine here.
pub(crate) fn name_fault(what: &str, name: &str, max_bytes: usize) -> Option<String> {
    if name.len() > max_bytes {
        Some(format!("has {} bytes; a {what} may have {max_bytes}", name.len()))
    } else if name.chars().any(char::is_control) {
        Some(format!("has a control character; a {what} is printable text"))
    } else {
        None
    }
}

/// What is wrong with `name` as the name of a queue that jobs are submitted to.
pub(super) fn queue_fault(name: &str, max_bytes: usize) -> Option<String> {
    if name.starts_with("dlq@") {
        Some("is where dead letters are consumed; name another queue".to_owned())
    } else {
        name_fault("queue name", name, max_bytes)
    }
}

/// What is wrong with `name` as the name of a task.
pub(super) fn task_name_fault(name: &str, max_bytes: usize) -> Option<String> {
    if name.is_empty() {
        Some("is empty; give the task a name".to_owned())
    } else if name.contains('/') {
        Some("has a \"/\", which separates job and task in paths; use another character".to_owned())
    } else if name == "." || name == ".." {
        Some("means a directory; use another name".to_owned())
    } else {
        name_fault("task name", name, max_bytes)
    }
}

/// What is wrong with `name` as the name of a variable.
pub(super) fn variable_name_fault(name: &str, max_bytes: usize) -> Option<String> {
    if name.is_empty() {
        Some("is empty; give the variable a name".to_owned())
    } else if name.contains('=') {
        Some("has a \"=\", which ends a variable's name; use another character".to_owned())
    } else {
        name_fault("variable name", name, max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_stays_on_one_short_line() {
        assert_eq!(shown("plain é"), "plain é");
        assert_eq!(shown("a\nb\0"), "a\\nb\\u{0}");
        let long = shown(&"x".repeat(200)).into_owned();
        assert!(long.ends_with("x...") && long.len() == SHOWN_CHARS + 3);
    }

    #[test]
    fn task_names_are_fit_for_paths() {
        for good in ["a", "a b", "a.b", "täsk", "-", "a\"b"] {
            assert_eq!(task_name_fault(good, 255), None, "{good}");
        }
        for bad in ["", "a/b", "a\0", "a\nb", ".", "..", &"x".repeat(256)] {
            assert!(task_name_fault(bad, 255).is_some(), "{bad:?}");
        }
    }
}
