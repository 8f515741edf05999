//! The real engine, and an image made from the machine's static busybox, because nothing can be
//! pulled where these tests run.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The image that [`make_image`] makes.
pub const IMAGE: &str = "postq-promises-busybox:latest";
/// The image that [`make_bare_image`] makes.
pub const BARE_IMAGE: &str = "postq-promises-bare:latest";
/// What a test says where no engine answers.
pub const NO_ENGINE: &str = "this test needs a Docker engine: install docker.io and start dockerd";
const NO_BUSYBOX: &str = "this test needs a static busybox: install busybox-static";
/// What the commands of the tests use.
const APPLETS: [&str; 12] =
    ["sh", "cat", "chown", "echo", "env", "ln", "ls", "mkdir", "printf", "pwd", "sleep", "touch"];

/// Runs `docker`; its output without the line end.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect(NO_ENGINE);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {errors}; {NO_ENGINE}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Makes the image, once per run of the tests.
pub fn make_image() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| import(IMAGE, "bin/busybox", &APPLETS));
}

/// Makes an image with nothing but `/busybox`: no `/bin/sh`, no `chown`. Once per run of the tests.
pub fn make_bare_image() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| import(BARE_IMAGE, "busybox", &[]));
}

/// An image with the busybox at that path, and links to it beside it.
fn import(image: &str, path: &str, applets: &[&str]) {
    let root = tempfile::tempdir().expect("a directory for the image");
    let program = root.path().join(path);
    let bin = program.parent().expect("a path below the root");
    fs::create_dir_all(bin).expect("a directory of the image");
    fs::copy(busybox(), &program).expect(NO_BUSYBOX);
    for applet in applets {
        symlink("busybox", bin.join(applet)).expect("an applet of the image");
    }
    let mut tar = Command::new("tar")
        .arg("-C")
        .arg(root.path())
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs tar");
    let packed = tar.stdout.take().expect("a pipe that was asked for");
    let import = Command::new("docker")
        .args(["import", "--change", "CMD [\"echo\", \"the image's own\"]", "-", image])
        .stdin(packed)
        .stdout(Stdio::null())
        .status();
    let is_packed = tar.wait().is_ok_and(|status| status.success());
    assert!(import.expect(NO_ENGINE).success() && is_packed, "{NO_ENGINE}");
}

fn busybox() -> &'static str {
    let places = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];
    places.into_iter().find(|place| fs::exists(place).unwrap_or(false)).expect(NO_BUSYBOX)
}
