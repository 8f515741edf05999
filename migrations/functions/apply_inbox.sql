-- Applies what users asked for, oldest first, at most p_limit requests; those that another
-- coordinator has at hand are left to it. Returns {"applied": count, "ended": [job]}.
create or replace function postq.apply_inbox(p_after bigint, p_limit int) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_job uuid[];
    v_reason text[];
    v_last bigint;
    v_ended uuid[] := '{}';
    v_one record;
begin
    with taken as (
        delete from postq.inbox i
        where i.ctid = any (array(
            select i.ctid from postq.inbox i where i.seq > p_after
            order by i.seq limit p_limit for update skip locked))
        returning i.seq, i.job, i.reason
    )
    select array_agg(t.job), array_agg(t.reason), max(t.seq) into v_job, v_reason, v_last from taken t;
    if v_job is null then
        return jsonb_build_object('applied', 0, 'last', p_after, 'ended', '[]'::jsonb);
    end if;
    for v_one in
        select x.job, min(x.reason) as reason from unnest(v_job, v_reason) as x (job, reason)
        group by x.job order by x.job
    loop
        v_ended := v_ended || postq.apply_cancel(v_one.job, v_one.reason);
    end loop;
    return jsonb_build_object('applied', cardinality(v_job), 'last', v_last, 'ended', to_jsonb(v_ended));
end;
$$;
revoke all on function postq.apply_inbox(bigint, int) from public;
