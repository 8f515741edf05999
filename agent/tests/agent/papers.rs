//! What tasks are told in files, and the JSON they give.

use postq_proto::{convert::value_from_json, v1, v1::attempt::Outcome};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{
    docker::container,
    process::connected,
    support::{eventually, shell},
};

/// The same task, with all that it can be told.
pub(crate) fn told(assignment: v1::Assignment) -> v1::Assignment {
    let input = v1::Input {
        state: v1::task::State::Succeeded.into(),
        output: Some(value_from_json(&json!({"n": 5}))),
        results: "five\n".into(),
    };
    v1::Assignment {
        data: Some(value_from_json(&json!({"nested": [{"deep": "é"}]}))),
        inputs: [("count".to_owned(), input)].into(),
        spec: Some(v1::TaskSpec { depends: vec!["count".into()], ..Default::default() }),
        ..assignment
    }
}

pub(crate) fn result(report: &v1::Report) -> Value {
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    serde_json::from_slice(&report.result).unwrap()
}

/// What a task of any executor does to show them.
pub(crate) const SHOW: &str = "cat $POSTQ_JOB $POSTQ_DATA $POSTQ_INPUTS; \
     printf '{\"seen\": true}' > $POSTQ_OUTPUT; ls -A";

pub(crate) fn check(report: &v1::Report) {
    assert_eq!(result(report), json!({"seen": true}));
    let text = String::from_utf8(report.stdout.clone()).unwrap();
    let mut papers = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let job = papers.next().unwrap().unwrap();
    assert_eq!((&job["name"], &job["task"]), (&json!("demo"), &json!("build")));
    assert_eq!(job["spec"]["depends"], json!(["count"]));
    assert_eq!(papers.next().unwrap().unwrap(), json!({"nested": [{"deep": "é"}]}));
    let count = json!({"state": "succeeded", "output": {"n": 5}, "results": "five\n"});
    assert_eq!(papers.next().unwrap().unwrap(), json!({"count": count}));
    assert!(papers.next().is_none(), "the workspace is empty: {text}");
}

/// PQ27: and beside the workspace, not in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_finds_the_job_its_data_and_its_inputs_and_gives_json() {
    let dir = tempdir().unwrap();
    let (_fake, agent, mut session) = connected(dir.path(), &[]).await;
    check(&session.run(told(shell(1, SHOW))).await);
    let report = session.run(shell(2, "cat $POSTQ_DATA $POSTQ_INPUTS; test -f $POSTQ_JOB")).await;
    assert_eq!(report.stdout, b"null{}");
    assert_eq!((report.outcome(), report.result.len()), (Outcome::Succeeded, 0));
    let failed = session.run(shell(3, "test -f $POSTQ_JOB; echo 1 > $POSTQ_OUTPUT; exit 3")).await;
    assert_eq!((failed.exit_code, failed.result.len()), (Some(3), 0));
    eventually("nothing to be left", || agent.attempts_on_disk().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_fails_the_task_and_says_so() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path(), &[]).await;
    for (attempt, command, wanted) in [
        (1, "echo '{' > $POSTQ_OUTPUT", "its output is not JSON: "),
        (2, "head -c 1048577 /dev/zero > $POSTQ_OUTPUT", "its output has more than 1048576 bytes"),
        (3, "ln -s $POSTQ_JOB $POSTQ_OUTPUT", "its output cannot be read"),
        (4, "mkdir $POSTQ_OUTPUT", "its output is no file"),
        (5, "echo 9007199254740993 > $POSTQ_OUTPUT", "its output has the number 9007199254740993"),
    ] {
        let report = session.run(shell(attempt, command)).await;
        assert_eq!(report.outcome(), Outcome::Failed, "{command}");
        assert!(report.reason.starts_with(wanted), "{}", report.reason);
        assert!(report.result.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_finds_the_same_and_cannot_change_what_it_is_told() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = crate::docker::connected_with(dir.path(), &[]).await;
    check(&session.run(told(container(1, SHOW))).await);
    let report = session.run(container(2, "echo x > $POSTQ_JOB")).await;
    assert_eq!(report.outcome(), Outcome::Failed);
    let errors = String::from_utf8_lossy(&report.stderr).into_owned();
    assert!(errors.contains("Read-only"), "{errors}");
}
