//! How a container is made: what a task may say, and what its agent allows.

use postq_proto::v1::{self, attempt::Outcome, task_spec::Container};
use serde_json::json;
use tempfile::tempdir;

use crate::docker::{connected_with, container, containers_of, docker};

fn made(attempt: i64, command: &str, how: Container) -> v1::Assignment {
    v1::Assignment {
        spec: Some(v1::TaskSpec { container: Some(how), ..Default::default() }),
        ..container(attempt, command)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_made_as_the_task_says() {
    let (dir, shared) = (tempdir().unwrap(), tempdir().unwrap());
    std::fs::write(shared.path().join("file"), "of the host\n").unwrap();
    let allow = format!("--allow-mount={}:ro", shared.path().display());
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[&allow]).await;
    let how = Container {
        entrypoint: vec!["/bin/busybox".into(), "sh".into(), "-xc".into()],
        user: "1234:5678".into(),
        network: "none".into(),
        mounts: vec![format!("{}:/shared:ro", shared.path().display())],
        init: Some(false),
        ..Container::default()
    };
    let command = "id -u; id -g; ls /sys/class/net; cat /shared/file; echo $$; touch made; \
                   echo '[1]' > $POSTQ_OUTPUT";
    let report = session.run(made(1, command, how)).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{report:?}");
    let seen = String::from_utf8(report.stdout).unwrap();
    assert_eq!(seen, "1234\n5678\nlo\nof the host\n1\n");
    assert!(String::from_utf8_lossy(&report.stderr).contains("+ id -u"), "its own entry point");
    assert_eq!(report.result, b"[1]");
    assert!(report.image.starts_with("sha256:"), "{}", report.image);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_holds_a_container_to_what_was_asked_for_and_knows_whose_it_is() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected_with(dir.path(), &["--pids-limit=77"]).await;
    let mut assignment = container(7, "echo up; until [ -e go ]; do sleep 0.05; done");
    assignment.resources = [("cpus".to_owned(), 750), ("memory".to_owned(), 64 << 20)].into();
    session.assign(assignment.clone()).await;
    fake.all_chunks(7, 1).await;
    let agent_id = session.hello.agent_id.clone();
    let said = docker(&["inspect", &containers_of(&agent_id)[0]]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let (host, config) = (&said[0]["HostConfig"], &said[0]["Config"]);
    for (name, wanted) in [
        ("NanoCpus", json!(750_000_000)),
        ("Memory", json!(64 << 20)),
        ("MemorySwap", json!(64 << 20)),
        ("PidsLimit", json!(77)),
        ("Init", json!(true)),
        ("Privileged", json!(false)),
        ("AutoRemove", json!(false)),
    ] {
        assert_eq!(host[name], wanted, "{name}");
    }
    assert_eq!(host["LogConfig"]["Type"], "none");
    assert_eq!((&config["Tty"], &config["OpenStdin"]), (&json!(false), &json!(false)));
    let labels = &config["Labels"];
    for (name, wanted) in [
        ("postq.agent", agent_id.as_str()),
        ("postq.attempt", "7"),
        ("postq.job", &assignment.job_id),
        ("postq.task", "build"),
    ] {
        assert_eq!(labels[name], wanted, "{name}: {labels}");
    }
    std::fs::write(agent.home.join("attempts/7/scratch/workspace/go"), "").unwrap();
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_does_not_allow_is_told_and_not_tried_again() {
    let (dir, shared) = (tempdir().unwrap(), tempdir().unwrap());
    let allow = format!("--allow-mount={}:ro", shared.path().display());
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[&allow]).await;
    let mount = |mount: String| Container { mounts: vec![mount], ..Container::default() };
    let host = Container { network: "host".into(), ..Container::default() };
    for (attempt, how, wanted) in [
        (1, mount("/etc:/x:ro".into()), "this agent does not allow /etc to be mounted"),
        (2, mount(format!("{}:/x", shared.path().display())), "add :ro"),
        (3, host, "this agent does not allow the network host (see --allow-network)"),
    ] {
        let report = session.run(made(attempt, "true", how)).await;
        assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, true));
        assert!(report.reason.contains(wanted), "{}", report.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_refuses_is_told_in_its_words() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected_with(dir.path(), &[]).await;
    let user = Container { user: "nosuchuser".into(), ..Container::default() };
    let program = Container {
        entrypoint: vec!["/no/such".into()],
        init: Some(false),
        ..Container::default()
    };
    let gpus = Container { gpus: "all".into(), ..Container::default() };
    for (attempt, how, wanted, is_final) in [
        (1, user, "unable to find user nosuchuser", true),
        (2, program, "no such file or directory", true),
        (3, gpus, "could not select device driver", false),
    ] {
        let report = session.run(made(attempt, "true", how)).await;
        assert_eq!(report.outcome(), Outcome::Failed);
        assert!(report.reason.contains(wanted), "{}", report.reason);
        assert_eq!(report.is_final, is_final, "{}", report.reason);
    }
    let other = Container { platform: "linux/s390x".into(), ..Container::default() };
    let report = session.run(made(4, "true", other)).await;
    assert!(report.reason.contains("could not be pulled"), "{}", report.reason);
}
