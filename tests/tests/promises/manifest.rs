//! `migrations/MANIFEST` names what the schema is made of: the digest of each numbered file, and
//! the revision and the digest of all functions. A database takes functions of a greater revision
//! only, so a release that changes them must raise it.
//!
//! `POSTQ_BLESS=1` writes it anew.

use std::{env, fmt::Write, fs, path::Path, process::Command};

use sha2::{Digest, Sha256};

use crate::house::root;

const ADVICE: &str =
    "write it anew: POSTQ_BLESS=1 cargo test -p postq-tests --test promises manifest";

/// Of the functions: their revision and their digest.
#[derive(Debug, PartialEq, Eq)]
struct Functions {
    revision: u64,
    digest: String,
}

fn functions_in(manifest: &str) -> Option<Functions> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("functions "))?;
    let (revision, digest) = line.split_once(' ')?;
    Some(Functions { revision: revision.parse().ok()?, digest: digest.to_owned() })
}

/// What the newest release that this repository knows of has; none before the first one.
fn released() -> Option<Functions> {
    let git = |arguments: &[&str]| {
        let ended = Command::new("git").current_dir(root()).args(arguments).output().ok()?;
        let is_well = ended.status.success();
        is_well.then(|| String::from_utf8_lossy(&ended.stdout).trim().to_owned())
    };
    let tag = git(&["describe", "--tags", "--abbrev=0", "--match", "v*"])?;
    functions_in(&git(&["show", &format!("{tag}:migrations/MANIFEST")])?)
}

/// The revision of functions with that digest, where this one is written now.
fn revision(digest: &str, released: Option<&Functions>, written: u64) -> u64 {
    match released {
        None => written,
        Some(released) if released.digest == digest => released.revision,
        Some(released) => released.revision + 1,
    }
}

fn sorted(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|it| it == "sql"));
    let read = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
    };
    let mut files: Vec<_> = files.map(read).collect();
    files.sort();
    files
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn wanted(written: &str) -> String {
    let migrations = root().join("migrations");
    let mut manifest = String::new();
    for (name, content) in sorted(&migrations) {
        writeln!(manifest, "{name} {}", digest(&content)).unwrap();
    }
    let functions: Vec<u8> = sorted(&migrations.join("functions"))
        .into_iter()
        .flat_map(|(_, content)| content)
        .collect();
    let digest = digest(&functions);
    let before = functions_in(written).map_or(1, |functions| functions.revision);
    let revision = revision(&digest, released().as_ref(), before);
    writeln!(manifest, "functions {revision} {digest}").unwrap();
    manifest
}

#[test]
fn the_manifest_names_the_schema_as_it_is() {
    let path = root().join("migrations/MANIFEST");
    let written = fs::read_to_string(&path).unwrap();
    let wanted = wanted(&written);
    if env::var_os("POSTQ_BLESS").is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(written == wanted, "migrations/MANIFEST is\n{written}and should be\n{wanted}{ADVICE}");
}

#[test]
fn the_revision_of_functions_rises_once_per_release_that_changes_them() {
    let released = Functions { revision: 3, digest: "old".into() };
    assert_eq!(revision("new", None, 1), 1);
    assert_eq!(revision("old", Some(&released), 3), 3);
    assert_eq!(revision("new", Some(&released), 3), 4);
    assert_eq!(revision("newer", Some(&released), 4), 4);
    let read = functions_in("0001_x.sql aa\nfunctions 3 old\n");
    assert_eq!(read, Some(released));
}
