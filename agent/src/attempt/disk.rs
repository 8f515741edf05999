//! The agent's own disk, on which attempts live: whether an error is its fault, and whether it
//! takes writes.
//!
//! It knows nothing of attempts. Invariant: a probe leaves nothing behind.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use nix::{errno::Errno, sys::statvfs::statvfs, unistd::geteuid};

/// What a disk has to take before anything is begun on it, in bytes.
const PROBE_BYTES: usize = 1024 * 1024;
/// Less than this, in bytes, is called full.
const FULL_BYTES: u64 = 64 * 1024;

/// Whether an error or one of its causes says that a file system is full, over its quota,
/// read-only or broken.
pub(super) fn is_to_blame(error: &(dyn Error + 'static)) -> bool {
    let is_here = error.downcast_ref::<io::Error>().is_some_and(is_fault);
    is_here || error.source().is_some_and(is_to_blame)
}

fn is_fault(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem,
    ];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(Errno::EIO as i32)
}

/// Does in `dir` what the beginning of an attempt does. Blocks on the disk.
pub(crate) fn probe(dir: &Path) -> io::Result<()> {
    let probe = dir.join("probe");
    // What a probe that was killed may have left.
    crate::scratch::remove_tree(&probe)?;
    let written = fs::create_dir(&probe).and_then(|()| {
        let mut file = File::create_new(probe.join("file"))?;
        file.write_all(&vec![0; PROBE_BYTES])?;
        // Some file systems tell only now.
        file.sync_data()
    });
    let removed = crate::scratch::remove_tree(&probe);
    written.and(removed)
}

/// Whether next to nothing can be written below `dir`.
pub(super) fn is_full(dir: &Path) -> bool {
    let Ok(found) = statvfs(dir) else { return false };
    let blocks = if geteuid().is_root() { found.blocks_free() } else { found.blocks_available() };
    let has_no_names = found.files() > 0 && found.files_free() == 0;
    blocks.saturating_mul(found.fragment_size()) < FULL_BYTES || has_no_names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_disk_says_is_the_disks_fault() {
        for fault in [Errno::ENOSPC, Errno::EROFS, Errno::EDQUOT, Errno::EIO] {
            assert!(is_to_blame(&io::Error::from_raw_os_error(fault as i32)), "{fault}");
        }
        for other in [Errno::ENOENT, Errno::EACCES, Errno::EEXIST] {
            assert!(!is_to_blame(&io::Error::from_raw_os_error(other as i32)), "{other}");
        }
    }

    #[test]
    fn a_probe_leaves_nothing_also_where_one_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("probe/file")).unwrap();
        probe(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(!is_full(dir.path()));
        assert!(probe(&dir.path().join("missing")).is_err());
    }
}
