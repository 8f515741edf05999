//! Secrets by reference: tasks have them, and nobody else hears of them.

use postq_proto::v1::{self, attempt::Outcome, read_logs_response::Stream};
use tempfile::tempdir;

use crate::{
    docker::{container, image},
    fake::{Fake, joined},
    process::Agent,
    support::shell,
};

fn with_secrets(assignment: v1::Assignment, secrets: &[(&str, &str)]) -> v1::Assignment {
    let pair = |(name, reference): &(&str, &str)| ((*name).to_owned(), (*reference).to_owned());
    let secrets = secrets.iter().map(pair).collect();
    v1::Assignment { spec: Some(v1::TaskSpec { secrets, ..Default::default() }), ..assignment }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_its_secrets_and_gives_none_of_them_away() {
    image();
    let (dir, secrets) = (tempdir().unwrap(), tempdir().unwrap());
    std::fs::write(secrets.path().join("db"), "of-the-file\n").unwrap();
    std::fs::create_dir(secrets.path().join("below")).unwrap();
    std::fs::write(secrets.path().join("below/key"), "line one\nline two\n").unwrap();
    let mut fake = Fake::start().await;
    let option = format!("--secrets-dir={}", secrets.path().display());
    let args = ["--executors=shell,docker", &option];
    let env = [("APP_TOKEN", "of-the-agent")];
    let agent = Agent::start_with(&fake.url(), dir.path(), &args, &env);
    let mut session = fake.session().await;
    let references = [("DB", "db"), ("KEY", "file:below/key"), ("TOKEN", "env:APP_TOKEN")];
    // In pieces, so that chunks end in the middle of them.
    let command = "[ \"$KEY\" = \"line one\nline two\" ] && [ $DB = \"of-the-fil\"e ] && echo right; \
                   printf of-the-; sleep 1.2; printf 'agent|of-the-fil'; sleep 0.1; echo e; \
                   echo \"$KEY\" >&2; echo \"[\\\"x$DB\\\"]\" > $POSTQ_OUTPUT; cat $POSTQ_JOB";
    for (attempt, assignment) in [(1, shell(1, command)), (2, container(2, command))] {
        let report = session.run(with_secrets(assignment, &references)).await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
        let stdout = String::from_utf8(report.stdout.clone()).unwrap();
        assert!(stdout.starts_with("right\n***|***\n"), "{stdout}");
        assert!(stdout.contains(r#""DB":"db""#), "the job tells the reference: {stdout}");
        assert_eq!(report.stderr, b"***\n");
        assert_eq!(report.result, b"[\"x***\"]");
        let chunks = fake.all_chunks(attempt, report.log_chunks).await;
        assert_eq!(joined(&chunks, Stream::Stdout), report.stdout);
    }
    drop(agent);
    let kept = std::process::Command::new("grep")
        .args(["--recursive", "--text", "--files-with-matches", "of-the-file"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(kept.stdout).unwrap(), "", "nothing of it is on disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_is_named() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = crate::process::connected(dir.path(), &[]).await;
    for (attempt, reference, wanted) in [
        (1, "db", "secret DB (db): this agent has no directory of secrets (--secrets-dir)"),
        (2, "env:POSTQ_COORDINATOR", "secret DB (env:POSTQ_COORDINATOR): this agent has no such"),
    ] {
        let report = session.run(with_secrets(shell(attempt, "true"), &[("DB", reference)])).await;
        assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, false));
        assert!(report.reason.contains(wanted), "{}", report.reason);
    }
}
