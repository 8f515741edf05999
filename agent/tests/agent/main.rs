//! The agent as a process, against a coordinator that does only what a test tells it.

#![allow(clippy::unwrap_used)] // all of this is test code; clippy sees only the functions marked so

mod docker;
mod environment;
mod fake;
mod guard;
mod leaving;
mod logs;
mod process;
mod session;
mod shell;
mod start;
mod support;
