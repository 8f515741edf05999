-- Makes tasks ready whose time has come, behind the given time (the cursor of the caller; a slow
-- pass starts at -infinity). Jobs that another transaction holds wait for the next pass.
-- Returns {"ready": [[lane, seq]], "moved": count, "last": the latest time taken or null,
-- "due_ms": milliseconds until the next or null}.
create or replace function postq.promote(p_after timestamptz, p_limit int) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_held uuid[];
    v_job uuid[];
    v_n int[];
    v_last timestamptz;
    v_ready jsonb := '[]';
    v_begun uuid[];
begin
    select array_agg(h.id) into v_held from (
        select j.id from postq.job j
        where j.id in (select s.job from postq.scheduled s
                       where s.run_at >= p_after and s.run_at <= postq.now()
                       order by s.run_at limit p_limit)
        order by j.id for update skip locked) h;
    with due as (
        delete from postq.scheduled s
        where s.ctid = any (array(
            select s.ctid from postq.scheduled s
            where s.run_at >= p_after and s.run_at <= postq.now() and s.job = any (v_held)
            order by s.run_at limit p_limit for update skip locked))
        returning s.run_at, s.job, s.n
    )
    select array_agg(d.job order by d.run_at, d.job, d.n), array_agg(d.n order by d.run_at, d.job, d.n), max(d.run_at)
    into v_job, v_n, v_last from due d
    join postq.task t on t.job = d.job and t.n = d.n and t.state = 'scheduled';
    if v_job is not null then
        with begun as (
            update postq.job j set state = 'queued' where j.id = any (v_job) and j.state = 'scheduled' returning j.id
        )
        select array_agg(b.id) into v_begun from begun b;
        if v_begun is not null then
            perform postq.tell('postq_queued', v_begun);
        end if;
        v_ready := postq.make_ready(v_job, v_n, array_fill(null::uuid, array[cardinality(v_job)]));
        perform postq.advance(v_job, '{}', '{}');
        v_ready := v_ready || postq.grant_vacant();
    end if;
    return jsonb_build_object(
        'ready', v_ready, 'moved', coalesce(cardinality(v_job), 0), 'last', v_last,
        'due_ms', (select (extract(epoch from min(s.run_at) - postq.now()) * 1000)::bigint
                   from postq.scheduled s where s.run_at >= p_after));
end;
$$;
revoke all on function postq.promote(timestamptz, int) from public;
