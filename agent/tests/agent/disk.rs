//! A disk that is full or read-only swallows no task, and what is lost of output is told.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use postq_proto::v1::{
    Report, attempt::Outcome, connect_request::Message, read_logs_response::Stream,
};
use tempfile::{TempDir, tempdir};

use crate::{
    fake::{Fake, Session, joined},
    process::{Agent, connected},
    support::shell,
};

/// Runs `mount` or `umount`.
fn as_root(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().expect("mount and umount are installed");
    assert!(
        status.success(),
        "{program} {args:?}: these tests mount file systems; run them as root"
    );
}

/// A file system of 8 MiB; gone when the test ends.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        as_root("mount", &["-t", "tmpfs", "-o", "size=8m", "postq-test", path]);
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) -> PathBuf {
        fill(self.path())
    }
}

/// Takes all the room there is on the disk of a directory; removing the file gives it back.
pub(crate) fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = File::create(&path).unwrap();
    for piece in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
    path
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// A directory that cannot be written, until it is dropped.
struct ReadOnly<'a>(&'a str);

impl<'a> ReadOnly<'a> {
    fn make(path: &'a str) -> Self {
        as_root("mount", &["--bind", path, path]);
        let this = Self(path);
        as_root("mount", &["-o", "remount,bind,ro", path]);
        this
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// The next report, be it on this stream or on those that follow it.
async fn report(fake: &mut Fake, session: &mut Session) -> Report {
    loop {
        match session.next_if_open().await {
            Some(Message::Report(report)) => return report,
            Some(other) => panic!("not a report: {other:?}"),
            None => *session = fake.session().await,
        }
    }
}

/// The first stream from here on whose hello offers so many slots.
async fn with_slots(fake: &mut Fake, session: &mut Session, slots: i32) {
    while session.hello.slots != slots {
        *session = fake.session().await;
    }
}

/// What one attempt after the other sees of a disk that fails and works again.
async fn is_given_back_until_it_works(
    fake: &mut Fake,
    session: &mut Session,
    why: &str,
    mend: impl FnOnce(),
) {
    session.assign(shell(1, "true")).await;
    let first = report(fake, session).await;
    assert_eq!(first.outcome(), Outcome::Released, "{}", first.reason);
    assert!(first.reason.starts_with("the disk of the agent fails: "), "{}", first.reason);
    assert!(first.reason.contains(why), "{}", first.reason);
    with_slots(fake, session, 0).await;
    session.record(1).await;
    // On its way when the agent said that it takes nothing.
    session.assign(shell(2, "true")).await;
    loop {
        let next = report(fake, session).await;
        assert_eq!(next.outcome(), Outcome::Released);
        let attempt = next.of.unwrap().attempt;
        session.record(attempt).await;
        if attempt == 2 {
            break;
        }
    }
    mend();
    with_slots(fake, session, 3).await;
    session.assign(shell(3, "echo works")).await;
    loop {
        let next = report(fake, session).await;
        let attempt = next.of.as_ref().unwrap().attempt;
        session.record(attempt).await;
        if attempt == 3 {
            assert_eq!(
                (next.outcome(), next.stdout.as_slice()),
                (Outcome::Succeeded, &b"works\n"[..])
            );
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_gives_tasks_back_uncounted_and_takes_none_until_there_is_room() {
    let disk = SmallDisk::mount();
    let (mut fake, _agent, mut session) = connected(disk.path(), &["--slots=3"]).await;
    assert_eq!(session.hello.slots, 3);
    let filler = disk.fill();
    let mend = || fs::remove_file(filler).unwrap();
    let why = "No space left on device";
    is_given_back_until_it_works(&mut fake, &mut session, why, mend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_gives_tasks_back_uncounted_and_takes_none_until_it_is_not() {
    let dir = tempdir().unwrap();
    let (mut fake, _agent, mut session) = connected(dir.path(), &["--slots=3"]).await;
    let attempts = dir.path().join("attempts");
    let read_only = ReadOnly::make(attempts.to_str().unwrap());
    let why = "Read-only file system";
    is_given_back_until_it_works(&mut fake, &mut session, why, || drop(read_only)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_starts_on_a_full_disk_takes_nothing_until_there_is_room() {
    let disk = SmallDisk::mount();
    let (mut fake, agent, session) = connected(disk.path(), &["--slots=3"]).await;
    agent.kill();
    drop(session);
    let filler = disk.fill();
    let _agent = Agent::start(&fake, disk.path(), &["--slots=3"]);
    let mut session = fake.session().await;
    assert_eq!(session.hello.slots, 0);
    fs::remove_file(filler).unwrap();
    with_slots(&mut fake, &mut session, 3).await;
    assert_eq!(session.run(shell(1, "true")).await.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fills_the_disk_fails_for_that_reason_and_spoils_nothing() {
    let disk = SmallDisk::mount();
    let (mut fake, _agent, mut session) = connected(disk.path(), &["--slots=3"]).await;
    session.assign(shell(1, "head -c 64M /dev/zero > big")).await;
    let full = report(&mut fake, &mut session).await;
    assert_eq!(full.outcome(), Outcome::Failed);
    assert_eq!(full.reason, "exit code 1: the disk of its agent is full");
    session.record(1).await;
    with_slots(&mut fake, &mut session, 3).await;
    assert_eq!(session.run(shell(2, "true")).await.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_a_full_disk_does_not_take_is_counted_to_the_byte() {
    // More than the disk in the head; more than the disk in what follows it.
    for limit in ["--log-limit=64MiB", "--log-limit=14MiB"] {
        let disk = SmallDisk::mount();
        let (mut fake, _agent, mut session) = connected(disk.path(), &[limit]).await;
        let written = 20 * 1024 * 1024;
        let command = format!("yes 0123456 | head -c {written}; echo the end >&2");
        session.assign(shell(1, &command)).await;
        let report = report(&mut fake, &mut session).await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
        assert_eq!(report.stderr, b"the end\n");
        let chunks = fake.all_chunks(1, report.log_chunks).await;
        let words = String::from_utf8(joined(&chunks, Stream::System)).unwrap();
        let count = |line: &str| -> usize { line.split(' ').nth(1).unwrap().parse().unwrap() };
        let missing: usize = words.lines().map(count).sum();
        let there = joined(&chunks, Stream::Stdout).len() + joined(&chunks, Stream::Stderr).len();
        assert!(words.contains("bytes of output are missing here: No space left"), "{words}");
        assert_eq!(there + missing, written + "the end\n".len(), "{words}");
    }
}
