//! The promises of PostQ, one module each.
#![allow(clippy::unwrap_used)] // tests

mod sql_submit;
