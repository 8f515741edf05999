//! What the tests of PostQ's promises stand on: a private Postgres, a database per test, and the
//! verbs of the queue as a coordinator would call them.
//!
//! | file | owns |
//! |---|---|
//! | `server` | the one Postgres of a test run |
//! | `database` | a fresh database per test, with a clock that the test moves |
//! | `session` | one connection, to hold transactions open and to race with another |
//! | `graph` | jobs by their edges, planned and admitted |
//! | `worker` | an agent's side of the queue: connect, claim, finish |
//! | `look` | the states of jobs and tasks as the tests compare them |

mod database;
mod graph;
mod look;
mod server;
mod session;
mod worker;

pub use database::Database;
pub use graph::{Graph, Task};
pub use look::{JobLook, TaskLook};
pub use session::Session;
pub use worker::{Claimed, End, Finished, Worker, finish_on};
