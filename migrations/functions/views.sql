-- What people and monitoring read: the state by plain SQL. Columns are added at the end only.
create or replace view postq.jobs as
select j.id, s.name, j.queue, j.state, coalesce(j.reason, case when j.finished_at is null then (
           select 'waits for job ' || min(a.parent::text)
               || case count(*) when 1 then '' else format(' and %s more', count(*) - 1) end
           from postq.job_after a where a.child = j.id having count(*) > 0) end) as reason, j.priority, s.attributes, j.created_at, j.started_at,
       j.finished_at, j.cancel_requested_at, s.task_count, p.open as open_tasks, p.revision, s.retry_of
from postq.job j
join postq.job_spec s on s.job = j.id
cross join lateral (
    select p.open, p.revision from postq.job_progress p
    where p.job = j.id order by p.revision desc limit 1
) p;

create or replace view postq.tasks as
select t.job as job_id, s.name, t.n as number, t.state,
       case when t.state = 'ready' then coalesce(postq.queue_reason(t.job), l.waiting, t.reason) else t.reason end as reason, t.attempts, t.crashes, t.run_at,
       t.started_at, t.finished_at, t.attempt,
       coalesce(oa.name, aa.name) as agent,
       a.outcome, a.exit_code, a.signal,
       encode(a.results, 'escape') as results, encode(a.errors, 'escape') as errors,
       a.results as results_raw, a.errors as errors_raw, s.spec, a.result, o.lease_until, a.effort
from postq.task t
join postq.task_spec s on s.job = t.job and s.n = t.n
left join postq.attempt a on a.id = t.attempt
left join postq.agent aa on aa.id = a.agent
left join postq.open_attempt o on o.job = t.job and o.n = t.n
left join postq.agent oa on oa.id = o.agent
left join postq.lane l on l.id = t.lane;

-- What is being executed, by an agent or by a consumer until its lease ends.
create or replace view postq.running as
select o.job as id, o.attempt, j.queue, coalesce(s.spec ->> 'handler', s.name) as task, g.name as agent,
       o.started_at, o.lease_until, o.cancel_requested_at
from postq.open_attempt o
join postq.job j on j.id = o.job
join postq.task_spec s on s.job = o.job and s.n = o.n
left join postq.agent g on g.id = o.agent;

-- What a consumer took and did not end in time; a consume or a sweep ends it.
create or replace view postq.expired as
select r.id, r.attempt, r.queue, r.task, r.started_at, r.lease_until
from postq.running r where r.lease_until <= postq.now();

-- What failed for good, with the error of every attempt, the first one first.
create or replace view postq.dead_letters as
select d.job as id, d.queue, d.task, s.spec -> 'arguments' as arguments, js.attributes, d.reason, d.attempts,
       d.died_at, d.attempt, d.lease_until, js.task_count,
       (select jsonb_agg(jsonb_build_object(
            'attempt', a.id, 'outcome', a.outcome, 'reason', a.reason, 'exit_code', a.exit_code,
            'signal', a.signal, 'finished_at', a.finished_at) order by a.id)
        from postq.attempt a where a.job = d.job and a.n = d.n) as history
from postq.dead_letter d
join postq.task_spec s on s.job = d.job and s.n = d.n
join postq.job_spec js on js.job = d.job;

-- How much there is in each queue that is declared or in use, since when the oldest of what could be
-- taken waits, and what bounds it.
create or replace view postq.queue_stats as
select n.name as queue, s.ready, s.scheduled, s.running, s.dead_letters, s.oldest_ready_at, s.parked, s.jobs,
       coalesce(q.is_paused, false) as is_paused, q.max_running, q.max_jobs, q.rate_limit,
       make_interval(secs => q.rate_period_ms / 1000.0) as rate_period
from postq.queue_names(null, null) n (name)
left join postq.queue q on q.name = n.name
cross join lateral postq.stats_of(n.name) s;

-- The queues that somebody has declared.
create or replace view postq.queues as
select q.name, q.description, q.is_paused, q.max_running, q.max_jobs, q.retry,
       make_interval(secs => q.timeout_ms / 1000.0) as timeout,
       make_interval(secs => q.expires_after_ms / 1000.0) as expires_after,
       q.has_dead_letters, q.aging, q.created_at,
       make_interval(secs => q.retain_ms / 1000.0) as retain_for, q.retain_jobs, q.has_notify, q.webhook,
       q.rate_limit, make_interval(secs => q.rate_period_ms / 1000.0) as rate_period
from postq.queue q;

revoke all on postq.jobs, postq.tasks, postq.running, postq.expired, postq.dead_letters, postq.queue_stats,
    postq.queues from public;
