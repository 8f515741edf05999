-- What people and monitoring read: the state by plain SQL. Columns are added at the end only.
create or replace view postq.jobs as
select j.id, s.name, j.queue, j.state, j.reason, j.priority, s.attributes, j.created_at, j.started_at,
       j.finished_at, j.cancel_requested_at, s.task_count, p.open as open_tasks, p.revision
from postq.job j
join postq.job_spec s on s.job = j.id
cross join lateral (
    select p.open, p.revision from postq.job_progress p
    where p.job = j.id order by p.revision desc limit 1
) p;

create or replace view postq.tasks as
select t.job as job_id, s.name, t.n as number, t.state, t.reason, t.attempts, t.crashes, t.run_at,
       t.started_at, t.finished_at, t.attempt,
       coalesce(oa.name, aa.name) as agent,
       a.outcome, a.exit_code, a.signal,
       encode(a.results, 'escape') as results, encode(a.errors, 'escape') as errors,
       a.results as results_raw, a.errors as errors_raw, s.spec
from postq.task t
join postq.task_spec s on s.job = t.job and s.n = t.n
left join postq.attempt a on a.id = t.attempt
left join postq.agent aa on aa.id = a.agent
left join postq.open_attempt o on o.job = t.job and o.n = t.n
left join postq.agent oa on oa.id = o.agent;

revoke all on postq.jobs, postq.tasks from public;
