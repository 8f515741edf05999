//! What operators do: settings of queues, cancels, retries, redrives, and what is forgotten.

use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    check::code_of,
    model::{Model, State},
    play::{Play, QUEUES},
};
use postq_common::state::TaskState;

impl Play {
    /// Pauses or resumes a queue, or changes what it may hold and run.
    pub(super) async fn set(&mut self) -> &'static str {
        let (queue, n) = (self.pick(2), self.session());
        let name = QUEUES[queue];
        if self.pick(2) == 0 {
            let is_paused = !self.model.queues[queue].is_paused;
            self.model.queues[queue].is_paused = is_paused;
            let verb = if is_paused { "pause" } else { "resume" };
            self.sessions[n].execute(&format!("select postq.{verb}('{name}')")).await;
            return "pause";
        }
        // A first limit counts what is there.
        if self.is_open() {
            return "set";
        }
        let max_running = self.one_of(&[None, Some(1), Some(2), Some(3)]);
        let max_jobs = self.one_of(&[None, None, Some(4), Some(12), Some(40)]);
        let keeps_letters = self.pick(4) > 0;
        let settings = match self.pick(3) {
            0 => {
                self.model.queues[queue].max_running = max_running;
                json!({"max_running": max_running})
            }
            1 => {
                self.model.queues[queue].max_jobs = max_jobs;
                json!({"max_jobs": max_jobs})
            }
            _ => {
                self.model.queues[queue].keeps_letters = keeps_letters;
                json!({"dead_letters": keeps_letters})
            }
        };
        let alter = format!("select postq.alter_queue('{name}', '{settings}')");
        self.sessions[n].execute(&alter).await;
        "set"
    }

    /// Takes all limits away.
    pub(super) async fn unlimit(&mut self) {
        for (queue, name) in QUEUES.iter().enumerate() {
            self.database
                .execute(&format!(
                    "select postq.alter_queue('{name}', '{{\"max_running\": null, \"max_jobs\": null, \"paused\": null}}')"
                ))
                .await;
            let of = &mut self.model.queues[queue];
            (of.is_paused, of.max_running, of.max_jobs) = (false, None, None);
        }
    }

    pub(super) async fn cancel(&mut self) -> &'static str {
        self.look().await;
        let n = self.session();
        self.cancel_on(n).await;
        self.sweep().await;
        "cancel"
    }

    pub(super) async fn cancel_on(&mut self, n: usize) {
        let Some(id) = self.any_job() else { return };
        self.sessions[n].execute(&format!("select postq.cancel('{id}')")).await;
        self.model.cancelled(id);
    }

    pub(super) async fn cancel_matching(&mut self) -> &'static str {
        self.look().await;
        if self.is_open() {
            return "cancel_matching";
        }
        let (queue, number, n) = (self.pick(2), self.pick(3), self.session());
        let waiting_only = self.pick(2) == 0;
        let chosen: Vec<Uuid> = self
            .model
            .jobs
            .iter()
            .filter(|(_, job)| {
                job.queue == queue
                    && job.number == number
                    && job.is_open()
                    && !(waiting_only && job.has_started)
            })
            .map(|(id, _)| *id)
            .collect();
        let cancel = format!(
            "select postq.cancel_matching('$.n == {number}', '{}', waiting_only => {waiting_only})",
            QUEUES[queue]
        );
        let asked: i64 = self.sessions[n].value(&cancel).await;
        assert_eq!(usize::try_from(asked).unwrap(), chosen.len(), "{cancel}: {chosen:?}");
        chosen.into_iter().for_each(|id| self.model.cancelled(id));
        self.sweep().await;
        "cancel_matching"
    }

    pub(super) async fn retry(&mut self) -> &'static str {
        self.look().await;
        let Some(id) = self.any_job() else { return "retry" };
        let job = &self.model.jobs[&id];
        let wanted = match job.state {
            State::Ended { as_state: TaskState::Succeeded, .. } => Err("PQ005"),
            State::Ended { .. } if job.is_planned => Ok(()),
            _ => Err("PQ006"),
        };
        self.again("retry", id, wanted).await;
        "retry"
    }

    pub(super) async fn redrive(&mut self) -> &'static str {
        self.look().await;
        let Some(id) = self.any_job() else { return "redrive" };
        let now = self.model.now;
        let wanted = match self.model.jobs[&id].letter {
            None => Err("PQ003"),
            Some(letter) if letter.is_consumed(now) => Err("PQ006"),
            Some(_) => Ok(()),
        };
        self.again("redrive", id, wanted).await;
        "redrive"
    }

    async fn again(&mut self, verb: &str, id: Uuid, wanted: Result<(), &str>) {
        let n = self.session();
        let is_full = self.model.is_full(self.model.jobs[&id].queue);
        let wanted = if is_full { wanted.and(Err("PQ010")) } else { wanted };
        let again = AssertSqlSafe(format!("select postq.{verb}('{id}')"));
        let done: Result<Uuid, sqlx::Error> =
            sqlx::query_scalar(again).fetch_one(&mut self.sessions[n].connection).await;
        match (done, wanted) {
            (Ok(new), Ok(())) => self.model.copied(id, new),
            (Err(error), Err(wanted)) => {
                assert_eq!(code_of(&error), wanted, "{verb} {:?}", self.model.jobs[&id]);
            }
            (done, wanted) => {
                panic!("{verb} of {:?}: {done:?}, not {wanted:?}", self.model.jobs[&id])
            }
        }
    }

    /// All or none: where the queue has not room for all of them, none.
    pub(super) async fn redrive_all(&mut self) -> &'static str {
        self.look().await;
        let (queue, n, most) = (self.pick(2), self.session(), 1 + self.pick(4));
        let now = self.model.now;
        let mut letters = self.model.letters(queue);
        letters.retain(|(_, letter)| !letter.is_consumed(now));
        letters.truncate(most);
        let room = self.model.queues[queue].max_jobs.unwrap_or(usize::MAX);
        let is_full = self.model.open(queue) + letters.len() > room && !letters.is_empty();
        let redrive = sqlx::query_scalar("select postq.redrive_all($1, $2)")
            .bind(QUEUES[queue])
            .bind(i32::try_from(most).unwrap());
        let done: Result<Vec<Uuid>, sqlx::Error> =
            redrive.fetch_all(&mut self.sessions[n].connection).await;
        match done {
            Ok(new) => {
                assert!(!is_full && new.len() == letters.len(), "{new:?} of {letters:?}");
                letters.iter().zip(new).for_each(|((old, _), new)| self.model.copied(*old, new));
            }
            Err(error) => assert!(is_full && code_of(&error) == "PQ010", "{letters:?}: {error}"),
        }
        "redrive_all"
    }

    pub(super) async fn purge(&mut self) -> &'static str {
        let (queue, n, now) = (self.pick(2), self.session(), self.model.now);
        let purge = format!("select postq.purge('{}')", QUEUES[queue]);
        let purged: i64 = self.sessions[n].value(&purge).await;
        let mut letters = 0;
        for job in self.model.jobs.values_mut().filter(|job| job.queue == queue) {
            if job.letter.is_some_and(|letter| !letter.is_consumed(now)) {
                job.letter = None;
                letters += 1;
            }
        }
        assert_eq!(purged, letters);
        "purge"
    }

    /// Forgets all jobs that have ended before now and that nothing needs.
    pub(super) async fn forget(&mut self) -> &'static str {
        self.settle().await;
        let n = self.session();
        let page = self.pick(30) + 1;
        let mut last = "null".to_owned();
        while last != "stop" {
            let forget = format!(
                "select coalesce(quote_literal(postq.purge_finished('0 s', {page}, {last}) ->> 'last'), 'stop')"
            );
            last = self.sessions[n].value(&forget).await;
        }
        let Model { now, jobs, .. } = &self.model;
        let is_over = |job: &super::model::Job| {
            matches!(job.state, State::Ended { at, .. } if at < *now) && job.letter.is_none()
        };
        let gone: Vec<Uuid> = jobs
            .iter()
            .filter(|(id, job)| is_over(job) && !self.model.is_awaited(**id))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.model.jobs.remove(&id);
        }
        self.model.taken.retain(|(id, _)| self.model.jobs.contains_key(id));
        self.compare().await;
        "forget"
    }
}
