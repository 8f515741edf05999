//! A job's graph: checked, reduced, numbered. What comes out is a [`Plan`], which cannot be
//! invalid; petgraph does not leave this room.
//!
//! | file | owns |
//! |---|---|
//! | `planner` | [`plan`]: the way from a spec to a plan |
//! | `names` | names of tasks to indexes, and what is wrong with a list of dependencies |
//! | `edges` | the dependencies of all tasks in two flat lists |
//! | `cycle` | naming cycles |
//! | `reduce` | the transitive reduction |
//! | `number` | levels, gates and the numbers of tasks |
//! | `plan_type` | [`Plan`], [`PlannedTask`], [`Gate`] |
//! | `walk` | ancestors, descendants, orders, the critical path |
//! | `picture` | dot and Mermaid |

mod cycle;
mod edges;
mod names;
mod number;
mod picture;
mod plan_type;
mod planner;
mod reduce;
#[cfg(test)]
mod tests;
mod walk;

pub use plan_type::{Gate, Plan, PlannedTask};
pub use planner::{plan, plan_with};
