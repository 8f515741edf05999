//! Directories by handle.
//!
//! Every name is looked up in the directory that is held open, and no symlink is ever followed, so
//! nothing leaves the root, whatever a task (still) does in it. Blocking.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::MetadataExt},
    },
    path::Path,
};

use bytes::Bytes;
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat},
    sys::{
        stat::{
            FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstatat, futimens, mkdirat, utimensat,
        },
        time::TimeSpec,
    },
    unistd::{UnlinkatFlags, symlinkat, unlinkat},
};

use super::listing::{Names, Stamp};

const NANOS: i64 = 1_000_000_000;

/// A longer path is walked name by name: the system takes none.
const LONG_PATH: usize = 4000;

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC).union(OFlag::O_NOCTTY);

/// A directory held open.
pub(super) struct Folder(OwnedFd);

/// What a name stands for.
pub(super) enum Found {
    File {
        bits: u32,
        size: u64,
        stamp: Stamp,
    },
    Folder {
        bits: u32,
    },
    Symlink,
    /// What no snapshot keeps: a FIFO, socket or device.
    Special(&'static str),
}

/// What a name stands for, and its modification time.
pub(super) struct Look {
    pub(super) found: Found,
    pub(super) mtime_ns: i64,
}

impl Folder {
    /// Opens a root. Only here may a symlink be on the way.
    pub(super) fn open_root(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, FOLDER, Mode::empty())?))
    }

    pub(super) fn open(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, FOLDER | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// Opens the directory at `path`; the empty path is this one.
    pub(super) fn open_below(&self, path: &[u8]) -> io::Result<Self> {
        match path {
            b"" => Ok(Self(self.0.try_clone()?)),
            path => Ok(Self(self.reach(path, FOLDER, Mode::empty())?)),
        }
    }

    /// Opens what is at `path`. No name on the way may be a symlink, nor the last.
    fn reach(&self, path: &[u8], flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
        if path.len() < LONG_PATH {
            let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
            let how = OpenHow::new().flags(flags).mode(mode).resolve(resolve);
            match openat2(&self.0, path, how) {
                // Old kernels do not know it, and some sandboxes do not let it through.
                Err(Errno::ENOSYS | Errno::EPERM) => {}
                reached => return Ok(reached?),
            }
        }
        let (folder, name) = self.open_parent(path)?;
        Ok(openat(&folder.0, name, flags | OFlag::O_NOFOLLOW, mode)?)
    }

    /// Opens the directory that holds the last part of `path`, and gives that part.
    pub(super) fn open_parent<'p>(&self, path: &'p [u8]) -> io::Result<(Self, &'p [u8])> {
        let mut folder = Self(self.0.try_clone()?);
        let mut rest = path;
        while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
            folder = folder.open(&rest[..at])?;
            rest = &rest[at + 1..];
        }
        Ok((folder, rest))
    }

    /// The names in it, in no order.
    pub(super) fn names(&self) -> io::Result<Vec<Bytes>> {
        let mut dir = Dir::from_fd(self.open(b".")?.0)?;
        let mut names = Names::default();
        for entry in dir.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.add(name);
            }
        }
        Ok(names.share())
    }

    pub(super) fn look(&self, name: &[u8]) -> io::Result<Look> {
        let stat = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let bits = stat.st_mode & postq_common::tree::BITS;
        let found = match kind_of(&stat) {
            SFlag::S_IFREG => {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                Found::File { bits, size, stamp: stamp(&stat) }
            }
            SFlag::S_IFDIR => Found::Folder { bits },
            SFlag::S_IFLNK => Found::Symlink,
            SFlag::S_IFIFO => Found::Special("FIFO"),
            SFlag::S_IFSOCK => Found::Special("socket"),
            _ => Found::Special("device"),
        };
        let mtime_ns = nanos(stat.st_mtime, stat.st_mtime_nsec);
        Ok(Look { found, mtime_ns })
    }

    pub(super) fn read_link(&self, name: &[u8]) -> io::Result<Bytes> {
        let target: OsString = readlinkat(&self.0, name)?;
        Ok(target.into_vec().into())
    }

    /// Opens the regular file at `path` for reading; does not hang where it has become a FIFO.
    pub(super) fn open_file_below(&self, path: &[u8]) -> io::Result<File> {
        let file = File::from(self.reach(path, READ, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file any more"));
        }
        Ok(file)
    }

    /// Creates the file at `path`, which nobody else may use yet.
    pub(super) fn create_file_below(&self, path: &[u8]) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        Ok(File::from(self.reach(path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
    }

    /// Opens a file that was created here for more writing.
    pub(super) fn write_file_below(&self, path: &[u8]) -> io::Result<File> {
        Ok(File::from(self.reach(path, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    /// Removes what is at `path`, which is no directory.
    pub(super) fn remove_below(&self, path: &[u8]) -> io::Result<()> {
        let (folder, name) = self.open_parent(path)?;
        folder.remove(name)
    }

    /// Removes anything but a directory.
    pub(super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    pub(super) fn create_folder(&self, name: &[u8]) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::S_IRWXU)?)
    }

    pub(super) fn create_symlink(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(symlinkat(target, &self.0, name)?)
    }

    /// Gives this directory its permissions and its modification time.
    pub(super) fn seal(&self, bits: u32, mtime_ns: Option<i64>) -> io::Result<()> {
        seal(&self.0, bits, mtime_ns)
    }

    /// Sets the modification time of what `name` stands for, also of a symlink itself.
    pub(super) fn set_mtime(&self, name: &[u8], mtime_ns: i64) -> io::Result<()> {
        let mtime = TimeSpec::new(mtime_ns.div_euclid(NANOS), mtime_ns.rem_euclid(NANOS));
        let flags = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(&self.0, name, &TimeSpec::UTIME_OMIT, &mtime, flags)?)
    }
}

/// Gives a file or directory its permissions and its modification time.
pub(super) fn seal(file: impl AsFd, bits: u32, mtime_ns: Option<i64>) -> io::Result<()> {
    fchmod(file.as_fd(), Mode::from_bits_truncate(bits))?;
    let Some(mtime_ns) = mtime_ns else { return Ok(()) };
    let mtime = TimeSpec::new(mtime_ns.div_euclid(NANOS), mtime_ns.rem_euclid(NANOS));
    Ok(futimens(file.as_fd(), &TimeSpec::UTIME_OMIT, &mtime)?)
}

/// The stamp of a file that is open.
pub(super) fn stamp_of(file: &Metadata) -> Stamp {
    Stamp {
        device: file.dev(),
        inode: file.ino(),
        mtime_ns: nanos(file.mtime(), file.mtime_nsec()),
        ctime_ns: nanos(file.ctime(), file.ctime_nsec()),
    }
}

fn stamp(stat: &FileStat) -> Stamp {
    Stamp {
        device: stat.st_dev,
        inode: stat.st_ino,
        mtime_ns: nanos(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: nanos(stat.st_ctime, stat.st_ctime_nsec),
    }
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(NANOS).saturating_add(nanos)
}

fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}
