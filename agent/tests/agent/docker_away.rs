//! Engines that are away, or have no room: attempts are told so, and what was left is removed when the engine
//! is back.

use std::{
    io,
    path::{Path, PathBuf},
};

use postq_proto::v1::attempt::Outcome;
use serde_json::json;
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
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
        Self::relay(path, false)
    }

    /// To an engine whose disk has no room for a container. (Nothing but its answer to that is made up.)
    fn open_to_full_disk(path: &Path) -> Self {
        Self::relay(path, true)
    }

    fn relay(path: &Path, is_full: bool) -> Self {
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
                    let _ = match is_full {
                        false => copy_bidirectional(&mut agent, &mut engine).await.map(drop),
                        true => refuse_containers(&mut agent, &mut engine).await,
                    };
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

/// Passes on all but requests for a new container: those are answered as an engine does whose disk is full.
async fn refuse_containers(agent: &mut UnixStream, engine: &mut UnixStream) -> io::Result<()> {
    let (mut from_agent, mut to_agent) = agent.split();
    let (mut from_engine, mut to_engine) = engine.split();
    let mut request = vec![0; 64 * 1024];
    let mut answer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            read = from_agent.read(&mut request) => {
                let words = &request[..read?];
                let head = String::from_utf8_lossy(&words[..words.len().min(200)]).into_owned();
                if head.starts_with("POST ") && head.contains("/containers/create") {
                    let body = json!({"message": "mkdir /var/lib/docker/x: no space left on device"}).to_string();
                    let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\
                                Connection: close\r\nContent-Length: ";
                    let refusal = format!("{head}{}\r\n\r\n{body}", body.len());
                    return to_agent.write_all(refusal.as_bytes()).await;
                }
                if words.is_empty() {
                    return Ok(());
                }
                to_engine.write_all(words).await?;
            }
            read = from_engine.read(&mut answer) => match read? {
                0 => return Ok(()),
                length => to_agent.write_all(&answer[..length]).await?,
            },
        }
    }
}

/// An agent of containers whose engine is beyond a way.
async fn connected_by(socket: &Path, home: &Path) -> (Fake, Agent, Session) {
    let mut fake = Fake::start().await;
    let host = format!("unix://{}", socket.display());
    let env = [("DOCKER_HOST", host.as_str())];
    let agent = Agent::start_with(&fake.url(), home, &["--executors=docker"], &env);
    let session = fake.session().await;
    (fake, agent, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_room_and_one_that_is_away_are_told_and_tried_again() {
    image();
    let (dir, sockets) = (tempdir().unwrap(), tempdir().unwrap());
    let socket = sockets.path().join("docker.sock");
    let way = Way::open_to_full_disk(&socket);
    let (_fake, _agent, mut session) = connected_by(&socket, dir.path()).await;
    let report = session.run(container(1, "true")).await;
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, false));
    let wanted =
        "the container could not be started: mkdir /var/lib/docker/x: no space left on device";
    assert_eq!(report.reason, wanted);
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
