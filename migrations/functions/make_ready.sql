-- Puts tasks into their lanes, in the order given; those that want a slot of a key are parked, and come
-- when they have it (grant_pool). Called by finish, promote and release_gates,
-- which hold the jobs' rows. Returns the lowest new seq per lane as [[lane, seq], ...].
create or replace function postq.make_ready(
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
    v_keyed int[];
    v_free int[];
begin
    if cardinality(p_job) = 0 then
        return '[]';
    end if;
    select coalesce(array_agg(x.ord::int order by x.ord) filter (where t.has_key), '{}'),
           coalesce(array_agg(x.ord::int order by x.ord) filter (where not t.has_key), '{}')
    into v_keyed, v_free
    from unnest(p_job, p_n) with ordinality as x (job, n, ord)
    join postq.task t on t.job = x.job and t.n = x.n;
    if v_keyed <> '{}' then
        perform postq.park(array(select p_job[i] from unnest(v_keyed) i), array(select p_n[i] from unnest(v_keyed) i),
                           array(select p_prefer[i] from unnest(v_keyed) i));
        return postq.enter_lanes(array(select p_job[i] from unnest(v_free) i),
            array(select p_n[i] from unnest(v_free) i), array(select p_prefer[i] from unnest(v_free) i));
    end if;
    return postq.enter_lanes(p_job, p_n, p_prefer);
end;
$$;
revoke all on function postq.make_ready(uuid[], int[], uuid[]) from public;
