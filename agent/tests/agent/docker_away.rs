//! Engines that are away: attempts are told so, and what was left is removed when the engine is back.

use std::path::{Path, PathBuf};

use postq_proto::v1::attempt::Outcome;
use tempfile::tempdir;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

use crate::{
    docker::{container, containers_of, image},
    fake::{Fake, Session},
    process::Agent,
    support::eventually,
};

/// A way to the engine that can be cut.
struct Way {
    path: PathBuf,
    relay: JoinHandle<()>,
}

impl Way {
    fn open(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let engine = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned();
        let relay = tokio::spawn(async move {
            let mut ways = JoinSet::new();
            loop {
                let (mut agent, _) = listener.accept().await.unwrap();
                let engine = engine.clone();
                ways.spawn(async move {
                    let mut engine = UnixStream::connect(engine).await.unwrap();
                    let _ = copy_bidirectional(&mut agent, &mut engine).await;
                });
            }
        });
        Self { path: path.to_owned(), relay }
    }

    /// Nobody answers, and what was under way breaks.
    async fn cut(self) {
        self.relay.abort();
        let _ = self.relay.await;
        std::fs::remove_file(self.path).unwrap();
    }
}

/// An agent of containers whose engine is beyond a way.
pub(crate) async fn connected_by(socket: &Path, home: &Path) -> (Fake, Agent, Session) {
    let mut fake = Fake::start().await;
    let host = format!("unix://{}", socket.display());
    let env = [("DOCKER_HOST", host.as_str())];
    let agent = Agent::start_with(&fake.url(), home, &["--executors=docker"], &env);
    let session = fake.session().await;
    (fake, agent, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_is_told_and_tried_again() {
    image();
    let (dir, sockets) = (tempdir().unwrap(), tempdir().unwrap());
    let socket = sockets.path().join("docker.sock");
    let way = Way::open(&socket);
    let (_fake, _agent, mut session) = connected_by(&socket, dir.path()).await;
    assert_eq!(session.run(container(1, "echo there")).await.stdout, b"there\n");
    way.cut().await;
    let report = session.run(container(2, "true")).await;
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, false));
    assert!(report.reason.contains("Docker engine"), "{}", report.reason);
    let _way = Way::open(&socket);
    assert_eq!(session.run(container(3, "echo back")).await.stdout, b"back\n");
    assert_eq!(containers_of(&session.hello.agent_id), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_engine_was_away_at_the_end_is_removed_when_it_is_back() {
    image();
    let (dir, sockets) = (tempdir().unwrap(), tempdir().unwrap());
    let socket = sockets.path().join("docker.sock");
    let way = Way::open(&socket);
    let (fake, _agent, mut session) = connected_by(&socket, dir.path()).await;
    let agent_id = session.hello.agent_id.clone();
    session.assign(container(1, "echo up; sleep 600")).await;
    fake.all_chunks(1, 1).await;
    assert_eq!(containers_of(&agent_id).len(), 1);
    way.cut().await;
    let report = session.report().await;
    assert_eq!(report.outcome(), Outcome::Failed, "{}", report.reason);
    assert!(report.reason.contains("the Docker engine lost it"), "{}", report.reason);
    session.record(1).await;
    assert_eq!(containers_of(&agent_id).len(), 1, "nobody could remove it");
    let _way = Way::open(&socket);
    eventually("the container to be removed", || containers_of(&agent_id).is_empty()).await;
    let report = session.run(container(2, "echo back")).await;
    assert_eq!(report.stdout, b"back\n");
}
