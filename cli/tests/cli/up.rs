//! `postq up` keeps a whole cluster, and takes all of it along when it goes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postq_cli::embedded::directory::ScratchDirectory;

use crate::{
    command::{clean, run},
    processes::{all_end, eventually},
};

pub(crate) struct Up {
    child: Child,
    _out: BufReader<ChildStdout>,
    pub(crate) endpoint: String,
}

impl Up {
    /// Ctrl-C, and its end.
    pub(crate) fn stop(mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// Starts it on a free port and waits until it says where it is.
pub(crate) fn up(state: &Path) -> Up {
    up_with(state, &[])
}

fn up_with(state: &Path, more: &[&str]) -> Up {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = clean()
        .args(["up", "--agents", "2", "--listen", &free.to_string()])
        .args(more)
        .env("POSTQ_STATE_DIR", state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let endpoint = line.strip_prefix("coordinator").unwrap_or_default().trim().to_owned();
    assert!(endpoint.starts_with("http://"), "{line:?}; see {}", state.display());
    Up { child, _out: out, endpoint }
}

/// Every process that has `state` in its arguments, and their supervisors.
fn members(state: &Path) -> Vec<u32> {
    let state = state.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_member = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(state)
    };
    numbers.filter(is_member).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn everything_ends_when_it_is_killed_and_the_data_stays() {
    let scratch = ScratchDirectory::create().unwrap();
    let state = scratch.path().join("state");
    let mut first = up(&state);
    let submitted = run(
        &["submit", "-", "--watch", "--coordinator", &first.endpoint],
        "tasks: {a: {command: echo kept}}",
    );
    assert_eq!(submitted.code, 0, "{submitted:?}");
    assert!(submitted.out.contains("a | kept"), "{submitted:?}");
    let pids = members(&state);
    // Postgres, the coordinator and two agents, each with a supervisor.
    assert!(pids.len() >= 8, "{pids:?}");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    all_end(&pids);

    let second = up(&state);
    let jobs = run(&["ls", "--coordinator", &second.endpoint], "");
    assert!(jobs.out.contains("succeeded"), "{jobs:?}");
    second.stop();
    eventually("an empty machine", || members(&state).is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_one_in_the_same_place_is_refused() {
    let scratch = ScratchDirectory::create().unwrap();
    let state = scratch.path().join("state");
    let first = up(&state);
    let second = clean().arg("up").env("POSTQ_STATE_DIR", &state).output().unwrap();
    assert_eq!(second.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another postq"));
    first.stop();
}

#[test]
fn an_address_in_use_is_told_with_the_log() {
    let scratch = ScratchDirectory::create().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = clean()
        .args(["up", "--listen", &address])
        .env("POSTQ_STATE_DIR", scratch.path().join("state"))
        .output()
        .unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), told.lines().count()), (Some(7), 1), "{told}");
    assert!(told.contains("coordinator.log"), "{told}");
}

#[test]
fn a_coordinator_with_tokens_refuses_who_has_none() {
    let scratch = ScratchDirectory::create().unwrap();
    let file = scratch.path().join("tokens");
    fs::write(&file, "agent 0ther\nclient s3cret\n").unwrap();
    let state = scratch.path().join("state");
    let up = up_with(&state, &["--token-file", file.to_str().unwrap()]);
    let ask = |more: &[&str]| {
        let mut arguments = vec!["ls", "--coordinator", &up.endpoint];
        arguments.extend(more);
        run(&arguments, "")
    };
    let refused = ask(&[]);
    assert_eq!((refused.code, refused.problems().len()), (5, 1), "{refused:?}");
    assert!(refused.problems()[0].contains("--token"), "{refused:?}");
    assert_eq!(ask(&["--token", "wrong"]).code, 5);
    assert_eq!(ask(&["--token", "s3cret"]).code, 0);
    up.stop();
}
