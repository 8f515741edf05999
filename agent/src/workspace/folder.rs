//! Directories by handle.
//!
//! Every name is looked up in the directory that is held open, and no symlink is ever followed, so
//! nothing leaves the root, whatever a task (still) does in it. Blocking.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::Path,
};

use bytes::Bytes;
use nix::{
    dir::Dir,
    fcntl::{AtFlags, OFlag, open, openat, readlinkat},
    sys::{
        stat::{FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstatat, mkdirat, utimensat},
        time::TimeSpec,
    },
    unistd::{UnlinkatFlags, symlinkat, unlinkat},
};

const NANOS: i64 = 1_000_000_000;

/// A directory held open.
pub(super) struct Folder(OwnedFd);

/// What a name stands for.
pub(super) enum Found {
    File {
        bits: u32,
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
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    pub(super) fn open(&self, name: &[u8]) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(Self(openat(&self.0, name, flags, Mode::empty())?))
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
        let mut names = Vec::new();
        for entry in dir.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(Bytes::copy_from_slice(name));
            }
        }
        Ok(names)
    }

    pub(super) fn look(&self, name: &[u8]) -> io::Result<Look> {
        let stat = fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let bits = stat.st_mode & postq_common::tree::BITS;
        let found = match kind_of(&stat) {
            SFlag::S_IFREG => Found::File { bits },
            SFlag::S_IFDIR => Found::Folder { bits },
            SFlag::S_IFLNK => Found::Symlink,
            SFlag::S_IFIFO => Found::Special("FIFO"),
            SFlag::S_IFSOCK => Found::Special("socket"),
            _ => Found::Special("device"),
        };
        let mtime_ns = stat.st_mtime.saturating_mul(NANOS).saturating_add(stat.st_mtime_nsec);
        Ok(Look { found, mtime_ns })
    }

    pub(super) fn read_link(&self, name: &[u8]) -> io::Result<Bytes> {
        let target: OsString = readlinkat(&self.0, name)?;
        Ok(target.into_vec().into())
    }

    /// Opens a regular file for reading; does not hang where it has become a FIFO.
    pub(super) fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.0, name, flags | OFlag::O_NOCTTY, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file any more"));
        }
        Ok(file)
    }

    /// Creates a file, which nobody else may use yet.
    pub(super) fn create_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        Ok(File::from(openat(&self.0, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
    }

    pub(super) fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    pub(super) fn create_folder(&self, name: &[u8]) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::S_IRWXU)?)
    }

    pub(super) fn create_symlink(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(symlinkat(target, &self.0, name)?)
    }

    /// Sets the permissions of a directory in it.
    pub(super) fn set_bits(&self, name: &[u8], bits: u32) -> io::Result<()> {
        Ok(fchmod(&self.open(name)?.0, Mode::from_bits_truncate(bits))?)
    }

    /// Sets the modification time of what `name` stands for, also of a symlink itself.
    pub(super) fn set_mtime(&self, name: &[u8], mtime_ns: i64) -> io::Result<()> {
        let mtime = TimeSpec::new(mtime_ns.div_euclid(NANOS), mtime_ns.rem_euclid(NANOS));
        let flags = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(&self.0, name, &TimeSpec::UTIME_OMIT, &mtime, flags)?)
    }
}

fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}
