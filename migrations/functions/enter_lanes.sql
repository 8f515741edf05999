-- Puts tasks into their lanes, or those that these are folded into, in the order given, whatever they
-- wait for. Called by make_ready and
-- grant_pool, which hold the jobs' rows. Returns the lowest new seq per lane as [[lane, seq], ...].
create or replace function postq.enter_lanes(
    p_job uuid[], p_n int[], p_prefer uuid[]
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_ready jsonb;
begin
    if cardinality(p_job) = 0 then
        return '[]';
    end if;
    -- Before the first nextval: the floor of a lane rests on it.
    perform pg_current_xact_id();
    with moved as (
        select x.job, x.n, x.prefer, coalesce(f.into_lane, t.lane) as lane, nextval('postq.ready_seq') as seq
        from (
            select * from unnest(p_job, p_n, p_prefer) with ordinality as u (job, n, prefer, ord)
            order by ord
        ) x
        join postq.task t on t.job = x.job and t.n = x.n
        left join postq.lane_fold f on f.lane = t.lane
    ), entered as (
        insert into postq.ready (lane, seq, job, n, prefer, since)
        select lane, seq, job, n, prefer, postq.now() from moved
    ), marked as (
        update postq.task t
        set state = 'ready', lane = m.lane, seq = m.seq, run_at = null, revision = p.revision + 1
        from moved m cross join lateral postq.progress_of(m.job) p
        where t.job = m.job and t.n = m.n
    )
    select jsonb_agg(jsonb_build_array(l.lane, l.seq))
    into v_ready
    from (select m.lane, min(m.seq) as seq from moved m group by m.lane) l;
    perform postq.hint_ready(v_ready, cardinality(p_job));
    return v_ready;
end;
$$;
revoke all on function postq.enter_lanes(uuid[], int[], uuid[]) from public;
