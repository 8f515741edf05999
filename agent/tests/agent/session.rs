//! Both sides say what they hold; what was accepted stays until it is recorded.

use postq_proto::v1::{self, attempt::Outcome};
use tempfile::tempdir;

use crate::{
    fake::Fake,
    process::{Agent, connected, is_alive, pid_in},
    support::{eventually, shell},
};

/// Runs until the file `go` appears.
fn until_go(dir: &std::path::Path, attempt: i64) -> String {
    format!(
        "echo $$ > {dir}/pid-{attempt}; while ! test -e {dir}/go; do sleep 0.02; done; echo went",
        dir = dir.display()
    )
}

fn held(hello: &postq_proto::v1::Hello) -> Vec<i64> {
    hello.held.iter().map(|held| held.attempt).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hello_says_who_the_agent_is() {
    let dir = tempdir().unwrap();
    let args = ["--name=worker-7", "--slots=3", "--label=zone=eu"];
    let (mut fake, agent, session) = connected(dir.path(), &args).await;
    let first = session.hello.clone();
    assert_eq!((first.name.as_str(), first.slots), ("worker-7", 3));
    assert_eq!(first.executors, ["shell"]);
    assert_eq!(first.labels["zone"], "eu");
    assert!(first.held.is_empty() && !first.host.is_empty() && !first.version.is_empty());
    agent.kill();
    let _agent = Agent::start(&fake, dir.path(), &args);
    let second = fake.session().await.hello;
    assert_eq!(second.agent_id, first.agent_id, "the work directory stays");
    assert_ne!(second.boot_id, first.boot_id, "the process is new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_stops_no_attempt_and_its_report_comes_on_the_next() {
    let dir = tempdir().unwrap();
    let (mut fake, _agent, session) = connected(dir.path(), &[]).await;
    session.assign(shell(1, &until_go(dir.path(), 1))).await;
    let pid = pid_in(&dir.path().join("pid-1")).await;
    drop(session);
    let mut session = fake.session().await;
    assert_eq!(held(&session.hello), [1]);
    assert!(is_alive(pid));
    std::fs::write(dir.path().join("go"), "").unwrap();
    let report = session.report().await;
    assert_eq!((report.outcome(), report.stdout.as_slice()), (Outcome::Succeeded, &b"went\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_away_stops_no_attempt() {
    let dir = tempdir().unwrap();
    let (fake, _agent, session) = connected(dir.path(), &[]).await;
    let address = fake.address;
    session.assign(shell(1, &until_go(dir.path(), 1))).await;
    let pid = pid_in(&dir.path().join("pid-1")).await;
    drop(session);
    fake.stop().await;
    std::fs::write(dir.path().join("go"), "").unwrap();
    eventually("the task to end", || !is_alive(pid)).await;
    let mut fake = Fake::start_at(address).await;
    let mut session = fake.session().await;
    assert_eq!(held(&session.hello), [1]);
    assert_eq!(session.report().await.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_overlap_is_stopped_when_no_coordinator_is_heard_and_so_is_all_where_wanted()
{
    for (policy, goes_on) in [("finish", true), ("stop", false)] {
        let dir = tempdir().unwrap();
        let args = ["--slots=2", &format!("--when-alone={policy}")];
        let (fake, _agent, session) = connected(dir.path(), &args).await;
        let address = fake.address;
        let exclusive = v1::Assignment { is_exclusive: true, ..shell(1, &until_go(dir.path(), 1)) };
        session.assign(exclusive).await;
        session.assign(shell(2, &until_go(dir.path(), 2))).await;
        let exclusive = pid_in(&dir.path().join("pid-1")).await;
        let other = pid_in(&dir.path().join("pid-2")).await;
        drop(session);
        fake.stop().await;
        eventually("the task to be stopped", || !is_alive(exclusive)).await;
        if goes_on {
            assert!(is_alive(other));
            std::fs::write(dir.path().join("go"), "").unwrap();
        }
        eventually("the other one to end", || !is_alive(other)).await;
        let mut fake = Fake::start_at(address).await;
        let mut session = fake.session().await;
        assert_eq!(held(&session.hello), [1, 2]);
        let mut outcomes = Vec::new();
        for _ in 1..=2 {
            let report = session.report().await;
            outcomes.push((report.of.as_ref().unwrap().attempt, report.outcome()));
        }
        outcomes.sort_unstable();
        let of_other = if goes_on { Outcome::Succeeded } else { Outcome::Released };
        assert_eq!(outcomes, [(1, Outcome::Released), (2, of_other)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_sent_on_every_stream_until_it_is_recorded() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, mut session) = connected(dir.path(), &[]).await;
    session.assign(shell(1, "echo once")).await;
    let first = session.report().await;
    drop(session);
    let mut session = fake.session().await;
    assert_eq!(held(&session.hello), [1]);
    assert_eq!(session.report().await, first);
    session.record(1).await;
    eventually("nothing to be left on disk", || agent.attempts_on_disk().is_empty()).await;
    assert_eq!(session.what_do_you_hold(5).await, Vec::<i64>::new());
    drop(session);
    assert!(fake.session().await.hello.held.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_what_do_you_hold_comes_after_the_reports_before_it() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &["--slots=3"]).await;
    session.assign(shell(1, &until_go(dir.path(), 1))).await;
    session.assign(shell(2, &until_go(dir.path(), 2))).await;
    // Asked in the same breath: what was assigned before the question is on disk by the answer.
    assert_eq!(session.what_do_you_hold(1).await, [1, 2]);
    session.assign(shell(3, "true")).await;
    assert_eq!(session.report().await.of.unwrap().attempt, 3);
    assert_eq!(session.what_do_you_hold(2).await, [1, 2, 3]);
    session.record(3).await;
    assert_eq!(session.what_do_you_hold(3).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_that_comes_twice_runs_once() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &["--slots=4"]).await;
    let count = dir.path().join("count");
    let command = format!("echo ran >> {}", count.display());
    for _ in 0..3 {
        session.assign(shell(1, &command)).await;
    }
    session.report().await;
    session.assign(shell(1, &command)).await;
    assert_eq!(session.what_do_you_hold(1).await, [1]);
    assert_eq!(std::fs::read_to_string(count).unwrap(), "ran\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disowned_attempt_is_killed_and_forgotten_without_a_report() {
    let dir = tempdir().unwrap();
    let (_fake, agent, mut session) = connected(dir.path(), &["--slots=2"]).await;
    session.assign(shell(1, &format!("trap '' TERM; {}", until_go(dir.path(), 1)))).await;
    session.assign(shell(2, "true")).await;
    assert_eq!(session.report().await.of.unwrap().attempt, 2);
    let pid = pid_in(&dir.path().join("pid-1")).await;
    session.abandon(1).await;
    session.abandon(2).await;
    session.abandon(99).await;
    assert_eq!(session.what_do_you_hold(1).await, Vec::<i64>::new());
    eventually("its process to be gone", || !is_alive(pid)).await;
    eventually("nothing to be left on disk", || agent.attempts_on_disk().is_empty()).await;
    // Had there been a report, it would come before this answer.
    assert_eq!(session.what_do_you_hold(2).await, Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_ended_attempts_are_reported_again_and_running_ones_are_lost() {
    let dir = tempdir().unwrap();
    let (mut fake, agent, mut session) = connected(dir.path(), &["--slots=2"]).await;
    session.assign(shell(1, "echo ended; exit 4")).await;
    let first = session.report().await;
    let command = format!("echo before; {}", until_go(dir.path(), 2));
    session.assign(shell(2, &command)).await;
    let pid = pid_in(&dir.path().join("pid-2")).await;
    // Output that was cut into a chunk survives the agent.
    fake.all_chunks(2, 1).await;
    let home = agent.home.clone();
    agent.kill();
    drop(session);
    eventually("its process to be gone", || !is_alive(pid)).await;
    let agent = Agent::start(&fake, &home, &[]);
    let mut session = fake.session().await;
    assert_eq!(held(&session.hello), [1, 2]);
    assert_eq!(session.report().await, first);
    let lost = session.report().await;
    assert_eq!(lost.outcome(), Outcome::Lost);
    assert_eq!(lost.reason, "the agent was restarted while the task ran");
    assert!(!home.join("attempts/2/scratch").exists());
    session.record(1).await;
    session.record(2).await;
    eventually("nothing to be left on disk", || agent.attempts_on_disk().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_coordinator_is_tried_when_one_is_away() {
    let dir = tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut fake = Fake::start().await;
    let urls = format!("http://{gone},{}", fake.url());
    let _agent = Agent::start_with(&urls, dir.path(), &["--executors=shell"], &[]);
    let mut session = fake.session().await;
    assert_eq!(session.run(shell(1, "true")).await.outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_stands_for_all_its_addresses_and_is_looked_up_again_when_one_is_gone() {
    let dir = tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    let name = |addresses: &[&str]| {
        let lines = addresses.iter().map(|address| format!("{address} coordinators.test\n"));
        std::fs::write(&hosts, lines.collect::<String>()).unwrap();
    };
    let mut first = Fake::start_at("127.0.0.3:0".parse().unwrap()).await;
    let port = first.address.port();
    // Nobody is there at two of them.
    name(&["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    let url = format!("http://coordinators.test:{port}");
    let _agent = Agent::start_among(&hosts, &url, &dir.path().join("agent"));
    let session = first.session().await;
    name(&["127.0.0.2"]);
    let mut second = Fake::start_at(([127, 0, 0, 2], port).into()).await;
    drop(session);
    // Its connections outlive it otherwise.
    first.refuse_logs(true);
    first.stop().await;
    let mut session = second.session().await;
    let report = session.run(shell(1, "echo moved")).await;
    assert_eq!(report.outcome(), Outcome::Succeeded);
    let chunks = second.all_chunks(1, report.log_chunks).await;
    assert_eq!(chunks.len(), 1, "its output moves with it");
}
