//! A coordinator's workspace service over a store of its own, and directories to compare.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::SocketAddr,
    ops::Range,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use postq_agent::workspace::Workspace;
use postq_common::{
    merge::OnConflict,
    tree::{Digest, Snapshot},
};
use postq_coordinator::{
    api::workspace_service::{Input, Left, SnapshotSource, WorkspaceApi},
    store::Store,
    workspace::{Blobs, Joins},
};
use postq_proto::v1::{
    self, workspace_service_client::WorkspaceServiceClient,
    workspace_service_server::WorkspaceServiceServer,
};
use postq_runtime::channel::{Channel, MESSAGE_LIMIT, connect_lazy};
use postq_tests::Database;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, transport::Server};
use uuid::Uuid;

/// A store that is served.
pub(crate) struct Served {
    pub(crate) blobs: Blobs,
    pub(crate) joins: Joins,
    pub(crate) channel: Channel,
    pub(crate) scratch: TempDir,
    pub(crate) database: Database,
}

/// Jobs that left these snapshots.
struct Leaves(Vec<Snapshot>);

#[tonic::async_trait]
impl SnapshotSource for Leaves {
    async fn left_by(&self, _: Uuid, _: Option<&str>) -> Result<Left, Status> {
        Ok(Left {
            snapshots: self.0.clone(),
            is_ancestor: Arc::new(|_, _| false),
            name_of: Arc::new(|task| format!("task-{task}")),
        })
    }

    async fn artifacts_of(&self, job: Uuid) -> Result<Snapshot, Status> {
        self.input_of_job(job).await
    }

    async fn input_of_job(&self, _: Uuid) -> Result<Snapshot, Status> {
        Ok(self.0.first().copied().unwrap_or_default())
    }

    async fn input_of_task(&self, job: Uuid, _: &str) -> Result<Input, Status> {
        let left = self.left_by(job, None).await?;
        let (on_conflict, assignment) = (OnConflict::Fail, v1::Assignment::default());
        Ok(Input { of: (job, 9), left, on_conflict, assignment })
    }

    async fn input_of_attempt(&self, _: i64) -> Result<Input, Status> {
        self.input_of_task(Uuid::nil(), "").await
    }
}

impl Served {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let database = Database::create().await;
        let blobs = open(scratch.path(), &database).await;
        let joins = serve(listener, &blobs, Vec::new());
        Self { blobs, joins, channel: channel(address), scratch, database }
    }

    /// Another service over the same store, whose jobs left these.
    pub(crate) async fn with_left(&self, left: Vec<Snapshot>) -> WorkspaceServiceClient<Channel> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        serve(listener, &self.blobs, left);
        WorkspaceServiceClient::new(channel(address))
    }

    pub(crate) fn client(&self) -> WorkspaceServiceClient<Channel> {
        WorkspaceServiceClient::new(self.channel.clone())
    }

    /// As an agent that has seen nothing yet.
    pub(crate) fn workspace(&self) -> Workspace {
        Workspace::over(self.channel.clone())
    }

    /// A new empty directory.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// Where the store keeps a blob: the pack, and the part of it.
    pub(crate) async fn place(&self, digest: Digest) -> (PathBuf, Range<usize>) {
        let query = format!(
            "select pack::text || ' ' || place || ' ' || stored_bytes from postq.blob
             where digest = decode('{digest}', 'hex')"
        );
        let found: String = self.database.value(&query).await;
        let words: Vec<&str> = found.split(' ').collect();
        let (start, length): (usize, usize) =
            (words[1].parse().unwrap(), words[2].parse().unwrap());
        let name = words[0].replace('-', "");
        let pack = self.scratch.path().join("store/packs").join(&name[30..]).join(name);
        (pack, start..start + length)
    }
}

/// The store in `scratch`, indexed by `database`.
pub(crate) async fn open(scratch: &Path, database: &Database) -> Blobs {
    let url = scratch.join("store");
    let index = Store::open(database.options().clone(), 4);
    Blobs::create_or_open(url.to_str().unwrap(), None, index).await.unwrap()
}

pub(crate) fn channel(address: SocketAddr) -> Channel {
    connect_lazy(&format!("http://{address}"), None).unwrap()
}

/// Serves until the test's runtime ends.
pub(crate) fn serve(listener: TcpListener, blobs: &Blobs, left: Vec<Snapshot>) -> Joins {
    let joins = Joins::new(blobs.clone());
    let api = WorkspaceApi::new(blobs.clone(), joins.clone(), Leaves(left));
    let service = WorkspaceServiceServer::new(api).max_decoding_message_size(MESSAGE_LIMIT);
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    joins
}

pub(crate) fn snapshot(message: &v1::Snapshot) -> Snapshot {
    Snapshot::from_fields(&message.content, &message.provenance, &message.times).unwrap()
}

pub(crate) fn message(snapshot: &Snapshot) -> v1::Snapshot {
    let [content, provenance, times] = snapshot.to_fields();
    v1::Snapshot { content, provenance, times }
}

pub(crate) fn write(dir: &Path, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(OsString::from_vec(name.as_ref().to_vec()));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

pub(crate) fn chmod(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// What is at a path: kind and bits, content or target, time.
pub(crate) type Seen = (u32, Vec<u8>, (i64, i64));

/// All below `dir`, by path.
pub(crate) fn seen(dir: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let look = fs::symlink_metadata(&path).unwrap();
            let content = if look.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_vec()
            } else if look.is_dir() {
                open.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(dir).unwrap().as_os_str().as_bytes().to_vec();
            found.insert(name, (look.mode(), content, (look.mtime(), look.mtime_nsec())));
        }
    }
    found
}
