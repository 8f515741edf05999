//! The agent on Podman, by the socket on which that speaks as Docker does.
//!
//! Podman is started for the test, with a storage of its own.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use postq_proto::v1::{self, attempt::Outcome, read_logs_response::Stream, task_spec::Container};
use tempfile::{TempDir, tempdir};

use crate::{
    docker::{container, docker, import},
    fake::{Fake, joined},
    process::Agent,
    support::eventually,
};

const NO_PODMAN: &str = "this test needs podman: install podman and catatonit";
/// It starts where the caller may not raise limits, and where there is no systemd.
const SETTINGS: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

/// A running engine.
struct Podman {
    dir: TempDir,
    service: Child,
}

impl Podman {
    async fn start() -> Self {
        let dir = tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("containers.conf"), SETTINGS).unwrap();
        let service = Command::new("podman")
            .env("CONTAINERS_CONF", at("containers.conf"))
            .args(["--storage-driver", "vfs", "--root"])
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .args(["system", "service", "--time=0"])
            .arg(format!("unix://{}", at("socket").display()))
            .stdin(Stdio::null())
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .expect(NO_PODMAN);
        let podman = Self { dir, service };
        let socket = podman.dir.path().join("socket");
        eventually("podman to answer", || std::os::unix::net::UnixStream::connect(&socket).is_ok())
            .await;
        podman
    }

    fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("socket").display())
    }

    fn containers(&self) -> Vec<String> {
        let ids = docker(&["--host", &self.host(), "ps", "--all", "--quiet"]);
        ids.lines().map(ToOwned::to_owned).collect()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
            let _ = Command::new("sh")
                .args(["-c", "docker --host $0 rm -f $(docker --host $0 ps -aq)", &self.host()])
                .output();
        }
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_runs_tasks_as_docker_does() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root has a Podman whose containers reach the files of an agent");
        return;
    }
    let podman = Podman::start().await;
    import(&["--host", &podman.host()]);
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let (args, host) = (["--executors=docker"], podman.host());
    let env = [("DOCKER_HOST", host.as_str())];
    let agent = Agent::start_with(&fake.url(), dir.path(), &args, &env);
    let mut session = fake.session().await;

    let how = Container { network: "none".into(), user: "1234:5678".into(), ..Default::default() };
    let spec = v1::TaskSpec { container: Some(how), ..Default::default() };
    let command = "pwd; id -u; id -g; ls /sys/class/net; touch made; echo oops >&2; exit 3";
    let report = session.run(v1::Assignment { spec: Some(spec), ..container(1, command) }).await;
    assert_eq!((report.outcome(), report.exit_code), (Outcome::Failed, Some(3)), "{report:?}");
    assert_eq!(report.stdout, b"/workspace\n1234\n5678\nlo\n");
    assert_eq!(report.stderr, b"oops\n");
    assert!(report.image.starts_with("sha256:"), "{}", report.image);

    for (attempt, image, entrypoint) in [(2, "UPPER/Case", "/bin/sh"), (3, "", "/no/such")] {
        let entrypoint = vec![entrypoint.into()];
        let how = Container { entrypoint, init: Some(false), ..Default::default() };
        let spec = v1::TaskSpec { container: Some(how), ..Default::default() };
        let mut bad = v1::Assignment { spec: Some(spec), ..container(attempt, "true") };
        if !image.is_empty() {
            bad.image = image.into();
        }
        let report = session.run(bad).await;
        assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, true), "{report:?}");
    }

    // It goes on without its agent, and is stopped as it likes to be.
    let polite = "trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    session.assign(container(4, polite)).await;
    fake.chunks_when(4, |chunks| joined(chunks, Stream::Stdout) == b"up\n").await;
    agent.kill();
    drop(session);
    let _agent = Agent::start_with(&fake.url(), dir.path(), &args, &env);
    let mut session = fake.session().await;
    fake.chunks_when(4, |chunks| !joined(chunks, Stream::System).is_empty()).await;
    session.cancel(4, "enough").await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(report.stdout, b"up\ncleaned\n");
    assert_eq!(podman.containers(), Vec::<String>::new());
}
