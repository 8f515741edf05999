//! Files between agents: what a task left is what its dependants find, and what was damaged on
//! the way is found by its digest.

#![allow(clippy::unwrap_used)] // a test whose helpers fail has failed

#[path = "workspace/broken.rs"]
mod broken;
#[path = "workspace/cache.rs"]
mod cache;
#[path = "workspace/case.rs"]
mod case;
#[path = "workspace/damage.rs"]
mod damage;
#[path = "workspace/files.rs"]
mod files;
#[path = "workspace/garbage.rs"]
mod garbage;
#[path = "workspace/histories.rs"]
mod histories;
#[path = "workspace/index.rs"]
mod index;
#[path = "workspace/joining.rs"]
mod joining;
#[path = "workspace/round_trip.rs"]
mod round_trip;
#[path = "workspace/rules.rs"]
mod rules;
#[path = "workspace/siblings.rs"]
mod siblings;
#[path = "workspace/store.rs"]
mod store;
