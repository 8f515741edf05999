//! The `postq` command, and the private cluster that it shares with the tests and the benchmarks.
//!
//! | room | owns |
//! |---|---|
//! | [`options`] | the command line |
//! | [`command`] | one file per sub-command |
//! | [`client`] | the clients of a coordinator's services |
//! | [`document`] | a job document from a file or standard input |
//! | [`embedded`] | a private Postgres, coordinator and agents as child processes |
//! | [`failure`] | exit codes, and what a person is told |
//! | [`files`] | the files of jobs, to and from a coordinator |
//! | [`output`] | text, JSON and tables on standard output |
//! | [`watch`] | a job as it runs, on a terminal or in plain lines |

pub mod client;
pub mod command;
pub mod document;
pub mod embedded;
pub mod failure;
pub mod files;
pub mod options;
pub mod output;
pub mod watch;
