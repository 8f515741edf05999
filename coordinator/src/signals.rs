//! How sweepers are told that there is something to do. A signal is a hint; the beat asks the
//! database every two seconds and signals what it finds.

use tokio::sync::Notify;

/// One signal per sweeper.
#[derive(Debug, Default)]
pub struct Signals {
    /// A task falls due before the next beat.
    pub due: Notify,
    /// Jobs wait to be planned.
    pub submissions: Notify,
    /// Users' requests wait.
    pub inbox: Notify,
    /// Tasks wait for a key or a rate.
    pub parked: Notify,
    /// Wide gates wait.
    pub openings: Notify,
    /// A lease of a consumer ends before the next beat.
    pub leases: Notify,
    /// Attempts were asked to stop.
    pub cancels: Notify,
    /// The time of a job is over before the next beat.
    pub deadlines: Notify,
    /// A schedule is to be looked at before the next beat.
    pub schedules: Notify,
    /// A webhook is to be told of something before the next beat.
    pub deliveries: Notify,
    /// Agents came or went, or there is a new lane.
    pub waiting: Notify,
}

impl Signals {
    /// Everything: hints may have been missed.
    pub fn all(&self) {
        for signal in [
            &self.due,
            &self.submissions,
            &self.inbox,
            &self.parked,
            &self.openings,
            &self.leases,
            &self.cancels,
            &self.deadlines,
            &self.schedules,
            &self.deliveries,
            &self.waiting,
        ] {
            signal.notify_one();
        }
    }
}
