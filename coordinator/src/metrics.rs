//! What the coordinator counts, in the format of Prometheus.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use postq_common::state::Outcome;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
        histogram::exponential_buckets,
    },
    registry::{Registry, Unit},
};

use crate::store::StateCount;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    queue: String,
    state: String,
}

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;

/// All metrics of one coordinator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    claims: Count,
    claim_seconds: Histogram,
    finishes: Family<OutcomeLabel, Count>,
    finish_seconds: Histogram,
    finish_batch: Histogram,
    jobs_ended: Count,
    jobs_submitted: Count,
    webhooks: Family<ResultLabel, Count>,
    jobs: Family<StateLabels, Level>,
    tasks: Family<StateLabels, Level>,
    agents: Level,
    slots_in_use: Level,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let mut this = Self {
            registry: Registry::with_prefix("postq"),
            claims: Count::default(),
            claim_seconds: seconds(),
            finishes: Family::default(),
            finish_seconds: seconds(),
            finish_batch: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            jobs_ended: Count::default(),
            jobs_submitted: Count::default(),
            webhooks: Family::default(),
            jobs: Family::default(),
            tasks: Family::default(),
            agents: Level::default(),
            slots_in_use: Level::default(),
        };
        this.register();
        this
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("claimed_attempts", "Attempts claimed", self.claims.clone());
        let (claim, finish) = (self.claim_seconds.clone(), self.finish_seconds.clone());
        r.register_with_unit("claim", "Time of one claim", Unit::Seconds, claim);
        r.register("finished_attempts", "Attempts ended, by outcome", self.finishes.clone());
        r.register_with_unit("finish", "Time of one recording", Unit::Seconds, finish);
        r.register("finish_batch", "Attempts in one recording", self.finish_batch.clone());
        r.register("jobs_submitted", "Jobs submitted by gRPC", self.jobs_submitted.clone());
        r.register("webhooks", "Tries to tell webhooks, by result", self.webhooks.clone());
        r.register("jobs_ended", "Jobs ended", self.jobs_ended.clone());
        r.register("jobs", "Jobs that have not ended, by queue and state", self.jobs.clone());
        r.register("tasks", "Tasks that wait or run, by queue and state", self.tasks.clone());
        r.register("agents", "Agents connected to this coordinator", self.agents.clone());
        r.register("slots_in_use", "Slots of these agents in use", self.slots_in_use.clone());
    }

    /// A claim took `count` tasks.
    pub fn claimed(&self, count: usize, took: Duration) {
        self.claims.inc_by(count as u64);
        self.claim_seconds.observe(took.as_secs_f64());
    }

    /// A batch of so many words was recorded.
    pub fn recorded(&self, words: usize, took: Duration) {
        self.finish_batch.observe(words as f64);
        self.finish_seconds.observe(took.as_secs_f64());
    }

    /// An attempt ended.
    pub fn ended(&self, outcome: Outcome) {
        self.finishes.get_or_create(&OutcomeLabel { outcome: outcome.to_string() }).inc();
    }

    /// A job was submitted here.
    pub fn submitted(&self) {
        self.jobs_submitted.inc();
    }

    /// A webhook was told, or not.
    pub fn webhook_sent(&self, is_told: bool) {
        let result = if is_told { "told" } else { "failed" }.to_owned();
        self.webhooks.get_or_create(&ResultLabel { result }).inc();
    }

    /// A job ended here.
    pub fn job_ended(&self) {
        self.jobs_ended.inc();
    }

    /// The text that Prometheus reads. `agents` and `slots_in_use` are those connected here; the
    /// counts come from the database.
    pub fn render(
        &self,
        (agents, slots_in_use): (usize, usize),
        jobs: Vec<StateCount>,
        tasks: Vec<StateCount>,
    ) -> Result<String, std::fmt::Error> {
        self.agents.set(i64::try_from(agents).unwrap_or(i64::MAX));
        self.slots_in_use.set(i64::try_from(slots_in_use).unwrap_or(i64::MAX));
        for (family, counts) in [(&self.jobs, jobs), (&self.tasks, tasks)] {
            family.clear();
            for (queue, state, count) in counts {
                family.get_or_create(&StateLabels { queue, state }).set(count);
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.claimed(3, Duration::from_millis(1));
        let text = metrics
            .render((2, 1), vec![("default".into(), "running".into(), 7)], Vec::new())
            .unwrap();
        assert!(text.contains("postq_claimed_attempts_total 3"), "{text}");
        assert!(text.contains("postq_jobs{queue=\"default\",state=\"running\"} 7"), "{text}");
        assert!(text.contains("postq_agents 2"), "{text}");
    }
}
