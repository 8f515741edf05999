//! The agent in a container of the engine that its tasks run on.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;

use crate::{
    docker::{NO_ENGINE, container, docker, image},
    fake::Fake,
    papers,
};

const AGENT_IMAGE: &str = "postq-test-agent:latest";

/// An image of the agent with the libraries it is linked to.
fn agent_image() {
    image();
    let root = tempdir().unwrap();
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    let agent = env!("CARGO_BIN_EXE_postq-agent");
    std::fs::create_dir(at("bin")).unwrap();
    run("strip", &["-o", at("bin/postq-agent").to_str().unwrap(), agent]);
    let linked = run("ldd", &[agent]);
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        std::fs::create_dir_all(at(library).parent().unwrap()).unwrap();
        std::fs::copy(library, at(library)).unwrap();
    }
    for dir in ["tmp", "etc", "proc", "sys"] {
        std::fs::create_dir_all(at(dir)).unwrap();
    }
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root.path())
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let import = Command::new("docker")
        .args(["import", "-", AGENT_IMAGE])
        .stdin(tar.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(import.expect(NO_ENGINE).success() && tar.wait().unwrap().success(), "{NO_ENGINE}");
}

/// Removed with the test.
struct Inside(String);

impl Inside {
    /// Starts an agent with these mounts.
    fn start(fake: &Fake, work_dir: &str, mounts: &[&str]) -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let engine = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
        let socket = format!("{engine}:/var/run/docker.sock");
        let url = fake.url();
        let mut args = vec!["run", "--detach", "--network=host", "--volume", &socket];
        args.extend(mounts.iter().flat_map(|mount| ["--volume", mount]));
        args.extend([AGENT_IMAGE, "/bin/postq-agent", "--coordinator", &url]);
        args.extend(["--work-dir", work_dir, "--executors=docker"]);
        Self(docker(&args))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.0]).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_a_container_gives_its_tasks_the_files_where_the_host_has_them() {
    agent_image();
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let mount = format!("{}:/work", dir.path().display());
    let _inside = Inside::start(&fake, "/work/agent", &[&mount]);
    let mut session = fake.session().await;
    papers::check(&session.run(papers::told(container(1, papers::SHOW))).await);
    assert!(Path::new(dir.path()).join("agent/agent-id").exists());

    let volume = format!("postq-test-{}", std::process::id());
    let mount = format!("{volume}:/work");
    let inside = Inside::start(&fake, "/work", &[&mount]);
    let mut session = fake.session().await;
    let report = session.run(container(1, "touch a; ls")).await;
    assert_eq!((report.outcome(), report.stdout), (Outcome::Succeeded, b"a\n".to_vec()));
    drop(inside);
    docker(&["volume", "rm", &volume]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_a_container_says_where_its_work_directory_has_to_be() {
    agent_image();
    let fake = Fake::start().await;
    let inside = Inside::start(&fake, "/tmp/work", &[]);
    assert_eq!(docker(&["wait", &inside.0]), "1");
    let logs = Command::new("docker").args(["logs", &inside.0]).output().unwrap();
    let said = String::from_utf8(logs.stderr).unwrap();
    assert!(said.contains("/tmp/work is on none of its mounts"), "{said}");
}
