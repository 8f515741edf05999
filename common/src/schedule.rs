//! When a schedule fires, and what becomes of a time that has come. The clock is an argument.
//!
//! | file | owns |
//! |---|---|
//! | `rule` | [`Rule`]: a cron expression in a time zone, or an interval |
//! | `step` | [`step`]: the times that fire now, those that wait, and the next one |

mod rule;
mod step;

pub use rule::{BadRule, Rule};
pub use step::{CatchUp, Overlap, Policy, Step, View, step};
