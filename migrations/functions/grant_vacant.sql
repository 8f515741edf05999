-- Looks at the pools that have had a slot set free or a task parked since, at most p_limit requests.
-- Called by the verbs of coordinators, and by sweep. Returns [[lane, seq]].
create or replace function postq.grant_vacant(p_limit int default 1000) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_pool text;
    v_ready jsonb := '[]';
begin
    if not exists (select from postq.vacancy) then
        return v_ready;
    end if;
    for v_pool in
        with taken as (
            delete from postq.vacancy v
            where v.seq = any (array(select v.seq from postq.vacancy v order by v.seq limit p_limit for update skip locked))
            returning v.pool
        )
        select distinct t.pool from taken t order by t.pool
    loop
        v_ready := v_ready || postq.grant_pool(v_pool);
    end loop;
    return v_ready;
end;
$$;
revoke all on function postq.grant_vacant(int) from public;
