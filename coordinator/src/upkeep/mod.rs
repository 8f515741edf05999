//! What goes on beside the way of a task, one file per concern: each sweeper runs by signal and by
//! period, is idempotent, and may run on several coordinators at once.
//!
//! | file | concern |
//! |---|---|
//! | [`heart`] | the beat: who lives, and what it says is waiting |
//! | [`hints`] | what the database tells sleepers |
//! | [`due`] | tasks whose time has come |
//! | [`submissions`] | jobs that came by SQL |
//! | [`inbox`] | what users asked for, and what their transactions left to do |
//! | [`deadlines`] | jobs that were not started, or have not ended, in time |
//! | [`retention`] | jobs that ended long ago |
//! | [`schedules`] | schedules make their jobs |
//! | [`leases`] | consumers that were not heard of in time |
//! | [`openings`] | gates too wide for one transaction |
//! | [`parked`] | tasks that wait for a concurrency key or a rate |
//! | [`waiting`] | what tasks wait for that no agent could run |
//! | [`relations`] | unique keys that are free, and jobs that wait for jobs |
//! | [`webhooks`] | whom the end of jobs is told by HTTP |
//! | [`floors`] | how far lanes are empty for good |
//! | [`logs`] | long output moves to the blob store |
//! | [`artifacts`] | files that stay when their job is forgotten |
//! | [`garbage`] | files that nobody needs any more |

pub mod artifacts;
pub mod deadlines;
pub mod due;
pub mod floors;
pub mod garbage;
pub mod heart;
pub mod hints;
pub mod inbox;
pub mod leases;
pub mod logs;
pub mod openings;
pub mod parked;
pub mod relations;
pub mod retention;
pub mod schedules;
pub mod submissions;
pub mod waiting;
pub mod webhooks;
