//! Removes a tree whatever a task made of it: too deep for paths, stacks and descriptors, locked
//! against its owner, still being written.
//!
//! Every directory below the root is first moved up into the root, then emptied there, so each path
//! is one name long, at most three descriptors are open, and nothing recurses. The move also finds
//! mount points (the kernel refuses to move one), so nothing behind one is touched. Invariant: no
//! symlink is followed, and the work is bounded in time; what is left is told by an error.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, open, openat, renameat},
    sys::stat::{Mode, fchmod, fstat},
    unistd::{UnlinkatFlags, unlinkat},
};
use uuid::Uuid;

/// A process that is being killed may still be making files.
const PASSES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// Removes what lies at `path`; that nothing is there is fine. Blocks on the disk, for little more
/// than `patience`.
pub(super) fn remove(path: &Path, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    let mut last = Ok(());
    for pass in 0..PASSES {
        if pass > 0 {
            thread::sleep(PAUSE);
        }
        match unlinkat(AT_FDCWD, path, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EISDIR) => {}
            Err(error) => return Err(error.into()),
        }
        let emptied = Pass::new(path, deadline).and_then(Pass::run);
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // What kept it from being empty says more.
            Err(error) => last = emptied.map_err(io::Error::from).and(Err(error)),
        }
        if Instant::now() > deadline {
            break;
        }
    }
    last
}

/// One pass over a tree.
struct Pass {
    root: OwnedFd,
    deadline: Instant,
    /// Of the names that this pass gives; no task can guess it.
    prefix: String,
    given: u64,
    /// Directories that were moved into the root and are to be emptied.
    moved: Vec<u64>,
    /// The first thing that could not be done.
    failure: Option<Errno>,
}

impl Pass {
    fn new(path: &Path, deadline: Instant) -> Result<Self, Errno> {
        let root = open_unlocked(AT_FDCWD, path)?;
        let prefix = format!("removed-{}-", Uuid::new_v4().simple());
        Ok(Self { root, deadline, prefix, given: 0, moved: Vec::new(), failure: None })
    }

    fn run(mut self) -> Result<(), Errno> {
        let root = openat(&self.root, ".", DIRECTORY, Mode::empty())?;
        self.clear(root)?;
        while let Some(number) = self.moved.pop() {
            let name = self.name(number);
            let cleared = match open_unlocked(&self.root, name.as_str()) {
                Ok(dir) => self.clear(dir),
                Err(error) => Err(error),
            };
            if cleared == Err(Errno::ETIMEDOUT) {
                return cleared;
            }
            let gone = unlinkat(&self.root, name.as_str(), UnlinkatFlags::RemoveDir);
            self.note(cleared.and(gone));
        }
        self.failure.map_or(Ok(()), Err)
    }

    fn name(&self, number: u64) -> String {
        format!("{}{number}", self.prefix)
    }

    fn note(&mut self, result: Result<(), Errno>) {
        if let Err(error) = result
            && error != Errno::ENOENT
        {
            self.failure.get_or_insert(error);
        }
    }

    /// Removes the files of a directory, and moves its directories into the root.
    fn clear(&mut self, dir: OwnedFd) -> Result<(), Errno> {
        let within = dir.try_clone().map_err(|_| Errno::EMFILE)?;
        let mut entries = Dir::from_fd(dir)?;
        for entry in entries.iter() {
            let entry = entry?;
            let name = entry.file_name();
            let bytes = name.to_bytes();
            // The root may list what was just moved there.
            if matches!(bytes, b"." | b"..") || bytes.starts_with(self.prefix.as_bytes()) {
                continue;
            }
            if Instant::now() > self.deadline {
                return Err(Errno::ETIMEDOUT);
            }
            let removed = if entry.file_type() == Some(Type::Directory) {
                self.take_directory(&within, name)
            } else {
                match unlinkat(&within, name, UnlinkatFlags::NoRemoveDir) {
                    Err(Errno::EISDIR) => self.take_directory(&within, name),
                    removed => removed,
                }
            };
            self.note(removed);
        }
        Ok(())
    }

    fn take_directory(&mut self, within: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        match unlinkat(within, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            removed => return removed,
        }
        let number = self.given;
        self.given += 1;
        let new_name = self.name(number);
        let moved = match renameat(within, name, &self.root, new_name.as_str()) {
            // Who moves a directory must be allowed to write it, because its parent is noted there.
            Err(Errno::EACCES) => {
                drop(open_unlocked(within, name)?);
                renameat(within, name, &self.root, new_name.as_str())
            }
            moved => moved,
        };
        moved.map(|()| self.moved.push(number))
    }
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Opens a directory for reading, and gives its owner all rights on it.
fn open_unlocked<P: nix::NixPath + ?Sized>(at: impl AsFd, name: &P) -> Result<OwnedFd, Errno> {
    let dir = match openat(&at, name, DIRECTORY, Mode::empty()) {
        Err(Errno::EACCES) => {
            let flags = OFlag::O_PATH | DIRECTORY;
            let handle = openat(&at, name, flags, Mode::empty())?;
            // Such a handle allows no more than to be named.
            let named = format!("/proc/self/fd/{}", handle.as_raw_fd());
            fs::set_permissions(&named, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .map_err(|_| Errno::EACCES)?;
            open(named.as_str(), DIRECTORY.difference(OFlag::O_NOFOLLOW), Mode::empty())?
        }
        opened => opened?,
    };
    let mode = Mode::from_bits_truncate(fstat(&dir)?.st_mode);
    if !mode.contains(Mode::S_IRWXU) {
        fchmod(&dir, Mode::S_IRWXU)?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use nix::{sys::stat::mkdirat, unistd::mkdir};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    /// A chain of directories, each with a file, made without a long path.
    fn chain(top: &Path, depth: u32, bits: Mode) {
        mkdir(top, Mode::S_IRWXU).unwrap();
        let mut dir = open(top, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..depth {
            let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            drop(openat(&dir, "file", flags, Mode::S_IRUSR).unwrap());
            mkdirat(&dir, "d", Mode::S_IRWXU).unwrap();
            let next = openat(&dir, "d", DIRECTORY, Mode::empty()).unwrap();
            fchmod(&dir, bits).unwrap();
            dir = next;
        }
    }

    #[test]
    fn a_tree_deeper_than_paths_stacks_and_descriptors_goes() {
        let base = tempfile::tempdir().unwrap();
        let top = base.path().join("deep");
        chain(&top, 3_000, Mode::S_IRWXU);
        // As small a stack as a worker of the runtime may have left.
        let small = thread::Builder::new().stack_size(128 * 1024);
        small.spawn(move || remove(&top, PATIENCE).unwrap()).unwrap().join().unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_has_no_time_left_goes_on_where_it_stopped() {
        let base = tempfile::tempdir().unwrap();
        let top = base.path().join("deep");
        chain(&top, 50, Mode::S_IRWXU);
        let error = remove(&top, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        remove(&top, PATIENCE).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_deep_tree_locked_at_every_level_goes() {
        let base = tempfile::tempdir().unwrap();
        let top = base.path().join("deep");
        chain(&top, 300, Mode::empty());
        remove(&top, PATIENCE).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_wide_tree_goes_and_what_lies_behind_symlinks_stays() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "").unwrap();
        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let base = tempfile::tempdir().unwrap();
        let top = base.path().join("wide");
        for n in 0..50 {
            let dir = top.join(format!("{n}/below"));
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("file"), "").unwrap();
            std::os::unix::fs::symlink(outside.path(), dir.join("link")).unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), top.join("link")).unwrap();
        let link = base.path().join("link");
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        remove(&top, PATIENCE).unwrap();
        remove(&link, PATIENCE).unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
        assert_eq!(fs::metadata(outside.path()).unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[test]
    fn a_writer_that_goes_on_delays_the_removal_and_cannot_make_it_endless() {
        let base = tempfile::tempdir().unwrap();
        let top = base.path().join("busy");
        fs::create_dir_all(top.join("a/b")).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let writer = {
            let (top, is_over) = (top.clone(), is_over.clone());
            thread::spawn(move || {
                let mut n = 0u64;
                while !is_over.load(Ordering::Relaxed) {
                    let _ = fs::create_dir_all(top.join(format!("{n}/x")));
                    let _ = fs::write(top.join(format!("{n}/x/file")), "");
                    n += 1;
                }
            })
        };
        let started = Instant::now();
        let _ = remove(&top, Duration::from_millis(500));
        assert!(started.elapsed() < Duration::from_secs(10));
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        remove(&top, PATIENCE).unwrap();
        assert!(!top.exists());
    }
}
