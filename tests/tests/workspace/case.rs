//! Names that not all file systems tell apart: in case, or in the form of Unicode. Whatever the file system does
//! about them, nothing is written through a link.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use postq_agent::workspace::WorkspaceError;
use postq_proto::v1;

use crate::files::{Served, seen, write};

/// A link, and what a file system may take for it.
const TWINS: [(&str, &str); 7] = [
    ("dir", "DIR"),
    ("Dir", "dir"),
    ("\u{e9}", "\u{c9}"),
    ("\u{e9}", "e\u{301}"),
    ("e\u{301}", "\u{e9}"),
    ("stra\u{df}e", "STRASSE"),
    ("k", "\u{212a}"),
];
/// So many of them differ in the case of one letter after the other, which is all that NTFS ignores.
const IGNORED: usize = 3;

/// What the twin of the link is.
#[derive(Clone, Copy, Debug)]
enum Lure {
    Folder,
    Small,
    /// In chunks.
    Large,
}

const LURES: [Lure; 3] = [Lure::Folder, Lure::Small, Lure::Large];

/// A link that leads to what nobody may write.
struct Trap {
    served: Served,
    outside: PathBuf,
}

impl Trap {
    async fn set() -> Self {
        let served = Served::start().await;
        let outside = served.directory("outside");
        write(&outside, "x", "untouched");
        Self { served, outside }
    }

    /// A snapshot of a link and its twin, and the directory that it is of.
    async fn snapshot(&self, (link, twin): (&str, &str), lure: Lure) -> (v1::Snapshot, PathBuf) {
        let from = self.served.directory(&format!("{lure:?} {link} {twin}"));
        let target = match lure {
            Lure::Folder => self.outside.clone(),
            Lure::Small | Lure::Large => self.outside.join("x"),
        };
        symlink(target, from.join(link)).unwrap();
        match lure {
            Lure::Folder => write(&from, format!("{twin}/x"), "evil"),
            Lure::Small => write(&from, twin, "evil"),
            Lure::Large => write(&from, twin, vec![b'!'; 3 << 20]),
        };
        (self.served.workspace().upload_dir(&from).await.unwrap().snapshot, from)
    }

    fn assert_untouched(&self, what: &str) {
        let content = |(path, (_, content, _)): (Vec<u8>, _)| (path, content);
        let found: Vec<_> = seen(&self.outside).into_iter().map(content).collect();
        assert_eq!(found, [(b"x".to_vec(), b"untouched".to_vec())], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_differ_in_case_or_form_only_are_two_names() {
    let trap = Trap::set().await;
    for (twins, lure) in TWINS.into_iter().flat_map(|twins| LURES.map(|lure| (twins, lure))) {
        let (snapshot, from) = trap.snapshot(twins, lure).await;
        let to = trap.served.scratch.path().join("to");
        trap.served.workspace().download(&snapshot, &to).await.unwrap();
        assert_eq!(seen(&to), seen(&from), "{twins:?}");
        fs::remove_dir_all(&to).unwrap();
        trap.assert_untouched(&format!("{lure:?} of {twins:?}"));
    }
}

/// A file system that ignores case; gone when the test ends.
struct CaseBlind(PathBuf);

impl CaseBlind {
    fn mount(dir: &Path) -> Self {
        let (image, at) = (dir.join("image"), dir.join("mounted"));
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let run = |program: &str, arguments: &[&str], rest: &[&Path]| {
            let output = Command::new(program).args(arguments).args(rest).output().expect(program);
            assert!(output.status.success(), "{output:?}: run this test as root");
        };
        run("mkntfs", &["--fast", "--force", "--quiet"], &[&image]);
        run("lowntfs-3g", &["-o", "ignore_case,permissions"], &[&image, &at]);
        Self(at)
    }
}

impl Drop for CaseBlind {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_takes_two_names_for_one_gets_an_error_and_no_link_is_followed() {
    let trap = Trap::set().await;
    let blind = CaseBlind::mount(trap.served.scratch.path());
    for (number, twins) in TWINS.into_iter().enumerate() {
        for lure in LURES {
            let (snapshot, from) = trap.snapshot(twins, lure).await;
            let to = blind.0.join(format!("{number} {lure:?}"));
            let what = format!("{lure:?} of {twins:?}");
            match trap.served.workspace().download(&snapshot, &to).await {
                Err(WorkspaceError::SameName { .. }) if number < IGNORED => {}
                Ok(()) if number >= IGNORED => {
                    assert_eq!(seen(&to).len(), seen(&from).len(), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
            trap.assert_untouched(&what);
        }
    }
}
