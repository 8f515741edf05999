//! The command as a process, and the private Postgres it brings.

mod bad_input;
mod command;
mod daemon;
mod dag;
mod examples;
mod postgres;
mod processes;
mod up;
