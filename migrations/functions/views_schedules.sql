-- What people and monitoring read of schedules. Columns are added at the end only.
create or replace view postq.schedules as
select s.name, s.cron, make_interval(secs => s.every_ms / 1000.0) as every, s.time_zone, s.overlap, s.catch_up,
       s.catch_up_limit, s.is_paused, s.next_at, s.last_at, s.last_job, j.state as last_state, s.fired, s.skipped,
       cardinality(s.waiting) as waiting, s.error, s.job, s.created_at, s.retry_at
from postq.schedule s
left join postq.job j on j.id = s.last_job;

revoke all on postq.schedules from public;
