-- Ends attempts of consumers whose lease is over, at most p_limit: they have timed out, and their
-- tasks are tried again after their backoff, or are dead letters. What somebody has at hand is left
-- for the next time; p_is_thorough looks below the floors as well. Called by coordinators and by sweep, so that what waits behind a vanished
-- consumer is found where nobody consumes.
-- Returns {"expired": count, "ready": [[lane, seq]], "ended": [job], "due_ms": milliseconds until the
-- first retry or null, "next_ms": until the next lease ends or null}.
create or replace function postq.expire_leases(p_limit int, p_is_thorough boolean default false) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_attempt bigint[];
    v_job uuid[];
    v_n int[];
    v_done jsonb;
begin
    with over as materialized (
        select o.ctid as row
        from postq.lane l
        cross join lateral (
            select o.ctid from postq.open_attempt o
            where o.lane = l.id and o.lease_until > case when p_is_thorough then '-infinity' else l.lease_floor end and o.lease_until <= postq.now()
            order by o.lease_until limit p_limit
        ) o
        where l.executor = 'handler'
    ), locked as materialized (
        select o.job, o.n, o.attempt
        from postq.open_attempt o
        where o.ctid = any (array(select x.row from over x)) and o.lease_until <= postq.now()
        order by o.lease_until limit p_limit for update skip locked
    ), held as materialized (
        select j.id from postq.job j where j.id in (select l.job from locked l)
        order by j.id for update skip locked
    )
    select array_agg(l.attempt), array_agg(l.job), array_agg(l.n) into v_attempt, v_job, v_n
    from locked l join held h on h.id = l.job;
    if v_job is null then
        v_done := '{"ready": [], "ended": [], "due_ms": null}';
    else
        v_done := postq.finish(v_attempt, array_fill(null::bigint, array[cardinality(v_n)]), v_job, v_n,
            array_fill('timed_out'::text, array[cardinality(v_n)]), '{}', '{}',
            array_fill(postq.lease_over(), array[cardinality(v_n)]), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
    end if;
    return v_done - 'verdicts' || jsonb_build_object(
        'expired', coalesce(cardinality(v_job), 0), 'next_ms', postq.next_lease_ms());
end;
$$;
revoke all on function postq.expire_leases(int, boolean) from public;
