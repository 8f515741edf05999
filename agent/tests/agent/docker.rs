//! Tasks in containers of a real engine. The image is made here from the machine's static busybox,
//! because nothing can be pulled where these tests run.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use postq_proto::v1::{self, assignment::Executor, attempt::Outcome, read_logs_response::Stream};
use tempfile::tempdir;

use crate::{
    fake::{Fake, Session, joined},
    process::Agent,
    support::{millis, shell},
};

pub(crate) const IMAGE: &str = "postq-test-busybox:latest";
pub(crate) const NO_ENGINE: &str =
    "these tests need a Docker engine: install docker.io and start dockerd";
const NO_BUSYBOX: &str = "these tests need a static busybox: install busybox-static";

/// Runs `docker`; its output without the line end.
pub(crate) fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect(NO_ENGINE);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {errors}; {NO_ENGINE}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Makes the test image, once per run of the tests.
pub(crate) fn image() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| import(&[]));
}

/// Makes the test image on the engine of these options of `docker`.
pub(crate) fn import(engine: &[&str]) {
    let root = tempdir().unwrap();
    let bin = root.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect(NO_BUSYBOX);
    for applet in
        ["sh", "cat", "echo", "env", "id", "kill", "ls", "printf", "pwd", "sleep", "touch"]
    {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
    }
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root.path())
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let import = Command::new("docker")
        .args(engine)
        .args(["import", "--change", "CMD [\"echo\", \"the image's own\"]", "-", IMAGE])
        .stdin(tar.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status()
        .expect(NO_ENGINE);
    assert!(import.success() && tar.wait().unwrap().success(), "{NO_ENGINE}");
}

async fn connected(home: &Path) -> (Fake, Agent, Session) {
    connected_with(home, &[]).await
}

/// A coordinator, an agent with containers only, and the first stream between them.
pub(crate) async fn connected_with(home: &Path, args: &[&str]) -> (Fake, Agent, Session) {
    image();
    let mut fake = Fake::start().await;
    let mut all = vec!["--executors=docker", "--slots=4"];
    all.extend(args);
    let agent = Agent::start_with(&fake.url(), home, &all, &[]);
    let session = fake.session().await;
    assert_eq!(session.hello.executors, ["docker"]);
    (fake, agent, session)
}

pub(crate) fn container(attempt: i64, command: &str) -> v1::Assignment {
    v1::Assignment {
        executor: Executor::Docker.into(),
        image: IMAGE.into(),
        ..shell(attempt, command)
    }
}

/// The containers of an agent, in any state.
pub(crate) fn containers_of(agent_id: &str) -> Vec<String> {
    let filter = format!("label=postq.agent={agent_id}");
    let ids = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
    ids.lines().map(ToOwned::to_owned).collect()
}

/// The anonymous volumes of a container.
fn volumes_of(container: &str) -> Vec<String> {
    let format = "{{range .Mounts}}{{if .Name}}{{.Name}}\n{{end}}{{end}}";
    let names = docker(&["inspect", "--format", format, container]);
    names.lines().filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_in_the_workspace_and_leaves_nothing() {
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected(dir.path()).await;
    let mut assignment =
        container(1, "pwd; ls -A; touch made; echo oops >&2; echo $POSTQ_TASK $COLOUR");
    assignment.env.insert("COLOUR".into(), "blue 'and' $green".into());
    let report = session.run(assignment).await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    assert_eq!(report.stdout, b"/workspace\nbuild blue 'and' $green\n");
    assert_eq!(report.stderr, b"oops\n");
    let chunks = fake.all_chunks(1, report.log_chunks).await;
    assert_eq!(joined(&chunks, Stream::Stderr), b"oops\n");
    assert_eq!(containers_of(&session.hello.agent_id), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_command_runs_its_own() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path()).await;
    let report = session.run(container(1, "")).await;
    assert_eq!(report.stdout, b"the image's own\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_container_is_told_as_it_is() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path()).await;
    let failed = session.run(container(1, "printf '\\377'; exit 3")).await;
    assert_eq!((failed.outcome(), failed.exit_code), (Outcome::Failed, Some(3)));
    assert_eq!((failed.reason.as_str(), failed.stdout.as_slice()), ("exit code 3", &[0xff][..]));
    let killed = session.run(container(2, "kill -KILL $$")).await;
    assert_eq!((killed.outcome(), killed.exit_code), (Outcome::Failed, Some(137)));
    assert_eq!(killed.reason, "exit code 137, as after SIGKILL");

    let mut slow = container(3, "sleep 600");
    slow.timeout = millis(300);
    let report = session.run(slow).await;
    assert_eq!(report.outcome(), Outcome::TimedOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_container_gets_its_grace_and_is_removed() {
    let dir = tempdir().unwrap();
    let (fake, _agent, mut session) = connected(dir.path()).await;
    let polite = "trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    session.assign(container(1, polite)).await;
    fake.all_chunks(1, 1).await;
    session.cancel(1, "enough").await;
    let report = session.report().await;
    assert_eq!((report.outcome(), report.reason.as_str()), (Outcome::Cancelled, "enough"));
    assert_eq!(report.stdout, b"up\ncleaned\n");

    let mut stubborn = container(2, "trap '' TERM; echo up; while :; do sleep 0.05; done");
    stubborn.grace = millis(200);
    session.assign(stubborn).await;
    fake.all_chunks(2, 1).await;
    session.cancel(2, "enough").await;
    let report = session.report().await;
    assert_eq!((report.outcome(), report.exit_code), (Outcome::Cancelled, Some(137)));
    assert_eq!(containers_of(&session.hello.agent_id), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_is_named_and_a_name_that_is_none_is_final() {
    let dir = tempdir().unwrap();
    let (_fake, _agent, mut session) = connected(dir.path()).await;
    let mut missing = container(1, "true");
    missing.image = "localhost:1/no/such:image".into();
    let report = session.run(missing).await;
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, false));
    let wanted = "image localhost:1/no/such:image is not on this host and could not be pulled: ";
    assert!(report.reason.starts_with(wanted), "{}", report.reason);

    for (attempt, name) in [(2, "../containers/x"), (3, "UPPER/Case"), (4, "a b")] {
        let mut invalid = container(attempt, "true");
        invalid.image = name.into();
        let report = session.run(invalid).await;
        assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, true), "{name}");
        assert!(report.reason.contains(name), "{}", report.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_volumes_go_with_their_container() {
    let dir = tempdir().unwrap();
    let (fake, agent, mut session) = connected(dir.path()).await;
    let with_volume = format!("{IMAGE}-volume");
    let id = docker(&["create", IMAGE, "true"]);
    docker(&["commit", "--change", "VOLUME /data", &id, &with_volume]);
    docker(&["rm", &id]);
    let command = "touch /data/file; echo up; while ! ls go >/dev/null 2>&1; do sleep 0.05; done";
    session.assign(v1::Assignment { image: with_volume, ..container(1, command) }).await;
    fake.all_chunks(1, 1).await;
    let containers = containers_of(&session.hello.agent_id);
    let volumes = volumes_of(&containers[0]);
    assert_eq!(volumes.len(), 1);
    std::fs::write(agent.home.join("attempts/1/scratch/workspace/go"), "").unwrap();
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Succeeded, "{}", report.reason);
    let left = docker(&["volume", "ls", "--quiet"]);
    assert!(!left.lines().any(|name| name == volumes[0]));
}
