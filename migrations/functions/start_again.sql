-- Lets the tasks of a retry run that run again, behind gates that count only those before them that run
-- again too; at p_start where that is still to come. (What of a gate of thousands is left to upkeep is
-- not held until then.) Called by copy_job.
create or replace function postq.start_again(p_job uuid, p_id uuid, p_rerun int[], p_start timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    v_first int[];
    v_open int[];
    v_from int[];
    v_released record;
    v_settled record;
begin
    insert into postq.task (job, n, state, gate, lane, revision, has_key)
    select p_id, t.n, 'blocked', t.gate, t.lane, 1, t.has_key
    from postq.task t where t.job = p_job and t.n = any (p_rerun) order by t.n;
    insert into postq.gate_parent (job, parent, g)
    select p_id, p.parent, p.g from postq.gate_parent p where p.job = p_job;
    insert into postq.gate (job, g, first_n, last_n, open)
    select p_id, g.g, g.first_n, g.last_n, (
        select count(*) from postq.gate_parent p
        join postq.task t on t.job = p_id and t.n = p.parent
        where p.job = p_id and p.g = g.g and t.state = 'blocked')
    from postq.gate g where g.job = p_job;

    select array_agg(t.n order by t.n) into v_first from postq.task t
    where t.job = p_id and t.state = 'blocked' and t.gate is null;
    if v_first is not null and p_start > postq.now() then
        perform postq.begin_job(p_id, p_start);
    elsif v_first is not null then
        perform postq.make_ready(array_fill(p_id, array[cardinality(v_first)]), v_first,
            array_fill(null::uuid, array[cardinality(v_first)]));
    end if;
    select array_agg(g.g), array_agg(g.first_n) into v_open, v_from from postq.gate g
    where g.job = p_id and g.open = 0
      and exists (select from postq.task t where t.job = p_id and t.n between g.first_n and g.last_n and t.state = 'blocked');
    if v_open is not null then
        select * into v_released from postq.release_gates(
            array_fill(p_id, array[cardinality(v_open)]), v_open, v_from,
            array_fill(null::uuid, array[cardinality(v_open)]));
        select * into v_settled from postq.settle(v_released.o_skipped_job, v_released.o_skipped_n,
            array_fill(null::uuid, array[cardinality(v_released.o_skipped_n)]));
        perform postq.advance(array[p_id], v_settled.o_ended_job, v_settled.o_ended_n);
        if p_start > postq.now() then
            perform postq.start_later(p_id, p_start);
        end if;
    end if;
end;
$$;
revoke all on function postq.start_again(uuid, uuid, int[], timestamptz) from public;
