-- Lets tasks wait for a slot of their concurrency key or, without one, of their rate. The caller holds
-- their jobs' rows, or the tasks are its own.
create or replace function postq.park(p_job uuid[], p_n int[], p_prefer uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    with waiting as (
        insert into postq.parked (pool, rank, seq, job, n, lane, prefer)
        select coalesce('key:' || s.concurrency_key, 'rate:' || s.rate_key), -l.priority, nextval('postq.parked_seq'),
               x.job, x.n, l.id, x.prefer
        from (select * from unnest(p_job, p_n, p_prefer) with ordinality as x (job, n, prefer, ord) order by ord) x
        join postq.task t on t.job = x.job and t.n = x.n
        join postq.task_spec s on s.job = x.job and s.n = x.n
        left join postq.lane_fold f on f.lane = t.lane
        join postq.lane l on l.id = coalesce(f.into_lane, t.lane)
        returning pool
    )
    insert into postq.vacancy (pool) select distinct w.pool from waiting w;
    update postq.task t
    set state = 'parked', seq = null, run_at = null, revision = postq.next_revision(x.job),
        lane = coalesce((select f.into_lane from postq.lane_fold f where f.lane = t.lane), t.lane),
        reason = postq.parked_reason(s)
    from unnest(p_job, p_n) as x (job, n)
    join postq.task_spec s on s.job = x.job and s.n = x.n
    where t.job = x.job and t.n = x.n;
end;
$$;
revoke all on function postq.park(uuid[], int[], uuid[]) from public;
