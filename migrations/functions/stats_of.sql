-- What is in a queue now, counted by index. jobs: those that have not ended and of which a task waits or
-- runs; of a queue with a bound, what counts for it. Each row that waits is looked at once, and none is sorted.
create or replace function postq.stats_of(
    p_queue text, out jobs bigint, out ready bigint, out scheduled bigint, out parked bigint, out running bigint,
    out dead_letters bigint, out oldest_ready_at timestamptz
)
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_mergejoin = off
set enable_sort = off
set work_mem = '256MB'
as $$
    with counted as (
        select (select count(*) from postq.lane l join postq.ready r on r.lane = l.id where l.queue = p_queue) as ready,
               (select count(*) from postq.lane l join postq.scheduled s on s.lane = l.id where l.queue = p_queue) as scheduled,
               (select count(*) from postq.lane l join postq.parked k on k.lane = l.id where l.queue = p_queue) as parked,
               (select count(*) from postq.open_attempt o join postq.job j on j.id = o.job where j.queue = p_queue) as running
    )
    select coalesce(
               (select greatest(b.jobs - (select count(*) from postq.departure d where d.queue = p_queue), 0)
                from postq.bound b join postq.queue q on q.name = b.queue and q.max_jobs is not null
                where b.queue = p_queue),
               -- Of some tasks several may be of one job.
               (select count(*) from (
                   select r.job from postq.lane l join postq.ready r on r.lane = l.id where l.queue = p_queue
                   union
                   select s.job from postq.lane l join postq.scheduled s on s.lane = l.id where l.queue = p_queue
                   union
                   select k.job from postq.lane l join postq.parked k on k.lane = l.id where l.queue = p_queue
                   union
                   select o.job from postq.open_attempt o join postq.job j on j.id = o.job where j.queue = p_queue) o)),
           c.ready, c.scheduled, c.parked, c.running,
           (select count(*) from postq.dead_letter d where d.queue = p_queue),
           -- What became ready first stands first in its lane.
           (select min(f.since) from postq.lane l
            cross join lateral (select r.since from postq.ready r where r.lane = l.id and r.seq > l.floor
                                order by r.seq limit 1) f
            where l.queue = p_queue)
    from counted c;
$$;
revoke all on function postq.stats_of(text) from public;
