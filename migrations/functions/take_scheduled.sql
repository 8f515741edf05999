-- Takes scheduled tasks, of which the caller has locked the rows of scheduled; those that want a slot of a
-- key are parked instead (see take_parked), and o_parked tells how many. Called by take_due and take_matching.
create or replace function postq.take_scheduled(
    p_run_at timestamptz[], p_job uuid[], p_n int[], out o_job uuid[], out o_n int[], out o_parked int
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_held record;
    v_keyed int[];
begin
    o_job := '{}';
    o_n := '{}';
    o_parked := 0;
    if p_job is null then
        return;
    end if;
    select * into v_held from postq.hold_tasks(p_job, p_n, '{}', p_run_at);
    delete from postq.scheduled s using unnest(p_run_at, p_job, p_n) with ordinality as x (run_at, job, n, ord)
    where s.run_at = x.run_at and s.job = x.job and s.n = x.n and x.ord = any (v_held.o_ord || v_held.o_gone);
    v_keyed := array(select i from unnest(v_held.o_ord) as i
                     join postq.task t on t.job = p_job[i] and t.n = p_n[i] where t.has_key);
    o_parked := cardinality(v_keyed);
    if o_parked > 0 then
        perform postq.park(array(select p_job[i] from unnest(v_keyed) as i), array(select p_n[i] from unnest(v_keyed) as i),
                           array_fill(null::uuid, array[cardinality(v_keyed)]));
        insert into postq.inbox (job, kind, n)
        select p_job[i], 'note', p_n[i] from unnest(v_keyed) as i
        join postq.job_spec s on s.job = p_job[i] where s.task_count > 1;
    end if;
    o_job := array(select p_job[i] from unnest(v_held.o_ord) as i where i <> all (v_keyed));
    o_n := array(select p_n[i] from unnest(v_held.o_ord) as i where i <> all (v_keyed));
end;
$$;
revoke all on function postq.take_scheduled(timestamptz[], uuid[], int[]) from public;
