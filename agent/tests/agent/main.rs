//! The agent as a process, against a coordinator that does only what a test tells it.

#![allow(clippy::unwrap_used)] // all of this is test code; clippy sees only the functions marked so

mod bounds;
mod cgroup;
mod disk;
mod docker;
mod docker_away;
mod docker_container;
mod docker_full;
mod docker_garbage;
mod docker_inside;
mod docker_pull;
mod docker_resume;
mod endings;
mod environment;
mod fake;
mod flood;
mod gpus;
mod guard;
mod hostile;
mod leaving;
mod logs;
mod papers;
mod podman;
mod process;
mod registry;
mod run_as;
mod secrets;
mod session;
mod shell;
mod start;
mod support;
