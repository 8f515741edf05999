//! A server that speaks S3 over a directory, in this process, and checks every signature.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use hyper::{
    Request, Response, StatusCode, body::Incoming, header::USER_AGENT, service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{
    Body,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "files";
const KEY: &str = "the-key";
const SECRET: &str = "the-secret";

/// A bucket that is served until it is dropped.
#[derive(Debug)]
pub struct Bucket {
    directory: TempDir,
    address: String,
    seen: Arc<Seen>,
    stop: CancellationToken,
}

/// Who came for what.
#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    refuses_agents: AtomicBool,
}

impl Bucket {
    /// An empty one.
    pub fn serve() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the bucket");
        std::fs::create_dir(directory.path().join(BUCKET)).expect("the bucket");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket for tokio");
        let address = format!("http://{}", listener.local_addr().expect("its number"));
        let (seen, stop) = (Arc::<Seen>::default(), CancellationToken::new());
        let service = service(directory.path());
        let (shared, stopped) = (seen.clone(), stop.clone());
        // Of its own, so that a test that blocks does not hold it up.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = accept(listener, service, shared) => {}
                }
            });
        });
        Self { directory, address, seen, stop }
    }

    /// As of `--store`.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// What a coordinator needs to reach it.
    pub fn environment(&self) -> Vec<(String, OsString)> {
        [
            ("AWS_ENDPOINT_URL", self.address.as_str()),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "eu-central-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into()
    }

    /// Where the objects below `prefix` are.
    pub fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.directory.path().join(BUCKET).join(prefix)];
        while let Some(directory) = open.pop() {
            let Ok(entries) = std::fs::read_dir(directory) else { continue };
            for entry in entries.flatten() {
                match entry.path() {
                    path if path.is_dir() => open.push(path),
                    path => found.push(path),
                }
            }
        }
        found
    }

    /// How many requests with that method came from programs whose name begins so.
    pub fn requests(&self, method: &str, program: &str) -> usize {
        let wanted = format!("{method} {program}");
        let requests = self.seen.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|request| request.starts_with(&wanted)).count()
    }

    /// From now on whoever comes by a URL that a coordinator has signed is turned away.
    pub fn refuse_agents(&self) {
        self.seen.refuses_agents.store(true, Ordering::Relaxed);
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn service(directory: &Path) -> S3Service {
    let files = FileSystem::new(directory).expect("a directory that S3 can be served from");
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    builder.build()
}

async fn accept(listener: TcpListener, service: S3Service, seen: Arc<Seen>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        tokio::spawn(answer(socket, service.clone(), seen.clone()));
    }
}

async fn answer(socket: TcpStream, service: S3Service, seen: Arc<Seen>) {
    let one = service_fn(move |request: Request<Incoming>| {
        let (service, seen) = (service.clone(), seen.clone());
        async move {
            if seen.turns_away(&request) {
                let mut refused = Response::new(Body::empty());
                *refused.status_mut() = StatusCode::FORBIDDEN;
                return Ok(refused);
            }
            hyper::service::Service::call(&service, request).await
        }
    });
    // A connection that breaks is its client's matter.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), one).await;
}

impl Seen {
    /// Notes the request, and says whether it is refused.
    fn turns_away(&self, request: &Request<Incoming>) -> bool {
        let program = request.headers().get(USER_AGENT).and_then(|it| it.to_str().ok());
        let program = program.unwrap_or_default();
        let line = format!("{} {program}", request.method());
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        self.refuses_agents.load(Ordering::Relaxed) && program.starts_with("postq")
    }
}
