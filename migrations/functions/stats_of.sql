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
set work_mem = '64MB'
as $$
    with open as (
        select r.job, 'ready' as state
        from postq.lane l join postq.ready r on r.lane = l.id where l.queue = p_queue
        union all
        select s.job, 'scheduled'
        from postq.lane l join postq.scheduled s on s.lane = l.id where l.queue = p_queue
        union all
        select k.job, 'parked'
        from postq.lane l join postq.parked k on k.lane = l.id where l.queue = p_queue
        union all
        select o.job, 'running'
        from postq.open_attempt o join postq.job j on j.id = o.job where j.queue = p_queue
    ), by_job as (
        select count(*) filter (where o.state = 'ready') as ready, count(*) filter (where o.state = 'scheduled') as scheduled,
               count(*) filter (where o.state = 'parked') as parked, count(*) filter (where o.state = 'running') as running
        from open o group by o.job
    )
    select coalesce((select greatest(b.jobs - (select count(*) from postq.departure d where d.queue = p_queue), 0)
                     from postq.bound b join postq.queue q on q.name = b.queue and q.max_jobs is not null
                     where b.queue = p_queue), count(*)),
           coalesce(sum(b.ready), 0)::bigint, coalesce(sum(b.scheduled), 0)::bigint, coalesce(sum(b.parked), 0)::bigint,
           coalesce(sum(b.running), 0)::bigint,
           (select count(*) from postq.dead_letter d where d.queue = p_queue),
           -- What became ready first stands first in its lane.
           (select min(f.since) from postq.lane l
            cross join lateral (select r.since from postq.ready r where r.lane = l.id and r.seq > l.floor
                                order by r.seq limit 1) f
            where l.queue = p_queue)
    from by_job b;
$$;
revoke all on function postq.stats_of(text) from public;
