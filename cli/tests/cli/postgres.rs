//! The private Postgres is made, started, stopped, and found again.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postq_cli::embedded::{
    Durability, EmbeddedError, Postgres, PostgresConfig,
    directory::{ScratchDirectory, StateDirectory},
};

use crate::processes::{all_end, is_alive, postq};

fn config(directory: &Path) -> PostgresConfig {
    PostgresConfig {
        postq: postq(),
        directory: directory.join("postgres"),
        log: directory.join("postgres.log"),
        durability: Durability::Throwaway,
        settings: Vec::new(),
    }
}

fn socket(postgres: &Postgres) -> PathBuf {
    let url = postgres.url();
    let directory = url.split_once("?host=").unwrap().1;
    Path::new(directory).join(".s.PGSQL.5432")
}

#[tokio::test]
async fn it_answers_on_a_socket_that_is_closed_to_others_and_ends_in_order() {
    let scratch = ScratchDirectory::create().unwrap();
    let mut postgres = Postgres::start(config(scratch.path())).await.unwrap();
    let socket = socket(&postgres);
    UnixStream::connect(&socket).unwrap();
    let closed = fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(closed & 0o777, 0o700);
    let pid = postgres.daemon().pid();
    assert!(is_alive(pid));
    postgres.stop().await;
    all_end(&[pid]);
    let log = fs::read_to_string(scratch.path().join("postgres.log")).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
}

#[tokio::test]
async fn its_data_outlives_a_crash_and_a_stale_pid_file() {
    let scratch = ScratchDirectory::create().unwrap();
    let mut first = Postgres::start(config(scratch.path())).await.unwrap();
    let pid = first.daemon().pid();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
    all_end(&[pid]);
    assert!(scratch.path().join("postgres/data/postmaster.pid").exists());
    let second = Postgres::start(config(scratch.path())).await.unwrap();
    UnixStream::connect(socket(&second)).unwrap();
    second.stop().await;
}

#[tokio::test]
async fn it_waits_for_one_that_is_still_stopping() {
    let scratch = ScratchDirectory::create().unwrap();
    let first = Postgres::start(config(scratch.path())).await.unwrap();
    // Its supervisor begins the stop now and is not waited for.
    drop(first);
    let second = Postgres::start(config(scratch.path())).await.unwrap();
    UnixStream::connect(socket(&second)).unwrap();
    second.stop().await;
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_will_do() {
    let scratch = ScratchDirectory::create().unwrap();
    let deep = StateDirectory::open(&scratch.path().join("d".repeat(100))).unwrap();
    let postgres = Postgres::start(config(deep.path())).await.unwrap();
    UnixStream::connect(socket(&postgres)).unwrap();
    postgres.stop().await;
}

#[tokio::test]
async fn a_refused_start_names_the_reason_and_the_log() {
    let scratch = ScratchDirectory::create().unwrap();
    let mut config = config(scratch.path());
    config.settings = vec![("max_connections".to_owned(), "many".to_owned())];
    let error = Postgres::start(config).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotStarted { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("max_connections") && told.contains("postgres.log"), "{told}");
}

#[tokio::test]
async fn data_of_a_release_that_is_not_here_is_left_alone() {
    let scratch = ScratchDirectory::create().unwrap();
    let data = scratch.path().join("postgres/data");
    StateDirectory::open(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "99\n").unwrap();
    let error = Postgres::start(config(scratch.path())).await.unwrap_err();
    assert!(error.to_string().contains("Postgres 99"), "{error}");
    assert!(data.join("PG_VERSION").exists());
}
