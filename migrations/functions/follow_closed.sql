-- What follows from attempts that a consumer has ended, as far as its transaction may: jobs of one task
-- (p_single; null: all) go on here, of others it is noted in the inbox. Called by conclude_all.
create or replace function postq.follow_closed(
    p_job uuid[], p_n int[], p_next postq.task_state[], p_single uuid[]
) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    -- Most often there are none, and large batches want no look through all of them for each.
    v_has_others constant boolean := p_single is not null;
    c_ended constant postq.task_state[] := array['succeeded', 'failed', 'cancelled'];
    v_ready record;
    v_single record;
begin
    if 'ready' = any (p_next) then
        select array_agg(x.job) as jobs, array_agg(x.n) as ns, array_agg(null::uuid) as agents into v_ready
        from unnest(p_job, p_n, p_next) as x (job, n, next) where x.next = 'ready';
        perform postq.make_ready(v_ready.jobs, v_ready.ns, v_ready.agents);
    end if;
    select array_agg(x.job) as jobs,
           coalesce(array_agg(x.job) filter (where x.next = any (c_ended)), '{}') as ended_jobs,
           coalesce(array_agg(x.n) filter (where x.next = any (c_ended)), '{}') as ended_ns
    into v_single
    from unnest(p_job, p_n, p_next) as x (job, n, next) where not v_has_others or x.job = any (p_single);
    if v_single.jobs is not null then
        perform postq.advance(v_single.jobs, v_single.ended_jobs, v_single.ended_ns);
    end if;
    if v_has_others then
        insert into postq.inbox (job, kind, n)
        select x.job, case when x.next = any (c_ended) then 'settle' else 'note' end, x.n
        from unnest(p_job, p_n, p_next) as x (job, n, next) where x.job <> all (p_single);
        perform postq.hint('inbox');
    end if;
end;
$$;
revoke all on function postq.follow_closed(uuid[], int[], postq.task_state[], uuid[]) from public;
