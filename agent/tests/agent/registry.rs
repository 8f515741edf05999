//! A registry of one image, of the engine's own making: as much of the protocol as a pull needs.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::docker::{IMAGE, NO_ENGINE, docker, image};

/// The first byte of TLS, which the engine tries before it asks in the clear.
const TLS: u8 = 0x16;
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Of USER:PASSWORD `me:secret`.
pub(crate) const AUTH: &str = "bWU6c2VjcmV0";

/// A running registry; its image goes with it.
pub(crate) struct Registry {
    /// What the image is called there.
    pub(crate) image: String,
    pulls: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
    server: JoinHandle<()>,
}

struct Content {
    manifest: Vec<u8>,
    /// Of the manifest.
    digest: String,
    blobs: BTreeMap<String, Vec<u8>>,
    needs_auth: bool,
    pulls: Arc<AtomicUsize>,
    open: watch::Receiver<bool>,
}

impl Registry {
    pub(crate) fn start(needs_auth: bool) -> Self {
        Self::serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), needs_auth)
    }

    pub(crate) fn serve(listener: std::net::TcpListener, needs_auth: bool) -> Self {
        image();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let port = listener.local_addr().unwrap().port();
        let pulls = Arc::<AtomicUsize>::default();
        let (open, is_open) = watch::channel(true);
        let (manifest, blobs) = content(port);
        let digest = sha256(&manifest);
        let content =
            Content { manifest, digest, blobs, needs_auth, pulls: pulls.clone(), open: is_open };
        let content = Arc::new(content);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, content.clone()));
            }
        });
        Self { image: format!("localhost:{port}/team/app:1"), pulls, open, server }
    }

    /// How often the image was asked for.
    pub(crate) fn pulls(&self) -> usize {
        self.pulls.load(Ordering::SeqCst)
    }

    /// Whether it answers at once, or only when it is opened again.
    pub(crate) fn open(&self, is_open: bool) {
        self.open.send_replace(is_open);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
        let _ = Command::new("docker")
            .args(["rmi", "--force", &self.image])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// The test image as a registry has it, with a label that makes it another one.
fn content(label: u16) -> (Vec<u8>, BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let tar = dir.path().join("image.tar");
    docker(&["save", "--output", tar.to_str().unwrap(), IMAGE]);
    let unpacked = Command::new("tar").arg("-C").arg(dir.path()).arg("-xf").arg(&tar).status();
    assert!(unpacked.expect(NO_ENGINE).success());
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let saved: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let config = read(saved[0]["Config"].as_str().unwrap());
    let layer = read(saved[0]["Layers"][0].as_str().unwrap());
    let mut described: Value = serde_json::from_slice(&config).unwrap();
    let layer_digest = described["rootfs"]["diff_ids"][0].as_str().unwrap().to_owned();
    described["config"]["Labels"] = json!({"registry": label.to_string()});
    let config = described.to_string().into_bytes();
    let config_digest = sha256(&config);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                   "size": config.len(), "digest": config_digest},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": layer.len(), "digest": layer_digest}],
    });
    let blobs = [(config_digest, config), (layer_digest, layer)].into();
    (manifest.to_string().into_bytes(), blobs)
}

fn sha256(content: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let output = Command::new("sha256sum").arg(file.path()).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    format!("sha256:{}", line.split(' ').next().unwrap())
}

async fn answer(mut stream: TcpStream, content: Arc<Content>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(TLS) | Err(_) => return,
            Ok(byte) => head.push(byte),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let is_let_in = !content.needs_auth || head.contains(&format!("Basic {AUTH}"));
    let (status, kind, body) = match path.strip_prefix("/v2/team/app/") {
        _ if !is_let_in => {
            ("401 Unauthorized\r\nwww-authenticate: Basic realm=\"test\"", "text/plain", Vec::new())
        }
        None => ("200 OK", "application/json", b"{}".to_vec()),
        Some("manifests/1") => {
            content.pulls.fetch_add(1, Ordering::SeqCst);
            let mut open = content.open.clone();
            let _ = open.wait_for(|is_open| *is_open).await;
            ("200 OK", MANIFEST, content.manifest.clone())
        }
        Some(rest) if rest == format!("manifests/{}", content.digest) => {
            ("200 OK", MANIFEST, content.manifest.clone())
        }
        Some(rest) => match rest.strip_prefix("blobs/").and_then(|name| content.blobs.get(name)) {
            Some(blob) => ("200 OK", "application/octet-stream", blob.clone()),
            None => {
                let error = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]});
                ("404 Not Found", "application/json", error.to_string().into_bytes())
            }
        },
    };
    let length = body.len();
    // Only manifests are asked for theirs.
    let digest = &content.digest;
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         docker-content-digest: {digest}\r\n\
         docker-distribution-api-version: registry/2.0\r\nconnection: close\r\n\r\n"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    if !head.starts_with("HEAD") {
        let _ = stream.write_all(&body).await;
    }
}
