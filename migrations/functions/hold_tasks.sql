-- Locks tasks that a consumer has found in ready (p_seq), scheduled (p_run_at) or parked, and of those that
-- are all their job consists of, the job where this is its first start. What somebody else has at
-- hand is left out. o_ord: the places of the tasks that are held; o_gone: of those that are not in
-- that state any more.
create or replace function postq.hold_tasks(
    p_job uuid[], p_n int[], p_seq bigint[], p_run_at timestamptz[], out o_ord int[], out o_gone int[]
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    with held as materialized (
        select x.ord, t.job,
               case when x.seq is not null then t.state = 'ready' and t.seq = x.seq
                    when x.run_at is not null then t.state = 'scheduled' and t.run_at = x.run_at
                    else t.state = 'parked' end as is_current
        from unnest(p_job, p_n, p_seq, p_run_at) with ordinality as x (job, n, seq, run_at, ord)
        join postq.task t on t.job = x.job and t.n = x.n
        order by t.job, t.n
        for update of t skip locked
    ), started as materialized (
        select j.id from held h
        join postq.job j on j.id = h.job
        join postq.job_spec s on s.job = h.job
        where h.is_current and s.task_count = 1 and j.state in ('scheduled', 'queued')
        order by j.id for update of j skip locked
    )
    select coalesce(array_agg(h.ord::int order by h.ord) filter (where h.is_current and (
               h.job in (select s.id from started s) or not exists (
                   select from postq.job j join postq.job_spec s on s.job = j.id
                   where j.id = h.job and s.task_count = 1 and j.state in ('scheduled', 'queued')))), '{}'),
           coalesce(array_agg(h.ord::int) filter (where not h.is_current), '{}')
    into o_ord, o_gone from held h;
end;
$$;
revoke all on function postq.hold_tasks(uuid[], int[], bigint[], timestamptz[]) from public;
