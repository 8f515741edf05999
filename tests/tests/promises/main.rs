//! The promises of PostQ, one module each.
#![allow(clippy::unwrap_used)] // tests

mod bad_documents;
mod sql_doors;
mod sql_lanes;
mod sql_life;
mod sql_races;
mod sql_submit;
