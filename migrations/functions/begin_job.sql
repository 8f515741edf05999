-- Lets the first tasks of a job begin that has waited for others: now, or at p_run_at where that is
-- still to come. The caller holds the job's row. Returns [[lane, seq]].
create or replace function postq.begin_job(p_job uuid, p_run_at timestamptz) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_n int[];
    v_ready jsonb := '[]';
begin
    select array_agg(t.n order by t.n) into v_n
    from postq.task t where t.job = p_job and t.state = 'blocked' and t.gate is null;
    if p_run_at > postq.now() then
        with moved as (
            update postq.task t
            set state = 'scheduled', run_at = p_run_at, revision = postq.next_revision(p_job)
            where t.job = p_job and t.n = any (v_n)
            returning t.n, t.lane
        )
        insert into postq.scheduled (run_at, job, n, lane) select p_run_at, p_job, m.n, m.lane from moved m;
        perform postq.hint('due');
    else
        update postq.job j set state = 'queued' where j.id = p_job and j.state = 'scheduled';
        v_ready := postq.make_ready(array_fill(p_job, array[cardinality(v_n)]), v_n,
                                    array_fill(null::uuid, array[cardinality(v_n)]));
        perform postq.tell('postq_queued', array[p_job]);
    end if;
    perform postq.advance(array[p_job], '{}', '{}');
    return v_ready;
end;
$$;
revoke all on function postq.begin_job(uuid, timestamptz) from public;
