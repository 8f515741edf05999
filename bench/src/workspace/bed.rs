//! What all cases stand on: a coordinator, agents, directories, and the tools beside.
//!
//! Small files stay until all is measured: on ext4 without a journal it takes up to a hundred times as long
//! to make a file while those that were removed from its part of the disk are fresh, and either side
//! would pay for that by chance.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use postq_agent::workspace::Workspace;
use postq_coordinator::{
    api::auth::Tokens,
    coordinator::{Coordinator, Options},
};
use postq_runtime::{
    Shutdown,
    channel::{Channel, connect_lazy},
};
use postq_tests::Database;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tempfile::TempDir;

use crate::spent::{Spent, time};

/// Enough for any case.
const CACHE_BYTES: u64 = 64 << 30;

/// A coordinator that serves, with a store and a database of its own.
pub(super) struct Bed {
    dir: TempDir,
    channel: Channel,
    shutdown: Shutdown,
    pub(super) blobs: postq_coordinator::workspace::Blobs,
    made: AtomicUsize,
    _database: Database,
}

impl Bed {
    pub(super) async fn make(dir: &Path) -> anyhow::Result<Self> {
        let dir = TempDir::new_in(dir)?;
        let database = Database::create().await;
        let store = dir.path().join("store").to_string_lossy().into_owned();
        let options = Options {
            database: database.options().clone(),
            listen_database: database.options().clone(),
            max_connections: 8,
            store: store.clone(),
            tokens: Tokens::default(),
            retain: None,
            webhooks: postq_coordinator::webhook::Door::default(),
        };
        let shutdown = Shutdown::new();
        let coordinator = Coordinator::open(options, ([127, 0, 0, 1], 0).into()).await?;
        let channel = connect_lazy(&format!("http://{}", coordinator.address()?), None)?;
        let serving = shutdown.clone();
        shutdown.spawn_critical("coordinator", async move {
            if let Err(error) = coordinator.serve(serving).await {
                eprintln!("the coordinator failed: {error}");
            }
        });
        let index = postq_coordinator::store::Store::open(database.options().clone(), 4);
        let blobs = postq_coordinator::workspace::Blobs::create_or_open(&store, None, index);
        let blobs = blobs.await?;
        let made = AtomicUsize::new(0);
        Ok(Self { dir, channel, shutdown, blobs, made, _database: database })
    }

    /// Stops it; the directory goes with what is returned.
    pub(super) async fn end(self) -> TempDir {
        self.shutdown.begin();
        self.shutdown.wait(Duration::from_secs(10)).await;
        self.dir
    }

    /// An agent with an empty cache.
    pub(super) fn agent(&self) -> anyhow::Result<Workspace> {
        let cache = self.path("cache");
        Ok(Workspace::over(self.channel.clone()).with_cache(&cache, CACHE_BYTES)?)
    }

    /// Somewhere new.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}-{}", self.made.fetch_add(1, Ordering::Relaxed)))
    }

    /// A new empty directory.
    pub(super) fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir(&path)?;
        Ok(path)
    }
}

/// Bytes that cannot be compressed; each seed gives others.
pub(super) fn write_noise(path: &Path, bytes: usize, seed: u64) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut file = BufWriter::new(File::create(path)?);
    let mut piece = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        random.fill_bytes(&mut piece[..now]);
        file.write_all(&piece[..now])?;
        left -= now;
    }
    Ok(file.flush()?)
}

/// Files of 1 KiB, a thousand in each directory.
pub(super) fn write_small(dir: &Path, count: usize, seed: u64) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    for number in 0..count {
        let folder = dir.join(format!("d{}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir(&folder)?;
        }
        let mut content = [0; 1024];
        random.fill_bytes(&mut content);
        fs::write(folder.join(format!("f{number}")), content)?;
    }
    Ok(())
}

/// `rsync` of what is in one directory into another.
pub(super) fn rsync(options: &[&str], from: &Path, to: &Path) -> anyhow::Result<Spent> {
    let (from, to) = (format!("{}/", from.display()), format!("{}/", to.display()));
    time("rsync", &[&["-a"], options, &[&from, &to]].concat())
}

/// Removes the few large files that a round has left, for which there is no room.
pub(super) fn clear(paths: &[&Path]) -> anyhow::Result<()> {
    for path in paths.iter().filter(|path| path.exists()) {
        fs::remove_dir_all(path)?;
    }
    time("sync", &[]).map(drop)
}
