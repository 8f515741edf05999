//! Whatever tasks print and however little of it is taken, the agent keeps its bounds and answers.

use std::fs;

use postq_proto::v1::{attempt::Outcome, read_logs_response::Stream};
use tempfile::tempdir;

use crate::{
    fake::joined,
    process::{Agent, connected},
    support::{eventually, seconds, shell},
};

/// Resident memory of the agent, in MiB.
fn memory_of(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// All that its spools hold, in bytes.
fn spooled(agent: &Agent) -> u64 {
    let entries = fs::read_dir(agent.home.join("logs")).unwrap().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}

/// The bytes that the agent itself says are missing.
fn missing(words: &[u8]) -> usize {
    let words = std::str::from_utf8(words).unwrap();
    words.lines().map(|line| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_print_as_fast_as_they_can_slow_neither_the_agent_nor_their_neighbours() {
    let dir = tempdir().unwrap();
    let args = ["--slots=3", "--log-limit=16MiB"];
    let (_fake, agent, mut session) = connected(dir.path(), &args).await;
    for attempt in [1, 2] {
        session.assign(shell(attempt, "yes a line of output")).await;
    }
    eventually("more than the cap to be printed", || spooled(&agent) > 24 * 1024 * 1024).await;
    for attempt in 3..23 {
        assert_eq!(session.run(shell(attempt, "echo short")).await.stdout, b"short\n");
        assert_eq!(session.what_do_you_hold(attempt).await[..2], [1, 2]);
        assert!(memory_of(&agent) < 128, "{} MiB", memory_of(&agent));
        // Each: half the cap as head, twice the other half as what may be the tail.
        assert!(spooled(&agent) < 2 * 26 * 1024 * 1024, "{} bytes", spooled(&agent));
    }
    for attempt in [1, 2] {
        session.cancel(attempt, "enough").await;
        let report = session.report().await;
        assert_eq!(report.outcome(), Outcome::Cancelled);
        let tail = String::from_utf8_lossy(&report.stdout);
        assert!(tail.contains("\na line of output\n"), "{tail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_attempts_together_leave_no_more_on_disk_than_the_agent_may() {
    let dir = tempdir().unwrap();
    let args = ["--slots=3", "--log-spool-limit=4MiB"];
    let (fake, agent, mut session) = connected(dir.path(), &args).await;
    fake.withhold_acknowledgements(true);
    let printed = 3 * 1024 * 1024;
    let done = dir.path().join("done");
    for attempt in 1..=3 {
        let command =
            format!("yes 0123456 | head -c {printed}; echo x >> {}; sleep 600", done.display());
        session.assign(shell(attempt, &command)).await;
    }
    eventually("the bound to be reached", || spooled(&agent) >= 4 * 1024 * 1024).await;
    for attempt in 1..=3 {
        session.cancel(attempt, "enough").await;
    }
    let mut chunks = [0; 4];
    for _ in 1..=3 {
        let report = session.report().await;
        let attempt = report.of.unwrap().attempt;
        chunks[usize::try_from(attempt).unwrap()] = report.log_chunks;
        session.record(attempt).await;
    }
    // At most one chunk of each was on its way when the bound was reached.
    assert!(spooled(&agent) < 5 * 1024 * 1024, "{} bytes", spooled(&agent));
    let (mut there, mut gone) = (0, 0);
    for attempt in 1..=3 {
        let count = chunks[usize::try_from(attempt).unwrap()];
        let chunks = fake.all_chunks(attempt, count).await;
        there += joined(&chunks, Stream::Stdout).len();
        gone += missing(&joined(&chunks, Stream::System));
    }
    let finished = fs::read_to_string(done).unwrap_or_default().lines().count();
    assert!(finished < 3, "a task waits");
    assert!(gone > 0, "what did not fit is told");
    assert!(there + gone > finished * printed && there + gone <= 3 * printed);
    // Told that all is stored, the agent removes it, and there is room for more.
    fake.withhold_acknowledgements(false);
    fake.refuse_logs(true);
    session.run(shell(4, "echo four")).await;
    fake.refuse_logs(false);
    eventually("all spools to be pushed", || agent.spools_on_disk().is_empty()).await;
    let report = session.run(shell(5, &format!("yes 0123456 | head -c {printed}"))).await;
    let chunks = fake.all_chunks(5, report.log_chunks).await;
    assert_eq!(joined(&chunks, Stream::Stdout).len(), printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_cannot_be_read_holds_up_no_other_and_its_loss_is_told() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected(dir.path(), &[]).await;
    fake.refuse_logs(true);
    session.run(shell(1, "echo damaged")).await;
    session.run(shell(2, "echo sound")).await;
    let spool = fs::File::options().write(true).open(dir.path().join("logs/1")).unwrap();
    spool.set_len(spool.metadata().unwrap().len() - 3).unwrap();
    fake.refuse_logs(false);
    assert_eq!(joined(&fake.all_chunks(2, 1).await, Stream::Stdout), b"sound\n");
    let words = joined(&fake.all_chunks(1, 1).await, Stream::System);
    assert_eq!(missing(&words), "damaged\n".len());
    eventually("both spools to be gone", || agent.spools_on_disk().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_has_ended_is_not_held_open_by_a_spool_without_room() {
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected(dir.path(), &[]).await;
    fake.withhold_acknowledgements(true);
    // More than the 16 MiB that may wait, and less than the pipe holds beside them.
    let printed = (16 * 1024 + 32) * 1024;
    let mut assignment = shell(1, &format!("yes 0123456 | head -c {printed}"));
    assignment.timeout = seconds(15);
    session.assign(assignment).await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    let chunks = fake.all_chunks(1, report.log_chunks).await;
    assert_eq!(joined(&chunks, Stream::Stdout).len(), printed);
}
