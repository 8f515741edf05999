-- What is in a queue now, counted by index. jobs: those that have not ended and of which a task waits or
-- runs; of a queue with a bound, what counts for it.
create or replace function postq.stats_of(
    p_queue text, out jobs bigint, out ready bigint, out scheduled bigint, out parked bigint, out running bigint,
    out dead_letters bigint, out oldest_ready_at timestamptz
)
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_mergejoin = off
as $$
    with open as (
        select r.job, 'ready' as state, r.since
        from postq.lane l join postq.ready r on r.lane = l.id where l.queue = p_queue
        union all
        select s.job, 'scheduled', null
        from postq.lane l join postq.scheduled s on s.lane = l.id where l.queue = p_queue
        union all
        select k.job, 'parked', null
        from postq.lane l join postq.parked k on k.lane = l.id where l.queue = p_queue
        union all
        select o.job, 'running', null
        from postq.open_attempt o join postq.job j on j.id = o.job where j.queue = p_queue
    )
    select coalesce((select greatest(b.jobs - (select count(*) from postq.departure d where d.queue = p_queue), 0)
                     from postq.bound b join postq.queue q on q.name = b.queue and q.max_jobs is not null
                     where b.queue = p_queue), count(distinct o.job)),
           count(*) filter (where o.state = 'ready'), count(*) filter (where o.state = 'scheduled'),
           count(*) filter (where o.state = 'parked'), count(*) filter (where o.state = 'running'),
           (select count(*) from postq.dead_letter d where d.queue = p_queue), min(o.since)
    from open o;
$$;
revoke all on function postq.stats_of(text) from public;
