-- Goes on releasing the dependants of gates that were too many for one transaction: one page.
-- Returns {"ready": [[lane, seq]], "gates": count, "ended": [job]}.
create or replace function postq.release_opening(p_limit int) returns jsonb
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
    v_g int[];
    v_from int[];
    v_prefer uuid[];
    v_released record;
    v_settled record;
begin
    select array_agg(h.id) into v_held from (
        select j.id from postq.job j
        where j.id in (select o.job from postq.opening o order by o.job limit p_limit)
        order by j.id for update skip locked) h;
    with taken as (
        delete from postq.opening o
        where o.ctid = any (array(select o.ctid from postq.opening o where o.job = any (v_held)
                                  order by o.job, o.g limit p_limit))
        returning o.job, o.g, o.from_n, o.prefer
    )
    select array_agg(t.job), array_agg(t.g), array_agg(t.from_n), array_agg(t.prefer)
    into v_job, v_g, v_from, v_prefer from taken t;
    if v_job is null then
        return '{"ready": [], "gates": 0, "ended": []}';
    end if;
    select * into v_released from postq.release_gates(v_job, v_g, v_from, v_prefer);
    select * into v_settled from postq.settle(v_released.o_skipped_job, v_released.o_skipped_n,
        array_fill(null::uuid, array[cardinality(v_released.o_skipped_n)]));
    return jsonb_build_object(
        'ready', v_released.o_ready || v_settled.o_ready, 'gates', cardinality(v_job),
        'ended', to_jsonb(postq.advance(v_job, v_settled.o_ended_job, v_settled.o_ended_n)));
end;
$$;
revoke all on function postq.release_opening(int) from public;
