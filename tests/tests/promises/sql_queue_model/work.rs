//! Taking tasks and dead letters, and saying how they went: consumers by SQL, and an agent.

use std::collections::BTreeSet;

use postq_common::state::Outcome;
use postq_tests::{Claimed, End, finish_on};
use serde_json::json;
use uuid::Uuid;

use super::{
    model::{Job, LEASE, State, Word},
    play::{Play, QUEUES},
};
use crate::consumer::{self, Taken};

/// What a consume asks for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    queue: usize,
    num: usize,
    handler: Option<usize>,
    number: Option<usize>,
    is_at_most_once: bool,
}

impl Wish {
    fn fits(&self, job: &Job) -> bool {
        job.queue == self.queue
            && self.handler.is_none_or(|handler| job.handler == handler)
            && self.number.is_none_or(|number| job.number == number)
    }

    fn arguments(&self) -> String {
        let mut arguments = format!("{}, '{}'", self.num, QUEUES[self.queue]);
        if let Some(handler) = self.handler {
            arguments += &format!(", tasks => '{{h{handler}}}'");
        }
        if let Some(number) = self.number {
            arguments += &format!(", filter => '$.n == {number}'");
        }
        if self.is_at_most_once {
            arguments += ", delivery => 'at_most_once'";
        }
        arguments
    }
}

impl Play {
    pub(super) async fn consume(&mut self) -> &'static str {
        let n = self.session();
        self.consume_on(n).await;
        "consume"
    }

    pub(super) async fn consume_on(&mut self, n: usize) {
        let wish = Wish {
            queue: self.pick(2),
            num: 1 + self.pick(4),
            handler: self.one_of(&[None, None, None, Some(0), Some(1)]),
            number: self.one_of(&[None, None, None, Some(0), Some(1)]),
            is_at_most_once: self.pick(10) == 0,
        };
        let given = consumer::consume(&mut self.sessions[n].connection, &wish.arguments()).await;
        self.consumed(wish, &given);
    }

    /// Notes what a consume has given, and checks that nothing was passed over for it.
    fn consumed(&mut self, wish: Wish, given: &[Taken]) {
        let (now, busy) = (self.model.now, self.busy());
        let before = self.model.jobs.clone();
        let room = self.model.room(wish.queue);
        assert!(given.len() <= wish.num.min(room), "{given:?} of {wish:?}");
        for one in given {
            let job = self.model.jobs.get_mut(&one.id).expect("a job that is known");
            assert!(wish.fits(job) && !busy.contains(&one.id), "{one:?} for {wish:?}: {job:?}");
            assert_eq!(i64::from(job.attempts) + 1, i64::from(one.attempts), "{one:?}: {job:?}");
            job.is_last = wish.is_at_most_once || job.is_at_most_once;
            self.model.starts(one.id, State::Leased { until: now + LEASE, attempt: one.attempt });
        }
        // Places that another transaction has at hand count as taken, also for what its filter passed over.
        let is_limited = self.open.is_some() && self.model.queues[wish.queue].max_running.is_some();
        let is_full = given.len() == wish.num || given.len() == room || is_limited;
        // One that waits for its key or rate is judged by who holds that: see compare.
        let free = |job: &Job| job.key.is_none() && job.rate.is_none();
        let since = |job: &Job| match job.state {
            State::Waiting(at) if at <= now => Some(at),
            _ => None,
        };
        let left = self.model.jobs.iter().filter(|(id, job)| {
            free(job) && since(job).is_some() && wish.fits(job) && !busy.contains(id)
        });
        for (id, job) in left {
            assert!(is_full, "{id} {job:?} was passed over for {given:?} of {wish:?} at {now}");
            for other in given.iter().map(|one| &before[&one.id]).filter(|other| free(other)) {
                let is_before = job.priority > other.priority
                    || job.priority == other.priority
                        && since(other).is_some_and(|other| since(job).unwrap() < other);
                assert!(!is_before, "{id} {job:?} was passed over for {other:?} at {now}");
            }
        }
    }

    pub(super) async fn consume_dead(&mut self) -> &'static str {
        let n = self.session();
        self.consume_dead_on(n).await;
        "consume_dead"
    }

    /// The oldest letters that nobody has.
    pub(super) async fn consume_dead_on(&mut self, n: usize) {
        let (queue, num) = (self.pick(2), 1 + self.pick(3));
        let now = self.model.now;
        let consume = format!("{num}, 'dlq@{}', lease => '{LEASE} s'", QUEUES[queue]);
        let given = consumer::consume(&mut self.sessions[n].connection, &consume).await;
        let free = self.model.letters(queue).into_iter().filter(|(_, letter)| letter.is_free(now));
        let wanted: Vec<Uuid> = free.map(|(id, _)| id).take(num).collect();
        assert_eq!(given.iter().map(|one| one.id).collect::<Vec<_>>(), wanted, "{consume}");
        for one in given {
            let letter = self.model.jobs.get_mut(&one.id).unwrap().letter.as_mut().unwrap();
            (letter.attempt, letter.until) = (Some(one.attempt), Some(now + LEASE));
            self.model.taken.push((one.id, one.attempt));
        }
    }

    /// The agent takes what is ready in all lanes.
    pub(super) async fn claim(&mut self) -> &'static str {
        let (n, slots) = (self.session(), 1 + self.pick(2));
        let claimed = self.worker.claim_on(&mut self.sessions[n].connection, slots).await.unwrap();
        self.claimed(claimed);
        "claim"
    }

    fn claimed(&mut self, claimed: Vec<Claimed>) {
        let busy = self.busy();
        for one in claimed {
            assert!(!busy.contains(&one.job), "{one:?} is in another transaction");
            let job = self.model.jobs.get_mut(&one.job).expect("a job that is known");
            job.is_last = job.is_at_most_once;
            self.model.starts(one.job, State::Claimed { attempt: one.attempt });
            self.held.push(one);
        }
    }

    pub(super) async fn speak(&mut self) -> &'static str {
        let n = self.session();
        self.speak_on(n).await;
        "speak"
    }

    pub(super) async fn speak_on(&mut self, n: usize) {
        if self.model.taken.is_empty() {
            return;
        }
        let at = self.pick(self.model.taken.len());
        let (id, attempt) = self.model.taken[at];
        let of = format!("'{id}', {attempt}");
        let later = self.model.now + 17;
        let (statement, word) = match self.pick(7) {
            0 | 1 => (format!("ack({of})"), Word::Ack),
            2 => (format!("nack({of}, 'no')"), Word::Nack { is_final: false, retry_at: None }),
            3 => (
                format!("nack({of}, is_final => true)"),
                Word::Nack { is_final: true, retry_at: None },
            ),
            4 => (
                format!("nack({of}, retry_at => postq.now() + interval '17 s')"),
                Word::Nack { is_final: false, retry_at: Some(later) },
            ),
            5 => (format!("release({of})"), Word::Release),
            _ => (format!("renew({of}, '{LEASE} s')"), Word::Renew),
        };
        let was = self.model.jobs.get(&id).cloned();
        let is_current = self.model.spoken(id, attempt, word);
        let done = self.sessions[n].try_execute(&format!("select postq.{statement}")).await;
        assert_eq!(done.is_ok(), is_current, "{statement}: {was:?} {done:?}");
        if !is_current {
            self.model.taken.swap_remove(at);
        }
    }

    pub(super) async fn ack_many(&mut self) -> &'static str {
        let mut given = BTreeSet::new();
        for _ in 0..3.min(self.model.taken.len()) {
            let at = self.pick(self.model.taken.len());
            given.insert(self.model.taken[at]);
        }
        let counting: BTreeSet<(Uuid, i64)> = given
            .iter()
            .copied()
            .filter(|(id, attempt)| self.model.spoken(*id, *attempt, Word::Ack))
            .collect();
        let (ids, attempts): (Vec<Uuid>, Vec<i64>) = given.into_iter().unzip();
        let n = self.session();
        let told: Vec<(Uuid, i64)> =
            sqlx::query_as("select id, attempt from postq.ack_many($1, $2)")
                .bind(ids)
                .bind(attempts)
                .fetch_all(&mut self.sessions[n].connection)
                .await
                .unwrap();
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), counting);
        "ack_many"
    }

    /// The agent reports how some of its attempts ended; and, too late, what it has reported before.
    pub(super) async fn finish(&mut self) -> &'static str {
        let mut ends = Vec::new();
        for _ in 0..1 + self.pick(2) {
            if !self.held.is_empty() {
                let at = self.pick(self.held.len());
                let outcome = self.one_of(&[
                    Outcome::Succeeded,
                    Outcome::Succeeded,
                    Outcome::Failed,
                    Outcome::TimedOut,
                    Outcome::Lost,
                    Outcome::Lost,
                    Outcome::Released,
                    Outcome::Cancelled,
                ]);
                let is_final = self.pick(8) == 0;
                ends.push((self.held.swap_remove(at), outcome, is_final));
            }
        }
        self.report(ends).await;
        if self.pick(4) == 0 {
            self.report_stale().await;
        }
        "finish"
    }

    async fn report(&mut self, ends: Vec<(Claimed, Outcome, bool)>) {
        let n = self.session();
        let told: Vec<_> = ends
            .iter()
            .map(|(of, outcome, is_final)| {
                (of, End { outcome: outcome.as_str(), is_final: *is_final })
            })
            .collect();
        let finished = finish_on(&mut self.sessions[n].connection, &told).await.unwrap();
        for (of, outcome, is_final) in ends {
            assert_eq!(finished.verdicts[&of.attempt], "recorded");
            assert!(self.model.attempt_ended(of.job, of.attempt, outcome, is_final), "{of:?}");
            self.ended.push(of);
        }
    }

    async fn report_stale(&mut self) {
        self.ended.retain(|of| self.model.jobs.contains_key(&of.job));
        if !self.ended.is_empty() {
            let at = self.pick(self.ended.len());
            let verdict = self.worker.end(&self.database, &self.ended[at], "failed").await;
            assert_eq!(verdict, "repeated");
        }
        if !self.held.is_empty() {
            let at = self.pick(self.held.len());
            let of = Claimed { session: self.held[at].session - 1, ..self.held[at].clone() };
            assert_eq!(self.worker.end(&self.database, &of, "succeeded").await, "stale");
        }
    }

    /// The agent comes back and knows all that it holds.
    pub(super) async fn reconnect(&mut self) -> &'static str {
        self.worker.reconnect(&self.database, Uuid::new_v4()).await;
        let attempts: Vec<i64> = self.held.iter().map(|one| one.attempt).collect();
        let adopt = sqlx::query("select postq.adopt($1, $2, $3)")
            .bind(self.worker.agent)
            .bind(self.worker.session)
            .bind(attempts);
        adopt.execute(&self.database.pool).await.unwrap();
        self.held.iter_mut().for_each(|one| one.session = self.worker.session);
        "reconnect"
    }

    /// All that can be taken is taken, and all that is at hand succeeds.
    pub(super) async fn work_on_all(&mut self) {
        let claimed = self.worker.claim(&self.database, 100).await;
        self.claimed(claimed);
        let held = std::mem::take(&mut self.held);
        self.report(held.into_iter().map(|of| (of, Outcome::Succeeded, false)).collect()).await;
        for queue in 0..QUEUES.len() {
            let wish =
                Wish { queue, num: 100, handler: None, number: None, is_at_most_once: false };
            let given = consumer::consume(&self.database.pool, &wish.arguments()).await;
            self.consumed(wish, &given);
        }
        for (id, attempt) in std::mem::take(&mut self.model.taken) {
            if self.model.spoken(id, attempt, Word::Ack) {
                self.database
                    .execute(&format!(
                        "select postq.ack('{id}', {attempt}, '{}')",
                        json!({"n": attempt})
                    ))
                    .await;
            }
        }
    }
}
