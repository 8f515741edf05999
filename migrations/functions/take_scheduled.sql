-- Takes scheduled tasks, of which the caller has locked the rows of scheduled (p_row). One that wants a slot
-- of a key is taken where the slot is free and nobody stands in line for it, and is parked otherwise (see
-- take_parked); o_parked tells how many were. Called by take_due and take_matching.
create or replace function postq.take_scheduled(
    p_row tid[], p_run_at timestamptz[], p_job uuid[], p_n int[], out o_job uuid[], out o_n int[], out o_parked int
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_held record;
    v_keyed int;
    v_parked int[] := '{}';
begin
    o_job := '{}';
    o_n := '{}';
    o_parked := 0;
    if p_job is null then
        return;
    end if;
    select * into v_held from postq.hold_tasks(p_job, p_n, '{}', p_run_at);
    delete from postq.scheduled s where s.ctid = any (array(select p_row[i] from unnest(v_held.o_ord || v_held.o_gone) as i));
    for v_keyed in
        select i from unnest(v_held.o_ord) as i join postq.task t on t.job = p_job[i] and t.n = p_n[i]
        where t.has_key order by i
    loop
        if not postq.take_free_key(p_job[v_keyed], p_n[v_keyed]) then
            v_parked := v_parked || v_keyed;
        end if;
    end loop;
    o_parked := cardinality(v_parked);
    if o_parked > 0 then
        perform postq.park_due(array(select p_job[i] from unnest(v_parked) as i), array(select p_n[i] from unnest(v_parked) as i));
    end if;
    o_job := array(select p_job[i] from unnest(v_held.o_ord) as i where i <> all (v_parked));
    o_n := array(select p_n[i] from unnest(v_held.o_ord) as i where i <> all (v_parked));
end;
$$;
revoke all on function postq.take_scheduled(tid[], timestamptz[], uuid[], int[]) from public;
