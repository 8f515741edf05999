//! The promises of PostQ, one module each.
#![allow(clippy::unwrap_used)] // tests

mod bad_documents;
mod sql_catalog;
mod sql_doors;
mod sql_lanes;
mod sql_life;
mod sql_model;
mod sql_plans;
mod sql_races;
mod sql_submit;
