//! Running the command and looking at how it ended.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::processes::postq;

/// How it ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Ended {
    /// The lines on standard error, each without the command's name, which all must have.
    pub(crate) fn problems(&self) -> Vec<&str> {
        let told = |line| str::strip_prefix(line, "postq: ").unwrap_or_else(|| panic!("{line}"));
        self.errors.lines().map(told).collect()
    }
}

/// The command with no variable of ours set.
pub(crate) fn clean() -> Command {
    let mut command = Command::new(postq());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTQ_")) {
        command.env_remove(name);
    }
    command
}

/// Runs it with these arguments, and `input` on standard input.
pub(crate) fn run(arguments: &[&str], input: &str) -> Ended {
    let mut command = clean();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may refuse its arguments before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}
