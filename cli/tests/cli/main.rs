//! The command as a process, and the private Postgres it brings.

// Helpers of tests are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod command;
mod daemon;
mod dag;
mod examples;
mod postgres;
mod processes;
mod progress;
mod readers;
mod run;
mod up;
mod workspace;
