//! A full disk of the engine: an engine of the test's own, on a small file system.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use postq_proto::v1::{
    self, Report,
    attempt::Outcome,
    task_spec::{Container, container::Pull},
};
use tempfile::{TempDir, tempdir};

use crate::{
    disk::fill,
    docker::{NO_ENGINE, container, import},
    docker_away::connected_by,
    registry::Registry,
    support::eventually,
};

/// The test's image takes 2 MiB of it.
const DISK_BYTES: u64 = 64 << 20;
/// An engine that was asked to stop has done so well before that.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

/// Where the engine has its disk and its network for itself: one without a bridge would remove that of the host.
/// (The disk is no tmpfs, because the engine maps its own database into memory.)
const SCRIPT: &str = "mkfs.ext4 -q image && mount -o loop image data && ip link set lo up && \
    exec dockerd --bridge=none --iptables=false --data-root \"$PWD/data\" --exec-root \"$PWD/exec\" \
    --pidfile \"$PWD/pid\" --host \"unix://$PWD/socket\"";

/// An engine that ends with the test, and its disk with it.
struct SmallEngine {
    dir: TempDir,
    engine: Child,
}

impl SmallEngine {
    /// It has the test's image.
    async fn start() -> Self {
        assert!(geteuid().is_root(), "this test mounts a file system; run it as root");
        let dir = tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        File::create(dir.path().join("image")).unwrap().set_len(DISK_BYTES).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        // A test that is killed takes the engine with it.
        let engine = Command::new("setpriv")
            .args(["--pdeathsig=TERM", "unshare", "--mount", "--net", "sh", "-c", SCRIPT])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect(NO_ENGINE);
        let this = Self { dir, engine };
        eventually("the engine to listen", || UnixStream::connect(this.socket()).is_ok()).await;
        import(&["--host", &format!("unix://{}", this.socket().display())]);
        this
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// A registry that it reaches: a socket is of the network in which it was made.
    fn registry(&self) -> Registry {
        let network = File::open(format!("/proc/{}/ns/net", self.engine.id())).unwrap();
        let listen = move || {
            setns(network, CloneFlags::CLONE_NEWNET).unwrap();
            TcpListener::bind("127.0.0.1:0").unwrap()
        };
        Registry::serve(thread::spawn(listen).join().unwrap(), false)
    }

    /// Takes all the room there is; removing the file gives it back.
    fn fill(&self) -> PathBuf {
        let root = format!("/proc/{}/root{}", self.engine.id(), self.dir.path().display());
        fill(&Path::new(&root).join("data"))
    }

    /// Whether it ends within its time.
    fn has_ended(&mut self) -> bool {
        let start = Instant::now();
        while matches!(self.engine.try_wait(), Ok(None)) {
            if start.elapsed() > STOPS_WITHIN {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for SmallEngine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
        }
        // Thus it ends its containerd as well.
        let _ = kill(Pid::from_raw(self.engine.id().cast_signed()), Signal::SIGTERM);
        if !self.has_ended() {
            let containerd = read_pid(&self.dir.path().join("exec/containerd/containerd.pid"));
            let _ = containerd.map(|pid| kill(pid, Signal::SIGKILL));
            let _ = self.engine.kill();
            let _ = self.engine.wait();
        }
    }
}

fn read_pid(path: &Path) -> Option<Pid> {
    fs::read_to_string(path).ok()?.trim().parse().ok().map(Pid::from_raw)
}

/// A container without a network, for its engine has none.
fn alone(attempt: i64, command: &str) -> v1::Assignment {
    let container_spec = Container { network: "none".into(), ..Default::default() };
    let spec = v1::TaskSpec { container: Some(container_spec), ..Default::default() };
    v1::Assignment { spec: Some(spec), ..container(attempt, command) }
}

/// Leaves so much room again.
fn give_back(filler: &Path, bytes: u64) {
    let filler = File::options().write(true).open(filler).unwrap();
    filler.set_len(filler.metadata().unwrap().len() - bytes).unwrap();
}

/// One that is tried again, for this reason.
fn assert_is_full(report: &Report, what: &str) {
    assert_eq!((report.outcome(), report.is_final), (Outcome::Failed, false), "{}", report.reason);
    let words = format!("{what}: the disk of the Docker engine is full: ");
    assert!(report.reason.starts_with(&words), "{}", report.reason);
    assert!(report.reason.contains("no space left on device"), "{}", report.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_for_which_the_engine_has_no_room_is_told_so_and_tried_again() {
    let (engine, home) = (SmallEngine::start().await, tempdir().unwrap());
    let (_fake, _agent, mut session) = connected_by(&engine.socket(), home.path()).await;
    let filler = engine.fill();
    let report = session.run(alone(1, "true")).await;
    assert_is_full(&report, "the container could not be started");
    fs::remove_file(filler).unwrap();
    let report = session.run(alone(2, "echo room")).await;
    assert_eq!(report.stdout, b"room\n", "{}", report.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_which_the_engine_has_no_room_is_told_so_and_tried_again() {
    let (engine, home) = (SmallEngine::start().await, tempdir().unwrap());
    let registry = engine.registry();
    let (_fake, _agent, mut session) = connected_by(&engine.socket(), home.path()).await;
    let pulled = |attempt, pull: Pull| {
        let mut task =
            v1::Assignment { image: registry.image.clone(), ..alone(attempt, "echo here") };
        task.spec.as_mut().unwrap().container.as_mut().unwrap().pull = pull.into();
        task
    };
    let filler = engine.fill();
    // Half of what the image takes.
    give_back(&filler, 1 << 20);
    let report = session.run(pulled(1, Pull::Missing)).await;
    let what = format!("image {} is not on this host and could not be pulled", registry.image);
    assert_is_full(&report, &what);
    let report = session.run(pulled(2, Pull::Always)).await;
    assert_is_full(&report, &format!("image {} could not be pulled", registry.image));
    fs::remove_file(filler).unwrap();
    let report = session.run(pulled(3, Pull::Missing)).await;
    assert_eq!(report.stdout, b"here\n", "{}", report.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fills_its_container_fails_by_its_own_error_and_leaves_room() {
    let (engine, home) = (SmallEngine::start().await, tempdir().unwrap());
    let (_fake, _agent, mut session) = connected_by(&engine.socket(), home.path()).await;
    let report = session.run(alone(1, "cat /dev/zero > /big; echo code $?; exit 7")).await;
    assert_eq!((report.outcome(), report.exit_code), (Outcome::Failed, Some(7)));
    assert_eq!((report.reason.as_str(), report.is_final), ("exit code 7", false));
    assert_eq!(report.stdout, b"code 1\n");
    let errors = String::from_utf8(report.stderr).unwrap();
    assert!(errors.ends_with("No space left on device\n"), "{errors}");
    let report = session.run(alone(2, "echo 0123456789 > /small && echo room")).await;
    assert_eq!(report.stdout, b"room\n", "{}", report.reason);
}
