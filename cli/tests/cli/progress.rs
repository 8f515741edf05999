//! The bar of an upload: for a terminal, and for nobody else.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use nix::pty::openpty;
use postq_cli::embedded::directory::ScratchDirectory;

use crate::{
    command::{Ended, clean, run},
    up::{Up, up},
};

/// Enough for several looks at how far it is.
const BYTES: usize = 48 << 20;

/// A directory with a file that zstd makes no smaller, another one each time.
fn noise(dir: &Path, seed: &str) {
    fs::create_dir(dir).unwrap();
    let mut noise = vec![0; BYTES];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut noise);
    fs::write(dir.join("noise"), noise).unwrap();
}

fn put<'a>(up: &'a Up, dir: &'a Path) -> [&'a str; 5] {
    ["workspace", "put", dir.to_str().unwrap(), "--coordinator", &up.endpoint]
}

/// Runs it where standard error is a terminal; what that was told is in `errors`.
fn on_terminal(mut command: Command) -> Ended {
    let terminal = openpty(None, None).unwrap();
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.stderr(terminal.slave).spawn().unwrap();
    // It holds the other end, whose closing is the end of what is read.
    drop(command);
    let told = thread::spawn(move || {
        let mut told = Vec::new();
        // Linux says by an error that nobody holds the other end any more.
        let _ = File::from(terminal.master).read_to_end(&mut told);
        String::from_utf8(told).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        errors: told.join().unwrap(),
    }
}

#[test]
fn an_upload_shows_a_bar_on_a_terminal_and_clears_it() {
    let scratch = ScratchDirectory::create().unwrap();
    let (up, dir) = (up(&scratch.path().join("state")), scratch.path().join("given"));
    noise(&dir, "terminal");
    let mut command = clean();
    command.args(put(&up, &dir));
    let ended = on_terminal(command);
    assert_eq!((ended.code, ended.out.trim_end().len()), (0, 64), "{ended:?}");
    let mut looks: Vec<&str> =
        ended.errors.split('\r').filter(|look| look.contains(" of 48.00 MiB, ")).collect();
    looks.dedup();
    assert!(looks.len() > 1, "it moves: {ended:?}");
    let last = ended.errors.rsplit('\r').next().unwrap();
    assert_eq!(last, "\u{1b}[2K", "it is gone at the end: {ended:?}");
    up.stop();
}

#[test]
fn an_upload_says_nothing_but_its_digest_where_there_is_no_terminal() {
    let scratch = ScratchDirectory::create().unwrap();
    let (up, dir) = (up(&scratch.path().join("state")), scratch.path().join("given"));
    noise(&dir, "none");
    let ended = run(&put(&up, &dir), "");
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{ended:?}");
    let digest = ended.out.strip_suffix('\n').unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit()), "{ended:?}");
    up.stop();
}
