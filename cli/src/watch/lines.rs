//! Output cut into lines with the name of their task: `count | 123`.
//!
//! It does no IO. Invariant: no byte of output is dropped, and none is kept longer than
//! 8 KiB or [`Lines::flush_older`]'s age.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use postq_proto::v1::{ReadLogsResponse, read_logs_response::Stream};

/// A line longer than this is shown in several.
const LONGEST: usize = 8 * 1024;

/// The unfinished lines of all tasks.
#[derive(Debug, Default)]
pub struct Lines {
    open: BTreeMap<(i64, i32), Open>,
}

#[derive(Debug)]
struct Open {
    task: String,
    bytes: Vec<u8>,
    since: Instant,
}

impl Lines {
    /// Adds a piece of output; gives the lines it completes.
    pub fn take(&mut self, chunk: &ReadLogsResponse) -> Vec<String> {
        if chunk.stream() == Stream::System {
            let text = String::from_utf8_lossy(&chunk.data).into_owned();
            return text.lines().map(|line| format!("{} # {line}", chunk.task)).collect();
        }
        let key = (chunk.attempt, chunk.stream);
        let mut open = self.open.remove(&key).unwrap_or_else(|| Open {
            task: chunk.task.clone(),
            bytes: Vec::new(),
            since: Instant::now(),
        });
        open.bytes.extend_from_slice(&chunk.data);
        let lines = open.cut();
        if !open.bytes.is_empty() {
            self.open.insert(key, open);
        }
        lines
    }

    /// Gives up waiting for the ends of the lines that began `age` ago.
    pub fn flush_older(&mut self, age: Duration) -> Vec<String> {
        let old = self.open.extract_if(.., |_, open| open.since.elapsed() >= age);
        old.map(|(_, open)| open.line(&open.bytes)).collect()
    }

    /// Gives up waiting for the ends of all lines.
    pub fn flush(&mut self) -> Vec<String> {
        self.flush_older(Duration::ZERO)
    }
}

impl Open {
    fn cut(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = &self.bytes[..];
        loop {
            let end = rest.iter().take(LONGEST + 1).position(|&byte| byte == b'\n');
            let (length, skip) = match end {
                Some(end) => (end, 1),
                None if rest.len() > LONGEST => (whole_letters(&rest[..LONGEST]), 0),
                None => break,
            };
            lines.push(self.line(&rest[..length]));
            rest = &rest[length + skip..];
        }
        if !lines.is_empty() {
            self.bytes = rest.to_vec();
            self.since = Instant::now();
        }
        lines
    }

    /// Of a line that redraws itself only what stands at its end is shown, as on a terminal.
    fn line(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches('\r');
        let shown = text.rsplit('\r').next().unwrap_or(text);
        if shown.is_empty() {
            format!("{} |", self.task)
        } else {
            format!("{} | {shown}", self.task)
        }
    }
}

/// How much of `bytes` can be cut off without cutting a letter of UTF-8 in two.
fn whole_letters(bytes: &[u8]) -> usize {
    let is_start = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    match bytes.iter().rev().take(4).position(is_start) {
        Some(behind) if bytes[bytes.len() - 1 - behind] >= 0x80 && bytes.len() > behind + 1 => {
            bytes.len() - 1 - behind
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(task: &str, data: &[u8]) -> ReadLogsResponse {
        ReadLogsResponse {
            task: task.to_owned(),
            attempt: i64::from(task.as_bytes()[0]),
            number: 1,
            stream: Stream::Stdout.into(),
            data: data.to_vec().into(),
        }
    }

    #[test]
    fn lines_of_two_tasks_do_not_mix() {
        let mut lines = Lines::default();
        assert!(lines.take(&chunk("a", b"one")).is_empty());
        assert_eq!(lines.take(&chunk("b", b"two\n")), ["b | two"]);
        assert_eq!(lines.take(&chunk("a", b" more\n\nrest")), ["a | one more", "a |"]);
        assert_eq!(lines.flush(), ["a | rest"]);
        assert!(lines.flush().is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_letters() {
        let mut lines = Lines::default();
        let text = "ü".repeat(LONGEST);
        let mut shown = lines.take(&chunk("a", format!("x{text}").as_bytes()));
        shown.extend(lines.flush());
        assert!(shown.len() > 1);
        let joined: String = shown.iter().map(|line| line.trim_start_matches("a | ")).collect();
        assert_eq!(joined, format!("x{text}"));
    }

    #[test]
    fn a_line_that_redraws_itself_is_shown_as_it_ends() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(&chunk("a", b"10%\r50%\r100%\r\n")), ["a | 100%"]);
    }

    #[test]
    fn a_word_of_the_agent_is_told_apart() {
        let mut lines = Lines::default();
        let mut word = chunk("a", b"3 MiB left out\n");
        word.stream = Stream::System.into();
        assert_eq!(lines.take(&word), ["a # 3 MiB left out"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_all_the_same() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(&chunk("a", b"\xff\n")), ["a | \u{fffd}"]);
    }
}
