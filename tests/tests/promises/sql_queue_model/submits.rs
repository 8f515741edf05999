//! New jobs: by documents, after other jobs, and by a schedule.

use std::time::Duration;

use postq_common::{
    id::JobId,
    schedule::{self, View},
    spec::RunIf,
};
use postq_coordinator::{
    store::{FireJob, NewJob, ScheduleChange, ScheduleRow, StoreError},
    wire::{plan, schedule as wire},
};
use postq_proto::document;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    check::code_of,
    model::{BACKOFF, CRASH_LIMIT, Job, LEASE, RATES, Schedule, State, Time},
    play::{Play, QUEUES},
};

/// Until whoever was refused has rolled back for certain.
const LET_GO: Duration = Duration::from_millis(500);

/// A unique key as a document asks for it.
#[derive(Clone, Copy)]
struct Unique {
    key: usize,
    is_global: bool,
    period: Option<Time>,
    replaces: bool,
}

impl Play {
    pub(super) async fn submit(&mut self) -> &'static str {
        self.look().await;
        let n = self.session();
        self.submit_on(n).await;
        "submit"
    }

    pub(super) async fn submit_on(&mut self, n: usize) {
        let (mut job, mut document) = self.job();
        if self.pick(5) == 0 {
            self.after_others(&mut job, &mut document);
        }
        // A holder in the open transaction could not be replaced at once.
        let unique = if self.is_open() { None } else { self.unique() };
        let Some(unique) = unique else {
            let is_full = self.model.is_full(job.queue);
            if let Some(id) = self.send(n, &document, is_full).await {
                self.model.submitted(id, job);
            }
            return;
        };
        document["unique"] = json!({"key": format!("u{}", unique.key),
            "scope": if unique.is_global { "ALL" } else { "QUEUE" },
            "existing": if unique.replaces { "REPLACE" } else { "KEEP" }});
        if let Some(period) = unique.period {
            document["unique"]["period"] = json!(format!("{period}s"));
        }
        self.submit_unique(n, job, &document, unique).await;
    }

    async fn submit_unique(&mut self, n: usize, job: Job, document: &Value, unique: Unique) {
        let before = self.model.clone();
        let scope = (!unique.is_global).then_some(job.queue);
        if let Some(holder) = self.model.holder(scope, unique.key) {
            let is_replaced = |job: &Job| unique.replaces && job.is_open() && !job.has_started;
            if !self.model.jobs.get(&holder).is_some_and(is_replaced) {
                assert_eq!(self.send(n, document, false).await, Some(holder), "{document}");
                return;
            }
            self.model.cancelled(holder);
        }
        let is_full = self.model.is_full(job.queue);
        let Some(id) = self.send(n, document, is_full).await else {
            self.model = before;
            return;
        };
        let until = unique.period.map(|period| self.model.now + period);
        self.model.unique.insert((scope, unique.key), (id, until));
        self.model.submitted(id, job);
    }

    /// Submits a document; none where its queue is full, which it must be then.
    async fn send(&mut self, n: usize, document: &Value, is_full: bool) -> Option<Uuid> {
        let submit = sqlx::query_scalar("select postq.submit($1)").bind(document);
        match submit.fetch_one(&mut self.sessions[n].connection).await {
            Ok(id) => {
                assert!(!is_full, "{document} was taken by a queue that is full");
                Some(id)
            }
            Err(error) => {
                assert!(is_full && code_of(&error) == "PQ010", "{document}: {error}");
                None
            }
        }
    }

    /// A job of one task by chance, and its document.
    fn job(&mut self) -> (Job, Value) {
        let now = self.model.now;
        let delay = self.one_of(&[0, 0, 0, 30]);
        let expires = self.one_of(&[None, None, Some(50)]);
        let job = Job {
            queue: self.pick(2),
            priority: self.one_of(&[0, 1, 2]),
            handler: self.pick(2),
            number: self.pick(3),
            state: State::Waiting(now + delay),
            attempts: 0,
            crashes: 0,
            max_attempts: self.one_of(&[1, 2, 3, -1]),
            key: self.one_of(&[None, None, Some(0), Some(1)]),
            rate: self.one_of(&[None, None, None, None, Some(0), Some(1)]),
            parents: Vec::new(),
            run_if: RunIf::Succeeded,
            begins_at: now + delay,
            is_planned: true,
            expires_at: expires.map(|expires| now + delay + expires),
            has_started: false,
            is_cancelled: false,
            is_at_most_once: self.pick(8) == 0,
            is_last: false,
            letter: None,
        };
        let mut task = json!({"handler": format!("h{}", job.handler), "timeout": format!("{LEASE}s"),
            "crash_limit": CRASH_LIMIT, "retry": {"max_attempts": job.max_attempts,
                "backoff": format!("{BACKOFF}s"), "factor": 1, "jitter": 0}});
        if job.is_at_most_once {
            task["delivery"] = json!("AT_MOST_ONCE");
        }
        if let Some(key) = job.key {
            task["concurrency"] = json!({"key": format!("k{key}"), "limit": key + 1});
        }
        if let Some(rate) = job.rate {
            let (limit, period) = RATES[rate];
            task["rate"] =
                json!({"key": format!("r{rate}"), "limit": limit, "period": format!("{period}s")});
        }
        let mut document = json!({"queue": QUEUES[job.queue], "priority": job.priority,
            "attributes": {"n": job.number}, "delay": format!("{delay}s"), "tasks": {"a": task}});
        if let Some(expires) = expires {
            document["expires_after"] = json!(format!("{expires}s"));
        }
        (job, document)
    }

    fn after_others(&mut self, job: &mut Job, document: &mut Value) {
        let mut parents: Vec<Uuid> = (0..1 + self.pick(3)).filter_map(|_| self.any_job()).collect();
        parents.sort();
        parents.dedup();
        if parents.is_empty() {
            return;
        }
        job.run_if =
            self.one_of(&[RunIf::Succeeded, RunIf::Failed, RunIf::Finished, RunIf::Finished]);
        (job.state, job.is_planned) = (State::Blocked, false);
        document["after"] = json!({"jobs": parents, "run_if": job.run_if.as_str().to_uppercase()});
        job.parents = parents;
    }

    fn unique(&mut self) -> Option<Unique> {
        (self.pick(5) < 2).then(|| Unique {
            key: self.pick(3),
            is_global: self.pick(3) == 0,
            period: self.one_of(&[None, None, Some(40)]),
            replaces: self.pick(3) == 0,
        })
    }

    /// A coordinator plans what waits for it.
    pub(super) async fn plan(&mut self) -> &'static str {
        for submission in self.store.submissions(0, 1000).await.unwrap() {
            let planned = plan::plan_submission(&submission).expect("a valid document");
            let admitted = self.store.admit(&planned.new).await.unwrap();
            assert!(admitted.created, "{submission:?} was taken by nobody else");
            self.model.jobs.get_mut(&submission.job.0).unwrap().is_planned = true;
        }
        "plan"
    }

    /// Something is done with the schedule, or by it.
    pub(super) async fn schedule(&mut self) -> &'static str {
        self.look().await;
        let n = self.session();
        let Some(schedule) = self.model.schedule else {
            self.put_schedule(n).await;
            return "put_schedule";
        };
        match self.pick(8) {
            0 => {
                self.sessions[n].execute("select postq.unschedule('s')").await;
                self.model.schedule = None;
                "unschedule"
            }
            1 => {
                let verb = if schedule.is_paused { "resume_schedule" } else { "pause_schedule" };
                self.sessions[n].execute(&format!("select postq.{verb}('s')")).await;
                self.model.schedule.as_mut().unwrap().is_paused = !schedule.is_paused;
                "rest_schedule"
            }
            2 => {
                let is_full = self.model.is_full(schedule.queue);
                let trigger = sqlx::query_scalar("select postq.trigger_schedule('s')");
                match trigger.fetch_one(&mut self.sessions[n].connection).await {
                    Ok(id) if !is_full => self.scheduled(id, schedule.queue),
                    Err(error) if is_full => assert_eq!(code_of(&error), "PQ010"),
                    done => panic!("is full: {is_full}, and {done:?}"),
                }
                "trigger_schedule"
            }
            _ => {
                self.fire().await;
                "fire"
            }
        }
    }

    async fn put_schedule(&mut self, n: usize) {
        let queue = self.pick(2);
        let document = json!({"queue": QUEUES[queue], "tasks": {"a": {
            "handler": "h0", "timeout": format!("{LEASE}s"), "crash_limit": CRASH_LIMIT}}});
        let (overlap, catch_up) =
            (self.one_of(&["allow", "skip", "queue"]), self.one_of(&["none", "last", "all"]));
        let put = format!(
            "select postq.schedule('s', '{document}', every => '25 s', overlap => '{overlap}', catch_up => '{catch_up}')"
        );
        self.sessions[n].execute(&put).await;
        self.model.schedule = Some(Schedule { queue, is_paused: false, last_job: None, fired: 0 });
    }

    /// Coordinators look at the schedule; only the first one makes its jobs.
    async fn fire(&mut self) {
        let due = self.store.due_schedules(10).await.unwrap();
        let schedule = self.model.schedule.unwrap();
        assert!(due.is_empty() || !schedule.is_paused, "what rests does not fire");
        for row in due {
            let is_busy = schedule
                .last_job
                .is_some_and(|id| self.model.jobs.get(&id).is_some_and(Job::is_open));
            assert_eq!((row.is_busy, row.fired), (is_busy, i64::try_from(schedule.fired).unwrap()));
            let (rule, policy) = wire::rule(&row).unwrap();
            let view = View {
                since: row.since,
                next_at: row.next_at,
                waiting: row.waiting.clone(),
                is_busy: row.is_busy,
                is_deferred: row.retry_at.is_some(),
            };
            let step = schedule::step(&rule, policy, &view, row.now);
            let ids: Vec<Uuid> = step.fire.iter().map(|_| self.new_id()).collect();
            let change = ScheduleChange {
                next_at: step.next_at,
                waiting: step.waiting,
                last_at: step.fire.last().copied(),
                skipped: step.skipped,
                error: None,
            };
            self.fire_as(&row, schedule.queue, &change, &ids).await;
        }
    }

    async fn fire_as(
        &mut self,
        row: &ScheduleRow,
        queue: usize,
        change: &ScheduleChange,
        ids: &[Uuid],
    ) {
        let before = self.model.clone();
        let mut is_full = false;
        let mut jobs = Vec::new();
        for id in ids {
            is_full |= self.model.is_full(queue);
            self.scheduled(*id, queue);
            let document = document::job_from_json(&row.job).unwrap();
            let planned = plan::plan(JobId(*id), &document, None).unwrap();
            let NewJob { job, tasks, gates, .. } = planned.new;
            jobs.push(FireJob { job, tasks, gates });
        }
        let mut fired = self.store.fire_schedule(&row.name, row.version, change, &jobs).await;
        if fired.as_ref().is_ok_and(|fired| !fired.is_current) {
            // Postgres tells a refusal before it has rolled back: one told a moment ago may still hold
            // the schedule, and then this look passed over it.
            sleep(LET_GO).await;
            fired = self.store.fire_schedule(&row.name, row.version, change, &jobs).await;
        }
        match fired {
            Ok(fired) => assert!(fired.is_current && !is_full, "is full: {is_full}, {fired:?}"),
            Err(StoreError::Refused { code, .. }) if is_full && code == "PQ010" => {
                self.model = before;
                self.store.defer_schedule(&row.name, row.version, "full").await.unwrap();
                return;
            }
            Err(error) => panic!("is full: {is_full}, {error}"),
        }
        let schedule = self.model.schedule.as_mut().unwrap();
        schedule.fired += ids.len();
        schedule.last_job = ids.last().copied().or(schedule.last_job);
        let again = self.store.fire_schedule(&row.name, row.version, change, &jobs).await.unwrap();
        assert!(!again.is_current, "its jobs were made twice");
    }

    /// The job of a schedule: by the defaults.
    fn scheduled(&mut self, id: Uuid, queue: usize) {
        let now = self.model.now;
        let (job, _) = self.job();
        let job = Job {
            queue,
            priority: 0,
            handler: 0,
            number: usize::MAX,
            state: State::Waiting(now),
            max_attempts: 1,
            key: None,
            rate: None,
            begins_at: now,
            expires_at: None,
            is_at_most_once: false,
            ..job
        };
        self.model.submitted(id, job);
    }

    fn new_id(&mut self) -> Uuid {
        let random = self.random_bytes();
        uuid::Builder::from_unix_timestamp_millis(2_208_988_800_000, &random).into_uuid()
    }
}
