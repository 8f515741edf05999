//! Images that an agent has pulled go again, where it is told to.

use std::process::{Command, Stdio};

use postq_proto::v1::{self, attempt::Outcome, read_logs_response::Stream};
use tempfile::tempdir;

use crate::{
    docker::{IMAGE, NO_ENGINE, connected_with, container, docker},
    fake::joined,
    process::Agent,
    registry::Registry,
    support::eventually,
};

fn of(registry: &Registry, attempt: i64, command: &str) -> v1::Assignment {
    v1::Assignment { image: registry.image.clone(), ..container(attempt, command) }
}

fn is_here(image: &str) -> bool {
    let inspect = Command::new("docker")
        .args(["image", "inspect", image])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    inspect.expect(NO_ENGINE).success()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_pulled_goes_when_no_task_had_it_for_so_long() {
    let (first, second, other) =
        (Registry::start(false), Registry::start(false), Registry::start(false));
    docker(&["tag", IMAGE, &other.image]);
    let dir = tempdir().unwrap();
    // Nothing goes where nothing is said; it is known in the next life all the same.
    let (mut fake, agent, mut session) = connected_with(dir.path(), &[]).await;
    for (registry, attempt) in [&first, &second, &other].into_iter().zip(1..) {
        let report = session.run(of(registry, attempt, "true")).await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    }
    eventually("all of it to be recorded", || agent.attempts_on_disk().is_empty()).await;
    agent.kill();
    drop(session);
    let args = ["--executors=docker", "--slots=4", "--image-gc-max-age=1s"];
    let agent = Agent::start_with(&fake.url(), dir.path(), &args, &[]);
    let mut session = fake.session().await;
    let waits = "echo up; until ls go > /dev/null 2>&1; do sleep 0.05; done";
    session.assign(of(&second, 4, waits)).await;
    // It may have gone meanwhile, and come again.
    fake.chunks_when(4, |chunks| joined(chunks, Stream::Stdout) == b"up\n").await;
    eventually("the image of nobody to go", || !is_here(&first.image)).await;
    assert!(is_here(&second.image), "a task has it");
    assert!(is_here(&other.image), "it was here before");
    std::fs::write(agent.home.join("attempts/4/scratch/workspace/go"), "").unwrap();
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    session.record(4).await;
    eventually("the image of nobody to go", || !is_here(&second.image)).await;
    let report = session.run(of(&first, 5, "true")).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "it comes again: {}", report.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_take_too_much_go_but_for_the_last_one() {
    let registries = [Registry::start(false), Registry::start(false)];
    let dir = tempdir().unwrap();
    let size = docker(&["image", "inspect", "--format", "{{.Size}}", IMAGE]);
    let limit = format!("--image-gc-max-bytes={}B", size.parse::<u64>().unwrap() * 3 / 2);
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[&limit]).await;
    for (registry, attempt) in registries.iter().zip(1..) {
        let report = session.run(of(registry, attempt, "true")).await;
        assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    }
    eventually("the first image to go", || !is_here(&registries[0].image)).await;
    assert!(is_here(&registries[1].image));
}
