-- Forgets unique keys that nobody holds any more, looking at p_limit of them behind (p_scope, p_key), the
-- last that the call before has looked at. They are free without that; the table stays small by it.
-- Returns {"scope": text, "key": text} of the last one looked at, or null after the last of all.
create or replace function postq.sweep_keys(p_scope text, p_key text, p_limit int) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_last record;
begin
    with page as materialized (
        select k.scope, k.key, k.job, k.held_until from postq.unique_key k
        where (k.scope, k.key) > (p_scope, p_key) order by k.scope, k.key limit p_limit
    ), gone as (
        delete from postq.unique_key k
        where k.ctid = any (array(
            select k.ctid from page p
            join postq.unique_key k on k.scope = p.scope and k.key = p.key and k.job = p.job
            where not postq.holds_key(p.job, p.held_until) for update of k skip locked))
    )
    select count(*) as looked, (array_agg(p.scope order by p.scope desc, p.key desc))[1] as scope,
           (array_agg(p.key order by p.scope desc, p.key desc))[1] as key
    into v_last from page p;
    return case when v_last.looked = p_limit then jsonb_build_object('scope', v_last.scope, 'key', v_last.key) end;
end;
$$;
revoke all on function postq.sweep_keys(text, text, int) from public;
