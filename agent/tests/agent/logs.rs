//! Output arrives byte for byte, as it comes, and within its bounds.

use postq_proto::v1::{attempt::Outcome, read_logs_response::Stream};
use tempfile::tempdir;

use crate::{
    fake::joined,
    process::{Agent, connected},
    support::{eventually, shell, within},
};

/// Numbered lines of 8 bytes each.
fn lines(count: usize) -> Vec<u8> {
    (1..=count).flat_map(|n| format!("{n:07}\n").into_bytes()).collect()
}

fn print_lines(count: usize) -> String {
    format!("seq -f %07.0f 1 {count}")
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_no_text_is_kept_byte_for_byte() {
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let report = session.run(shell(1, "printf '\\377\\000\\303(\\n'; printf '\\200' >&2")).await;
    let (stdout, stderr) = (b"\xff\0\xc3(\n".to_vec(), b"\x80".to_vec());
    assert_eq!((&report.stdout, &report.stderr), (&stdout, &stderr));
    let chunks = fake.all_chunks(1, report.log_chunks).await;
    assert_eq!(joined(&chunks, Stream::Stdout), stdout);
    assert_eq!(joined(&chunks, Stream::Stderr), stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_seen_while_the_task_runs() {
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let go = dir.path().join("go");
    let command = format!("echo early; while ! test -e {}; do sleep 0.05; done", go.display());
    session.assign(shell(1, &command)).await;
    let chunks = fake.all_chunks(1, 1).await;
    assert_eq!(joined(&chunks, Stream::Stdout), b"early\n");
    std::fs::write(go, "").unwrap();
    assert_eq!(session.report().await.log_chunks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_arrives_whole_and_its_end_is_in_the_report() {
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected(dir.path(), &[]).await;
    let count = 400_000; // 3.2 MB
    let report = session.run(shell(1, &print_lines(count))).await;
    let all = lines(count);
    assert_eq!(report.stdout, all[all.len() - 64 * 1024..]);
    let chunks = fake.all_chunks(1, report.log_chunks).await;
    assert_eq!(i64::try_from(chunks.len()).unwrap(), report.log_chunks);
    assert!(chunks.values().all(|(_, data)| data.len() <= 256 * 1024));
    assert!(joined(&chunks, Stream::Stdout) == all);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_cap_head_and_tail_stay_with_an_exact_marker() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected(dir.path(), &["--log-limit=1MiB"]).await;
    let count = 400_000;
    let report = session.run(shell(1, &print_lines(count))).await;
    let chunks = fake.all_chunks(1, report.log_chunks).await;
    let all = lines(count);
    let half = 512 * 1024;
    let mut kept = all[..half].to_vec();
    kept.extend_from_slice(&all[all.len() - half..]);
    assert!(joined(&chunks, Stream::Stdout) == kept);
    let marker = format!("postq: {} bytes of output are left out here\n", all.len() - 2 * half);
    assert_eq!(joined(&chunks, Stream::System), marker.as_bytes());
    // It stands where the gap is.
    let streams: Vec<Stream> = chunks.values().map(|(stream, _)| *stream).collect();
    let at = streams.iter().position(|stream| *stream == Stream::System).unwrap();
    let before: usize = chunks.values().take(at).map(|(_, data)| data.len()).sum();
    assert_eq!(before, half);
    eventually("no spool to be left", || agent.spools_on_disk().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_sent_again_until_they_are_acknowledged() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected(dir.path(), &[]).await;
    fake.withhold_acknowledgements(true);
    let report = session.run(shell(1, "echo one; sleep 1.2; echo two")).await;
    assert_eq!(report.log_chunks, 2);
    assert_eq!(agent.spools_on_disk(), ["1"]);
    let before = fake.log_arrivals();
    // The stream ends at the next chunk, and is made anew.
    fake.refuse_logs(true);
    session.run(shell(2, "echo three")).await;
    fake.withhold_acknowledgements(false);
    fake.refuse_logs(false);
    eventually("all spools to be pushed", || agent.spools_on_disk().is_empty()).await;
    assert!(fake.log_arrivals() >= before + 2, "both chunks came again");
    assert_eq!(joined(&fake.chunks(1), Stream::Stdout), b"one\ntwo\n");
    assert_eq!(joined(&fake.chunks(2), Stream::Stdout), b"three\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_stream_that_is_away_does_not_hold_a_report_back_and_is_caught_up_after_a_restart() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, mut session) = connected(dir.path(), &[]).await;
    fake.refuse_logs(true);
    let report = within("the report", session.run(shell(1, "echo kept"))).await;
    assert_eq!((report.outcome(), report.log_chunks), (Outcome::Succeeded, 1));
    assert_eq!(session.what_do_you_hold(1).await, Vec::<i64>::new());
    eventually("it to be forgotten", || agent.attempts_on_disk().is_empty()).await;
    agent.kill();
    drop(session);
    fake.refuse_logs(false);
    let agent = Agent::start(&fake, dir.path(), &[]);
    let _session = fake.session().await;
    assert_eq!(joined(&fake.all_chunks(1, 1).await, Stream::Stdout), b"kept\n");
    eventually("the spool to be gone", || agent.spools_on_disk().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_behind_slows_the_task_and_not_the_memory() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected(dir.path(), &[]).await;
    fake.withhold_acknowledgements(true);
    let wrote = dir.path().join("wrote");
    // 32 MB do not fit into the 16 MiB that may wait.
    let command = format!("{}; touch {}", print_lines(4_000_000), wrote.display());
    session.assign(shell(1, &command)).await;
    let spool = agent.home.join("logs/1");
    let size = || std::fs::metadata(&spool).map_or(0, |meta| meta.len());
    eventually("the spool to be full", || size() >= 16 * 1024 * 1024).await;
    assert!(!wrote.exists(), "the task waits");
    session.cancel(1, "enough").await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert!(size() < 18 * 1024 * 1024);
}
