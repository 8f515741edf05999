//! The agent as a process, against a coordinator that does only what a test tells it.

#![allow(clippy::unwrap_used)] // all of this is test code; clippy sees only the functions marked so

mod disk;
mod docker;
mod docker_away;
mod endings;
mod environment;
mod fake;
mod flood;
mod guard;
mod hostile;
mod leaving;
mod logs;
mod process;
mod run_as;
mod session;
mod shell;
mod start;
mod support;
