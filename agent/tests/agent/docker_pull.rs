//! Images that come from a registry, one of the test's own that speaks its protocol.

use postq_proto::v1::{
    self, attempt::Outcome, read_logs_response::Stream, task_spec::container::Pull,
};
use tempfile::tempdir;

use crate::{
    docker::{connected_with, container},
    fake::joined,
    registry::{AUTH, Registry},
    support::eventually,
};

fn of(registry: &Registry, attempt: i64, pull: Pull) -> v1::Assignment {
    let container_spec = v1::task_spec::Container { pull: pull.into(), ..Default::default() };
    v1::Assignment {
        image: registry.image.clone(),
        spec: Some(v1::TaskSpec { container: Some(container_spec), ..Default::default() }),
        ..container(attempt, "echo here")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_pulled_once_for_all_who_want_it_and_told_by_its_digest() {
    let registry = Registry::start(false);
    registry.open(false);
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected_with(dir.path(), &[]).await;
    session.assign(of(&registry, 1, Pull::Missing)).await;
    eventually("the pull to begin", || registry.pulls() == 1).await;
    session.assign(of(&registry, 2, Pull::Missing)).await;
    let waiting = format!("postq: waiting for another task's pull of {}\n", registry.image);
    fake.chunks_when(2, |chunks| joined(chunks, Stream::System) == waiting.as_bytes()).await;
    registry.open(true);
    let name = registry.image.strip_suffix(":1").unwrap();
    for _ in 0..2 {
        let report = session.report().await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
        assert!(report.image.starts_with(&format!("{name}@sha256:")), "{}", report.image);
        let attempt = report.of.unwrap().attempt;
        if attempt == 1 {
            let chunks = fake.all_chunks(1, report.log_chunks).await;
            let said = String::from_utf8(joined(&chunks, Stream::System)).unwrap();
            let first = format!("postq: pulling {}\n", registry.image);
            assert!(said.starts_with(&first), "{said}");
            assert!(
                said.ends_with(&format!("postq: pulled {}: {}\n", registry.image, report.image))
            );
        }
        session.record(attempt).await;
    }
    assert_eq!(registry.pulls(), 1);
    let report = session.run(of(&registry, 3, Pull::Never)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "it is here now: {}", report.reason);
    let report = session.run(of(&registry, 4, Pull::Always)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    assert_eq!(registry.pulls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_cannot_help_is_not_tried_again() {
    let registry = Registry::start(false);
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[]).await;
    let report = session.run(of(&registry, 1, Pull::Never)).await;
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, false));
    assert!(report.reason.ends_with("the task lets none be pulled"), "{}", report.reason);
    let mut unknown = of(&registry, 2, Pull::Missing);
    unknown.image = unknown.image.replace("/app:1", "/app:2");
    let report = session.run(unknown).await;
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, true), "{}", report.reason);
    assert!(report.reason.contains("manifest unknown"), "{}", report.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_shown_the_credentials_of_the_file() {
    let registry = Registry::start(true);
    let dir = tempdir().unwrap();
    let config = tempdir().unwrap();
    let file = config.path().join("config.json");
    std::fs::write(&file, r#"{"auths": {}}"#).unwrap();
    let option = format!("--registry-auth-file={}", file.display());
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[&option]).await;
    let report = session.run(of(&registry, 1, Pull::Missing)).await;
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, true), "{}", report.reason);
    let host = registry.image.split('/').next().unwrap();
    let auths = serde_json::json!({"auths": {host: {"auth": AUTH}}});
    std::fs::write(&file, auths.to_string()).unwrap();
    let report = session.run(of(&registry, 2, Pull::Missing)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
}
